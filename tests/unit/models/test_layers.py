"""The layers against TensorFlow's own operations, closed forms and PyTorch's max-pooling."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import torch_weights

from mi_keras.models import build_cnn, build_tcnn
from mi_keras.models.layers import (
    BitDropout,
    DoublingTransposedConv,
    FusedBatchNormalization,
    InputNoise,
    VectorToMap,
    extract_patches,
    overlap_add,
    product_with_transpose,
    torch_uniform,
)
from mi_keras.settings import HeadSettings


def _normal(*shape: int, seed: int = 0, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def _outputs_and_gradients(function, variables: list, upstream: np.ndarray) -> list[np.ndarray]:
    with tf.GradientTape() as tape:
        tape.watch(variables)
        outputs = function()
        total = tf.reduce_sum(outputs * upstream)
    return [outputs.numpy(), *[g.numpy() for g in tape.gradient(total, variables)]]


# Batch normalisation


def test_batch_normalisation_in_training_is_the_closed_form_with_unbiased_running_variance() -> None:
    layer = FusedBatchNormalization()
    layer.build((None, 4, 4, 3))
    layer.gamma.assign([-1.5, 0.5, 2.0])
    layer.beta.assign([0.1, -0.2, 0.3])
    layer.moving_mean.assign([1.0, 2.0, 3.0])
    layer.moving_variance.assign([0.5, 1.5, 2.5])
    maps = 3 * _normal(2, 4, 4, 3) + 1
    mean, variance = maps.mean(axis=(0, 1, 2)), maps.var(axis=(0, 1, 2))
    expected = (maps - mean) / np.sqrt(variance + 1e-5) * [-1.5, 0.5, 2.0] + [0.1, -0.2, 0.3]
    np.testing.assert_allclose(layer(maps, training=True), expected, atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.9 * np.array([1, 2, 3]) + 0.1 * mean, rtol=1e-5)
    unbiased = variance * 32 / 31
    np.testing.assert_allclose(
        layer.moving_variance, 0.9 * np.array([0.5, 1.5, 2.5]) + 0.1 * unbiased, rtol=1e-5
    )


@pytest.mark.parametrize(("training", "trainable"), [(False, True), (True, False)])
def test_batch_normalisation_uses_and_keeps_its_statistics(training: bool, trainable: bool) -> None:
    layer = FusedBatchNormalization(trainable=trainable)
    layer.build((None, 4, 4, 2))
    layer.moving_mean.assign([1.0, -2.0])
    layer.moving_variance.assign([0.5, 4.0])
    maps = _normal(2, 4, 4, 2)
    expected = (maps - [1.0, -2.0]) / np.sqrt(np.array([0.5, 4.0]) + 1e-5)
    np.testing.assert_allclose(layer(maps, training=training), expected, atol=1e-5)
    np.testing.assert_array_equal(layer.moving_mean, [1.0, -2.0])
    np.testing.assert_array_equal(layer.moving_variance, [0.5, 4.0])


# Dropout


@pytest.mark.parametrize("rate", [0.3, 0.5])
def test_dropout_keeps_the_right_share_and_scales_it(rate: float) -> None:
    count = 200_000
    kept = BitDropout(rate, seed=3)(tf.ones((count, 1)), training=True).numpy().ravel()
    mask = kept > 0
    four_sigma = 4 * np.sqrt(count * rate * (1 - rate))
    assert abs(mask.sum() - count * (1 - rate)) < four_sigma
    np.testing.assert_allclose(kept[mask], 1 / (1 - rate), rtol=1e-6)
    neighbours = np.corrcoef(mask[1:], mask[:-1])[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(count)


def test_dropout_and_noise_are_the_identity_in_inference_and_dropout_at_rate_zero() -> None:
    values = _normal(8, 5)
    np.testing.assert_array_equal(InputNoise(0.5, seed=3)(values, training=False), values)
    np.testing.assert_array_equal(BitDropout(0.5, seed=3)(values, training=False), values)
    np.testing.assert_array_equal(BitDropout(0.0, seed=3)(values, training=True), values)


def _calls(build: Callable[[int], keras.layers.Layer], inputs: tf.Tensor) -> list[np.ndarray]:
    """Call one layer twice, another of the same seed twice, and one of another seed; equal seeds must answer alike."""
    first, again, other = build(3), build(3), build(4)
    calls = [layer(inputs, training=True).numpy() for layer in (first, first, again, again, other)]
    np.testing.assert_array_equal(calls[0], calls[2])
    np.testing.assert_array_equal(calls[1], calls[3])
    return [calls[0], calls[1], calls[4]]


def test_dropout_differs_from_call_to_call_and_repeats_by_seed() -> None:
    first, next_call, other = _calls(lambda seed: BitDropout(0.5, seed=seed), tf.ones((1000, 1)))
    for right in (next_call, other):  # independent masks agree on half of the places
        assert abs(np.mean(first == right) - 0.5) < 4 * 0.5 / np.sqrt(1000)


def test_dropout_of_an_odd_number_of_units() -> None:
    kept = BitDropout(0.5, seed=3)(tf.ones((333, 3, 5)), training=True).numpy()
    assert kept.shape == (333, 3, 5)
    assert abs(np.mean(kept > 0) - 0.5) < 4 * 0.5 / np.sqrt(kept.size)


def test_dropout_sends_the_gradient_through_what_it_kept() -> None:
    layer, values = BitDropout(0.3, seed=3), tf.constant(_normal(100, 3))
    outputs, gradient = _outputs_and_gradients(
        lambda: layer(values, training=True), [values], np.ones((100, 3))
    )
    np.testing.assert_allclose(gradient * values, outputs, rtol=1e-6)
    assert 0 < np.mean(gradient == 0) < 1


def test_dropout_at_a_rate_just_below_one_drops_nearly_all() -> None:
    kept = BitDropout(0.999999, seed=3)(tf.ones((20_000, 1)), training=True).numpy()
    assert np.count_nonzero(kept) < 10


# Noise


@pytest.mark.parametrize("deviation", [0.2, 7.0])
def test_noise_is_normal_around_the_input_with_its_standard_deviation(deviation: float) -> None:
    values = 3 * _normal(1000, 200)
    noise = InputNoise(deviation, seed=3)(values, training=True).numpy() - values
    assert abs(noise.mean()) < 4 * deviation / np.sqrt(noise.size)
    assert abs(noise.std() / deviation - 1) < 4 / np.sqrt(2 * noise.size)
    for sigmas, share in ((1, 0.682689), (2, 0.954500), (3, 0.997300)):
        within = np.mean(np.abs(noise) < sigmas * deviation)
        assert abs(within - share) < 4 * np.sqrt(share * (1 - share) / noise.size)
    assert abs(np.corrcoef(noise[0], noise[1])[0, 1]) < 0.3


def test_noise_differs_from_call_to_call_and_repeats_by_seed_and_by_state() -> None:
    zeros = tf.zeros((1000, 1))
    first, next_call, other = _calls(lambda seed: InputNoise(1.0, seed=seed), zeros)
    for right in (next_call, other):
        assert abs(np.corrcoef(first.ravel(), right.ravel())[0, 1]) < 4 / np.sqrt(1000)
    one, another = InputNoise(1.0, seed=3), InputNoise(1.0, seed=4)
    (state,) = another.variables
    state.assign(one.variables[0].value)
    np.testing.assert_array_equal(another(zeros, training=True), one(zeros, training=True))


# Transposed convolutions


SHAPES = [
    (1, 1, 1),
    (2, 2, 3),
    (4, 4, 5),
    (8, 8, 2),
    (16, 16, 1),
    (3, 5, 2),
    (7, 1, 3),
]  # height, width, channels


@pytest.mark.parametrize(("height", "width", "channels"), SHAPES)
def test_extract_patches_equals_tensorflows(height: int, width: int, channels: int) -> None:
    maps = _normal(2, 2 * height, 2 * width, channels, dtype=np.float64)
    padded = np.pad(maps, [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected = tf.image.extract_patches(padded, (1, 4, 4, 1), (1, 2, 2, 1), (1, 1, 1, 1), "VALID")
    np.testing.assert_array_equal(extract_patches(tf.constant(maps)), expected)


@pytest.mark.parametrize(("height", "width", "channels"), SHAPES)
def test_overlap_add_is_the_adjoint_of_extract_patches(height: int, width: int, channels: int) -> None:
    patches = tf.constant(_normal(2, height, width, 16 * channels, dtype=np.float64))
    maps = tf.constant(_normal(2, 2 * height, 2 * width, channels, seed=1, dtype=np.float64))
    left, right = tf.reduce_sum(overlap_add(patches) * maps), tf.reduce_sum(patches * extract_patches(maps))
    np.testing.assert_allclose(left, right, rtol=1e-10)


def test_overlap_add_by_hand() -> None:
    """Two by two patches of ones on a 4x4 map: the middle gets all four, the corners one."""
    ones = tf.ones((1, 2, 2, 16))
    np.testing.assert_array_equal(
        overlap_add(ones)[0, :, :, 0], [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]
    )


@pytest.mark.parametrize("as_matrix", [True, False])
@pytest.mark.parametrize(
    ("size", "channels", "filters"),
    [((2, 2), 3, 2), ((4, 4), 6, 5), ((8, 8), 4, 3), ((16, 16), 4, 1), ((4, 4), 3, 1), ((3, 5), 4, 2)],
)
def test_both_forms_of_doubling_equal_conv2d_transpose(
    size: tuple[int, int], channels: int, filters: int, as_matrix: bool
) -> None:
    layer = DoublingTransposedConv(filters, seed=5)
    layer.build((None, *size, channels))
    layer.as_matrix = as_matrix
    maps = tf.constant(_normal(3, *size, channels))
    upstream = _normal(3, 2 * size[0], 2 * size[1], filters, seed=1)
    kernel, bias = tf.constant(layer.kernel.numpy()), tf.constant(layer.bias.numpy())

    def reference() -> tf.Tensor:
        return tf.nn.conv2d_transpose(maps, kernel, upstream.shape, 2, "SAME") + bias

    ours = _outputs_and_gradients(lambda: layer(maps), [maps, layer.kernel.value, layer.bias.value], upstream)
    theirs = _outputs_and_gradients(reference, [maps, kernel, bias], upstream)
    for left, right in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5 * np.abs(right).max())


@pytest.mark.parametrize("size", [(4, 4), (2, 5)])
def test_vector_to_map_equals_conv2d_transpose(size: tuple[int, int]) -> None:
    layer = VectorToMap(3, size=size, seed=5)
    layer.build((None, 7))
    vectors = _normal(2, 7)
    kernel = tf.transpose(layer.kernel.value, (1, 2, 3, 0))  # TensorFlow wants (rows, columns, out, in)
    expected = tf.nn.conv2d_transpose(vectors[:, None, None], kernel, (2, *size, 3), 1, "VALID") + layer.bias
    np.testing.assert_allclose(layer(vectors), expected, atol=1e-5)


@pytest.mark.parametrize("layer", [VectorToMap(3, seed=5), DoublingTransposedConv(3, seed=5)])
def test_transposed_convolutions_are_rebuilt_from_their_config(layer: keras.layers.Layer) -> None:
    shape = (None, 7) if isinstance(layer, VectorToMap) else (None, 4, 4, 2)
    copy = type(layer).from_config(layer.get_config())
    layer.build(shape)
    copy.build(shape)
    for left, right in zip(layer.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


# Initial weights and max-pooling


def test_torch_uniform_fills_its_bound_evenly() -> None:
    values = torch_uniform(25, seed=1)((100_000,)).numpy()
    assert np.abs(values).max() <= 0.2
    shares = np.histogram(values, bins=10, range=(-0.2, 0.2))[0] / len(values)
    np.testing.assert_allclose(shares, 0.1, atol=4 * np.sqrt(0.1 * 0.9 / len(values)))


@pytest.mark.parametrize("pool", [keras.layers.MaxPool2D(2), lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID")])
def test_ties_in_max_pooling_go_where_pytorch_sends_them(pool) -> None:
    """The two forms that `build_cnn` and `frozen_logits` pool with."""
    oracle = torch_weights.part(torch_weights.load("facts"), "pool")
    maps = tf.constant(oracle["maps"])
    _, gradient = _outputs_and_gradients(lambda: pool(maps), [maps], oracle["upstream"])
    np.testing.assert_array_equal(gradient, oracle["gradient"])


@pytest.mark.parametrize(
    "model",
    [
        build_cnn(channels=(2, 2, 2)),
        build_cnn(channels=(2, 2, 2), head=HeadSettings("gelu", 0)),
        build_tcnn(10, channels=(2, 2, 2), input_noise=2.0),
    ],
)
def test_models_can_be_cloned(model):
    assert keras.models.clone_model(model).count_params() == model.count_params()


def test_product_with_transpose_has_the_value_and_gradients_of_matmul() -> None:
    rows, kernel, upstream = (
        tf.constant(_normal(6, 5)),
        tf.constant(_normal(7, 5, seed=1)),
        _normal(6, 7, seed=2),
    )
    ours = _outputs_and_gradients(lambda: product_with_transpose(rows, kernel), [rows, kernel], upstream)
    theirs = _outputs_and_gradients(
        lambda: tf.matmul(rows, kernel, transpose_b=True), [rows, kernel], upstream
    )
    for mine, reference in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-5, atol=1e-6)
