import math

import pytest

from tuning.spaces import coarse_space, fine_space


def test_coarse_ranges_are_the_ones_of_the_text_and_log_sampled():
    space = {parameter.name: parameter for parameter in coarse_space().space}
    assert (space["l2_weight"].min_value, space["l2_weight"].max_value) == (1e-5, 3e-2)
    assert (space["tv_weight"].min_value, space["tv_weight"].max_value) == (1e-6, 3e-2)
    middle = space["tv_weight"].prob_to_value(0.5)
    assert math.isclose(middle, math.sqrt(1e-6 * 3e-2), rel_tol=1e-6)  # the median of a log-uniform law


def test_fine_ranges_lie_within_half_and_one_and_a_half_times_the_best():
    best = {"l2_weight": 4.4323e-5, "tv_weight": 9.48785e-3}
    for parameter in fine_space(best).space:
        assert parameter.min_value == pytest.approx(0.5 * best[parameter.name])
        assert parameter.max_value == pytest.approx(1.5 * best[parameter.name])


def test_a_weight_outside_the_coarse_range_is_refused():
    with pytest.raises(ValueError, match=r"`best` must hold `tv_weight` between 1e-06 and 0.03; got 1.0"):
        fine_space({"l2_weight": 1e-4, "tv_weight": 1.0})
