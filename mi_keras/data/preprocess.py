"""From original pixels to what the models see: float32 in [0, 1], 32x32 (thesis 3.3.1)."""

import numpy as np
from numpy.typing import NDArray

from mi_keras.settings import IMAGE_SIZE
from mi_keras.types import Floats

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601, as Pillow turns RGB to grey


def preprocess(images: NDArray[np.uint8] | Floats) -> Floats:
    """Return `images` in [0, 1], resized to `(count, IMAGE_SIZE, IMAGE_SIZE, channels)`.

    Args:
        images: `(count, height, width, channels)` uint8 in 0..255, or float32 in [0, 1].
    """
    return np.clip(
        resize_bilinear(as_unit(images), IMAGE_SIZE), 0, 1
    )  # float rounding may leave [0, 1] by one step


def as_unit(images: NDArray[np.uint8] | Floats) -> Floats:
    """Return images as float32 in [0, 1], from uint8 in 0..255 or as they are."""
    return images.astype(np.float32) / np.float32(255) if images.dtype == np.uint8 else images  # type: ignore[return-value]


def as_bytes(images: Floats) -> NDArray[np.uint8]:
    """Return images in [0, 1] as uint8 in 0..255, rounded; values outside are clipped."""
    return np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8)


def resize_bilinear(images: NDArray[np.generic], size: int) -> Floats:
    """Resize to a square by bilinear interpolation, half-pixel centres, no antialiasing.

    The same as `tf.image.resize`, written as two matrix products, Y = R X C^T, with the interpolation weights
    of the rows in R and of the columns in C.

    Args:
        images: `(count, height, width, channels)`.
        size: height and width of the result, in pixels.

    Returns:
        `(count, size, size, channels)` float32.
    """
    count, height, width, channels = images.shape
    rows = _interpolation_weights(height, size)
    columns = np.kron(_interpolation_weights(width, size), np.eye(channels, dtype=np.float32))
    flat = images.astype(np.float32, copy=False).reshape(count, height, width * channels)
    resized = rows @ flat @ columns.T  # (count, size, size * channels)
    return resized.reshape(count, size, size, channels)


def _interpolation_weights(length: int, size: int) -> Floats:
    """Return `(size, length)`: each output pixel as a weighted mean of its two nearest input pixels."""
    # In float32, like TensorFlow, so that the shares agree to the last bits for large images too.
    pixels = np.arange(size)
    centres = (pixels.astype(np.float32) + np.float32(0.5)) * np.float32(length / size) - np.float32(0.5)
    lower = np.floor(centres).astype(int)  # -1 and length - 1 occur: edge pixels repeat outwards
    upper_share = centres - np.floor(centres)
    weights = np.zeros((size, length), np.float32)
    np.add.at(weights, (pixels, np.clip(lower, 0, length - 1)), 1 - upper_share)
    np.add.at(weights, (pixels, np.clip(lower + 1, 0, length - 1)), upper_share)
    return weights
