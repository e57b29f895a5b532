"""Which stages can be computed now, in which order, and how long all of them will take."""

from types import SimpleNamespace

import numpy as np
import pytest

from mi_keras.experiments import graph as graph_module
from mi_keras.experiments.graph import Graph
from mi_keras.experiments.store import Store


class Known:
    """A record in which stages of a kind took so long."""

    def __init__(self, **seconds):
        self.seconds = seconds

    def took(self, kind):
        return iter([({"seed": 7}, self.seconds[kind])] if kind in self.seconds else [])


def stages(store):
    r"""Two models, answers of one of them, and what is made of these:  model 1 -> answers -> a, b;  model 2 -> a."""

    def make(kind, *upstream, **identity):
        return store.stage(kind, lambda _: ({"x": np.ones(1)}, {}), upstream=upstream, **identity)

    first, second = make("model", seed=1), make("model", seed=2)
    answers = make("answers", first)
    return first, second, answers, make("a", answers, second), make("b", answers)


def test_a_stage_is_ready_when_all_that_it_is_made_from_is_there_and_the_longest_way_goes_first(tmp_path):
    first, second, answers, a, b = stages(Store(tmp_path))
    graph = Graph([a, b], lambda stage: False, Known(model=5.0, answers=1.0, a=2.0, b=9.0))
    assert graph.ways() == {
        a.key: 2, b.key: 9, answers.key: 10, first.key: 15, second.key: 7,
    }  # fmt: skip
    assert graph.ready() == [first, second]
    graph.done(first, 5.0)
    assert graph.ready() == [answers, second]
    graph.done(answers, 1.0)
    assert graph.ready() == [b, second]
    for stage in (second, b, a):
        graph.done(stage, 1.0)
    assert not len(graph)
    assert graph.left() == (0, 0.0)


def test_what_is_stored_hides_what_it_was_made_from(tmp_path):
    first, second, answers, a, b = stages(Store(tmp_path))
    graph = Graph([a, b, a], lambda stage: stage is answers, Known())
    assert len(graph) == 3
    assert graph.ready() == [second, b]
    assert first not in graph
    assert graph.most_at_once() == 2


@pytest.mark.parametrize(("at_once", "seconds"), [(1, 22.0), (2, 15.0), (8, 15.0)])
def test_the_time_left_is_the_work_over_who_does_it_or_the_longest_way(tmp_path, at_once, seconds):
    *_, a, b = stages(Store(tmp_path))
    graph = Graph([a, b], lambda stage: False, Known(model=5.0, answers=1.0, a=2.0, b=9.0))
    graph.at_once = at_once
    assert graph.left() == (5, seconds)


def test_what_computing_elsewhere_takes_beside_is_in_the_forecast_once_some_stages_are_back(
    tmp_path, monkeypatch
):
    clock = iter([100.0, 101.0, 109.0, 109.5, 110.0, 112.0])
    monkeypatch.setattr(graph_module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    first, second, answers, a, b = stages(Store(tmp_path))
    graph = Graph([a, b], lambda stage: False, Known(model=5.0, answers=1.0, a=2.0, b=9.0), later=(2, 6.0))
    assert graph.left() == (7, 28.0)
    for stage in (first, second):
        graph.sent(stage)
    graph.done(first, 5.0)  # 4 s beside: the process began with it
    assert graph.left() == (6, 5 + 1 + 2 + 9 + 6)
    graph.done(second, 5.0)  # 3.5 s
    assert graph.left() == (5, (1 + 2 + 9 + 6) + 5 * 3.5)
    graph.sent(answers)
    graph.done(answers, 1.0)  # 1 s
    assert graph.beside.seconds == [4.0, 3.5, 1.0]
    assert graph.left() == (4, (2 + 9 + 6) + 4 * 1)
    assert graph.ways() == {a.key: 2 + 1, b.key: 9 + 1}
    graph.beside.seconds = [
        0.1,
        *[90.0] * 20,
        5.0,
        5.0,
        8.0,
        0.5,
        *[9.0] * 6,
    ]  # the first and all before the last ten are no matter
    assert graph.ways() == {a.key: 2 + 5, b.key: 9 + 5}
    graph.at_once = 40  # machines have joined
    assert graph.ways() == {a.key: 2 + 5, b.key: 9 + 5}


def test_where_nothing_tells_how_long_a_kind_takes_what_this_run_has_computed_does(tmp_path):
    first, second, answers, a, b = stages(Store(tmp_path))
    graph = Graph([a, b], lambda stage: False, Known(answers=1.0))
    assert graph.left() == (5, 0.0)
    graph.done(first, 4.0)
    assert graph.seconds(second) == 4.0  # another of the kind
    assert graph.seconds(a) == 4.0  # the mean
    graph.done(second, 6.0)
    assert graph.seconds(b) == 5.0
    assert graph.seconds(answers) == 1.0
    assert graph.left() == (3, 11.0)


def test_a_later_run_forecasts_by_what_the_store_says_of_equal_settings(tmp_path):
    def stage(seed, epochs):
        return Store(tmp_path).stage("model", lambda _: ({}, {}), settings={"epochs": epochs}, seed=seed)

    for seed, epochs, seconds in ((1, 2, 3.0), (2, 2, 5.0), (1, 9, 60.0)):
        done = stage(seed, epochs)
        done.store.artifacts.write(
            done.kind, done.key, done.identity, {}, {}, seconds, tmp_path / "unfinished" / done.key
        )
    store = Store(tmp_path)
    wanted = store.stage("model", lambda _: ({}, {}), settings={"epochs": 2}, seed=3)
    assert Graph([wanted], store.has, store.artifacts).left() == (1, 4.0)


def test_what_was_measured_beforehand_and_what_follows_are_in_the_forecast(tmp_path):
    first, second, answers, a, b = stages(Store(tmp_path))
    seconds = {first.key: 70.0, answers.key: 80.0, a.key: 3.0, b.key: 4.0}
    graph = Graph([a, b], lambda stage: False, Known(answers=1.0), seconds, (6, 10.0))
    assert graph.left() == (11, 0.0)  # nothing tells of the second model
    graph.done(first, 7.0)
    assert graph.seconds(answers) == 1.0  # it was so once
    assert graph.left() == (10, 1.0 + 3.0 + 4.0 + 7.0 + 10.0)
    graph.at_once = 2
    assert graph.left() == (10, 12.5)
    for stage in (second, answers, a, b):
        graph.done(stage, 1.0)
    assert graph.left() == (6, 5.0)


def test_settings_and_sides_tell_stages_apart_and_seeds_do_not(tmp_path):
    store = Store(tmp_path)

    def made(**identity):
        return store.stage("network", lambda _: ({}, {}), data={"fingerprint": identity["seed"]}, **identity)

    done, wanted = made(seed=1, epochs=2, loss="mse"), made(seed=2, epochs=2, loss="mse")
    others = made(seed=2, epochs=2, loss="ssim"), made(seed=2, epochs=9, loss="mse")
    graph = Graph([done, wanted, *others], lambda stage: False, Known(), {each.key: 5.0 for each in others})
    graph.done(done, 2.0)
    assert [graph.seconds(stage) for stage in (wanted, *others)] == [2.0, 5.0, 5.0]
