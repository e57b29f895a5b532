"""Attacks within the class against worlds whose best answer is known: linear ones, silent ones, ones that whisper."""

import numpy as np
import pytest
from scipy.linalg import lstsq, svd

from mi_keras.attacks.access import Holdings
from mi_keras.attacks.attack import Evidence
from mi_keras.attacks.ridge import principal_axes
from mi_keras.attacks.within_class import (
    LinearWithinClass,
    NetworkWithinClass,
)
from mi_keras.errors import InputError
from mi_keras.progress import Run
from mi_keras.types import Images, Observation

CLASSES, OWN, ATTACKED = 3, 600, 200
SHAPE = (16, 16, 1)


def world(seed: int = 0, latent: int = 4):
    """Return images `mean of the class + latent numbers x directions`, the latent numbers and the classes."""
    draw = np.random.default_rng(seed)
    classes = draw.integers(CLASSES, size=OWN + ATTACKED)
    means = 0.5 + 0.1 * draw.standard_normal((CLASSES, *SHAPE))
    directions = 0.02 * draw.standard_normal((latent, *SHAPE))
    numbers = draw.standard_normal((OWN + ATTACKED, latent))
    images = np.clip(means[classes] + np.einsum("nl,lhwc->nhwc", numbers, directions), 0, 1)
    return images.astype(np.float32), numbers.astype(np.float32), classes, means


def attacked(attack, answers, images, classes):
    """Return what an attack draws of the last images from their answers, having learned from the first."""
    held = Holdings(
        Images(images[:OWN], classes[:OWN], np.arange(OWN, dtype=np.uint64)),
        image_shape=SHAPE,
        classes=CLASSES,
    )
    fitted = attack.fit(Evidence(Observation(answers[:OWN])), held, Run(1))
    observed = Evidence(Observation(answers[OWN:]))
    return np.concatenate(list(attack.reconstruct(fitted, observed, held, Run(1))))


def answers_of(features, classes):
    return np.concatenate([features, np.eye(CLASSES)[classes]], axis=1).astype(np.float32)


def share_recovered(drawn, images, classes):
    means = np.stack([images[:OWN][classes[:OWN] == c].mean(axis=0) for c in range(CLASSES)])
    truth = images[OWN:]
    return 1 - np.square(drawn - truth).sum() / np.square(means[classes[OWN:]] - truth).sum()


def test_a_linear_world_is_rebuilt_whole() -> None:
    images, numbers, classes, _ = world()
    drawn = attacked(LinearWithinClass(CLASSES), answers_of(numbers, classes), images, classes)
    assert share_recovered(drawn, images, classes) > 0.999


def test_where_answers_say_the_class_alone_its_mean_is_drawn() -> None:
    images, _, classes, _ = world()
    drawn = attacked(
        LinearWithinClass(CLASSES), answers_of(np.zeros((OWN + ATTACKED, 0)), classes), images, classes
    )
    for c in range(CLASSES):
        mean = images[:OWN][classes[:OWN] == c].mean(axis=0)  # of 200 images, which are all but their mean
        np.testing.assert_allclose(
            drawn[classes[OWN:] == c], np.broadcast_to(mean, drawn[classes[OWN:] == c].shape), atol=2e-3
        )


def test_answers_of_noise_give_no_more_than_the_class() -> None:
    images, _, classes, _ = world()
    noise = np.random.default_rng(1).standard_normal((OWN + ATTACKED, 4))
    drawn = attacked(LinearWithinClass(CLASSES), answers_of(noise, classes), images, classes)
    assert abs(share_recovered(drawn, images, classes)) < 0.02


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_what_is_said_at_a_small_scale_beside_the_class_is_heard(scale: float) -> None:
    images, numbers, classes, _ = world()
    loud = 50.0 * np.eye(CLASSES)[classes][:, [0, 1, 2, 0]] + scale * numbers
    drawn = attacked(LinearWithinClass(CLASSES), answers_of(loud, classes), images, classes)
    assert share_recovered(drawn, images, classes) > 0.98


