"""Layers with PyTorch's semantics in their fastest TensorFlow form on CPU (thesis Figures 25 and 26 are PyTorch)."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from mi_keras.models.replicas import drawn, moments, several
from mi_keras.seeds import derive


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation of `(batch, height, width, channels)` in one fused operation.

    As in PyTorch the running variance is the unbiased one; Keras' own layer keeps the biased variance and
    takes up to two and a half times as long on CPU.
    """

    def __init__(self, *, epsilon: float = 1e-5, momentum: float = 0.9, **kwargs: Any) -> None:
        super().__init__(epsilon=epsilon, momentum=momentum, **kwargs)  # PyTorch: eps 1e-5, momentum 0.1

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not (training and self.trainable):
            outputs, *_ = tf.raw_ops.FusedBatchNormV3(
                x=inputs, scale=self.gamma, offset=self.beta, mean=self.moving_mean, variance=self.moving_variance,
                epsilon=self.epsilon, is_training=False,
            )  # fmt: skip
            return outputs
        if several():
            mean, biased, variance = moments(inputs)
            outputs = tf.nn.batch_normalization(inputs, mean, biased, self.beta, self.gamma, self.epsilon)
        else:
            outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
                x=inputs,
                scale=self.gamma,
                offset=self.beta,
                mean=[],
                variance=[],
                epsilon=self.epsilon,
                is_training=True,
            )
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs


class BitDropout(keras.layers.Dropout):
    """Dropout that compares 16 random bits a unit with a threshold: Keras' law to 1e-5 in the rate, in about half the time."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or self.rate == 0:
            return inputs
        seed = tf.cast(self.seed_generator.next(), tf.int64)

        def draw(shape: tf.Tensor) -> tf.Tensor:
            count = tf.reduce_prod(shape)
            words = tf.random.stateless_uniform(
                [(count + 1) // 2], seed, minval=None, maxval=None, dtype=tf.uint32
            )
            bits = tf.bitcast(words, tf.uint16)
            if (inputs.shape[1:].num_elements() or 1) % 2:  # one half of the last word may be left over
                bits = tf.reshape(bits, [-1])[:count]
            return tf.reshape(bits, shape)

        bits = drawn(draw, inputs)
        threshold = min(round(self.rate * 2**16), 2**16 - 1)  # a rate just below 1 must not round up to 1
        keep = tf.cast(bits >= tf.constant(threshold, tf.uint16), inputs.dtype)
        return inputs * (keep * (1.0 / (1.0 - self.rate)))


class InputNoise(keras.layers.Layer):
    """Gaussian noise added in training, of any standard deviation: Keras' own `GaussianNoise` refuses those above 1."""

    def __init__(self, standard_deviation: float, *, seed: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.standard_deviation, self.seed = standard_deviation, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training:
            return inputs
        seed = tf.cast(self.seed_generator.next(), tf.int64)
        noise = drawn(lambda shape: tf.random.stateless_normal(shape, seed), inputs)
        return inputs + self.standard_deviation * noise

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "standard_deviation": self.standard_deviation, "seed": self.seed}


