"""Trials as stages of their own: the search is the same stage, byte for byte, and each trial is run once."""

import json

import numpy as np
import pytest

from mi_keras.experiments.team import Team
from mi_keras.tuning import gradient_search
from mi_keras.tuning.distributed import Task
from mi_keras.tuning.gradient_search import SearchSettings, search_stage
from mi_keras.tuning.search import SPACES, Workers, found_by_name
from mi_keras.tuning.spaces import coarse_space, decoder_space, fine_space, inverter_space
from mi_keras.tuning.trial_stages import Phase, with_trials
from mi_keras.tuning.trials import Trial, best_trial
from mi_keras.tuning.tuner import drawn, search
from tests.unit.experiments.tiny import GRADIENT

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner.*")
SEARCH = SearchSettings(coarse_trials=2, fine_trials=1, images=4)


class Elsewhere(Team):
    apart = True


def test_a_search_of_trials_that_are_stages_is_the_search(tmp_path, make_bench, monkeypatch):
    plain = search_stage(make_bench(tmp_path / "plain"), GRADIENT, SEARCH)
    assert not [stage for stage in plain.upstream if stage.kind == "search_trial"]
    bench, tried, evaluator = make_bench(tmp_path / "spread"), [], gradient_search.evaluator

    def counting(*given):
        evaluate = evaluator(*given)
        return lambda values: (tried.append(values), evaluate(values))[1]

    monkeypatch.setattr(gradient_search, "evaluator", counting)
    bench.store.team = Elsewhere()
    spread = search_stage(bench, GRADIENT, SEARCH)
    trials = [stage for stage in spread.upstream if stage.kind == "search_trial"]
    assert [stage.words for stage in trials] == [("coarse 1",), ("coarse 2",), ("fine 1",)]
    assert len({stage.key for stage in trials}) == 3
    assert spread.key == plain.key
    bench.store.compute([spread])
    assert len(tried) == 3
    assert spread.info == plain.info
    for name, values in plain.arrays.items():
        np.testing.assert_array_equal(spread.arrays[name], values)


@pytest.mark.parametrize("space", SPACES)
def test_other_machines_find_the_search_of_a_space_by_its_name(space):
    named, here = found_by_name(space), SPACES[space](Workers())
    assert named.code is None
    assert named.load().presets is here.load().presets
    assert named.folder == here.folder


def scoring(arrays, settings):
    """Score settings by their sum, as a task of a search does it."""
    return lambda values: {"ssim": float(sum(values.values()))}


COARSE = "coarse", lambda _: coarse_space(), 3
FINE = "fine", lambda found: fine_space(best_trial(found).values), 2
ROUNDS = {  # of the searches' spaces; their names and numbers of trials are the test's own
    "gradient": [COARSE, FINE],
    "inverter": [("inverter", lambda _: inverter_space(), 3)],
    "decoder": [("decoder", lambda _: decoder_space(), 4)],
}


@pytest.mark.parametrize("rounds", ROUNDS.values(), ids=ROUNDS)
def test_phases_of_each_space_try_as_often_as_they_say_what_would_be_drawn_elsewhere(
    tmp_path, make_bench, rounds
):
    """Each number of each round once, of settings in its space that differ; a later round sees the one before."""
    bench, found = make_bench(tmp_path), {}
    bench.store.team = Elsewhere()
    phases = [Phase(name, space, trials, seed=5) for name, space, trials in rounds]

    def gather(workspace):
        for phase in phases:
            files = sorted((workspace.folder / f"{phase.name}-trials").iterdir())
            found[phase] = [Trial(**json.loads(file.read_text())) for file in files]
        return {}, {}

    search_of_all = bench.store.stage("search_of_all", gather)
    task = Task("tests.unit.tuning.test_trial_stages:scoring", {}, {})
    bench.store.compute([with_trials(search_of_all, lambda: task, phases, bench)])
    before = []
    for phase in phases:
        trials, space = found[phase], phase.space(before)
        assert [trial.number for trial in trials] == list(range(1, phase.trials + 1))
        assert len({tuple(trial.values.items()) for trial in trials}) == phase.trials
        assert [trial.values for trial in trials] == drawn(space, trials=phase.trials, seed=phase.seed)
        assert all(trial.values.keys() == space.values.keys() for trial in trials)
        assert all(trial.scores == {"ssim": sum(trial.values.values())} for trial in trials)
        before = trials


SPACES_OF_ROUNDS = (
    coarse_space,
    lambda: fine_space({"l2_weight": 1e-3, "tv_weight": 1e-4}),
    inverter_space,
    decoder_space,
)


@pytest.mark.parametrize("space", SPACES_OF_ROUNDS, ids=["coarse", "fine", "inverter", "decoder"])
def test_what_is_drawn_is_what_a_search_tries_however_many_trials_it_has(tmp_path, space):
    tried = []

    def evaluate(values):
        tried.append(values)
        return {"ssim": float(len(tried))}

    search(space(), evaluate, folder=tmp_path, name="s", trials=4, seed=3)
    assert len(tried) == 4
    assert drawn(space(), trials=4, seed=3) == tried
    assert drawn(space(), trials=2, seed=3) == tried[:2]
