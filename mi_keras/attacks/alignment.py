"""Linear maps, one per predicted class, between the canonical answers of two models, found from answers alone or from
some pairs of answers to the same image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from mi_keras.types import Floats, Ints

Doubles = NDArray[np.float64]

RIDGE = 30.0  # of a map between two shadow models, in answers
EM_STEPS = 30
STEADY = 1e-2  # ridge on the covariance of residuals, which the constant that was taken off makes singular
NUMBERS_AT_ONCE = 4_000_000  # distances in memory


def ridge_maps(
    inputs: Floats, outputs: Floats, classes: Ints, start: Doubles, *, shared: float, by_class: float
) -> Doubles:
    """Return maps `(classes, units, units)` from inputs to outputs `(count, units)` near to `start`, of the same shape.

    First one change of all maps is solved for, under the ridge `shared`, then one of each class, under `by_class`.
    """
    x, y = inputs.astype(np.float64), outputs.astype(np.float64)
    rest = y - apply_maps(x, classes, start)
    maps: Doubles = start + ridge_weights(x, rest, shared)
    rest = y - apply_maps(x, classes, maps)
    for number in np.unique(classes):
        of = classes == number
        maps[number] += ridge_weights(x[of], rest[of], by_class)
    return maps


def apply_maps(inputs: NDArray[np.floating], classes: Ints, maps: Doubles) -> Doubles:
    """Return each row times the map of its class."""
    mapped = np.empty(inputs.shape, np.float64)
    for number in np.unique(classes):
        of = classes == number
        mapped[of] = inputs[of].astype(np.float64) @ maps[number]
    return mapped


def covariances_of(standard: Floats, classes: Ints, count: int) -> Doubles:
    """Return the second moments within each class `(classes, units, units)`, zeros for one without an answer."""
    found = np.zeros((count, standard.shape[1], standard.shape[1]))
    for number in np.unique(classes):
        of = standard[classes == number].astype(np.float64)
        found[number] = of.T @ of / len(of)
    return found


def transport(standard: Floats, classes: Ints, goal: Doubles, *, share: float, weight: float) -> Doubles:
    """Return maps that carry the covariance of answers towards `goal` within each class, with the least movement.

    The optimal transport between normal laws, A = S^-1/2 (S^1/2 G S^1/2)^1/2 S^-1/2, drawn to the identity: only `share` of
    the way is gone, and the covariance of n answers counts n against the `weight` that the goal has.
    """
    maps = np.tile(np.eye(standard.shape[1]), (len(goal), 1, 1))
    seen, sizes = covariances_of(standard, classes, len(goal)), np.bincount(classes, minlength=len(goal))
    for number in np.flatnonzero(sizes):
        own = (sizes[number] * seen[number] + weight * goal[number]) / (sizes[number] + weight)
        root, inverse = _roots(own)
        middle, _ = _roots(root @ goal[number] @ root)
        maps[number] += share * (inverse @ middle @ inverse - maps[number])
    return maps


@dataclass(frozen=True, eq=False)
class Family:
    """How a model of the family answers where the mean of the others answers m: z = m B + e within each class.

    Attributes:
        anchors: `(count, units)` m of the adversary's images, and `classes` of each.
        forward: `(classes, units, units)` the mean B of the shadow models.
        noise: `(classes, units, units)` covariance of e.
    """

    anchors: Floats
    classes: Ints
    forward: Doubles
    noise: Doubles


def family_of(parts: Sequence[tuple[Floats, Ints]], anchors: Floats, classes: Ints) -> Family:
    """Return how shadow models answer, from canonical answers and classes of each to the images of the anchors."""
    count, total = anchors.shape[1], np.sum([standard for standard, _ in parts], axis=0, dtype=np.float64)
    none, forward, noise = np.zeros((count, count, count)), [], []
    for standard, of in parts:
        others = ((total - standard) / max(len(parts) - 1, 1)).astype(np.float32)
        maps = ridge_maps(others, standard, of, none, shared=RIDGE, by_class=RIDGE)
        forward.append(maps)
        rest = standard - apply_maps(others, of, maps)
        noise.append(covariances_of(rest.astype(np.float32), of, count))
    return Family(anchors, classes, np.mean(forward, axis=0), np.mean(noise, axis=0))


def matched(
    standard: Floats, classes: Ints, family: Family, *, weight: float, pairs: "Pairs | None" = None
) -> Doubles:
    """Return maps from a model's answers to the anchors' space, found by matching answers with the anchors' images.

    Whose image an answer is of is not known: each is shared out among the anchors of its class by how likely they make
    it, and B is solved for again under the prior of the shadow models, which counts as `weight` answers (EM). What comes
    back is the best linear prediction of m from z under the last B.

    Args:
        pairs: answers to images that are known, which count like those whose image is not.
    """
    units = standard.shape[1]
    maps: Doubles = np.empty_like(family.forward)
    for number in range(len(maps)):
        anchors = family.anchors[family.classes == number].astype(np.float64)
        known = pairs.of_class(number) if pairs else (np.zeros((0, units)), np.zeros((0, units)))
        noise = family.noise[number] + STEADY * np.eye(units)
        forward, noise = _matched_class(
            standard[classes == number], anchors, known, family.forward[number], noise, weight
        )
        maps[number] = predicted(forward, anchors, noise)
    return maps


@dataclass(frozen=True, eq=False)
class Pairs:
    """A model's answers `(count, units)` to images whose anchors are known, and the class of each answer."""

    answers: Floats
    anchors: Floats
    classes: Ints

    def of_class(self, number: int) -> tuple[Doubles, Doubles]:
        """Return the anchors and answers of a class."""
        of = self.classes == number
        return self.anchors[of].astype(np.float64), self.answers[of].astype(np.float64)