class VectorToMap(keras.layers.Layer):
    """Transposed convolution of a 1x1 map: a matrix product from `(batch, width)` to `(batch, *size, filters)`.

    The kernel is `(width, *size, filters)`: PyTorch's `ConvTranspose2d` weight with its axes in the order 0, 2, 3, 1.
    """

    def __init__(self, filters: int, *, size: tuple[int, int] = (4, 4), seed: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.size, self.seed = filters, (size[0], size[1]), seed

    def build(self, input_shape: tuple[int | None, int]) -> None:
        _add_weights(self, (input_shape[-1], *self.size, self.filters), self.size[0] * self.size[1])

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        maps = tf.matmul(
            inputs, tf.reshape(self.kernel, (inputs.shape[-1], -1))
        )  # (batch, positions * filters)
        return tf.nn.bias_add(tf.reshape(maps, (-1, *self.size, self.filters)), self.bias)

    def compute_output_shape(self, input_shape: tuple[int | None, int]) -> tuple[int | None, int, int, int]:
        return (input_shape[0], self.size[0], self.size[1], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "size": self.size, "seed": self.seed}


class DoublingTransposedConv(keras.layers.Layer):
    """Transposed convolution with kernel 4, stride 2, padding 1: `(batch, h, w, c)` to `(batch, 2h, 2w, filters)`.

    The kernel is `(4, 4, filters, c)`: PyTorch's weight with its axes in the order 2, 3, 1, 0. Where the map is small
    or has one channel, a matrix product followed by overlap-add beats the convolution kernels of oneDNN (at batch 64,
    summing single operations: 53 against 74 ms a training step for 4x4x512 -> 8x8x256, and the reverse for 8x8x256).
    """

    def __init__(self, filters: int, *, seed: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.seed = filters, seed

    def build(self, input_shape: tuple[int | None, int, int, int]) -> None:
        _add_weights(self, (4, 4, self.filters, input_shape[-1]), 16)
        self.as_matrix = input_shape[1] * input_shape[2] <= 16 or self.filters == 1

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        _, height, width, channels = inputs.shape
        if self.as_matrix:
            kernel = tf.reshape(self.kernel, (16 * self.filters, channels))
            patches = product_with_transpose(tf.reshape(inputs, (-1, channels)), kernel)
            maps = overlap_add(tf.reshape(patches, (-1, height, width, 16 * self.filters)))
        else:
            shape = (tf.shape(inputs)[0], 2 * height, 2 * width, self.filters)
            maps = tf.nn.conv2d_transpose(inputs, self.kernel, shape, strides=2, padding="SAME")
        return tf.nn.bias_add(tf.ensure_shape(maps, (None, 2 * height, 2 * width, self.filters)), self.bias)

    def compute_output_shape(
        self, input_shape: tuple[int | None, int, int, int]
    ) -> tuple[int | None, int, int, int]:
        return (input_shape[0], 2 * input_shape[1], 2 * input_shape[2], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "seed": self.seed}


# `tf.custom_gradient` keeps the graph that it is called in for ever, with every variable which that graph uses. In a
# function of its own that is a small graph without variables, traced once for each shape.
@tf.function(autograph=False)
@tf.custom_gradient
def product_with_transpose(
    rows: tf.Tensor, kernel: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
    """Return `rows` times the transpose of `kernel`: `(n, c)` and `(m, c)` to `(n, m)`.

    Its own gradient forms the kernel's part as a narrow product and transposes that: somewhat faster on CPU than the
    wide product that `tf.matmul`'s gradient forms.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.matmul(upstream, kernel), tf.transpose(tf.matmul(rows, upstream, transpose_a=True))

    return tf.matmul(rows, kernel, transpose_b=True), gradient


@tf.function(autograph=False)
@tf.custom_gradient
def overlap_add(patches: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Lay 4x4 patches at stride 2 on a map and sum: `(batch, h, w, 16 * c)` to `(batch, 2h, 2w, c)`.

    The patch axis runs over (row, column, channel); the outer border of one pixel is cut off. Its gradient is
    `extract_patches`, its adjoint.
    """
    _, height, width, channels = patches.shape
    channels //= 16
    upper, lower = tf.split(patches, 2, axis=3)  # patch rows 0, 1 and 2, 3
    rows = tf.pad(upper, _one_after(1)) + tf.pad(lower, _one_before(1))  # (batch, h+1, w, 8c)
    rows = tf.transpose(tf.reshape(rows, (-1, height + 1, width, 2, 4 * channels)), (0, 1, 3, 2, 4))
    left, right = tf.split(tf.reshape(rows, (-1, 2 * height + 2, width, 4 * channels)), 2, axis=3)
    maps = tf.pad(left, _one_after(2)) + tf.pad(right, _one_before(2))  # (batch, 2h+2, w+1, 2c)
    maps = tf.reshape(maps, (-1, 2 * height + 2, 2 * width + 2, channels))
    return maps[:, 1:-1, 1:-1], extract_patches


def extract_patches(maps: tf.Tensor) -> tf.Tensor:
    """Take the 4x4 patches at stride 2, padding 1: `(batch, 2h, 2w, c)` to `(batch, h, w, 16 * c)`."""
    height, width, channels = maps.shape[1] // 2, maps.shape[2] // 2, maps.shape[3]
    padded = tf.pad(maps, [[0, 0], [1, 1], [1, 1], [0, 0]])
    columns = tf.reshape(padded, (-1, 2 * height + 2, width + 1, 2 * channels))
    columns = tf.concat([columns[:, :, :-1], columns[:, :, 1:]], axis=3)  # (batch, 2h+2, w, 4c)
    rows = tf.transpose(tf.reshape(columns, (-1, height + 1, 2, width, 4 * channels)), (0, 1, 3, 2, 4))
    rows = tf.reshape(rows, (-1, height + 1, width, 8 * channels))
    return tf.concat([rows[:, :-1], rows[:, 1:]], axis=3)


def _one_before(axis: int) -> list[list[int]]:
    return [[1, 0] if dimension == axis else [0, 0] for dimension in range(4)]


def _one_after(axis: int) -> list[list[int]]:
    return [[0, 1] if dimension == axis else [0, 0] for dimension in range(4)]


def torch_uniform(fan_in: int, seed: int) -> keras.initializers.Initializer:
    """PyTorch's default initialisation of weights and biases: uniform within 1 / sqrt(fan_in)."""
    return keras.initializers.RandomUniform(-(fan_in**-0.5), fan_in**-0.5, seed=seed)


def _add_weights(
    layer: VectorToMap | DoublingTransposedConv, kernel_shape: tuple[int, ...], positions: int
) -> None:
    fan_in = positions * layer.filters  # PyTorch counts the outputs as the fan-in of a transposed convolution
    for name, shape in (("kernel", kernel_shape), ("bias", (layer.filters,))):
        uniform = torch_uniform(fan_in, derive(layer.seed, name))
        setattr(layer, name, layer.add_weight(shape=shape, initializer=uniform, name=name))
