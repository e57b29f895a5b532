"""Summaries over runs by hand, and the verdicts of section 5.2 on rows made for the purpose."""

import numpy as np
import pytest

from mi_keras.experiments.thesis.rows import Name
from mi_keras.experiments.thesis.sec_5_2_input_combinations import PAPER, PRESETS
from mi_keras.experiments.thesis.table_4 import ALONE, PUBLISHED
from mi_keras.experiments.thesis.table_4 import claims as _claims
from mi_keras.results import Row, Table, score_values
from mi_keras.results.claims import ahead, nearer, unchanged, within
from mi_keras.settings import COMBINATIONS
from mi_keras.types import Scores


def row(name, *means, group="attack"):
    """A row whose two images score mean - 0.1 and mean + 0.1 in each run."""
    images = [np.array([mean - 0.1, mean + 0.1], np.float32) for mean in means]
    values = score_values([Scores(ssim=values, mse=values / 10) for values in images])
    return Row(name, name.upper(), group, values, images=2)


def as_published(**changes):
    """Rows at the thesis's own means, in two runs that differ little."""
    means = {name: PUBLISHED[name].values["ssim"][0] for name in COMBINATIONS} | changes
    rows = {Name(name): row(name, mean - 0.001, mean + 0.001) for name, mean in means.items()}
    baselines = {ALONE: 0.2409, "class_average": 0.316, "class_prototype": 0.426}
    return rows | {Name(name): row(name, mean, mean, group="baseline") for name, mean in baselines.items()}


def test_mean_and_sample_deviation_are_over_runs_not_over_images():
    summary = row("o", 0.2, 0.4).to_json()["values"]["ssim"]
    assert summary["mean"] == pytest.approx(0.3)
    assert summary["std"] == pytest.approx(np.sqrt(0.02))  # |0.2 - 0.3|^2 + |0.4 - 0.3|^2 over n - 1 = 1
    assert summary["n"] == 2
    assert row("o", 0.2, 0.4).to_json()["images"] == 2


def test_where_nothing_differs_the_deviation_is_zero_and_no_rounding():
    """The mean of three times 0.1 is not 0.1 in binary."""
    assert row("o", 0.1, 0.1, 0.1).to_json()["values"]["ssim"]["std"] == 0.0


def test_a_single_run_has_no_deviation():
    assert row("o", 0.2).to_json()["values"]["mse"] == {"mean": pytest.approx(0.02), "std": None, "n": 1}


def test_the_theses_own_numbers_satisfy_its_claims_and_not_ours():
    claims = _claims(as_published())
    assert [claim.holds for claim in claims[:8]] == [True, True, True, True, True, None, None, False]
    assert [claim.holds for claim in claims[8:]] == [
        True,
        True,
        *[None] * 5,
    ]  # of its rows with A^L, in one reading
    assert "+54.7 %; text: +54.73 %" in claims[3].numbers
    assert "+62.2 %; text: +62.19 %" in claims[4].numbers


def test_each_claim_can_fail():
    """At 0.24 x loses to o+x, and is level with X~ alone (0.2409): runs that differ by 0.001 each way decide nothing."""
    assert [c.holds for c in _claims(as_published(x=0.24))][:5] == [False, False, True, None, True]
    assert _claims(as_published(a=0.2))[2].holds is False
    assert _claims(as_published(x=0.22))[4].holds is False
    assert _claims(as_published(x=0.5))[7].holds is True


def test_differences_are_taken_run_by_run():
    """Both rows vary by 0.2 between runs, and yet x is ahead by 0.01 in each of them: that is no coincidence."""
    rows = as_published() | {Name("x"): row("x", 0.31, 0.51), Name("o+x"): row("o+x", 0.30, 0.50)}
    claim = next(claim for claim in _claims(rows) if "Adding" in claim.text)
    assert claim.holds is True
    assert "difference +0.0100 ± 0.0000 within runs" in claim.numbers


def test_a_difference_smaller_than_its_spread_over_runs_decides_nothing():
    rows = as_published() | {Name("x"): row("x", 0.30, 0.45), Name("o+x"): row("o+x", 0.35, 0.30)}
    claim = next(claim for claim in _claims(rows) if "Adding" in claim.text)
    assert claim.holds is None
    assert "difference +0.0500 ± 0.1414 within runs" in claim.numbers  # -0.05 and 0.15


def test_a_single_run_decides_by_its_sign_and_says_so():
    rows = {name: row(name.method, r.mean("ssim"), group=r.group) for name, r in as_published().items()}
    assert _claims(rows)[0].holds is True
    assert "in a single run" in _claims(rows)[0].numbers


def test_what_was_not_run_is_not_judged():
    rows = {name: r for name, r in as_published().items() if name.method in ("o", "class_prototype", ALONE)}
    claims = _claims(rows)
    assert [claim.holds for claim in claims] == [*[None] * 7, False, *[None] * 7]
    assert claims[0].numbers == (
        "not measured in this run: M_I(X~), M_I(A^L), M_I(O + A^L), M_I(O + X~), M_I(A^L + X~), M_I(O + A^L + X~) "
        "(add x, a, o+a, o+x, a+x, o+a+x to `--set combinations=...`)"
    )
    (extracted,) = [c for c in claims if c.text == "Adding A^L to O lowers SSIM, own A^L extracted"]
    assert extracted.numbers == (
        "not measured in this run: M_I(O + A^L) with own ones extracted (add o+a to `--set extracted_combinations=...`)"
    )


