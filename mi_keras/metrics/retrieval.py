"""Retrieval: how often a reconstruction identifies its own image in a gallery, and distances of embeddings.

The probability is exact over all draws of the other images; sampling would give an estimate from some draws.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.types import Floats, Ints

BLOCK = 1024  # rows of a block: of 3,072 numbers they are 25 MB, and two blocks' products 8 MB
TIE = 1e-9  # cosines closer than this are equal: far above the rounding of float64, far below that of float32
SMALLEST_NORM = 1e-9  # a shorter vector is what rounding leaves of a constant one and has no direction


def retrieval_probability(
    queries: NDArray[Any], gallery: NDArray[Any], positions: Ints, size: int
) -> NDArray[np.float64]:
    """Return the probability that the true image is the nearest to its reconstruction among `size` images.

    Distances are cosine distances; the candidates are the true image and size - 1 others, drawn from the gallery
    without replacement. With n others in the gallery, r of them nearer than the truth, the probability is C(n - r, size
    - 1) / C(n, size - 1): none of the r may be drawn. Ties are broken at random, so a query without information has the
    chance level 1 / size, and so has, on average over all positions, the same query for every image. An image with an
    equal embedding elsewhere in the gallery is never found for certain.

    Args:
        queries: `(queries, units)` embeddings of reconstructions.
        gallery: `(gallery, units)` embeddings of true images; may be a memory map.
        positions: `(queries,)` index in the gallery of the true image of each query.
        size: number of images to choose from, 1 to the size of the gallery.

    Returns:
        `(queries,)` in [0, 1].

    Raises:
        ValueError: the gallery is smaller than `size`, a position is outside it, shapes do not fit, or a number is not
            finite.
    """
    _check(queries, gallery, positions, size)
    of_rank = chance_of_rank(len(gallery) - 1, size)
    below = np.concatenate([[0.0], np.cumsum(of_rank)])  # then averaged over r to r + ties
    probability = np.empty(len(queries))
    for rows in _blocks(len(queries)):
        nearer, equal = _ranks(unit_vectors(queries[rows]), gallery, positions[rows])
        fair = (below[nearer + equal + 1] - below[nearer]) / (equal + 1)
        probability[rows] = np.where(equal, fair, of_rank[nearer])
    return probability


def chance_of_rank(others: int, size: int) -> NDArray[np.float64]:
    """Return `(others + 1,)`: for r = 0, 1, ... C(others - r, size - 1) / C(others, size - 1), that none of r is drawn."""
    left = np.arange(others, 0, -1)  # others - r
    # by recursion, C(k - 1, size - 1) / C(k, size - 1) = (k - size + 1) / k
    return np.cumprod(np.concatenate([[1.0], np.maximum(left - (size - 1), 0) / left]))


class Chances:
    """The chance that the truth is nearest among `among`, for all numbers of others up to `most`."""

    def __init__(self, most: int, among: int) -> None:
        self._by_left = chance_of_rank(most, among)[
            ::-1
        ]  # C(k, among - 1) / C(most, among - 1) for k = 0, 1, ...
        self._below = np.concatenate([[0.0], np.cumsum(self._by_left)])

    def found(self, ranks: Ints, ties: Ints, left: Ints) -> NDArray[np.float64]:
        """Return C(left - ranks, among - 1) / C(left, among - 1), averaged over ranks to ranks + ties."""
        farther = left - ranks
        chance = self._by_left[farther]
        if ties.any():
            below = self._below[farther + 1] - self._below[np.maximum(farther - ties, 0)]
            chance = np.where(ties > 0, below / (ties + 1), chance)
        whole: NDArray[np.float64] = self._by_left[left]
        return np.divide(chance, whole, out=np.zeros_like(chance), where=whole > 0)


def cosine_distance(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Return 1 - cosine of each pair of vectors, both `(count, units)`: `(count,)` in [0, 2], 1 for a vector of zeros.

    Raises:
        ValueError: the shapes differ or are not of two axes.
    """
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(
            f"`first` and `second` must be (count, units) both; got {first.shape}, {second.shape}."
        )
    return np.clip(1.0 - np.sum(unit_vectors(first) * unit_vectors(second), axis=1), 0.0, 2.0)


