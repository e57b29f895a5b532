"""The search over closed forms: its optimum, its law, its resume, and what becomes of trials that fail."""

import json
import logging
import math
import signal
import subprocess
import sys

import keras_tuner
import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.seeds import derive
from mi_keras.tuning.spaces import RANGES, coarse_space, fine_space, inverter_space
from mi_keras.tuning.trials import Trial, best_trial
from mi_keras.tuning.tuner import SsimSearch, search, trial_scores

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner.*")
OPTIMUM = {"l2_weight": 1e-3, "tv_weight": 1e-4}


def bell(values):
    """1 at the optimum, falling with the distance in decades."""
    distance = sum(math.log10(values[name] / OPTIMUM[name]) ** 2 for name in OPTIMUM)
    return {"ssim": math.exp(-distance / 4), "mse": distance}


def run(folder, evaluate=bell, *, space=None, trials=6, seed=7, **options):
    return search(
        space or coarse_space(), evaluate, folder=folder, name="coarse", trials=trials, seed=seed, **options
    )


def project(folder):
    """Status and score of every trial in keras-tuner's own files."""
    files = sorted((folder / "coarse").glob("trial_*/trial.json"))
    return [(entry["status"], entry["score"]) for entry in map(json.loads, (f.read_text() for f in files))]


def test_coarse_and_fine_find_a_known_optimum_and_every_trial_is_completed(tmp_path):
    coarse = run(tmp_path, trials=40)
    best = best_trial(coarse)
    fine = search(
        fine_space(best.values), bell, folder=tmp_path, name="fine", trials=20, seed=8, candidates=[best]
    )
    found = best_trial(fine)
    assert found.scores["ssim"] > max(0.95, best.scores["ssim"] - 1e-12)
    for name, value in OPTIMUM.items():
        assert abs(math.log10(found.values[name] / value)) < 0.5
    assert project(tmp_path) == [("COMPLETED", trial.scores["ssim"]) for trial in coarse]
    assert [trial.number for trial in coarse] == list(range(1, 41))


def test_a_seed_gives_the_same_trials_again_and_another_seed_others(tmp_path):
    first, again = run(tmp_path / "a"), run(tmp_path / "b")
    other = run(tmp_path / "c", seed=8)
    assert first == again
    assert not {tuple(trial.values.values()) for trial in first} & {
        tuple(trial.values.values()) for trial in other
    }


def test_values_lie_in_their_ranges_and_are_log_uniform(tmp_path):
    trials = run(tmp_path, trials=60, seed=derive(1, "search", "coarse"))
    for name, (low, high) in RANGES.items():
        values = np.sort([trial.values[name] for trial in trials])
        assert low <= values[0]
        assert values[-1] <= high
        uniform = np.log(values / low) / math.log(high / low)
        distance = np.abs(uniform - (np.arange(60) + 0.5) / 60).max()
        assert distance < 1.95 / math.sqrt(60)  # the bound of Kolmogorov and Smirnov at 0.1 %
    columns = np.log([list(trial.values.values()) for trial in trials])
    assert abs(np.corrcoef(columns.T)[0, 1]) < 3.3 / math.sqrt(60)


def test_a_candidate_competes_and_is_not_run_again(tmp_path):
    calls = []
    known = Trial(3, {"l2_weight": 1.0, "tv_weight": 1.0}, {"ssim": 2.0, "mse": 0.0})
    trials = run(tmp_path, lambda values: calls.append(values) or bell(values), candidates=[known])
    assert trials[0] is known
    assert len(trials) == 7
    assert best_trial(trials) is known
    assert [dict(trial.values) for trial in trials[1:]] == calls


CHILD = """
import os, signal, sys
from pathlib import Path
from mi_keras.tuning.spaces import coarse_space
from mi_keras.tuning.tuner import search

folder, calls = Path(sys.argv[1]), Path(sys.argv[2])

def evaluate(values):
    with open(calls, "a") as file:
        file.write(f"{values['l2_weight']!r}\\n")
    if len(calls.read_text().split()) == 4:
        os.kill(os.getpid(), signal.SIGKILL)  # in the middle of the fourth trial
    return {"ssim": values["l2_weight"], "mse": 0.0}

search(coarse_space(), evaluate, folder=folder, name="coarse", trials=6, seed=7)
"""


