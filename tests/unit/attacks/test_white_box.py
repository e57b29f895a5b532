"""Steps on the image against heads whose inverse is known, silent ones, and ones that are not what answered."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from scipy.fft import idctn
from scipy.stats import ortho_group

from mi_keras.attacks.access import Holdings
from mi_keras.attacks.attack import Evidence
from mi_keras.attacks.steps import deviations_of, spectrum_of
from mi_keras.attacks.white_box import STAY, TAKEN, WhiteBox
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


def test_weight_and_starts_are_those_that_did_best_on_images_held_out() -> None:
    (arrays, info), *_ = attacked(replace(ATTACK, steps=20), head())
    tried = {name: error for name, error in info["errors"].items() if name not in TAKEN}
    assert min(tried, key=tried.get) == f"{info['weight']:g}"
    first = tried.pop(f"{info['weight']:g}")
    others = {TAKEN[0]: first} | {name: info["errors"][name] for name in TAKEN[1:]}
    assert min(others, key=others.get) == info["taken"]
    assert arrays["spread"].shape == SHAPE


def test_what_is_not_finite_is_named() -> None:
    with pytest.raises(FloatingPointError, match=r"the term `prior` is not finite at step 2"):
        attacked(replace(ATTACK, learning_rate=3e38), head())


@pytest.mark.parametrize("changed", [{"weights": ()}, {"weights": (0.0, 1.0)}, {"steps": 0}, {"starts": 0}])
def test_settings_that_are_none_are_refused(changed) -> None:
    with pytest.raises(InputError, match=f"`{next(iter(changed))}` must be"):
        replace(ATTACK, **changed)


def test_the_spectrum_is_that_of_a_known_law() -> None:
    """Of two colours at right angles one differs in slow waves only, the other in all; waves are the rows of scipy's transform."""
    draw = np.random.default_rng(1).standard_normal((4_000, 8, 8, 2))
    draw[..., 1] *= 3.0
    draw[:, 2:, :, 1] = draw[:, :, 2:, 1] = 0
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    found = spectrum_of(idctn(draw, axes=(1, 2), norm="ortho") @ turn.T)
    order = np.argsort(np.abs(found.colours.T @ turn).argmax(axis=1))  # of the two colours, in either order
    np.testing.assert_allclose(np.abs(found.colours[:, order].T @ turn), np.eye(2), atol=0.02)
    every, slow = found.spread[..., order[0]], found.spread[..., order[1]]
    np.testing.assert_allclose(every, 1, rtol=0.05)
    assert slow[0, 0] == pytest.approx(3, rel=0.05)
    assert slow[4:, 4:].max() < 0.02  # what is left of a colour that is not found exactly


def test_deviations_are_taken_few_answers_at_a_time() -> None:
    draw = np.random.default_rng(1)
    for shape in ((150, 7), (150, 3, 4, 7)):
        values = (5 + 3 * draw.standard_normal(shape)).astype(np.float16)
        values[..., 2] = 1
        over = tuple(range(len(shape) - 1))
        expected = np.where(np.arange(7) == 2, np.inf, values.astype(np.float64).std(axis=over))
        np.testing.assert_allclose(deviations_of(values), expected, rtol=1e-6)
        few = deviations_of(values, range(70, 90))
        np.testing.assert_array_equal(few, deviations_of(values[70:90]))
