"""The Bayes-optimal pick of an image from a noisy answer: no attack on noise of this distribution is right more often.

One of N equally likely images of a class was answered with Gaussian noise. An attacker that has the N images, the model
and the distribution of the noise picks the image with the nearest noiseless answer; no attack that sees the same answer
is right more often.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.metrics.retrieval import Chances
from mi_keras.types import Ints

LEAST_NOISE = 1e-12  # of the largest distance from the mean: as good as none
DRAWS = 32  # of the noise on each image; of a class with many candidates fewer
MANY = 1_000  # candidates
SAME = 1e-9  # of the same: answers nearer to each other are one answer


def optimal_picks(
    signals: NDArray[Any],
    noise: float,
    classes: Ints,
    groups: Ints,
    counted: NDArray[np.bool_],
    images: int,
    *,
    among: int,
    seed: int,
) -> NDArray[np.float64]:
    """Return how often the best possible attack picks each image, by Monte Carlo over the noise.

    With y = f(x) + noise, the posterior over candidates of equal prior is largest where |y - f| is smallest. With r of
    n others of the class nearer to y than the truth, the chance that none of them is among the N - 1 that were drawn is
    C(n - r, N - 1) / C(n, N - 1); answers that are equal are told apart by a fair draw.

    Args:
        signals: `(gallery, units)` noiseless answers, the attacked ones first.
        noise: standard deviation of the noise on each unit, independent and Gaussian, in 0..infinity.
        classes, groups: `(gallery,)` any whole numbers; others are of the same class and of another group.
        counted: `(gallery,)` which images have N - 1 others at least.
        images: how many are attacked.
        among: N.
        seed: of the draws.

    Returns:
        `(images,)` in [0, 1]; NaN where an image is not counted.
    """
    random = np.random.default_rng(seed)
    each = np.full(images, np.nan)
    for columns in of_classes(classes):
        rows = np.flatnonzero((columns < images) & counted[columns])
        if len(rows):
            picked = _picked(in_deviations(signals[columns], noise), rows, groups[columns], among, random)
            each[columns[rows]] = picked
    return each


def of_classes(classes: Ints) -> Iterator[Ints]:
    """Yield the positions of each class."""
    for number in np.unique(classes):
        yield np.flatnonzero(classes == number)


def in_deviations(signals: NDArray[Any], noise: float) -> NDArray[np.float64]:
    """Return answers less their mean in as few units as hold them, noise of deviation 1 on each.

    What is orthogonal to all candidates says nothing of them.
    """
    signals = np.asarray(signals, np.float64).reshape(len(signals), -1)
    signals = signals - signals.mean(axis=0)
    if signals.shape[1] > len(signals):
        values, vectors = np.linalg.eigh(signals @ signals.T)
        signals = vectors * np.sqrt(np.maximum(values, 0))
    least = LEAST_NOISE * float(np.abs(signals).max())  # none would make distances infinite
    return signals / max(noise, least, np.finfo(np.float64).tiny)


def _picked(
    units: NDArray[np.float64], rows: Ints, groups: Ints, among: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return how often each of some rows is picked among candidates `(candidates, units)`, noise of deviation 1."""
    size = float(np.linalg.norm(units, axis=1).max())
    squared = np.stack([np.square(units[row] - units).sum(axis=1) for row in rows])  # (rows, candidates)
    foreign = groups[rows][:, None] != groups
    equal = (squared <= (SAME * size) ** 2) & foreign
    ties, left = equal.sum(axis=1), foreign.sum(axis=1)
    chances, draws = Chances(len(units), among), DRAWS if len(units) <= MANY else DRAWS // 4
    total = np.zeros(len(rows))
    for _ in range(draws):
        along = random.standard_normal((len(rows), units.shape[1]))
        # |y - f_j|^2 - |y - f_i|^2 for y = f_i + noise
        behind = squared + 2 * (np.einsum("iu,iu->i", along, units[rows])[:, None] - along @ units.T)
        nearer = ((behind < 0) & foreign & ~equal).sum(axis=1)
        total += chances.found(nearer, ties, left)
    return total / draws
