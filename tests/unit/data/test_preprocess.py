"""Resizing against `tf.image.resize` and against cases that can be worked out by hand."""

import numpy as np
import pytest

from mi_keras.data.preprocess import preprocess, resize_bilinear


@pytest.mark.parametrize(
    "shape", [(28, 28, 1), (28, 28, 3), (7, 5, 2), (64, 48, 1), (1, 1, 1), (218, 178, 3)]
)
@pytest.mark.parametrize("size", [32, 9])
def test_resize_equals_tensorflow(shape: tuple[int, int, int], size: int) -> None:
    import tensorflow as tf

    images = np.random.default_rng(3).random((4, *shape), dtype=np.float32)
    expected = tf.image.resize(images, (size, size), method="bilinear", antialias=False).numpy()
    resized = resize_bilinear(images, size)
    assert resized.shape == (4, size, size, shape[2])
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, expected, rtol=0, atol=1e-6)


def test_resize_of_two_pixels_has_half_pixel_centres() -> None:
    step = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32).reshape(1, 2, 2, 1)
    row = resize_bilinear(step, 4)[0, 0, :, 0]
    np.testing.assert_array_equal(row, [0, 0.25, 0.75, 1])  # centres at -0.25, 0.25, 0.75, 1.25


def test_resize_to_the_same_size_changes_nothing() -> None:
    images = np.random.default_rng(0).random((2, 32, 32, 3), dtype=np.float32)
    np.testing.assert_array_equal(resize_bilinear(images, 32), images)


@pytest.mark.parametrize(("value", "expected"), [(0, 0.0), (255, 1.0), (51, 0.2)])
def test_preprocess_maps_bytes_to_the_unit_interval(value: int, expected: float) -> None:
    images = preprocess(np.full((2, 28, 28, 1), value, np.uint8))
    assert images.dtype == np.float32
    assert images.shape == (2, 32, 32, 1)
    np.testing.assert_allclose(images, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("side", range(5, 61, 5))
def test_preprocess_never_leaves_the_unit_interval(side: int) -> None:
    white = preprocess(np.ones((1, side, side, 1), np.float32))
    assert white.max() <= 1
    np.testing.assert_allclose(white, 1, rtol=0, atol=1e-6)
