"""Steps on the image against heads whose inverse is known, silent ones, and ones that are not what answered."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from scipy.stats import ortho_group

from mi_keras.attacks.access import Holdings
from mi_keras.attacks.attack import Evidence
from mi_keras.attacks.steps import spread_of
from mi_keras.attacks.white_box import STAY, WhiteBox
from mi_keras.attacks.within_class import LinearWithinClass
from mi_keras.errors import InputError
from mi_keras.models.target import observed_at, points
from mi_keras.progress import Run
from mi_keras.types import Images, Observation

SHAPE, OWN, ATTACKED = (8, 8, 1), 160, 12
HELD_OUT = 16
UNITS = 64
LINEAR = LinearWithinClass(images=OWN - HELD_OUT, maps=True)  # one class
ATTACK = WhiteBox(LINEAR, steps=150, weights=(1e-3, 1e-1), held_out=HELD_OUT)


def head(scale: float = 1.0, *, seed: int = 1) -> keras.Model:
    """Return turns of the space with kinks between them: bijective, with no linear inverse. With scale 0 it says nothing."""
    turns = ortho_group.rvs(UNITS, size=2, random_state=seed)
    image = keras.Input(SHAPE)
    inner, outer = keras.layers.Dense(UNITS), keras.layers.Dense(UNITS)
    model = keras.Model(image, outer(keras.layers.LeakyReLU(0.3)(inner(keras.layers.Flatten()(image)))))
    inner.set_weights([turns[0], -0.5 * turns[0].sum(axis=0)])
    outer.set_weights([scale * turns[1], np.ones(UNITS)])
    return model


def attacked(attack, target, answerer=None):
    """Return what an attack learned, what it draws, what its start draws, and the truth."""
    images = np.random.default_rng(3).uniform(0.1, 0.9, (OWN + ATTACKED, *SHAPE)).astype(np.float32)
    answers = (answerer or target).predict(images, verbose=0)
    own = Images.unlabelled(images[:OWN])
    held = Holdings(images=own, target=observed_at(target, points(target)[-1]), image_shape=SHAPE, classes=1)
    known, observed = (Evidence(Observation(part), [part]) for part in (answers[:OWN], answers[OWN:]))
    before = LINEAR.fit(known, held, Run(1))
    fitted = attack.fit(known, held, Run(1), before)
    begun = np.concatenate(list(LINEAR.reconstruct(before, observed, held, Run(1))))
    drawn = np.concatenate(list(attack.reconstruct(fitted, observed, held, Run(1))))
    return fitted, drawn, begun, images[OWN:]


def error(images, truth):
    return float(np.square(images - truth).mean())


def test_a_bijective_head_gives_the_image_away_where_no_linear_map_can() -> None:
    _, drawn, begun, truth = attacked(ATTACK, head())
    assert error(begun, truth) > 0.003
    assert error(drawn, truth) < 1e-5


def test_where_nothing_is_sent_nothing_is_gained() -> None:
    (_, info), drawn, begun, _ = attacked(ATTACK, head(0.0))
    assert info["weight"] == STAY
    np.testing.assert_array_equal(drawn, begun)


def test_steps_that_another_model_misleads_are_not_taken() -> None:
    (_, info), drawn, begun, _ = attacked(ATTACK, head(seed=2), answerer=head())
    assert info["weight"] == STAY
    assert min(info["errors"], key=info["errors"].get) == "start"
    np.testing.assert_array_equal(drawn, begun)


def test_the_weight_is_the_one_that_did_best_on_images_held_out() -> None:
    (arrays, info), *_ = attacked(replace(ATTACK, steps=20), head())
    best = min(info["errors"], key=info["errors"].get)
    assert best.startswith(f"{info['weight']:g}")
    assert best.endswith("averaged") == info["averaged"]
    assert len(arrays["spread"]) == len(arrays["axes"]) + 1


def test_what_is_not_finite_is_named() -> None:
    with pytest.raises(FloatingPointError, match=r"the term `answer` is not finite at step 2"):
        attacked(replace(ATTACK, learning_rate=3e38), head())


@pytest.mark.parametrize("changed", [{"weights": ()}, {"weights": (0.0, 1.0)}, {"steps": 0}, {"starts": 0}])
def test_settings_that_are_none_are_refused(changed) -> None:
    with pytest.raises(InputError, match=f"`{next(iter(changed))}` must be"):
        replace(ATTACK, **changed)


def test_the_spread_is_that_of_a_known_law() -> None:
    """Deviation 3 along the first of ten directions, 2 along the second, 0.5 along any other."""
    deviations = np.array([3.0, 2.0] + [0.5] * 8)
    missed = np.random.default_rng(1).standard_normal((20_000, 10)) * deviations
    np.testing.assert_allclose(spread_of(np.eye(10)[:2], missed), [3, 2, 0.5], rtol=0.03)
