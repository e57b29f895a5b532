"""A budget leaves out the costliest attacks first, says which, and what it once decided stays."""

import itertools
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from mi_keras.attacks.white_box import WhiteBox
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.contract import inspect
from mi_keras.auditing.cost import Chosen, choose, shares
from mi_keras.auditing.ladder import rungs
from mi_keras.auditing.options import Options
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.sizes import SIZES
from mi_keras.auditing.steps import later, measured, scored
from mi_keras.auditing.views import View
from mi_keras.experiments.store import Store
from mi_keras.progress import SilentProgress

SIZES_HERE = replace(SIZES["smoke"], epochs=3, channels=(4, 4, 4))


@pytest.fixture(scope="module")
def subject():
    image = keras.Input((16, 16, 1))
    hidden = keras.layers.Dense(6)(keras.layers.Flatten()(image))
    model = keras.Model(image, keras.layers.Dense(4, name="logits")(hidden))
    images = np.random.default_rng(0).integers(0, 256, (420, 16, 16, 1), np.uint8)
    return inspect(model, "small", images, Options(model_input="0..1", preset="smoke")).subjects[0]


def attacks(subject, root: Path, view: str = "logits"):
    bench = AuditBench(subject, Sent("logits", View(view)), Store(root), SilentProgress(), seed=1, fold=1)
    return rungs(bench, ("class", "unlimited"), SIZES_HERE)


def test_without_a_budget_everything_runs_and_nothing_is_measured(subject, tmp_path) -> None:
    rungs_here = attacks(subject, tmp_path)
    chosen = choose(rungs_here, budget=0)
    assert chosen.places == tuple(range(len(rungs_here)))
    assert chosen.seconds == 0
    assert not list((tmp_path / "stages").glob("audit_plan/*"))


@pytest.mark.slow
def test_a_large_budget_leaves_nothing_out_and_says_what_it_takes(subject, tmp_path) -> None:
    rungs_here = attacks(subject, tmp_path)
    chosen = choose(rungs_here, budget=60)
    assert chosen.places == tuple(range(len(rungs_here)))
    assert chosen.left_out == ()
    assert chosen.seconds > 0


def test_a_small_budget_leaves_out_the_networks_and_never_the_linear_map(subject, tmp_path) -> None:
    rungs_here = attacks(subject, tmp_path)
    chosen = choose(rungs_here, budget=1e-9)
    labels = [rung.label for rung in rungs_here]
    assert [labels[place] for place in chosen.places if rungs_here[place].adversary != "class"] == [
        "linear map"
    ]
    assert chosen.left_out == ("network, MSE", "network, 1 - SSIM")


@pytest.mark.slow
def test_of_two_networks_that_with_ssim_is_left_out_first(subject, tmp_path, monkeypatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("mi_keras.auditing.cost.time.perf_counter", lambda: float(next(ticks)))  # equal times
    rungs_here = attacks(subject, tmp_path)
    whole = choose(rungs_here, budget=60).seconds
    chosen = choose(rungs_here, budget=0.9 * whole / 60)
    assert chosen.left_out == ("network, 1 - SSIM",)


@pytest.mark.slow
def test_what_was_decided_for_a_point_stays(subject, tmp_path, monkeypatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("mi_keras.auditing.cost.time.perf_counter", lambda: float(next(ticks)))
    first = choose(attacks(subject, tmp_path), budget=60)
    assert first.left_out == ()
    assert set(first.costs) == {rung.label for rung in attacks(subject, tmp_path)}
    assert first.has_room_for(first.most - first.seconds)
    assert not first.has_room_for(first.most - first.seconds + 1)
    ticks = itertools.count(step=10**9)  # another hour, in which all takes longer
    assert choose(attacks(subject, tmp_path), budget=60) == first
    assert choose(attacks(subject, tmp_path, "probabilities"), budget=60).left_out


def test_folds_share_the_budget_of_a_point(subject, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("mi_keras.auditing.cost._cost", lambda *_: 1.0)
    assert [choose(attacks(subject, tmp_path), budget=2, folds=folds).most for folds in (1, 4)] == [120, 30]


def test_the_cost_of_an_attack_is_that_of_learning_and_of_each_side_it_draws(subject, tmp_path) -> None:
    *_, rung = attacks(subject, tmp_path)
    counts = {side: len(subject.sides[side].images) for side in ("choice", "attacked")}
    parts = shares(rung)
    assert sum(parts.values()) == pytest.approx(1)
    assert parts[""] == pytest.approx(1 / 1.1)
    assert parts["choice"] / parts["attacked"] == pytest.approx(counts["choice"] / counts["attacked"])
    white = WhiteBox(rung.attack, starts=2, weights=(1.0, 2.0), held_out=10)
    few = replace(rung, attack=white, bench=rung.bench.first(20))
    assert shares(few) == pytest.approx({"": 40 / 120, "choice": 40 / 120, "attacked": 40 / 120})


def test_stages_are_forecast_by_what_a_plan_has_measured(subject, tmp_path) -> None:
    rungs_here = attacks(subject, tmp_path)
    known = Chosen((), (), 0.0, {rung.label: 0.0 for rung in rungs_here} | {"network, MSE": 110.0}, 1e9)
    stages = list(scored([rungs_here]))
    found = measured([rungs_here], known)
    of_network = [stage for stage in stages if stage.key in found]
    assert {stage.kind for stage in of_network} == {"NetworkWithinClass.scored"}
    assert len(of_network) == 2
    assert found[of_network[0].upstream[0].key] == pytest.approx(100)
    assert sum(found.values()) == pytest.approx(110)
    assert later([known], 3, members=True, seeds=2) == (8, pytest.approx(330 + 110 / 30))
