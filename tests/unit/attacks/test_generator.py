"""Class inversion with a generator, of a model whose favourite image is known."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from mi_keras.attacks.access import Holdings
from mi_keras.attacks.attack import Evidence
from mi_keras.attacks.generator import ClassGenerator
from mi_keras.errors import InputError
from mi_keras.models.target import observed_at
from mi_keras.progress import Run
from mi_keras.settings import InverterSettings
from mi_keras.types import Images, Observation

SHAPE, HALVES = (32, 32, 1), 2
SMALL = InverterSettings((8, 8, 8), epochs=12, batch_size=16, learning_rate=5e-3, dropout=(0.0, 0.0, 0.0))
ATTACK = ClassGenerator(2, noise=0.1, steps=60, starts=4, settings=SMALL)


def halves(count):
    """Return images whose left and right half have a brightness of their own each."""
    levels = np.random.default_rng(3).random((count, HALVES), np.float32)
    pixels = np.repeat(levels[:, None, :, None], SHAPE[0], axis=1)
    return Images.unlabelled(np.repeat(pixels, SHAPE[1] // HALVES, axis=2))


def brighter_side():
    """Return a model of two classes: how much brighter is the left half, and the right one."""
    image = keras.Input(SHAPE)
    weights = np.repeat(np.array([[1.0, -1.0], [-1.0, 1.0]], np.float32), SHAPE[1] // HALVES, axis=0)
    dense = keras.layers.Dense(HALVES, use_bias=False, name="logits")
    model = keras.Model(image, dense(keras.layers.Flatten()(image)))
    dense.set_weights([np.tile(weights, (SHAPE[0], 1)) / 64])
    return observed_at(model, "logits")


@pytest.fixture(scope="module")
def held():
    return Holdings(images=halves(96), target=brighter_side(), image_shape=SHAPE, classes=HALVES)


def test_what_is_drawn_is_what_the_model_is_sure_of_for_each_class(held):
    run = Run(1)
    alone = replace(ATTACK, searches=False)
    fitted = ATTACK.fit(None, held, run, before=alone.fit(None, held, run))
    answers = Evidence(Observation(np.array([[0, 1], [1, 0], [0, 1]], np.float32)))
    (drawn,) = ATTACK.reconstruct(fitted, answers, held, run)
    left, right = drawn[:, :, :16].mean(axis=(1, 2, 3)), drawn[:, :, 16:].mean(axis=(1, 2, 3))
    assert right[0] - left[0] > 0.3
    assert left[1] - right[1] > 0.3
    np.testing.assert_array_equal(drawn[0], drawn[2])  # the class alone counts
    (middle,) = alone.reconstruct(fitted, answers, held, run)
    assert abs(middle[0, :, :16].mean() - middle[0, :, 16:].mean()) < 0.15
    np.testing.assert_array_equal(middle[0], middle[1])


def test_the_generator_is_learned_without_the_weights():
    assert ATTACK.start is not None
    assert not ATTACK.start.needs.weights
    assert ATTACK.start.start is None


@pytest.mark.parametrize(
    ("changed", "message"), [({"starts": 0}, "`starts`"), ({"weight": -1.0}, "`weight`"), ({"units": 0}, "`units`")]
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(changed, message):
    with pytest.raises(InputError, match=message):
        replace(ATTACK, **changed)
