"""What noise of known form leaves to the best possible attack: the Bayes-optimal pick, and a bound by information.

Both are of one game: of N images of a class, each as likely as the others, one was sent with Gaussian noise. Who holds
the N images, the model and the noise picks the one whose noiseless answer is nearest; no attack that sees the same
answer is right more often. That takes no attack to be trained, so that it holds for those that nobody has tried.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from mi_keras.auditing.intervals import Doubles, Estimate, group_means, jackknife, share
from mi_keras.auditing.ranks import Chances, count_others
from mi_keras.types import Ints

LEAST_NOISE = 1e-12  # of the largest distance from the mean: as good as none
DRAWS = 32  # of the noise on each image; of a class with many candidates fewer
MANY = 1_000  # candidates
SAME = 1e-9  # of the same: answers nearer to each other are one answer


def bayes_pick(
    signals: NDArray[Any],
    noise: float,
    classes: Ints,
    groups: Ints,
    images: int,
    *,
    among: int = 10,
    seed: int,
) -> Estimate | None:
    """Return how often the best possible attack picks the image, by Monte Carlo over the noise.

    With y = f(x) + noise, the posterior over candidates of equal prior is largest where |y - f| is smallest. With r of
    n others of the class nearer to y than the truth, the chance that none of them is among the N - 1 that were drawn is
    C(n - r, N - 1) / C(n, N - 1); answers that are equal are told apart by a fair draw. Others are of other groups; who
    knows which images are of one group might do a little better, where groups have several images.

    Args:
        signals: `(gallery, units)` noiseless answers, the attacked ones first.
        noise: standard deviation of the noise on each unit, independent and Gaussian, in 0..infinity.
        classes, groups: `(gallery,)` any whole numbers.
        images: how many are attacked.
        among: N.
        seed: of the draws.

    Returns:
        The share, averaged over groups; its interval is over the attacked images, their candidates as they are. None
        with images of fewer than two groups in classes of N.
    """
    groups = np.unique(groups, return_inverse=True)[1]
    others = count_others(classes, groups)
    random = np.random.default_rng(seed)
    each = np.full(images, np.nan)
    for columns in _of_classes(classes):
        rows = np.flatnonzero((columns < images) & (others[columns] >= among - 1))
        if len(rows):
            picked = _picked(_units(signals[columns], noise), rows, groups[columns], among, random)
            each[columns[rows]] = picked
    means = group_means(each, groups[:images], int(groups.max()) + 1)
    means = means[~np.isnan(means)]
    if len(means) < 2:
        return None
    spread = jackknife((means.sum() - means) / (len(means) - 1))
    return share(float(means.mean()), spread, int(np.count_nonzero(~np.isnan(each))), len(means))


def fano_pick(
    signals: NDArray[Any], noise: float, classes: Ints, groups: Ints, images: int, *, among: int = 10
) -> float | None:
    """Return a share that no attack's picks are above, from the information that passes the noise.

    The noisy answer says at most I = 1/2 log det(1 + S / noise^2) nats of which of N images was sent, S the covariance
    of their answers by 1/N; a pick that is right with chance p needs kl(p || 1/N) nats (Fano). S of N that are drawn
    from a class is on average (N - 1) / N times the class's covariance by 1/(n - 1); log det is concave and kl convex, so
    that averages of N images, and of classes by their attacked images, keep the bound. It is loose: noise is spent on
    every unit, and I is capped by log N.

    Args, Returns:
        As of `bayes_pick`, for images drawn from the whole gallery; None without a class of N.
    """
    others = count_others(classes, np.unique(groups, return_inverse=True)[1])
    total, weight = 0.0, 0
    for columns in _of_classes(classes):
        attacked = int(np.count_nonzero((columns < images) & (others[columns] >= among - 1)))
        if attacked:
            spread = np.square(np.linalg.svd(_units(signals[columns], noise), compute_uv=False))
            scale = (among - 1) / among / (len(columns) - 1)
            total += attacked * min(information(scale * spread), float(np.log(among)))
            weight += attacked
    return most_picked(total / weight, among) if weight else None


def information(ratios: Doubles) -> float:
    """Return 1/2 log det(1 + S / noise^2) in nats, from the eigenvalues of S / noise^2."""
    return 0.5 * float(np.log1p(ratios).sum())


def most_picked(nats: float, among: int) -> float:
    """Return the largest p with kl(p || 1/N) <= `nats`, in 1/N..1.

    kl(p || q) = p log(p / q) + (1 - p) log((1 - p) / (1 - q)).
    """
    chance = 1 / among
    if nats >= np.log(among):
        return 1.0

    def over(p: float) -> float:
        rest = (1 - p) * np.log((1 - p) / (1 - chance)) if p < 1 else 0.0
        return float(p * np.log(p / chance) + rest - nats)

    return float(brentq(over, chance, 1.0)) if nats > 0 else chance


def _of_classes(classes: Ints) -> Iterator[Ints]:
    for number in np.unique(classes):
        yield np.flatnonzero(classes == number)


def _units(signals: NDArray[Any], noise: float) -> Doubles:
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


def _picked(units: Doubles, rows: Ints, groups: Ints, among: int, random: np.random.Generator) -> Doubles:
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
