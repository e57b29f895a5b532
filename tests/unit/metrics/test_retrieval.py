"""Retrieval against all draws of other images, one by one, and distances and embeddings worked by hand."""

import itertools
from math import comb

import numpy as np
import pytest

from mi_keras.metrics import retrieval
from mi_keras.metrics.retrieval import cosine_distance, image_embedding, retrieval_probability


def _vectors(count: int, units: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, units), np.float32)


def _by_trying_all(query: np.ndarray, gallery: np.ndarray, position: int, size: int) -> float:
    """Share of all draws in which the truth is nearest, where k equally near ones count as 1/k."""
    cosines = gallery @ query / np.maximum(np.linalg.norm(gallery, axis=1) * np.linalg.norm(query), 1e-30)
    others = [i for i in range(len(gallery)) if i != position]
    shares = []
    for drawn in itertools.combinations(others, size - 1):
        lead = cosines[list(drawn)] - cosines[position]
        shares.append(0.0 if (lead > 1e-9).any() else 1 / (1 + (np.abs(lead) <= 1e-9).sum()))
    return float(np.mean(shares))


# Probability


@pytest.mark.parametrize("size", [1, 2, 4, 9])
@pytest.mark.parametrize("block", [1, 4, 1024])
def test_probability_is_the_share_of_all_draws(monkeypatch, size: int, block: int) -> None:
    monkeypatch.setattr(retrieval, "BLOCK", block)
    gallery = _vectors(9, 5).astype(np.float64)
    gallery[[6, 7]] = gallery[2], 3 * gallery[2]  # the same direction three times
    positions = np.array([0, 1, 2, 3, 6, 8, 2])
    queries = gallery[positions] + 1.2 * _vectors(7, 5, seed=2)
    expected = [_by_trying_all(q, gallery, p, size) for q, p in zip(queries, positions, strict=True)]
    np.testing.assert_allclose(retrieval_probability(queries, gallery, positions, size), expected, atol=1e-12)


@pytest.mark.parametrize("size", [2, 10, 1000])
def test_the_image_itself_is_always_found(size: int) -> None:
    gallery = _vectors(1000, 16)
    positions = np.arange(0, 1000, 7)
    probability = retrieval_probability(5 * gallery[positions], gallery, positions, size)
    np.testing.assert_array_equal(probability, 1)


@pytest.mark.parametrize("size", [2, 10, 100])
def test_random_embeddings_are_found_by_chance(size: int) -> None:
    probability = retrieval_probability(_vectors(3000, 8), _vectors(3000, 8, 2), np.arange(3000), size)
    assert probability.mean() == pytest.approx(1 / size, rel=0.12)


