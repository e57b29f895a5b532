"""Learning-rate schedules against PyTorch's documented values and closed forms."""

import math

import pytest

from mi_keras.training.schedules import constant, cosine, step_decay


def test_step_decay_multiplies_after_every_third_epoch():
    """`StepLR(step_size=3, gamma=0.93)` of PyTorch: epochs 0 to 2 at 1, 3 to 5 at 0.93, 6 to 8 at 0.8649."""
    schedule = step_decay(0.93, 3)
    assert [schedule(epoch) for epoch in (0, 2, 2.99, 3, 5.5, 6)] == pytest.approx(
        [1, 1, 1, 0.93, 0.93, 0.8649]
    )


def test_cosine_falls_from_one_to_zero():
    schedule = cosine(8)
    assert [schedule(epoch) for epoch in (0, 4, 8, 9)] == pytest.approx([1, 0.5, 0, 0])
    assert schedule(2) == pytest.approx(0.5 + math.sqrt(0.5) / 2)


def test_constant_is_one():
    assert constant(7.5) == 1