@pytest.mark.parametrize(
    ("after", "holds"),
    [
        ((0.301, 0.399), True),  # differences +0.001, -0.001
        ((0.302, 0.404), True),  # +0.002, +0.004: 0.003 +- 0.0014 stays within 0.005
        ((0.304, 0.410), None),  # +0.004, +0.010: 0.007 +- 0.0042 reaches back across 0.005
        ((0.280, 0.385), False),  # -0.020, -0.015
    ],
)
def test_unchanged_means_within_the_margin_run_by_run(after, holds):
    rows = {"before": row("before", 0.30, 0.40), "after": row("after", *after)}
    claim = unchanged(rows, "No change", "after", "before", source="here")
    assert claim.holds is holds
    assert "equal means within 0.005" in claim.numbers


def test_a_difference_that_no_one_should_speak_of_decides_nothing():
    """However well it repeats: training the same thing again moves SSIM by as much."""
    rows = {name: row(name, mean, mean + 0.1) for name, mean in (("a", 0.304), ("b", 0.3), ("c", 0.294))}
    assert ahead(rows, "", "a", ["b"], source="").holds is None
    assert ahead(rows, "", "a", ["c"], source="").holds is True
    assert ahead(rows, "", "a", ["a"], source="").holds is None
    assert ahead(rows, "", "a", ["b"], source="", metric="mse").holds is None  # a tenth of it


def test_unchanged_judges_a_single_run_and_says_so():
    rows = {"before": row("before", 0.30), "after": row("after", 0.32)}
    claim = unchanged(rows, "No change", "after", "before", source="here")
    assert claim.holds is False
    assert "in a single run" in claim.numbers


def test_a_published_value_is_explained_within_a_margin_and_approached_by_more_than_is_negligible():
    rows = {name: row(name, mean) for name, mean in (("text", 0.40), ("more", 0.32), ("past", 0.203))}

    def explained(name, margin):
        return within(rows, "", name, 0.30, margin, source="", metric="ssim")

    assert [explained("more", margin).holds for margin in (0.03, 0.01)] == [True, False]
    assert "0.3 published, difference +0.0200" in explained("more", 0.03).numbers
    assert explained("less", 0.03).holds is None
    verdicts = [
        nearer(rows, "", name, other, 0.30, source="", metric="ssim").holds
        for name, other in (("more", "text"), ("text", "more"), ("past", "text"), ("less", "text"))
    ]
    assert verdicts == [True, False, None, None]


def test_a_table_says_what_its_columns_are():
    table = Table("table_4", "Table 4", "combination", ("ssim", "mse"), [row("o", 0.2)], "ssim").to_json()
    assert (table["file"], table["metrics"], table["best"]) == ("table_4", ["ssim", "mse"], "ssim")
    assert table["rows"][0]["values"]["ssim"]["n"] == 1


def test_the_paper_preset_has_the_sizes_of_the_text():
    assert PRESETS["paper"] is PAPER
    assert PAPER.runs == 5
    assert (PAPER.data.train_per_class, PAPER.data.test_per_class) == (2000, 400)
    assert (PAPER.classifier.epochs, PAPER.inverter.epochs, PAPER.gradient.steps) == (20, 20, 400)
    assert (PAPER.gradient.l2_weight, PAPER.gradient.tv_weight) == (4.4323e-5, 9.48785e-3)
    assert PAPER.activation.threshold == 1.5


@pytest.mark.parametrize(
    ("near", "far", "holds"),
    [
        (
            (0.28, 0.33),
            (0.15, 0.25),
            None,
        ),  # +0.02, +0.07 against the nearest; +0.15, +0.15 against the other
        ((0.28, 0.29), (0.15, 0.25), True),
        ((0.25, 0.45), (0.32, 0.36), None),  # neither is decided: the nearest is far ahead in one run only
        (
            (0.25, 0.55),
            (0.35, 0.44),
            False,
        ),  # the nearest of mean decides nothing, and the other is ahead in each run
        ((0.32, 0.43), (0.10, 0.20), False),
    ],
)
def test_a_row_is_ahead_of_all_or_behind_one_or_undecided(near, far, holds):
    rows = {"x": row("x", 0.30, 0.40), "near": row("near", *near), "far": row("far", *far)}
    if holds is None and near == (0.28, 0.33):
        rows["near"] = row("near", 0.22, 0.42)
    claim = ahead(rows, "Best", "x", ["far", "near"], source="here")
    assert claim.holds is holds
    assert "NEAR: " in claim.numbers
    assert "FAR: " in claim.numbers  # two others are both named
    below = {name: row(name, *(1 - value for value in each.values["ssim"])) for name, each in rows.items()}
    assert ahead(below, "Least", "x", ["far", "near"], source="here", sign=-1).holds is holds


def test_of_many_others_the_one_that_decides_is_named():
    rows = {name: row(name, mean, mean) for name, mean in (("x", 0.3), ("a", 0.1), ("b", 0.4), ("c", 0.2))}
    assert ahead(rows, "Best", "x", ["a", "b", "c"], source="here").numbers.startswith(
        "X: 0.3000 against B: 0.4000"
    )
    del rows["b"]
    rows["d"] = row("d", 0.05, 0.05)
    assert ahead(rows, "Best", "x", ["a", "c", "d"], source="here").numbers.startswith(
        "X: 0.3000 against C: 0.2000"
    )
