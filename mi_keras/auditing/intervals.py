"""Estimates over groups of images with their intervals: delete-one-group jackknife on a scale that fits the number.

Why not value +- t x error with Student's t: near its ends a share is skewed, and its error comes out small just where
the share does. With 40 groups whose values are as by chance (mean 0.1, skewness 2.5) that covers 91 % at a nominal
95 %, and with two-valued ones of mean 0.95 it covers 87 %; on the scale log(p / (1 - p)) it is 94 and 95 %. Rare large
values also make the error itself uncertain: the degrees of t are what their kurtosis leaves. Corrections of
the skewness by its own estimate (Hall 1992, BCa) are too noisy: 98 % in mixtures of images found always and by chance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, stdtrit

from mi_keras.types import Ints

Doubles = NDArray[np.float64]

# Degrees of freedom of a variance over G groups of kurtosis k: Var(s^2) / s^4 = (k - 1) / G makes them 2 G / (k - 1)
# (Satterthwaite 1946), which is G for normal values. Given the mean, skewness g takes g^2 off: two-valued numbers, with
# k - 1 = g^2, have an error that the mean settles, and the scale follows it. Over some 40 simulated designs half of g^2 is
# what covers: without it 97.7 % in mixtures of images found always and by chance, with all of it 92 % for an AUC of
# 0.98 over 40 unequal groups. At most G - 1 degrees are used; they are never below 4 but for fewer groups.
SETTLED = 0.5
LARGEST_LOG = 50.0  # of a ratio: two groups have tails without end, and a report has no infinite numbers
LEVELS = (0.025, 0.975, 0.95, 0.001)  # one-sided, of an estimate's low, high, upper and floor


@dataclass(frozen=True)
class Estimate:
    """A number over images, averaged over groups, with its interval.

    Attributes:
        value: the estimate.
        low: lower end of the two-sided 95 % interval.
        high: its upper end.
        upper: the one-sided 95 % upper bound.
        n: images it is over.
        groups: groups it is over.
        floor: the one-sided 99.9 % lower bound, at which controls are tested.
    """

    value: float
    low: float
    high: float
    upper: float
    n: int
    groups: int
    floor: float


@dataclass(frozen=True)
class Spread:
    """The standard error of an estimate, and the degrees of freedom with which it is known."""

    error: float
    degrees: float


def share(value: float, spread: Spread, n: int, groups: int, *, comparisons: int = 1) -> Estimate:
    """Return a share in [0, 1] with its interval on the scale log(p / (1 - p)), so that it stays inside.

    A share of 0 or 1 has no error to estimate: every group gave the same. Then the exact limits of 0 (or all) of
    `groups` binomial draws hold (Clopper and Pearson 1934): 0 of 40 groups may still be 7 %.

    Args:
        value: the share, of which the groups' mean is taken.
        spread: its standard error.
        n: images.
        groups: groups, at least 2.
        comparisons: estimates among which this one was chosen; the interval is widened by Bonferroni's rule.
    """
    if value <= 0:
        return _estimate(
            value, lambda p: 0.0 if p < 0.5 else 1 - (1 - p) ** (1 / groups), n, groups, comparisons
        )
    if value >= 1:
        return _estimate(value, lambda p: p ** (1 / groups) if p < 0.5 else 1.0, n, groups, comparisons)
    scaled = spread.error / (value * (1 - value))
    return _estimate(
        value, lambda p: expit(logit(value) + stdtrit(spread.degrees, p) * scaled), n, groups, comparisons
    )


def one_less_ratio(ratio: float, spread: Spread, n: int, groups: int) -> Estimate:
    """Return 1 - ratio of two positive means with its interval on the ratio's logarithm: at most 1, no lower end."""
    scaled = spread.error / ratio if ratio > 0 else 0.0
    # a high ratio is a low estimate, hence the minus
    return _estimate(
        1 - ratio,
        lambda p: 1 - ratio * np.exp(np.minimum(-stdtrit(spread.degrees, p) * scaled, LARGEST_LOG)),
        n,
        groups,
    )


def plain_mean(value: float, spread: Spread, n: int, groups: int) -> Estimate:
    """Return a mean of differences with Student's interval."""
    return _estimate(value, lambda p: value + stdtrit(spread.degrees, p) * spread.error, n, groups)


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Return first - second of two independent estimates, from the ends of their intervals (Zou and Donner 2008).

    The upper bounds take the two-sided lower end of `second`, so that they are a little wide. Shared distractors
    make the two positively dependent, which makes the interval wide as well.
    """
    value = first.value - second.value

    def above(end: float) -> float:
        return float(value + np.hypot(end - first.value, second.value - second.low))

    return Estimate(
        value,
        float(value - np.hypot(first.value - first.low, second.high - second.value)),
        above(first.high),
        above(first.upper),
        first.n + second.n,
        first.groups + second.groups,
        float(value - np.hypot(first.value - first.floor, second.high - second.value)),
    )


def jackknife(replicates: Doubles, attacked: NDArray[np.bool_] | None = None) -> Spread:
    """Return the spread of a number from its values without each group.

    Groups that were attacked and groups that only stand among the choices are two samples; their variances add.

    Args:
        replicates: `(groups,)` the number without each group.
        attacked: `(groups,)` whether the number is averaged over the group's images; all if None.
    """
    attacked = np.ones(len(replicates), bool) if attacked is None else attacked
    samples = [sample for sample in (replicates[attacked], replicates[~attacked]) if len(sample) > 1]
    error = np.sqrt(sum((len(sample) - 1) * np.var(sample) for sample in samples))
    away = replicates[attacked] - replicates[attacked].mean()
    variance, count = np.mean(away**2), len(away)
    if variance <= 0:
        return Spread(float(error), count - 1)
    kurtosis, skewness = np.mean(away**4) / variance**2, np.mean(away**3) / variance**1.5
    excess = kurtosis - 1 - SETTLED * skewness**2  # kurtosis is at least 1 + the square of skewness
    degrees = 2 * count / excess if excess > 0 else np.inf
    return Spread(float(error), float(min(degrees, count - 1)))


def group_means(values: Doubles, groups: Ints, count: int) -> Doubles:
    """Return `(count,)` means of `values` by group number, NaN for groups without a number: NaN values are left out."""
    there = ~np.isnan(values)
    sums = np.bincount(groups[there], values[there], count)
    sizes = np.bincount(groups[there], minlength=count)
    return np.divide(sums, sizes, out=np.full(count, np.nan), where=sizes > 0)


def group_average(values: NDArray[Any], groups: Ints) -> float:
    """Return the mean over groups of their means, NaN without a number: NaN values are left out."""
    _, of_group = np.unique(groups, return_inverse=True)
    means = group_means(np.asarray(values, np.float64), of_group, int(of_group.max()) + 1)
    there = ~np.isnan(means)
    return float(means[there].mean()) if there.any() else float("nan")


def _estimate(
    value: float, bound: Callable[[float], float], n: int, groups: int, comparisons: int = 1
) -> Estimate:
    """Fill an estimate from its bound at each one-sided level."""
    low, high, upper, floor = (
        float(bound(p / comparisons if p < 0.5 else 1 - (1 - p) / comparisons)) for p in LEVELS
    )
    return Estimate(float(value), low, high, upper, n, groups, floor)