def predicted(forward: Doubles, anchors: Doubles, noise: Doubles) -> Doubles:
    """Return the best linear prediction of m from z = m B + e, with the anchors' second moments as those of m."""
    moments = anchors.T @ anchors / max(len(anchors), 1)
    return _solve(forward.T @ moments @ forward + noise, forward.T @ moments)


def _matched_class(
    seen: Floats,
    anchors: Doubles,
    known: tuple[Doubles, Doubles],
    prior: Doubles,
    noise: Doubles,
    weight: float,
) -> tuple[Doubles, Doubles]:
    """Return B of one class, and the covariance of e, of which known pairs tell too."""
    points, answers = known
    if not len(anchors):
        return prior, noise
    observed, forward, before = seen.astype(np.float64), prior, noise
    for _ in range(EM_STEPS if len(observed) else 1):
        square = weight * np.eye(len(prior)) + points.T @ points
        cross = weight * prior + points.T @ answers
        root = np.linalg.cholesky(np.linalg.inv(noise))
        means = anchors @ forward @ root
        step = max(1, NUMBERS_AT_ONCE // len(anchors))
        for start in range(0, len(observed), step):
            some = observed[start : start + step]
            shares = _likely(some @ root, means)
            square = square + (anchors * shares.sum(axis=0)[:, None]).T @ anchors
            cross = cross + (shares @ anchors).T @ some
        forward = _solve(square, cross)
        rest = answers - points @ forward
        noise = (weight * before + rest.T @ rest) / (weight + len(rest))
    return forward, noise


def _likely(points: Doubles, means: Doubles) -> Doubles:
    """Return how likely each of the means is behind each point under unit noise, `(points, means)`, rows of sum 1."""
    half = points @ means.T - 0.5 * np.square(means).sum(axis=1)
    shares: Doubles = softmax(half, axis=1)
    return shares


def ridge_weights(x: Doubles, y: NDArray[np.floating], ridge: float) -> Doubles:
    """Return W `(features, units)` that minimises |x W - y|^2 + ridge |W|^2, by the smaller of the two Gram matrices."""
    if len(x) < x.shape[1]:
        return np.asarray(x.T @ _solve(x @ x.T + ridge * np.eye(len(x)), y))
    return _solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ y)


def _solve(square: Doubles, goal: NDArray[np.floating]) -> Doubles:
    return np.linalg.solve(square, goal).astype(np.float64)


def _roots(square: Doubles) -> tuple[Doubles, Doubles]:
    """Return the root of a symmetric matrix and the inverse of that, with directions without variance left out."""
    values, vectors = np.linalg.eigh((square + square.T) / 2)
    kept = values > 1e-4 * values.max()
    root = np.sqrt(np.where(kept, values, 0.0))
    inverse = np.where(kept, 1 / np.where(kept, root, 1.0), 0.0)
    return (vectors * root) @ vectors.T, (vectors * inverse) @ vectors.T
