"""Defences of `beyond`: what is tried, what noise leaves to the best possible attack, and verdicts on numbers that are known."""

from dataclasses import replace

import numpy as np
import pytest

from mi_keras.auditing.verdict import Tolerance
from mi_keras.defenses.answers import Noise
from mi_keras.errors import InputError
from mi_keras.experiments.beyond import defence_tables, sec_defences, sizes
from mi_keras.experiments.beyond.defended import defences
from mi_keras.experiments.beyond.optimal import optimal_pick
from mi_keras.experiments.beyond.sec_defences import _enough, _none_above
from mi_keras.results import Row
from mi_keras.settings import FOUND_TOLERATED
from tests.unit.experiments import tiny
from tests.unit.experiments.beyond.test_bench import make_benches


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("hardened_bank", 11, "`hardened_bank` must be between 2 and 10; got 11"),
        ("deviations", (0.0,), "`deviations` must be a positive finite number; got 0.0"),
        ("deviations", (), "`deviations` must name each once, at least one"),
        ("sends", (1, 1), "`sends` must name each once, at least one"),
        ("sends", (0,), "`sends` must be between 1 and"),
        ("decimals", 8, "`decimals` must be between 0 and 7; got 8"),
        ("share_decimals", -1, "`share_decimals` must be between 0 and 7; got -1"),
        ("distilled_decimals", 1.5, "`distilled_decimals` must be a whole number; got 1.5"),
        ("hardened_epochs", 0, "`hardened_epochs` must be between 1 and"),
        ("temperature", 0.0, "`temperature` must be a positive finite number; got 0.0"),
        ("smoothing", (0.1, 1.0), "`smoothing` must be >= -1 and < 1, and not 0; got 1.0"),
        ("smoothing", (0.0,), "`smoothing` must be >= -1 and < 1, and not 0; got 0.0"),
        ("tolerance", 0.95, "`tolerance` must be > 0 and < 0.9; got 0.95"),
    ],
)
def test_what_cannot_be_meant_is_refused(key, value, message):
    with pytest.raises(InputError, match=message):
        replace(sec_defences.PAPER, **{key: value})


def test_more_values_than_classes_are_refused_before_anything_is_trained():
    splits = tiny.make_splits()  # of three classes
    check = sec_defences.SECTION.check
    check(sec_defences.PAPER, splits)
    with pytest.raises(InputError, match="`top` must be at most the number of classes, 3; got 4"):
        check(replace(sec_defences.PAPER, top=4), splits)


def test_who_averages_meets_less_noise_and_who_asks_once_all_of_it():
    found = defences(replace(sec_defences.PAPER, deviations=(4.0,), sends=(1, 100)))
    assert found["noise=4/1"].defense == found["noise=4/1"].once == Noise(4.0)
    assert found["noise=4/100"].defense == Noise(0.4)
    assert found["noise=4/100"].once == Noise(4.0)
    assert found["noise=4/100"].words == "noise of deviation 4, 100 sends averaged"


def test_tables_and_figures_have_the_noise_that_is_met():
    config = replace(sec_defences.PAPER, deviations=(4.0, 1.0), sends=(1, 100))
    met = sec_defences.levels(config)
    assert met == pytest.approx({"noise=4/1": 4, "noise=4/100": 0.4, "noise=1/1": 1, "noise=1/100": 0.1})
    assert {name: found.defense.deviation for name, found in defences(config).items() if name in met} == met
    _, sweep = defence_tables.pictures(config, [])[:2]
    assert sweep.ticks == ["0", "0.1", "0.4", "1", "4"]


def test_chance_and_tolerance_are_those_of_the_bench_and_of_the_audit():
    assert sec_defences.CHANCE == 1 / sizes.AMONG
    assert sec_defences.PAPER.tolerance == Tolerance().found == FOUND_TOLERATED


def test_models_that_are_trained_anew_are_compared_with_a_bank_as_small():
    few = defences(sec_defences.PRESETS["quick"])
    assert {name: each.bank for name, each in few.items() if each.bank != 10} == dict.fromkeys(
        ("none_few", "smoothing=0.1", "smoothing=-0.05", "distilled"), 3
    )
    assert "none_few" not in defences(sec_defences.PAPER)  # there it would be the same row


def test_the_best_possible_pick_is_sure_without_noise_and_by_chance_in_much_of_it(tmp_path, monkeypatch):
    bench = make_benches(tmp_path)[0]
    logits = np.zeros((60, 3), np.float32)
    logits[:, 0], logits[:, 1] = 9.0, np.arange(60) / 10  # one class; the second logit tells images apart
    stage = optimal_pick(bench, (0.0, 0.5, 1e4), 0.3)
    monkeypatch.setattr(type(stage.upstream[0]), "arrays", property(lambda _: {"output_vector": logits}))
    arrays, info = stage.compute(None)
    sure, some, none = arrays["picked"]
    assert sure == 1
    assert none == pytest.approx(0.1, abs=0.03)
    assert none < some < sure
    again = optimal_pick(bench, (info["needed"],), 0.3).compute(None)[0]["picked"]
    assert again == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(
    ("size", "most"), [(9, 0.3), (60, 0.05)], ids=["classes are too small", "below chance"]
)
def test_where_no_noise_is_known_to_be_enough_nothing_is_claimed(tmp_path, monkeypatch, size, most):
    bench = make_benches(tmp_path)[0]
    logits = np.zeros((size, 3), np.float32)
    logits[:, 0], logits[:, 1] = 9.0, np.arange(size) / 10
    stage = optimal_pick(bench, (1.0,), most)
    monkeypatch.setattr(type(stage.upstream[0]), "arrays", property(lambda _: {"output_vector": logits}))
    assert stage.compute(None)[1] == {"needed": None}


@pytest.mark.parametrize(
    ("needed", "holds"), [([2.0, 3.0], True), ([2.0, 5.0], False), ([2.0, None], None), ([None, None], None)]
)
def test_noise_is_enough_where_it_is_on_every_target_and_undecided_where_one_is_unknown(needed, holds):
    claim = _enough(sec_defences.PAPER, 4.0, needed)
    assert claim.holds is holds
    assert ("classes are too small" in claim.numbers) is (holds is None)


def picks(found):
    best = np.array([0.30, 0.32, 0.31, 0.29, 0.30])
    values = {"found_10": best, "found_shadow": best - 0.1, "found_answers": best + np.array(found)}
    return {"noise": Row("noise", "noise", "defense", values)}


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        ((-0.02, -0.03, -0.02, -0.01, -0.02), True),
        ((0.01, -0.02, 0.02, -0.01, 0.01), True),  # above by chance
        ((0.03, 0.035, 0.03, 0.04, 0.03), False),
    ],
)
def test_an_attack_above_the_best_possible_one_by_more_than_its_interval_breaks_the_claim(found, holds):
    assert _none_above(picks(found)).holds is holds