def test_a_killed_search_goes_on_where_it_was_and_gives_the_same_trials(tmp_path):
    calls = tmp_path / "calls"
    child = subprocess.run(
        [sys.executable, "-c", CHILD, tmp_path / "killed", calls], capture_output=True, check=False
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    repeated = []

    def evaluate(values):
        repeated.append(values["l2_weight"])
        return {"ssim": values["l2_weight"], "mse": 0.0}

    trials = run(tmp_path / "killed", evaluate)
    before = [float(line) for line in calls.read_text().split()]
    assert len(before) == 4
    assert before[:3] + repeated == [trial.values["l2_weight"] for trial in trials]  # the fourth is run anew
    assert trials == run(tmp_path / "whole", lambda values: {"ssim": values["l2_weight"], "mse": 0.0})
    assert project(tmp_path / "killed") == [("COMPLETED", trial.scores["ssim"]) for trial in trials]


@pytest.mark.parametrize("damage", ["", "{", "{}"])
def test_damaged_files_of_keras_tuner_do_not_matter(tmp_path, damage):
    trials = run(tmp_path, trials=3)
    for name in ("oracle.json", "tuner0.json", "trial_1/trial.json"):
        (tmp_path / "coarse" / name).write_text(damage)
    assert run(tmp_path, _no_call, trials=3) == trials
    assert [status for status, _ in project(tmp_path)] == ["COMPLETED"] * 3


def test_a_damaged_record_and_one_of_another_search_are_run_again_with_a_warning(tmp_path, caplog):
    caplog.set_level(logging.WARNING, logger="mi_keras")
    trials, calls = run(tmp_path, trials=4), []
    (tmp_path / "coarse-trials" / "00002.json").write_text('{"number": 2, "val')
    text = (tmp_path / "coarse-trials" / "00001.json").read_text()
    (tmp_path / "coarse-trials" / "00003.json").write_text(text.replace('"number": 1', '"number": 3'))
    again = run(tmp_path, lambda values: calls.append(values) or bell(values), trials=4)
    assert again == trials
    assert calls == [trials[1].values, trials[2].values]
    assert "the record of a trial is damaged" in caplog.text
    assert "the record of a trial belongs to another search" in caplog.text


def test_trials_that_diverge_are_kept_with_their_reason_and_the_search_goes_on(tmp_path, recording_progress):
    calls = []

    def evaluate(values):
        calls.append(values)
        if len(calls) < 5:  # more in a row than keras-tuner would take by default
            raise FloatingPointError("the term `l2` is not finite at step 3.")
        return {"ssim": 0.5, "mse": math.nan} if len(calls) == 5 else bell(values)

    progress = recording_progress()
    trials = run(tmp_path, evaluate, trials=8, progress=progress, label="coarse search")
    assert [trial.problem for trial in trials] == [
        *["the term `l2` is not finite at step 3."] * 4, "the score `mse` is nan.", *[""] * 3,
    ]  # fmt: skip
    assert [trial.scores is None for trial in trials] == [True] * 5 + [False] * 3
    assert [status for status, _ in project(tmp_path)] == ["FAILED"] * 5 + ["COMPLETED"] * 3
    assert best_trial(trials).scores is not None
    assert progress.bars == [("coarse search", 8, "trial", 0)]
    assert progress.amounts == [1] * 8
    assert run(tmp_path, _no_call, trials=8) == trials  # failures are results: they are not tried again


def test_if_all_trials_fail_the_search_says_so(tmp_path):
    def diverge(_):
        raise FloatingPointError("it grew.")

    with pytest.raises(FloatingPointError, match=r"^search: all 4 trials failed; the first: it grew$"):
        run(tmp_path, diverge, trials=4)
    known = Trial(1, OPTIMUM, {"ssim": 0.1})
    assert best_trial(run(tmp_path, diverge, trials=4, candidates=[known])) is known


@pytest.mark.parametrize("bug", [KeyError("typo"), KeyboardInterrupt(), ZeroDivisionError("oops")])
def test_a_bug_ends_the_search_as_it_is_and_leaves_no_record_of_its_trial(tmp_path, bug):
    calls = []

    def evaluate(values):
        calls.append(values)
        if len(calls) == 3:
            raise bug
        return bell(values)

    with pytest.raises(type(bug)) as caught:
        run(tmp_path, evaluate)
    assert caught.value is bug
    assert len(list((tmp_path / "coarse-trials").iterdir())) == 2
    assert run(tmp_path) == run(tmp_path / "whole")


def test_scores_without_ssim_are_a_bug(tmp_path):
    with pytest.raises(ValueError, match="`evaluate` must return the score `ssim`; got mse"):
        run(tmp_path, lambda _: {"mse": 1.0})


@pytest.mark.parametrize(("trials", "seed"), [(0, 1), (1, 0)])
def test_numbers_that_keras_tuner_would_take_for_unset_are_refused(tmp_path, trials, seed):
    with pytest.raises(ValueError, match=f"`trials` and `seed` must be >= 1; got {trials}, {seed}."):
        run(tmp_path, trials=trials, seed=seed)


def test_a_search_does_not_join_a_chief_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    with pytest.raises(InputError, match="`KERASTUNER_ORACLE_IP` must not be set"):
        run(tmp_path)


def test_nothing_is_printed_and_it_is_keras_tuners_random_search(tmp_path, capsys):
    assert issubclass(SsimSearch, keras_tuner.RandomSearch)
    run(tmp_path, space=inverter_space(), evaluate=lambda values: {"ssim": values["width"]})
    run(tmp_path, space=inverter_space(), evaluate=_no_call)
    assert capsys.readouterr() == ("", "")


def test_scores_of_a_trial_against_their_definition():
    draw = np.random.default_rng(0)
    truth = draw.random((25, 32, 32, 1), np.float32)
    images = truth.copy()
    images[:3] = 0.5  # the worst tenth of 25 are 3
    scores = trial_scores(images, truth)
    assert scores["mse"] == pytest.approx(float(((images - truth) ** 2).mean(dtype=np.float64)), rel=1e-5)
    assert scores["ssim"] == pytest.approx((22 + 3 * scores["ssim_worst_decile"]) / 25, rel=1e-5)
    assert scores["ssim_worst_decile"] < 0.1


def _no_call(values):
    raise AssertionError(f"a finished trial was run again: {values}")