def image_embedding(images: NDArray[Any], side: int = 16) -> Floats:
    """Return images as vectors for a comparison by pixels: averaged over areas, less each image's mean, flat.

    Where height or width is no multiple of `side`, a pixel on the border of two areas counts in each by its share.

    Args:
        images: `(count, height, width, channels)`.
        side: rows and columns of areas.

    Returns:
        `(count, side * side * channels)`.

    Raises:
        ValueError: `images` has another number of axes, or one without length; `side` is below 1.
    """
    if images.ndim != 4 or 0 in images.shape[1:] or side < 1:
        raise ValueError(
            "`images` must be (count, height, width, channels), and `side` at least 1; "
            f"got {images.shape} and {side}."
        )
    count, height, width, channels = images.shape
    if height % side or width % side:
        means = _area_means(images, side)
    else:
        areas = images.reshape(count, side, height // side, side, width // side, channels)
        means = areas.mean(axis=(2, 4), dtype=np.float64)
    flat = means.reshape(count, side * side * channels)
    return (flat - flat.mean(axis=1, keepdims=True)).astype(np.float32)


def _area_means(images: NDArray[Any], side: int) -> NDArray[np.float64]:
    """Return `(count, side, side, channels)`: Y = R X C^T, with the share of each pixel in each area in R and C."""
    count, height, width, channels = images.shape
    rows = _shares(height, side)
    columns = np.kron(_shares(width, side), np.eye(channels))
    flat = images.astype(np.float64).reshape(count, height, width * channels)
    means: NDArray[np.float64] = rows @ flat @ columns.T  # (count, side, side * channels)
    return means.reshape(count, side, side, channels)


def _shares(length: int, side: int) -> NDArray[np.float64]:
    """Return `(side, length)`: how much of each of `side` equal stretches is each pixel's."""
    edges = np.linspace(0, length, side + 1)
    pixels = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.maximum(overlap, 0) * (side / length)


def unit_vectors(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Return vectors, `(count, units)`, at length 1: their products are cosines. One without a direction is zeros."""
    vectors = np.asarray(vectors, np.float64)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(norms < SMALLEST_NORM, 0.0, vectors / np.maximum(norms, SMALLEST_NORM))


def _ranks(queries: NDArray[np.float64], gallery: NDArray[Any], positions: Ints) -> tuple[Ints, Ints]:
    """Return how many of the gallery are nearer to each query of length 1 than the truth, and how many as near."""
    own = np.sum(queries * unit_vectors(gallery[positions]), axis=1, keepdims=True)
    nearer, equal = np.zeros((2, len(queries)), np.int64)
    for columns in _blocks(len(gallery)):
        lead = queries @ unit_vectors(gallery[columns]).T - own  # (queries, gallery)
        if not np.isfinite(lead).all():
            raise ValueError("`queries` and `gallery` must be finite; got NaN or infinity.")
        nearer += np.count_nonzero(lead > TIE, axis=1)
        equal += np.count_nonzero(np.abs(lead) <= TIE, axis=1)
    return nearer, equal - 1  # the truth is as near as itself


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, count, BLOCK))


def _check(queries: NDArray[Any], gallery: NDArray[Any], positions: Ints, size: int) -> None:
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise ValueError(
            f"`queries` and `gallery` must be (count, units), equally wide; got {queries.shape}, {gallery.shape}."
        )
    if not 1 <= size <= len(gallery):
        raise ValueError(f"`size` must be between 1 and {len(gallery)}, the gallery's size; got {size!r}.")
    if positions.shape != queries.shape[:1]:
        raise ValueError(f"`positions` must be one for each query, ({len(queries)},); got {positions.shape}.")
    if len(positions) and not 0 <= positions.min() <= positions.max() < len(gallery):
        raise ValueError(
            f"`positions` must be in 0..{len(gallery) - 1}; got {positions.min()}..{positions.max()}."
        )