@pytest.mark.parametrize("size", [2, 10, 3000])
def test_one_query_for_all_images_has_the_chance_level_exactly(size: int) -> None:
    gallery = _vectors(3000, 8)
    gallery[100:200] = gallery[0]
    same = np.broadcast_to(_vectors(1, 8, 5), gallery.shape)
    probability = retrieval_probability(same, gallery, np.arange(3000), size)
    assert probability.mean() == pytest.approx(1 / size, rel=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_a_query_that_says_nothing_has_the_chance_level_for_every_image(value: float) -> None:
    gallery = image_embedding(np.random.default_rng(1).random((50, 32, 32, 3), np.float32), 4)
    flat = image_embedding(np.full((50, 32, 32, 3), value, np.float32), 4)
    np.testing.assert_allclose(retrieval_probability(flat, gallery, np.arange(50), 10), 0.1, rtol=1e-12)


def test_images_that_are_twice_in_the_gallery_are_not_told_apart() -> None:
    gallery = np.repeat(_vectors(5, 8), 2, axis=0)
    probability = retrieval_probability(gallery, gallery, np.arange(10), 10)
    np.testing.assert_allclose(probability, 0.5)
    probability = retrieval_probability(gallery, gallery, np.arange(10), 4)  # the twin is drawn in 3 of 9
    np.testing.assert_allclose(probability, 1 - 3 / 9 / 2)


def test_a_large_gallery_is_exact_and_does_not_underflow_early() -> None:
    """Of 44,000 images on an arc the r-th is found with C(43999 - r, 9) / C(43999, 9), in whole numbers."""
    angle = np.linspace(0, 1, 44_000)
    gallery = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ranks = np.array([0, 1, 20_000, 43_000, 43_990, 43_999])
    probability = retrieval_probability(np.tile([[np.cos(1), -np.sin(1)]], (6, 1)), gallery, ranks, 10)
    expected = [comb(43_999 - int(rank), 9) / comb(43_999, 9) for rank in ranks]
    np.testing.assert_allclose(probability, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("queries", "gallery", "positions", "size", "message"),
    [
        ((2, 3), (5, 3), [0, 1], 6, r"`size` must be between 1 and 5, the gallery's size; got 6\."),
        ((2, 3), (5, 3), [0, 1], 0, r"`size` must be between 1 and 5"),
        ((2, 3), (5, 4), [0, 1], 2, r"`queries` and `gallery` must be \(count, units\), equally wide"),
        ((2, 3), (5, 3), [0], 2, r"`positions` must be one for each query, \(2,\); got \(1,\)\."),
        ((2, 3), (5, 3), [0, 5], 2, r"`positions` must be in 0\.\.4; got 0\.\.5\."),
    ],
)
def test_a_broken_rule_is_named_with_what_came(queries, gallery, positions, size, message) -> None:
    with pytest.raises(ValueError, match=message):
        retrieval_probability(np.ones(queries), np.ones(gallery), np.array(positions), size)


def test_numbers_that_are_none_are_refused() -> None:
    gallery = _vectors(5, 3)
    gallery[3, 1] = np.nan
    with pytest.raises(ValueError, match="`queries` and `gallery` must be finite"):
        retrieval_probability(_vectors(2, 3), gallery, np.array([0, 1]), 2)


# Distance and embedding


def test_cosine_distance_by_hand() -> None:
    first = np.array([[1, 0], [1, 0], [2, 0], [1, 1], [0, 0]], np.float32)
    second = np.array([[3, 0], [0, 2], [-1, 0], [1, 0], [1, 0]], np.float32)
    np.testing.assert_allclose(cosine_distance(first, second), [0, 1, 2, 1 - np.sqrt(0.5), 1], atol=1e-12)
    with pytest.raises(ValueError, match=r"`first` and `second` must be \(count, units\) both; got"):
        cosine_distance(first, second[:2])


def test_embedding_is_the_mean_of_each_area_less_that_of_the_image() -> None:
    images = np.random.default_rng(3).random((4, 6, 8, 3), np.float32)
    embedding = image_embedding(images, 2)
    for image, vector in zip(images.astype(np.float64), embedding.reshape(4, 2, 2, 3), strict=True):
        for row, column in itertools.product(range(2), range(2)):
            area = image[3 * row : 3 * row + 3, 4 * column : 4 * column + 4]
            np.testing.assert_allclose(vector[row, column], area.mean(axis=(0, 1)) - image.mean(), atol=1e-6)


def test_embedding_does_not_see_brightness_and_keeps_its_own_size() -> None:
    images = np.random.default_rng(3).random((2, 16, 16, 1), np.float32)
    np.testing.assert_allclose(image_embedding(images), image_embedding(images + 0.2), atol=1e-6)
    np.testing.assert_allclose(
        image_embedding(images),
        (images - images.mean(axis=(1, 2, 3), keepdims=True)).reshape(2, 256),
        atol=1e-6,
    )


@pytest.mark.parametrize(("height", "width"), [(6, 8), (7, 5), (3, 11), (2, 3)])
def test_embedding_of_any_size_equals_that_of_pixels_repeated_to_whole_areas(height: int, width: int) -> None:
    images = np.random.default_rng(3).random((2, height, width, 3), np.float32)
    whole = images.repeat(4, axis=1).repeat(4, axis=2)  # each pixel as 4x4: sizes are multiples of 4
    np.testing.assert_allclose(image_embedding(images, 4), image_embedding(whole, 4), atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 32, 32), (2, 0, 32, 3), (2, 32, 32, 0)])
def test_embedding_needs_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"`images` must be \(count, height, width, channels\), and `side`"):
        image_embedding(np.zeros(shape, np.float32))
