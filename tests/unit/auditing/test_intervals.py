"""Intervals against Student's, the exact binomial limits and simulated means."""

import numpy as np
import pytest
from scipy import stats

from mi_keras.auditing.intervals import (
    Estimate,
    Spread,
    difference,
    group_means,
    jackknife,
    one_less_ratio,
    plain_mean,
    share,
)


def test_a_mean_has_students_interval() -> None:
    values = np.random.default_rng(0).uniform(size=50)  # flat: kurtosis 1.8 leaves all degrees
    spread = jackknife((values.sum() - values) / 49)
    estimate = plain_mean(values.mean(), spread, 50, 50)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))
    assert estimate.upper == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval(0.90).high)
    assert estimate.floor == pytest.approx(stats.ttest_1samp(values, 0).confidence_interval(0.998).low)


@pytest.mark.parametrize("groups", [2, 40, 400])
def test_all_or_none_has_the_exact_limits(groups: int) -> None:
    for found in (0, groups):
        estimate = share(found / groups, Spread(0.0, groups - 1), groups, groups)
        test = stats.binomtest(found, groups)
        # the two-sided interval of Clopper and Pearson has 2.5 % on each side also at an end
        expected = test.proportion_ci(0.95, method="exact")
        assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))
        one_sided = stats.binomtest(found, groups, alternative="less").proportion_ci(0.95, method="exact")
        assert estimate.upper == pytest.approx(one_sided.high)


def test_a_share_stays_inside_and_near_the_middle_is_students() -> None:
    wide = share(0.97, Spread(0.05, 39), 100, 40)
    assert 0 < wide.floor < wide.low < 0.97 < wide.upper < wide.high < 1
    narrow = share(0.5, Spread(0.001, 39), 100, 40)
    assert narrow.high - 0.5 == pytest.approx(0.001 * stats.t.ppf(0.975, 39), rel=1e-4)
    several = share(0.5, Spread(0.001, 39), 100, 40, comparisons=5)
    assert several.high - 0.5 == pytest.approx(0.001 * stats.t.ppf(0.995, 39), rel=1e-4)


def test_a_ratio_is_symmetric_in_its_logarithm() -> None:
    estimate = one_less_ratio(0.8, Spread(0.1, 30), 100, 31)
    assert (1 - estimate.low) * (1 - estimate.high) == pytest.approx(0.8**2)
    assert np.log((1 - estimate.low) / 0.8) == pytest.approx(stats.t.ppf(0.975, 30) * 0.1 / 0.8)
    assert estimate.low < estimate.value < estimate.upper < estimate.high
    perfect = one_less_ratio(0.0, Spread(0.0, 30), 100, 31)
    assert (perfect.low, perfect.value, perfect.high) == (1, 1, 1)


@pytest.mark.parametrize(
    ("values", "degrees"),
    [
        (np.repeat([0.0, 1.0], 20), 39),  # kurtosis 1
        (np.repeat([0.0, 1.0], [38, 2]), 2 * 40 / (1 / (0.05 * 0.95) - 4) / 0.5),  # kurtosis - 1 = skewness^2
        (np.repeat([0.0, 1.0], [399, 1]), 2 * 400 / (400**2 / 399 - 4) / 0.5),
        (np.r_[np.zeros(398), 1.0, -1.0], 2 * 400 / 199),  # kurtosis 200 and no skewness
        (np.r_[np.zeros(98), 1.0, -1.0], 2 * 100 / 49),
        (np.full(40, 0.3), 39),
    ],
)
def test_degrees_are_what_the_kurtosis_leaves(values: np.ndarray, degrees: float) -> None:
    spread = jackknife((values.sum() - values) / (len(values) - 1))
    assert spread.degrees == pytest.approx(degrees)
    assert spread.error == pytest.approx(np.std(values, ddof=1) / np.sqrt(len(values)), abs=1e-12)


def test_variances_of_attacked_and_other_groups_add() -> None:
    replicates = np.array([0.1, 0.2, 0.4, 0.5, 0.55])
    attacked = np.array([True, True, True, False, False])
    both = jackknife(replicates, attacked).error
    first, second = jackknife(replicates[:3]).error, jackknife(replicates[3:]).error
    assert both == pytest.approx(np.hypot(first, second))


def test_group_means_leave_out_what_is_not_there() -> None:
    means = group_means(np.array([1.0, np.nan, 3.0, np.nan]), np.array([0, 0, 0, 2]), 3)
    np.testing.assert_array_equal(means, [2.0, np.nan, np.nan])


def test_difference_of_symmetric_intervals_is_that_of_independent_errors() -> None:
    first = Estimate(0.5, 0.2, 0.8, 0.75, 100, 50, 0.0)
    second = Estimate(0.3, -0.1, 0.7, 0.6, 80, 40, -0.4)
    apart = difference(first, second)
    assert apart.value == pytest.approx(0.2)
    assert (apart.low, apart.high) == pytest.approx((0.2 - 0.5, 0.2 + 0.5))  # 0.3 and 0.4 at right angles
    assert apart.floor == pytest.approx(0.2 - np.hypot(0.5, 0.4))
    assert (apart.n, apart.groups) == (180, 90)
