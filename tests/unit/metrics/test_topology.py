"""Loops against scikit-image's labels and Euler number, drawn shapes, and the digits of the embedded MNIST."""

import numpy as np
import pytest
import skimage.draw
import skimage.measure

from mi_keras.data.mnist import read_embedded_mnist
from mi_keras.data.preprocess import preprocess
from mi_keras.metrics.topology import has_loop


def _drawn(*rows: str) -> np.ndarray:
    return np.array([[float(c == "#") for c in row] for row in rows], np.float32)[None, :, :, None]


def _blobs(count: int, size: int = 24) -> np.ndarray:
    """Random images whose dark regions come in many sizes and touch the border, or not."""
    noise = np.random.default_rng(5).random((count, size + 2, size + 2), np.float32)
    smooth = sum(noise[:, i : i + size, j : j + size] for i in range(3) for j in range(3)) / 9
    level = np.linspace(0.42, 0.55, count, dtype=np.float32)[:, None, None]
    return np.clip(smooth - level + 0.5, 0, 1)[..., None]


def _enclosed_sizes(image: np.ndarray) -> list[int]:
    """Sizes of the enclosed dark regions of one image, by scikit-image."""
    labels = skimage.measure.label(np.pad(image[..., 0] <= 0.5, 1, constant_values=True), connectivity=1)
    return [region.area for region in skimage.measure.regionprops(labels) if region.label != labels[0, 0]]


# Against scikit-image


@pytest.mark.parametrize("smallest", [1, 2, 3, 8])
def test_loops_are_the_enclosed_regions_that_scikit_image_finds(smallest: int) -> None:
    images = _blobs(150)
    expected = [max(_enclosed_sizes(image), default=0) >= smallest for image in images]
    assert 0.05 < np.mean(expected) < 0.95
    np.testing.assert_array_equal(has_loop(images, smallest=smallest), expected)


def test_without_a_smallest_size_a_loop_is_a_hole_of_the_euler_number() -> None:
    images = _blobs(150)
    holes = [
        skimage.measure.label(stroke, connectivity=2).max()
        - skimage.measure.euler_number(stroke, connectivity=2)
        for stroke in np.pad(images[..., 0] > 0.5, [(0, 0), (1, 1), (1, 1)])
    ]
    np.testing.assert_array_equal(has_loop(images, smallest=1), np.array(holes) > 0)


# Drawn


def test_a_ring_has_a_loop_and_a_gap_opens_it() -> None:
    ring = _drawn(".....", ".###.", ".#.#.", ".###.", ".....")
    gap = _drawn(".....", ".###.", ".#.#.", ".#.#.", ".....")
    np.testing.assert_array_equal(has_loop(np.concatenate([ring, gap]), smallest=1), [True, False])


def test_a_diagonal_stroke_has_no_gaps() -> None:
    diamond = _drawn(".....", "..#..", ".#.#.", "..#..", ".....")
    assert has_loop(diamond, smallest=1)


def test_dark_regions_that_meet_at_a_corner_are_two() -> None:
    corners = _drawn("#####", "#.###", "##.##", "#####")
    np.testing.assert_array_equal([has_loop(corners, smallest=k)[0] for k in (1, 2)], [True, False])


def test_what_the_border_of_the_image_closes_is_open() -> None:
    assert not has_loop(_drawn("#..#", "#..#", "#..#", "####"), smallest=1)
    assert not has_loop(_drawn("####", "#..#", "#..#", "#..#"), smallest=1)


def test_a_spiral_is_open_however_long_its_way_out() -> None:
    spiral = np.ones((1, 31, 31, 1), np.float32)
    row, column, direction = 0, 0, (0, 1)
    spiral[0, 0, 0] = 0
    for length in [30, *[n for pair in zip(range(30, 0, -2), range(28, -1, -2), strict=True) for n in pair]]:
        for _ in range(length):
            row, column = row + direction[0], column + direction[1]
            spiral[0, row, column] = 0
        direction = (direction[1], -direction[0])
    assert spiral.sum() > 400
    assert not has_loop(spiral, smallest=1)
    assert spiral[0, 15, 2] == 0
    spiral[0, 15, 2] = 1  # a wall across the way
    assert has_loop(spiral, smallest=1)


@pytest.mark.parametrize(("area", "found"), [(2, False), (3, True)])
def test_by_default_a_loop_has_three_pixels(area: int, found: bool) -> None:
    image = np.ones((1, 8, 8, 1), np.float32)
    image[0, 3, 2 : 2 + area] = 0
    assert has_loop(image) == found


def test_images_are_judged_one_by_one_and_by_the_threshold() -> None:
    images = np.zeros((3, 32, 32, 1), np.float32)
    rows, columns = skimage.draw.circle_perimeter(16, 16, 8)
    images[1, rows, columns] = 0.6
    np.testing.assert_array_equal(has_loop(images), [False, True, False])
    np.testing.assert_array_equal(has_loop(images, 0.6), [False, False, False])  # no longer brighter
    np.testing.assert_array_equal(has_loop(np.repeat(images, 3, axis=3)), [False, True, False])
    assert has_loop(images[:0]).shape == (0,)


# Digits


def test_digits_have_the_loops_they_are_written_with() -> None:
    source = read_embedded_mnist()
    images, labels = preprocess(source.test_images[::4]), source.test_labels[::4]
    share = [has_loop(images[labels == digit]).mean() for digit in range(10)]
    for digit in (0, 6, 8, 9):
        assert share[digit] > 0.65, digit
    for digit in (1, 3, 4, 5, 7):
        assert share[digit] < 0.1, digit
    assert 0.1 < share[2] < 0.5  # written either way


def test_a_smallest_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`smallest` must be >= 1; got 0\."):
        has_loop(np.zeros((1, 4, 4, 1), np.float32), smallest=0)
