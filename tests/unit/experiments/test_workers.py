"""Processes that share the stages of a run: each computed once, by whoever is free; lost workers lose nothing."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mi_keras.experiments import workers
from mi_keras.experiments.events import Bars
from mi_keras.experiments.store import Store
from mi_keras.experiments.workers import Workers
from mi_keras.progress import SilentProgress

sys.path.insert(0, str(Path(__file__).parent))
import team_at_work

FOLLOW = "team_at_work:follow"


@pytest.fixture
def team(tmp_path):
    """Return a function that runs the stages with so many processes; its teams are closed."""
    made = []

    def run(size, *, force=False, progress=None, **more):
        job = {"root": str(tmp_path), "count": 6, "parent": os.getpid(), "processes": size, **more}
        progress = progress or SilentProgress()
        made.append(Workers(FOLLOW, job, size, progress))
        store = Store(tmp_path / "store", team=made[-1], progress=progress, force=force, run="a run")
        return team_at_work.run(store, job), store

    yield run
    for each in made:
        each.close()


def test_each_stage_is_computed_once_by_one_of_several_processes(team, tmp_path, recording_progress):
    progress = recording_progress()
    (total, last), store = team(3, progress=progress)
    names, processes = team_at_work.begun(tmp_path)
    assert set(names.values()) == {1}
    assert len(names) == 8
    assert len(processes) == 3
    assert total == 6 * 3 * len("middle 1")
    assert store.has(last)
    assert progress.left == [*range(7, -1, -1), 1, 0]  # of two calls, each told once and as stages end
    assert Counter(words.split()[0] for words in progress.ended) == {
        "first": 1,
        "middle": 6,
        "between": 1,
        "last": 1,
    }
    assert {each["stage"].split()[0] for each in store.timings} == {"first", "middle", "between", "last"}
    assert not any(each["reused"] for each in store.timings)


def test_nothing_is_shown_of_a_worker_that_has_ended(recording_progress):
    """Else a stage that another command computes would never be said to be waited for."""
    bars = Bars(recording_progress())
    bars.show({"bar": 1, "label": "target model", "total": 10, "unit": "img", "done": 0})
    assert bars.open
    bars.close()
    assert not bars.open


@pytest.mark.parametrize("loss", ["fails", "dies"])
def test_what_a_lost_worker_has_begun_is_computed_by_another(team, tmp_path, caplog, loss):
    (_, last), store = team(2, **{loss: "middle 1"})
    assert store.has(last)
    names, _ = team_at_work.begun(tmp_path)
    assert names["middle 1"] == 2
    assert sum(names.values()) == 9
    why = "this one fails here" if loss == "fails" else "7"
    said, until = (
        f"a worker process has ended ({why}); the others compute what it has not",
        time.monotonic() + 30,
    )
    while said not in caplog.text:  # the process may end later than the stages
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_worker_that_hangs_is_named_and_what_it_had_begun_is_computed_once_it_is_killed(
    team, tmp_path, monkeypatch, recording_progress
):
    monkeypatch.setattr(workers, "LOOK", 0.06)
    progress, killed = recording_progress(), []

    def heard(text):
        progress.said.append(text)
        process = int(re.search(r"`kill -9 (\d+)`", text).group(1))
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
        os.kill(process, signal.SIGKILL)
        killed.append((process, state))

    def give_up():  # it is never said: end the wait, and fail
        for process in team_at_work.begun(tmp_path)[1] - {os.getpid()}:
            os.kill(process, signal.SIGKILL)

    progress.announce = heard
    waiting = threading.Timer(60, give_up)
    waiting.start()
    (_, last), store = team(2, progress=progress, stops="middle 1")
    waiting.cancel()
    assert store.has(last)
    names, processes = team_at_work.begun(tmp_path)
    assert names["middle 1"] == 2
    ((process, state),) = killed
    assert state == "T"  # stopped
    assert processes == {os.getpid(), process}
    (said,) = progress.said
    assert said == (
        f"middle: process {process} has given no sign for 0.01 minutes. "
        f"If it hangs, `kill -9 {process}`: another process goes on with what it saved."
    )


def test_only_a_worker_that_computes_and_says_nothing_is_told_of_as_long_as_that_lasts(recording_progress):
    progress = recording_progress()
    bars, team = Bars(progress), Workers(FOLLOW, {}, 2, progress)

    def looks():
        for _ in range(25):  # it waits for others
            yield
        bars.show({"computing": "inversions"})
        bars.show({"bar": 1, "label": "inverting", "total": 99, "unit": "img", "done": 0})
        for _ in range(25):
            bars.show({"bar": 1, "amount": 2})
            yield
        assert progress.said == []
        for _ in range(24):  # the first ends what was heard before
            yield
        assert [re.search("for (.*) minutes", text).group(1) for text in progress.said] == ["10", "20"]
        bars.show({"computing": ""})
        for _ in range(25):
            yield
        assert len(progress.said) == 2

    looked = looks()
    team._closed.wait = lambda seconds: next(looked, "closed") == "closed"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as worker:
        team._watch(worker, bars)
        assert f"`kill -9 {worker.pid}`" in progress.said[0]
    assert next(looked, "over") == "over"


def test_modules_of_the_working_folder_are_no_modules_of_a_worker(team, tmp_path, caplog, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise RuntimeError")
    monkeypatch.chdir(tmp_path)
    team(2)
    assert len(team_at_work.begun(tmp_path)[1]) == 2
    assert "has ended" not in caplog.text


def test_while_another_process_computes_a_stage_its_old_files_are_let_be_and_it_is_said_once(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(workers, "QUIET", 0.2)
    monkeypatch.setattr(workers, "WAIT", 0.02)

    def stage(store):
        return store.stage("thing", lambda _: ({"x": np.ones(3)}, {}), seed=1)

    key = stage(Store(tmp_path)).computed().key
    arrays = tmp_path / "stages" / "thing" / key / "arrays.npz"
    arrays.write_bytes(arrays.read_bytes()[:-9])
    store = Store(tmp_path, team=Workers(FOLLOW, {}, 2, SilentProgress()))
    with open(tmp_path / "locks" / key, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting = threading.Thread(target=store.compute, args=[[stage(store)]])
        waiting.start()
        time.sleep(0.8)
    waiting.join()
    said, damaged = caplog.messages
    assert said == "another process computes thing: waiting for it"
    assert "a stored stage is damaged" in damaged
    assert arrays.exists()


def test_a_forced_run_is_forced_in_every_process_and_computes_each_once(team, tmp_path):
    team(1)
    (tmp_path / "computed").unlink()
    team(2, force=True)
    names, processes = team_at_work.begun(tmp_path)
    assert set(names.values()) == {1}
    assert len(names) == 8
    assert len(processes) == 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_the_process_that_started_it(tmp_path, how):
    program = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import team_at_work
from mi_keras.experiments.store import Store
from mi_keras.experiments.workers import Workers
from mi_keras.progress import SilentProgress
job = {{"root": {str(tmp_path)!r}, "count": 40, "seconds": 0.5, "parent": os.getpid()}}
team = Workers({FOLLOW!r}, job, 2, SilentProgress())
try:
    team_at_work.run(Store(Path({str(tmp_path)!r}) / "store", team=team, run="a run"), job)
finally:
    team.close()
"""
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (tmp_path / "computed").exists() or len(team_at_work.begun(tmp_path)[1]) < 2:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)
    worker = (team_at_work.begun(tmp_path)[1] - {process.pid}).pop()
    process.send_signal(how)
    process.wait(timeout=30)
    while team_at_work.runs(worker):
        assert time.monotonic() < until
        time.sleep(0.05)
