"""Doubled feature maps against PyTorch (tests/oracles), tf.image.resize and what interpolation must keep."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import torch_weights

from mi_keras.errors import InputError
from mi_keras.models.upsampling import METHODS, Doubling, doubling_matrix


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("number", range(3))
def test_maps_and_gradients_equal_pytorch(method: str, number: int) -> None:
    oracle = torch_weights.part(torch_weights.load("upsampling"), f"{method}/{number}")
    maps = tf.constant(oracle["maps"])
    with tf.GradientTape() as tape:
        tape.watch(maps)
        doubled = Doubling(method)(maps)
        total = tf.reduce_sum(doubled * oracle["upstream"])
    np.testing.assert_allclose(doubled, oracle["doubled"], atol=2e-6)
    np.testing.assert_allclose(tape.gradient(total, maps), oracle["gradient"], atol=5e-6)


@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (1, 1, 4, 2)])
def test_bilinear_equals_tensorflows(shape: tuple[int, ...]) -> None:
    maps = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    expected = tf.image.resize(maps, (2 * shape[1], 2 * shape[2]), "bilinear")
    np.testing.assert_allclose(Doubling("bilinear")(maps), expected, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_constants_stay_and_slopes_go_on(method: str) -> None:
    """Both kernels reproduce a straight line away from the edges only if they are placed at half-integer centres."""
    matrix = doubling_matrix(12, method)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    line = matrix @ np.arange(12.0)
    expected = (np.arange(24) + 0.5) / 2 - 0.5
    if method == "bilinear":
        np.testing.assert_allclose(line[1:-1], expected[1:-1], atol=1e-5)
    else:  # exact only for a = -0.5: with -0.75 a line is out by 3/64 pixel, to either side in turn
        errors = (line - expected)[4:-4]
        np.testing.assert_allclose(np.abs(errors), 3 / 64, atol=1e-5)
        assert np.all(errors[1:] * errors[:-1] < 0)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_with_it_is_traced_for_any_batch_and_comes_back_from_its_configuration(method: str) -> None:
    inputs = keras.Input((3, 4, 2))
    model = keras.Model(inputs, Doubling(method)(inputs))
    assert model.output_shape == (None, 6, 8, 2)
    maps = np.random.default_rng(0).random((5, 3, 4, 2), np.float32)
    again = Doubling.from_config(Doubling(method).get_config())
    np.testing.assert_allclose(model.predict(maps, verbose=0), again(maps), atol=1e-6)


def test_another_method_is_refused() -> None:
    with pytest.raises(InputError, match="`method` must be one of bicubic, bilinear; got 'nearest'"):
        Doubling("nearest")
