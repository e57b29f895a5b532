"""Summaries over runs by hand, and the verdicts of section 5.2 on rows made for the purpose."""

import numpy as np
import pytest

from mi_keras.experiments.result import Row
from mi_keras.experiments.thesis.sec_5_2_input_combinations import PAPER, PRESETS, PUBLISHED, _claims
from mi_keras.settings import COMBINATIONS
from mi_keras.types import Scores


def row(name, *means, group="attack"):
    """A row whose two images score mean - 0.1 and mean + 0.1 in each run."""
    images = [np.array([mean - 0.1, mean + 0.1], np.float32) for mean in means]
    return Row(name, name.upper(), group, [Scores(ssim=values, mse=values / 10) for values in images])


def as_published(**changes):
    """Rows at the thesis's own means, in two runs that differ little."""
    means = {name: PUBLISHED[name].ssim[0] for name in COMBINATIONS} | changes
    rows = {name: row(name, mean - 0.001, mean + 0.001) for name, mean in means.items()}
    baselines = {"gradient_reconstruction": 0.2409, "class_average": 0.316, "class_prototype": 0.426}
    return rows | {name: row(name, mean, mean, group="baseline") for name, mean in baselines.items()}


def test_mean_and_sample_deviation_are_over_runs_not_over_images():
    summary = row("o", 0.2, 0.4).to_json()["ssim"]
    assert summary["mean"] == pytest.approx(0.3)
    assert summary["std"] == pytest.approx(np.sqrt(0.02))  # |0.2 - 0.3|^2 + |0.4 - 0.3|^2 over n - 1 = 1
    assert summary["n"] == 2
    assert row("o", 0.2, 0.4).to_json()["images"] == 2


def test_a_single_run_has_no_deviation():
    assert row("o", 0.2).to_json()["mse"] == {"mean": pytest.approx(0.02), "std": None, "n": 1}


def test_the_theses_own_numbers_satisfy_its_claims_and_not_ours():
    claims = _claims(as_published())
    assert [claim.holds for claim in claims] == [True, True, True, True, True, False]
    assert "+54.7 % (text: +54.73 %)" in claims[3].numbers
    assert "+62.2 % (text: +62.19 %)" in claims[4].numbers


def test_each_claim_can_fail():
    assert [c.holds for c in _claims(as_published(x=0.24))] == [False, False, True, False, True, False]
    assert not _claims(as_published(a=0.2))[2].holds
    assert not _claims(as_published(x=0.22))[4].holds
    assert _claims(as_published(x=0.5))[5].holds


def test_a_lead_smaller_than_the_spread_is_called_so():
    rows = as_published() | {"x": row("x", 0.20, 0.52), "o+x": row("o+x", 0.30, 0.41)}
    (claim,) = (claim for claim in _claims(rows) if "Adding" in claim.text)
    assert claim.holds
    assert "within the spread over runs" in claim.numbers
    assert "within the spread" not in _claims(as_published())[0].numbers


def test_what_was_not_run_is_not_judged():
    rows = {
        name: r
        for name, r in as_published().items()
        if name in ("o", "class_prototype", "gradient_reconstruction")
    }
    assert [claim.holds for claim in _claims(rows)] == [None, None, None, None, None, False]


def test_the_paper_preset_has_the_sizes_of_the_text():
    assert PRESETS["paper"] is PAPER
    assert PAPER.runs == 5
    assert (PAPER.data.train_per_class, PAPER.data.test_per_class) == (2000, 400)
    assert (PAPER.classifier.epochs, PAPER.inverter.epochs, PAPER.gradient.steps) == (20, 20, 400)
    assert (PAPER.gradient.l2_weight, PAPER.gradient.tv_weight) == (4.4323e-5, 9.48785e-3)
    assert PAPER.activation.threshold == 1.5
