"""Limits of all attacks on noise with a known distribution: the Bayes-optimal pick, and an information bound.

Both are about the same task: one of N equally likely images of a class was answered with Gaussian noise; which one? An
attacker that has the N images, the model and the distribution of the noise picks the image with the nearest noiseless
answer; no attack on the same answer is right more often. No attack is trained for this, so it holds for untried ones
too.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from mi_keras.auditing.intervals import Doubles, Estimate, group_means, jackknife, share
from mi_keras.auditing.ranks import count_others
from mi_keras.metrics.optimal_pick import in_deviations, of_classes, optimal_picks
from mi_keras.types import Ints


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
    each = optimal_picks(signals, noise, classes, groups, others >= among - 1, images, among=among, seed=seed)
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
    for columns in of_classes(classes):
        attacked = int(np.count_nonzero((columns < images) & (others[columns] >= among - 1)))
        if attacked:
            spread = np.square(np.linalg.svd(in_deviations(signals[columns], noise), compute_uv=False))
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
