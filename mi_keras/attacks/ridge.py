"""Ridge regression of images on answers, shared by the classes and then by class, and principal axes of images."""

import numpy as np
from numpy.typing import NDArray

from mi_keras.types import Floats, Ints

RIDGES = tuple(10.0**power for power in range(7))
MOST_COMPONENTS = 256  # of images: they hold nearly all that differs between them
MOST_WEIGHTS = 50_000_000  # of all classes together: 200 MB
MOST_SHARED = 1e6  # images that the mean of all counts as, at most
SMALLEST_NORM = 1e-12
SMALLEST_SHARE = 1e-6  # of the largest variance along an axis: below it is the rounding of float32


def principal_axes(rows: Floats, most: int) -> Floats:
    """Return the directions in which rows `(count, units)` of mean 0 differ most, `(axes, units)` of length 1.

    Zeros stand for axes along which nothing differs: rounding would give them the direction of the first ones.
    """
    count = min(most, *rows.shape)
    is_wide = rows.shape[1] > len(rows)  # then by rows: units may be many times as many
    values, vectors = np.linalg.eigh(rows @ rows.T if is_wide else rows.T @ rows)
    values, axes = values[: -count - 1 : -1, None], vectors[:, : -count - 1 : -1].T
    axes = axes @ rows if is_wide else axes
    length = np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), SMALLEST_NORM)
    return np.where(values > SMALLEST_SHARE * values[0], axes / length, np.float32(0))


def class_means(images: Floats, classes: Ints, count: int) -> NDArray[np.float64]:
    """Return the mean image of each class, `(count, ...)`, drawn towards that of all as one-way random effects have it.

    A class of n images counts n, the mean of all as many as the variance within classes has in that between them: the
    mean of a few images is far from that of their class where classes differ little, and near to it where they do.

    Args:
        images: `(images, height, width, channels)`.
        classes: `(images,)` numbers below `count`; a class without an image has the mean of all.
    """
    whole, total = images.mean(axis=0, dtype=np.float64), len(images)
    means, sizes = np.tile(whole, (count, *[1] * whole.ndim)), np.bincount(classes, minlength=count)
    inside = between = 0.0
    for number in np.flatnonzero(sizes):
        of = images[classes == number]
        means[number] = of.mean(axis=0, dtype=np.float64)
        inside += float(np.square(of - means[number].astype(np.float32)).sum(dtype=np.float64))
        between += sizes[number] * float(np.square(means[number] - whole).sum())
    filled = np.count_nonzero(sizes)
    if 1 < filled < total:
        inside /= total - filled
        between = (between - (filled - 1) * inside) / (total - np.square(sizes).sum() / total)
    weight = inside / between if between > inside / MOST_SHARED else MOST_SHARED
    weight = weight if filled < total else 1.0  # of classes of one image each nothing is known
    share = (sizes / np.maximum(sizes + weight, 1e-30)).reshape(-1, *[1] * whole.ndim)
    return whole + share * (means - whole)


def ridge_by_class(inputs: Floats, rest: Floats, classes: Ints, count: int, *, images: int) -> Floats:
    """Return `(classes or 1, features, components)`: maps by class, drawn towards the shared one by a second ridge.

    Rows are of so many `images`, over and over; all of an image are held out together.
    """
    width = inputs.shape[1]
    if not width:
        return np.zeros((1, 0, rest.shape[1]), np.float32)
    place = np.arange(len(inputs)) % images
    held_out = place >= images - images // 5  # in a row, since copies stand together
    x, y, of = inputs[~held_out], rest[~held_out], classes[~held_out]
    tried = _Ridge(x, y)
    errors = [_error(tried.weights(ridge), inputs[held_out], rest[held_out]) for ridge in RIDGES]
    shared, least, best = RIDGES[int(np.argmin(errors))], min(errors), 0.0
    if count > 1 and count * width * rest.shape[1] <= MOST_WEIGHTS:
        for ridge in RIDGES:
            by_class = _of_classes(x, y, of, count, tried.weights(shared), ridge)
            error = sum(
                _error(by_class[c], inputs[held_out & (classes == c)], rest[held_out & (classes == c)])
                for c in range(count)
            )
            best, least = (ridge, error) if error < least else (best, least)
    whole = _Ridge(inputs, rest).weights(shared)
    return _of_classes(inputs, rest, classes, count, whole, best) if best else whole[None]


def _of_classes(
    inputs: Floats, rest: Floats, classes: Ints, count: int, whole: Floats, ridge: float
) -> Floats:
    maps = np.tile(whole, (count, 1, 1))
    for number in np.unique(classes):
        of = classes == number
        maps[number] += _Ridge(inputs[of], rest[of] - inputs[of] @ whole).weights(ridge)
    return maps


class _Ridge:
    """Ridge regression for any ridge, from one decomposition of the smaller Gram matrix."""

    def __init__(self, inputs: Floats, rest: Floats) -> None:
        self._inputs, self._is_wide = inputs.astype(np.float64), inputs.shape[1] > len(inputs)
        square = self._inputs @ self._inputs.T if self._is_wide else self._inputs.T @ self._inputs
        self._values, self._vectors = np.linalg.eigh(square)
        self._rotated = self._vectors.T @ (rest if self._is_wide else self._inputs.T @ rest)

    def weights(self, ridge: float) -> Floats:
        solved = self._vectors @ (self._rotated / (np.maximum(self._values, 0) + ridge)[:, None])
        return (self._inputs.T @ solved if self._is_wide else solved).astype(np.float32)


def _error(weights: Floats, inputs: Floats, rest: Floats) -> float:
    return float(np.square(rest - inputs @ weights, dtype=np.float64).sum())
