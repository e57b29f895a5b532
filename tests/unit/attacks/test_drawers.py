"""Drawings that follow or overlap each other are each as if alone, and share a graph where they can."""

import keras
import numpy as np
import pytest

from mi_keras.attacks.drawers import DrawerPool
from mi_keras.models.variables import weights_of
from mi_keras.progress import Arrays

INPUTS = np.random.default_rng(1).random((7, 3), np.float32)


class Counted:
    """Builds a small network, and counts how often, and how often it is traced."""

    def __init__(self, size: int) -> None:
        self.built = self.traced = 0
        self.pool = DrawerPool(size=size)

    def build(self) -> keras.Model:
        self.built += 1
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Reshape((2, 2, 1))])

    def decode(self, model: keras.Model, inputs: np.ndarray) -> np.ndarray:
        self.traced += 1
        return model(inputs)

    def draw(self, weights: Arrays, architecture: str = "one"):
        how = {"batch": 3, "label": "it", "epochs": 2}
        return self.pool.draw(architecture, self.build, self.decode, weights, INPUTS, **how)


def weights(seed: int) -> Arrays:
    keras.utils.set_random_seed(seed)
    return weights_of(Counted(0).build())


def assert_drawn(found: np.ndarray, arrays: Arrays) -> None:
    expected = (INPUTS @ arrays["000"] + arrays["001"]).reshape(-1, 2, 2, 1)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_drawings_one_after_another_are_traced_once() -> None:
    counted = Counted(1)
    for seed in (1, 2, 3):
        assert_drawn(np.concatenate(list(counted.draw(weights(seed)))), weights(seed))
    assert (counted.built, counted.traced) == (1, 1)


def test_drawings_that_overlap_disturb_neither() -> None:
    counted = Counted(2)
    pairs = list(zip(counted.draw(weights(1)), counted.draw(weights(2)), strict=True))
    assert len(pairs) == 3
    for seed, batches in zip((1, 2), zip(*pairs, strict=True), strict=True):
        assert_drawn(np.concatenate(batches), weights(seed))
    assert counted.built == 2


def test_those_used_last_are_kept() -> None:
    for size, built in ((1, 4), (2, 2)):
        counted = Counted(size)
        for architecture in ("one", "other", "one", "other"):
            list(counted.draw(weights(1), architecture))
        assert counted.built == built


def test_what_is_not_finite_is_named_and_does_not_come_out() -> None:
    arrays = {**weights(1), "001": np.full(4, np.inf, np.float32)}
    with pytest.raises(FloatingPointError, match=r"^it: an image is not finite after epoch 2, the last\.$"):
        next(Counted(1).draw(arrays))
