"""Doubling of feature maps, bicubic or bilinear as two fixed matrix products, or by pixel shuffling (split 4)."""

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mi_keras.errors import InputError
from mi_keras.types import Floats

METHODS = ("bicubic", "bilinear")
SHARPNESS = -0.75  # `a` of the cubic kernel (Keys 1981) as PyTorch has it; tf.image.resize has -0.5


class Doubling(keras.layers.Layer):
    """Resize `(batch, height, width, channels)` to `(batch, 2 * height, 2 * width, channels)`.

    Pixel centres lie at half-integers and positions beyond the edge take the edge's value: PyTorch's
    `interpolate(scale_factor=2, align_corners=False)`. Along one axis that is a matrix of `(2n, n)` with at most four
    entries a row. `tf.image.resize` agrees for bilinear, but its bicubic gradient runs in one slow thread.

    Args:
        method: "bicubic" or "bilinear".
    """

    def __init__(self, method: str = "bicubic", **kwargs: Any) -> None:
        if method not in METHODS:
            raise InputError(f"`method` must be one of {', '.join(METHODS)}; got {method!r}.")
        super().__init__(**kwargs)
        self.method = method

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        _, height, width, channels = inputs.shape
        by_rows, by_columns = (doubling_matrix(size, self.method) for size in (height, width))
        maps = tf.reshape(inputs, (-1, height, width * channels))
        maps = tf.matmul(tf.cast(by_rows, maps.dtype), maps)  # (batch, 2h, w * c)
        maps = tf.reshape(maps, (-1, width, channels))
        maps = tf.matmul(tf.cast(by_columns, maps.dtype), maps)  # (batch * 2h, 2w, c)
        return tf.reshape(maps, (-1, 2 * height, 2 * width, channels))

    def compute_output_shape(
        self, input_shape: tuple[int | None, int, int, int]
    ) -> tuple[int | None, int, int, int]:
        return (input_shape[0], 2 * input_shape[1], 2 * input_shape[2], input_shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "method": self.method}


class PixelShuffle(keras.layers.Layer):
    """Lay groups of four channels out as 2x2 pixels: `(batch, h, w, 4c)` to `(batch, 2h, 2w, c)` (Shi et al. 2016)."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.depth_to_space(inputs, 2)

    def compute_output_shape(
        self, input_shape: tuple[int | None, int, int, int]
    ) -> tuple[int | None, int, int, int]:
        return (input_shape[0], 2 * input_shape[1], 2 * input_shape[2], input_shape[3] // 4)


@functools.cache
def doubling_matrix(size: int, method: str) -> Floats:
    """Return the `(2 * size, size)` matrix that doubles a vector of `size` values; its rows sum to 1."""
    reach = 2 if method == "bicubic" else 1  # neighbours on either side
    matrix = np.zeros((2 * size, size))
    for row in range(2 * size):
        centre = (row + 0.5) / 2 - 0.5  # of the new pixel, in old pixels
        for neighbour in range(int(np.floor(centre)) - reach + 1, int(np.floor(centre)) + reach + 1):
            column = min(max(neighbour, 0), size - 1)
            matrix[row, column] += _kernel(abs(centre - neighbour), method)
    return matrix.astype(np.float32)


def _kernel(distance: float, method: str) -> float:
    if method == "bilinear":
        return max(0.0, 1.0 - distance)
    if distance <= 1:
        return ((SHARPNESS + 2) * distance - (SHARPNESS + 3)) * distance**2 + 1
    return SHARPNESS * (((distance - 5) * distance + 8) * distance - 4)
