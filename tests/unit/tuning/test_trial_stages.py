"""Trials as stages of their own: the search is the same stage, byte for byte, and each trial is run once."""

import numpy as np
import pytest

from mi_keras.experiments.team import Team
from mi_keras.tuning import gradient_search
from mi_keras.tuning.gradient_search import SearchSettings, search_stage
from mi_keras.tuning.search import SPACES, Workers, found_by_name
from mi_keras.tuning.spaces import coarse_space
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


def test_what_is_drawn_is_what_a_search_tries_however_many_trials_it_has(tmp_path):
    tried = []

    def evaluate(values):
        tried.append(values)
        return {"ssim": float(len(tried))}

    search(coarse_space(), evaluate, folder=tmp_path, name="s", trials=4, seed=3)
    assert drawn(coarse_space(), trials=4, seed=3) == tried
    assert drawn(coarse_space(), trials=2, seed=3) == tried[:2]
