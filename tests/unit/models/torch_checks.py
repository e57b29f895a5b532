"""What the two networks of PyTorch's oracles have in common: statistics, gradients and initial weights."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from oracles import torch_weights


def assert_gradients(
    network: str,
    model: keras.Model,
    gradients: Sequence[Any],
    oracle: torch_weights.Arrays,
    mode: str,
    *,
    relative: float,
    vanishing: Sequence[str],
) -> None:
    """Compare the gradients of all trained weights; in training batch normalisation takes the `vanishing` ones away."""
    expected = torch_weights.keras_layout(network, torch_weights.part(oracle, f"{mode}/gradient"))
    names = [f"{w.path.split('/')[-2]}/{w.name}" for w in model.trainable_variables]
    assert sorted(names) == sorted(expected)
    for name, gradient in zip(names, gradients, strict=True):
        if mode == "train" and name in vanishing:
            assert np.abs(gradient).max() < 1e-4, name
        else:
            torch_weights.assert_close(gradient, expected[name], relative, name)


def assert_running_statistics(network: str, model: keras.Model, oracle: torch_weights.Arrays) -> None:
    """Compare what batch normalisation keeps after one training pass."""
    model(oracle["inputs"], training=True)
    weights = torch_weights.by_name(model)
    expected = torch_weights.keras_layout(network, torch_weights.part(oracle, "running"))
    assert len(expected) == 6
    for name, value in expected.items():
        torch_weights.assert_close(weights[name], value, 1e-5, name)


def assert_fills_bounds(
    network: str, model: keras.Model, layers: Mapping[int, str], *, spread: float, bias_share: float
) -> None:
    """Initial kernels are uniform within PyTorch's bounds, and a bias reaches `bias_share` of its bound."""
    bounds = torch_weights.part(torch_weights.load("facts"), f"bound/{network}")
    assert sorted(bounds) == sorted(f"layers.{index}" for index in layers)
    for index, name in layers.items():
        kernel, bias = model.get_layer(name).get_weights()
        bound = float(bounds[f"layers.{index}"])
        assert bias_share * bound < np.abs(bias).max() <= bound * (1 + 1e-6)
        assert 0.98 * bound < np.abs(kernel).max() <= bound * (1 + 1e-6)
        assert abs(kernel.std() / (bound / np.sqrt(3)) - 1) < spread
        assert abs(kernel.mean()) < 4 * bound / np.sqrt(3 * kernel.size)


def assert_different_numbers(model: keras.Model, layers: Sequence[str]) -> None:
    """The bias repeats no part of the kernel, and no two layers begin alike, once the bounds are divided out."""
    arrays = [w for name in layers for w in model.get_layer(name).get_weights()]
    begins = [np.ravel(a)[:8] / np.abs(np.ravel(a)[:8]).max() for a in arrays]
    for i, left in enumerate(begins):
        for right in begins[:i]:
            assert np.abs(left - right).max() > 0.05


def assert_seed_decides(build: Callable[[int], keras.Model], drawn: int) -> None:
    """Equal seeds give equal weights, others differ in all but batch normalisation, which starts at zeros and ones."""
    first, same, other = (build(seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    random = [not np.all((a == 0) | (a == 1)) for a in first]
    assert sum(random) == drawn
    assert not any(np.array_equal(a, b) for a, b, d in zip(first, other, random, strict=True) if d)
