"""Shaped noise against closed forms, and against a search that knows none of them."""

import re

import keras
import numpy as np
import pytest
from scipy.optimize import minimize

from mi_keras.defenses.shaped import MOST, ShapedNoise, least_information, tail_sensitivities
from mi_keras.errors import InputError


def test_sensitivities_of_a_linear_tail_are_those_of_its_weights() -> None:
    """With logits W x the derivative is W: the sum over values of W (diag q - q q') W', by channel."""
    tail = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(5)])
    draw = np.random.default_rng(0)
    weights = draw.standard_normal((12, 5)) * np.repeat([[0.1], [1.0], [3.0]], 4, axis=1).T.reshape(-1, 1)
    tail.layers[-1].set_weights([weights, np.zeros(5)])
    maps = np.tile(0.1 * draw.standard_normal((1, 2, 2, 3)), (4000, 1, 1, 1)).astype(np.float32)
    logits = maps[0].reshape(-1).astype(np.float64) @ weights
    q = np.exp(logits) / np.exp(logits).sum()
    fisher = np.diag(q) - np.outer(q, q)
    exact = np.einsum("ij,jk,ik->i", weights, fisher, weights).reshape(2, 2, 3).sum(axis=(0, 1))
    np.testing.assert_allclose(tail_sensitivities(tail, maps, seed=1, batch_size=500), exact, rtol=0.1)


def test_noise_leaves_the_least_information_that_its_budget_allows() -> None:
    s, g = np.array([1.0, 4.0, 0.2]), np.array([2.0, 0.1, 1.0])
    budget = 1.5
    noise = np.square(least_information(s, g, budget))
    assert g @ noise == pytest.approx(budget, rel=1e-6)

    def information(logarithms: np.ndarray) -> float:
        return float(np.log1p(s / np.exp(logarithms)).sum() / 2)

    within = {"type": "ineq", "fun": lambda logarithms: budget - g @ np.exp(logarithms)}
    found = minimize(information, np.log(np.full(3, 0.1)), constraints=[within], method="SLSQP", tol=1e-12)
    assert information(np.log(noise)) == pytest.approx(found.fun, abs=1e-5)


def test_maps_that_do_not_vary_have_no_noise_and_those_without_a_reader_the_most() -> None:
    deviations = least_information(np.array([0.0, 4.0, 1.0]), np.array([1.0, 0.0, 1.0]), 0.5)
    assert deviations[0] == 0
    assert deviations[1] == pytest.approx(2 * MOST)
    assert deviations[2] ** 2 == pytest.approx(0.5)


def test_each_map_has_noise_of_its_own_deviation() -> None:
    values = np.zeros((200, 12, 12, 3), np.float32)
    sent = ShapedNoise(2.0, (0.5, 0.0, 3.0)).apply(values, {}, seed=1)
    np.testing.assert_allclose(sent.std(axis=(0, 1, 2)), (1.0, 0.0, 6.0), rtol=0.02)


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(InputError, match="`deviations` must be one or more numbers; got none"):
        ShapedNoise(deviations=())
    with pytest.raises(InputError, match=re.escape("`deviations` must be a finite number >= 0; got -1.0")):
        ShapedNoise(deviations=(-1.0,))
    with pytest.raises(InputError, match="must be one, or one for each of 3 maps; got 2"):
        ShapedNoise(deviations=(1.0, 1.0)).apply(np.zeros((1, 2, 2, 3), np.float32), {}, seed=1)
    with pytest.raises(InputError, match="`budget` must be a positive finite number"):
        least_information(np.ones(2), np.ones(2), 0.0)