def test_maps_by_class_are_learned_where_the_shared_one_is_wrong() -> None:
    images, numbers, classes, _ = world()
    turned = numbers * np.array([1, -1, 1])[classes][:, None]  # class 1 says the opposite
    drawn = attacked(LinearWithinClass(CLASSES), answers_of(turned, classes), images, classes)
    assert share_recovered(drawn, images, classes) > 0.98


def test_the_shared_map_is_that_of_least_squares() -> None:
    images, numbers, _, _ = world()
    one = np.zeros(OWN + ATTACKED, int)
    features = np.concatenate([numbers, np.ones((OWN + ATTACKED, 1))], axis=1)
    solved = lstsq(features[:OWN], images[:OWN].reshape(OWN, -1))[0]
    best = (features[OWN:] @ solved).reshape(ATTACKED, *SHAPE)
    answers = np.concatenate([numbers, np.ones((OWN + ATTACKED, 1))], axis=1).astype(np.float32)
    drawn = attacked(LinearWithinClass(1), answers, images, one)
    errors = [np.square(each - images[OWN:]).mean() for each in (drawn, best)]
    assert errors[0] < 1.01 * errors[1]


def test_maps_wider_than_the_images_are_many_are_inverted_by_their_gram_matrix() -> None:
    images, numbers, classes, _ = world()
    draw = np.random.default_rng(2)
    wide = (numbers @ draw.standard_normal((4, 5 * 5 * 40))).reshape(-1, 5, 5, 40).astype(np.float16)
    drawn = attacked(LinearWithinClass(maps=True), wide, images, classes)
    between = images - images[:OWN].mean(axis=0)
    flat = np.concatenate([np.ones((OWN, 1)), numbers[:OWN]], axis=1)
    solved = lstsq(flat, between[:OWN].reshape(OWN, -1))[0]
    told = np.concatenate([np.ones((ATTACKED, 1)), numbers[OWN:]], axis=1) @ solved
    best = np.square(told - between[OWN:].reshape(ATTACKED, -1)).mean()
    assert np.square(drawn - images[OWN:]).mean() < 1.1 * best


@pytest.mark.parametrize("shape", [(50, 9), (9, 50)])
def test_principal_axes_are_those_of_the_singular_value_decomposition(shape) -> None:
    rows = np.random.default_rng(0).standard_normal(shape)
    rows -= rows.mean(axis=0)
    axes, expected = principal_axes(rows.astype(np.float32), 3), svd(rows)[2][:3]
    np.testing.assert_allclose(np.abs(np.sum(axes * expected, axis=1)), 1, atol=1e-4)


@pytest.mark.parametrize("loss", [pytest.param("mse", marks=pytest.mark.slow), "ssim"])
def test_the_network_draws_more_than_the_class(loss: str) -> None:
    images, numbers, classes, _ = world()
    smooth = np.tile(np.linspace(-1, 1, 16), (16, 1))  # what a small network can draw
    images = np.clip(0.5 + 0.15 * numbers[:, :1, None, None] * smooth[None, :, :, None], 0, 1).astype(
        np.float32
    )
    attack = NetworkWithinClass(loss, channels=(16, 16, 16), epochs=30, batch_size=32, class_columns=CLASSES)
    drawn = attacked(attack, answers_of(numbers, classes), images, classes)
    assert share_recovered(drawn, images, classes) > 0.5


def test_fewer_images_can_be_used() -> None:
    images, numbers, classes, _ = world()
    answers = answers_of(numbers, classes)
    few = attacked(LinearWithinClass(CLASSES, images=20), answers, images, classes)
    cut = np.concatenate([images[:20], images[: OWN - 20] * 0, images[OWN:]])
    again = attacked(LinearWithinClass(CLASSES, images=20), answers, cut, classes)
    np.testing.assert_array_equal(few, again)  # the other images are not looked at


def test_a_loss_that_is_not_known_is_refused() -> None:
    with pytest.raises(InputError, match="`loss` must be one of mse, ssim; got 'l2'"):
        NetworkWithinClass("l2")
