"""Reading maps from means alone, in a world where maps are a linear code of patches."""

import numpy as np
import pytest

from mi_keras.attacks.access import Holdings
from mi_keras.attacks.attack import Evidence
from mi_keras.attacks.means import PlaceMeans
from mi_keras.errors import InputError
from mi_keras.progress import Run
from mi_keras.types import Images, Observation

ROWS, PIXELS, CHANNELS = 8, 2, 24
SIZE = ROWS * PIXELS


def _images(count: int, seed: int) -> np.ndarray:
    """Images in [0, 1] that share a mean and differ from it at every pixel."""
    mean = np.random.default_rng(0).uniform(0.3, 0.7, (SIZE, SIZE, 1))
    away = np.random.default_rng(seed).uniform(-0.3, 0.3, (count, SIZE, SIZE, 1))
    return (mean + away).astype(np.float32)


def _coded(images: np.ndarray) -> np.ndarray:
    """Maps of more channels than a patch has values, each a fixed sum of these, on scales of their own."""
    patches = (
        images.reshape(-1, ROWS, PIXELS, ROWS, PIXELS)
        .transpose(0, 1, 3, 2, 4)
        .reshape(-1, ROWS, ROWS, PIXELS**2)
    )
    code = np.random.default_rng(1).standard_normal((PIXELS**2, CHANNELS)) * np.geomspace(0.1, 10, CHANNELS)
    return (patches @ code + 3.0).astype(np.float32)


def _unlabelled(images: np.ndarray) -> Images:
    return Images.unlabelled(images)


def test_a_linear_code_is_read_without_a_single_pair() -> None:
    truth = _images(400, seed=2)
    observed = Evidence(Observation(_coded(truth), "maps"))
    held = Holdings(
        images=_unlabelled(_images(4000, seed=3)),
        population=observed.observation,
        image_shape=(SIZE, SIZE, 1),
    )
    attack = PlaceMeans()
    fitted = attack.fit(None, held, Run())
    drawn = np.concatenate(list(attack.reconstruct(fitted, observed, held, Run())))
    mean = held.own_images.images.mean(axis=0)
    assert np.corrcoef((drawn - mean).ravel(), (truth - mean).ravel())[0, 1] > 0.9
    assert np.square(drawn - truth).mean() < 0.3 * np.square(mean - truth).mean()
    assert min(fitted[1]["errors"], key=fitted[1]["errors"].get) in {"1e-05", "0.0001", "0.001", "0.01"}


def test_a_channel_that_never_varies_says_nothing() -> None:
    truth = _images(50, seed=2)
    maps = _coded(truth)
    more = np.concatenate([maps, np.full((*maps.shape[:3], 1), 7, np.float32)], axis=-1)
    found = []
    for values in (maps, more):
        observed = Evidence(Observation(values, "maps"))
        held = Holdings(images=_unlabelled(_images(50, seed=3)), population=observed.observation)
        found.append(
            next(PlaceMeans().reconstruct(PlaceMeans().fit(None, held, Run()), observed, held, Run()))
        )
    np.testing.assert_allclose(*found, atol=1e-4)


def test_maps_that_do_not_divide_the_image_are_refused() -> None:
    held = Holdings(
        images=_unlabelled(_images(4, seed=3)), population=Observation(np.ones((4, 3, 3, 2), np.float32))
    )
    with pytest.raises(InputError, match="`image_shape` must be whole multiples of the maps, 3 x 3"):
        PlaceMeans().fit(None, held, Run())


def test_maps_of_one_place_have_nothing_to_be_paired_with() -> None:
    held = Holdings(
        images=_unlabelled(_images(4, seed=3)), population=Observation(np.ones((4, 1, 1, 2), np.float32))
    )
    with pytest.raises(InputError, match="`maps` must have two places at least, to be paired; got 1 x 1"):
        PlaceMeans().fit(None, held, Run())
