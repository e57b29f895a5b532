"""Predicts a target's answers to images that were not queried, from the shadow models' answers to the same images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.alignment import ridge_weights
from mi_keras.types import Floats, Ints

Doubles = NDArray[np.float64]

RIDGES = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
FOLDS = 5
FEWEST = 2 * FOLDS  # answers from which a prediction is learned at all


@dataclass(frozen=True, eq=False)
class Imitation:
    """What a target would answer.

    Attributes:
        values: `(count, units)` for every image of the adversary: as answered where it was asked, else predicted.
        missed: `(units, units)` a factor F of the covariance F F^T of what predictions miss.
        asked: `(count,)` whether the target was asked.
    """

    values: Floats
    missed: Doubles
    asked: NDArray[np.bool_]

    def drawn(self, draw: np.random.Generator) -> Floats:
        """Return a draw of the answers, with what predictions miss added to them at random."""
        noise = draw.standard_normal(self.values.shape) @ self.missed.T
        noise[self.asked] = 0.0
        return (self.values + noise).astype(np.float32)


def imitate(features: Floats, classes: Ints, rows: Ints, answers: Floats) -> Imitation:
    """Predict answers from features by ridge regression, shared by the classes and then by class.

    The ridge is chosen, and what is missed estimated, on folds of the answers.

    Args:
        features: `(count, features)` of all images of the adversary, as shadow models answer them.
        classes: `(count,)` predicted classes.
        rows: which of them the target was asked about.
        answers: `(rows, units)` its answers, of about mean 0 within each class.

    Raises:
        ValueError: there are fewer answers than `FEWEST`.
    """
    if len(rows) < FEWEST:
        raise ValueError(f"`rows` must be at least {FEWEST}; got {len(rows)}.")
    asked = np.zeros(len(features), bool)
    asked[rows] = True
    x, of = features[rows].astype(np.float64), classes[rows]
    fold = np.arange(len(rows)) % FOLDS
    left = {ridge: np.empty(answers.shape) for ridge in RIDGES}
    for number in range(FOLDS):
        kept, out = fold != number, fold == number
        for ridge in RIDGES:
            weights = _by_class(x[kept], answers[kept], of[kept], ridge)
            left[ridge][out] = answers[out] - _predicted(x[out], of[out], weights)
    ridge = min(RIDGES, key=lambda each: float(np.square(left[each]).sum()))
    covariance = np.asarray(left[ridge].T @ left[ridge] / len(rows), np.float64)
    weights = _by_class(x, answers, of, ridge)
    values = _predicted(features.astype(np.float64), classes, weights)
    values[rows] = answers
    missed = np.asarray(np.linalg.cholesky(covariance + 1e-6 * np.eye(len(covariance))), np.float64)
    return Imitation(values.astype(np.float32), missed, asked)


def k_centre(points: Floats, count: int, *, seed: int) -> Ints:
    """Return `count` rows of `(rows, units)`, each the farthest from those chosen before it (Gonzalez 1985), in order."""
    if count >= len(points):
        return np.arange(len(points))
    chosen = [int(np.random.default_rng(seed).integers(len(points)))]
    nearest = np.full(len(points), np.inf)
    for _ in range(count - 1):
        nearest = np.minimum(nearest, np.square(points - points[chosen[-1]]).sum(axis=1))
        chosen.append(int(np.argmax(nearest)))
    return np.sort(np.array(chosen))


Weights = tuple[Doubles, dict[int, Doubles]]


def _by_class(x: Doubles, y: Any, classes: Ints, ridge: float) -> Weights:
    shared = ridge_weights(x, y, ridge)
    rest, own = y - x @ shared, {}
    for number in np.unique(classes):
        of = classes == number
        own[int(number)] = ridge_weights(x[of], rest[of], ridge)
    return shared, own


def _predicted(x: Doubles, classes: Ints, weights: Weights) -> Doubles:
    shared, own = weights
    found = x @ shared
    for number, change in own.items():
        of = classes == number
        found[of] += x[of] @ change
    return found
