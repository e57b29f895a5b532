"""Ridge regression of images on answers, shared by the classes and then by class, and principal axes of images."""

import numpy as np
from numpy.typing import NDArray

from mi_keras.types import Floats, Ints

RIDGES = tuple(10.0**power for power in range(7))
PARTS = 5  # of the adversary's images, of which one is held out where a ridge is chosen
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


def class_means(images: Floats, classes: Ints, count: int, groups: Ints | None = None) -> NDArray[np.float64]:
    """Return the mean image of each class, `(count, ...)`, drawn towards that of all as one-way random effects have it.

    A class of n images counts n, the mean of all as many as the variance within classes has in that between them: the
    mean of a few images is far from that of their class where classes differ little, and near to it where they do.

    With groups (patients) their means take the place of images, each weighted by the share of its group's images that
    is of the class: that is the best constant for a score that is averaged over groups. Of weights w a class then has
    (sum w)^2 / sum w^2 groups.

    Args:
        images: `(images, height, width, channels)`.
        classes: `(images,)` numbers below `count`; a class without an image has the mean of all.
        groups: `(images,)` numbers; None where each image is its own group.
    """
    weights = np.ones(len(images))
    if groups is not None:
        images, classes, weights = _by_group(images, classes, groups)
    whole = _mean(images, weights)
    sums, squares = (np.bincount(classes, weights**power, count) for power in (1, 2))
    means, total = np.tile(whole, (count, *[1] * whole.ndim)), sums.sum()
    inside = between = 0.0
    filled = np.flatnonzero(sums)
    for number in filled:
        of, with_weights = images[classes == number], weights[classes == number]
        means[number] = _mean(of, with_weights)
        away = np.square(of - means[number].astype(np.float32))
        inside += float(with_weights @ away.reshape(len(of), -1).sum(axis=1, dtype=np.float64))
        between += sums[number] * float(np.square(means[number] - whole).sum())
    if (
        1 < len(filled) < len(images)
    ):  # expected: (variance within) x (what it is divided by), see Searle 1971
        lost = (squares[filled] / sums[filled]).sum()
        inside /= total - lost
        between = (between - (lost - squares.sum() / total) * inside) / (
            total - np.square(sums).sum() / total
        )
    weight = inside / between if between > inside / MOST_SHARED else MOST_SHARED
    weight = weight if len(filled) < len(images) else 1.0  # of classes of one image each nothing is known
    sizes = np.divide(np.square(sums), squares, out=np.zeros(count), where=sums > 0)
    share = (sizes / np.maximum(sizes + weight, 1e-30)).reshape(-1, *[1] * whole.ndim)
    return whole + share * (means - whole)


def moments(
    rows: Floats, weights: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the standard deviation of each column of rows `(count, units)`; no weights are equal ones."""
    if weights is None:
        return rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    mean = np.average(rows.astype(np.float64), axis=0, weights=weights)
    return mean, np.sqrt(np.average(np.square(rows - mean), axis=0, weights=weights))


def less_class_means(rows: Floats, classes: Ints) -> Floats:
    """Return rows `(count, ...)` less the plain mean of their class."""
    moved = rows.copy()
    for number in np.unique(classes):
        of = classes == number
        moved[of] -= rows[of].mean(axis=0)
    return moved


def _by_group(images: Floats, classes: Ints, groups: Ints) -> tuple[Floats, Ints, NDArray[np.float64]]:
    """Return the mean image of each class in each group, the class, and which share of the group's images it is of."""
    pairs, place, counts = np.unique(
        np.stack([classes, groups]), axis=1, return_inverse=True, return_counts=True
    )
    rows = np.split(np.argsort(place.ravel(), kind="stable"), np.cumsum(counts)[:-1])
    _, of_group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    means = np.stack([images[of].mean(axis=0, dtype=np.float64).astype(np.float32) for of in rows])
    first = np.array([of[0] for of in rows])
    return means, pairs[0], counts / sizes[of_group[first]]


def _mean(images: Floats, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    if (weights == 1).all():
        return images.mean(axis=0, dtype=np.float64)
    total: NDArray[np.float64] = np.einsum("i,i...->...", weights, images)
    return total / weights.sum()


def ridge_by_class(
    inputs: Floats, rest: Floats, classes: Ints, count: int, *, images: int, groups: Ints | None = None
) -> Floats:
    """Return `(classes or 1, features, components)`: maps by class, drawn towards the shared one by a second ridge.

    Rows are of so many `images`, over and over; all of an image are held out together, and all of a group. Of groups
    that may be few and large each is held out once.
    """
    width = inputs.shape[1]
    if not width:
        return np.zeros((1, 0, rest.shape[1]), np.float32)
    parts = [
        _Part(inputs, rest, classes, count, held_out) for held_out in _held_out(len(inputs), images, groups)
    ]
    errors = [sum(part.error_of_one(ridge) for part in parts) for ridge in RIDGES]
    shared, least, best = RIDGES[int(np.argmin(errors))], min(errors), 0.0
    if count > 1 and count * width * rest.shape[1] <= MOST_WEIGHTS:
        for ridge in RIDGES:
            error = sum(part.error_by_class(shared, ridge) for part in parts)
            best, least = (ridge, error) if error < least else (best, least)
    whole = Ridge(inputs, rest).weights(shared)
    return _of_classes(inputs, rest, classes, count, whole, best) if best else whole[None]


def _held_out(rows: int, images: int, groups: Ints | None) -> list[NDArray[np.bool_]]:
    place = np.arange(rows) % images
    if groups is None or np.ptp(groups) == 0:
        return [place >= images - images // PARTS]  # in a row, since copies stand together
    _, first, of_group = np.unique(groups, return_index=True, return_inverse=True)
    part = np.argsort(np.argsort(first)) % PARTS  # the groups in turn
    return [part[of_group][place] == number for number in range(PARTS) if (part == number).any()]


class _Part:
    """What is held out, and maps that were fitted without it."""

    def __init__(
        self, inputs: Floats, rest: Floats, classes: Ints, count: int, held_out: NDArray[np.bool_]
    ) -> None:
        self._fitted = inputs[~held_out], rest[~held_out], classes[~held_out], count
        self._held_out = inputs[held_out], rest[held_out], classes[held_out]
        self._ridge = Ridge(*self._fitted[:2])

    def error_of_one(self, ridge: float) -> float:
        return _error(self._ridge.weights(ridge), *self._held_out[:2])

    def error_by_class(self, shared: float, ridge: float) -> float:
        maps = _of_classes(*self._fitted, self._ridge.weights(shared), ridge)
        inputs, rest, classes = self._held_out
        return sum(_error(of, inputs[classes == c], rest[classes == c]) for c, of in enumerate(maps))


def _of_classes(
    inputs: Floats, rest: Floats, classes: Ints, count: int, whole: Floats, ridge: float
) -> Floats:
    maps = np.tile(whole, (count, 1, 1))
    for number in np.unique(classes):
        of = classes == number
        maps[number] += Ridge(inputs[of], rest[of] - inputs[of] @ whole).weights(ridge)
    return maps


class Ridge:
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
