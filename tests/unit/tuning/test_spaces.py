import math

import pytest

from mi_keras.tuning.spaces import coarse_space, decoder_space, fine_space, inverter_space


def by_name(space):
    return {parameter.name: parameter for parameter in space.space}


def test_coarse_ranges_are_the_ones_of_the_text_and_log_sampled():
    space = by_name(coarse_space())
    assert (space["l2_weight"].min_value, space["l2_weight"].max_value) == (1e-5, 3e-2)
    assert (space["tv_weight"].min_value, space["tv_weight"].max_value) == (1e-6, 3e-2)
    middle = space["tv_weight"].prob_to_value(0.5)
    assert math.isclose(middle, math.sqrt(1e-6 * 3e-2), rel_tol=1e-6)  # the median of a log-uniform law


def test_fine_ranges_lie_within_half_and_one_and_a_half_times_the_best():
    best = {"l2_weight": 4.4323e-5, "tv_weight": 9.48785e-3}
    space = by_name(fine_space(best))
    assert space.keys() == best.keys()
    for parameter in space.values():
        assert parameter.min_value == pytest.approx(0.5 * best[parameter.name])
        assert parameter.max_value == pytest.approx(1.5 * best[parameter.name])
        assert parameter.sampling == "log"


def test_a_weight_outside_the_coarse_range_is_refused():
    with pytest.raises(ValueError, match=r"`best` must hold `tv_weight` between 1e-06 and 0.03; got 1.0"):
        fine_space({"l2_weight": 1e-4, "tv_weight": 1.0})


def test_the_spaces_of_models_hold_what_their_documentation_names():
    inverter, decoder = by_name(inverter_space()), by_name(decoder_space())
    assert set(inverter) == {"learning_rate", "dropout", "width", "input_noise"}
    assert math.isclose(inverter["learning_rate"].prob_to_value(0.5), math.sqrt(1e-4 * 3e-3), rel_tol=1e-6)
    assert list(inverter["width"].values) == [0.5, 1.0, 2.0]
    assert (inverter["input_noise"].min_value, inverter["input_noise"].max_value) == (0.0, 0.5)
    assert (inverter["dropout"].min_value, inverter["dropout"].max_value) == (0.0, 0.6)
    assert set(decoder) == {"learning_rate", "batch_size", "mse_weight"}
    assert math.isclose(decoder["learning_rate"].prob_to_value(0.5), math.sqrt(3e-4 * 1e-2), rel_tol=1e-6)
    assert list(decoder["batch_size"].values) == [8, 16, 32]
    assert math.isclose(decoder["mse_weight"].prob_to_value(0.5), 5.0, rel_tol=1e-6)
