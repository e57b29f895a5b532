"""Chief and workers of keras-tuner on this machine: the trials of one process, and an end to every way they can break."""

import os
import socket
import subprocess
import sys
import time
from dataclasses import asdict

import numpy as np
import pytest

from mi_keras.progress import SilentProgress
from mi_keras.settings import GradientSettings
from mi_keras.tuning.distributed import Task, _kept_port, run_trials, search_with
from mi_keras.tuning.spaces import coarse_space

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner.*")
EVALUATOR = """
import os, signal, time
from pathlib import Path

def kill_chief():
    port = os.environ["KERASTUNER_ORACLE_PORT"].encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "environ").read_bytes().split(b"\\0")
        except OSError:
            continue
        if {b"KERASTUNER_TUNER_ID=chief", b"KERASTUNER_ORACLE_PORT=" + port} <= set(words):
            os.kill(int(process.name), signal.SIGKILL)

def evaluator(arrays, settings):
    def evaluate(values):
        with open(settings["calls"], "a") as file:
            file.write(f"{os.getpid()} {values['l2_weight']!r}\\n")
        while settings.get("together") and len({line.split()[0] for line in open(settings["calls"])}) < 2:
            time.sleep(0.05)  # until the other worker has begun a trial too
        time.sleep(settings.get("seconds", 0))
        if settings.get("kill_chief"):
            kill_chief()
        if "exit" in settings:
            print(f"the disk is on fire with {os.environ['TF_NUM_INTRAOP_THREADS']} thread", flush=True)
            os._exit(settings["exit"])
        if settings.get("diverge") and values["l2_weight"] > 1e-3:
            raise FloatingPointError("it grew")
        return {"ssim": values["l2_weight"], "mse": float(arrays["level"].sum())}
    return evaluate
"""


@pytest.fixture
def task(tmp_path, monkeypatch):
    """Makes a task whose trials write their process and weight to the file `calls`."""
    (tmp_path / "cheap_trials.py").write_text(EVALUATOR)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    settings = {"calls": str(tmp_path / "calls")}
    return lambda **more: Task("cheap_trials:evaluator", {"level": np.arange(3.0)}, settings | more)


def run(task, folder, *, workers, patience=60.0, trials=6):
    return search_with(
        task, coarse_space(), workers=workers, patience=patience, folder=folder, name="coarse", trials=trials, seed=7,
        progress=SilentProgress(), label="search",
    )  # fmt: skip


def living(folder):
    """Processes whose command names the folder."""
    found = subprocess.run(["ps", "-axww", "-o", "args"], capture_output=True, text=True, check=True)
    return [line for line in found.stdout.splitlines() if str(folder) in line]


@pytest.mark.slow
def test_a_chief_and_two_workers_run_the_trials_of_a_single_process(tmp_path, task):
    together = run(task(together=True, diverge=True), tmp_path / "together", workers=2)
    calls = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    assert len(calls) == 6  # the search in this process after them ran none again
    assert len({process for process, _ in calls}) == 2
    assert str(os.getpid()) not in {process for process, _ in calls}
    alone = run(task(diverge=True), tmp_path / "alone", workers=0)
    assert together == alone
    assert [trial.problem for trial in alone].count("it grew") == sum(
        trial.values["l2_weight"] > 1e-3 for trial in alone
    )
    assert not living(tmp_path)


@pytest.mark.slow
def test_a_worker_that_dies_ends_the_search_with_its_last_line_and_no_process_is_left(tmp_path, task):
    """And it has the threads that this process has, on which what it computes depends."""
    with pytest.raises(ChildProcessError) as caught:
        run(task(exit=7), tmp_path / "search", workers=1)
    assert caught.value.strerror == (
        "worker_1 of the search ended with exit code 7; its last line: the disk is on fire with 1 thread; its log:"
    )
    assert caught.value.filename == str(tmp_path / "search" / "coarse-task-worker_1.log")
    assert not living(tmp_path)
    trials = run(task(), tmp_path / "search", workers=0, trials=3)  # and it can go on
    assert [trial.problem for trial in trials] == [""] * 3


@pytest.mark.slow
def test_a_worker_that_cannot_start_is_reported_with_its_exception(tmp_path):
    with pytest.raises(
        ChildProcessError, match=r"worker_1 .* last line: ModuleNotFoundError: .*no_such_module"
    ):
        run(Task("no_such_module:evaluator", {}, {}), tmp_path, workers=1)
    assert not living(tmp_path)


def test_a_search_that_does_not_get_on_ends_after_its_patience(tmp_path, task):
    started = time.monotonic()
    with pytest.raises(TimeoutError, match="no trial of coarse finished within 1 seconds"):
        run(task(seconds=1000), tmp_path / "search", workers=2, patience=1.0)
    assert time.monotonic() - started < 10
    assert not living(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="finds the chief in /proc")
def test_a_chief_that_dies_ends_the_search_and_no_process_is_left(tmp_path, task):
    with pytest.raises(ChildProcessError, match="chief of the search was killed by signal 9"):
        run(task(kill_chief=True, seconds=1), tmp_path / "search", workers=2)
    assert not living(tmp_path)


SUPERVISOR = """
import sys
from pathlib import Path
from mi_keras.tuning.distributed import Task, run_trials
from mi_keras.tuning.spaces import coarse_space
task = Task("cheap_trials:evaluator", {}, {"calls": sys.argv[2], "seconds": 1000})
run_trials(task, coarse_space(), workers=1, patience=100, folder=Path(sys.argv[1]), name="coarse", trials=3, seed=7)
"""


@pytest.mark.slow
def test_all_processes_end_with_their_supervisor_even_if_it_is_killed(tmp_path, task):
    task()
    folder = tmp_path / "search"
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, folder, tmp_path / "calls"])
    _wait_for(lambda: (tmp_path / "calls").exists())  # a trial runs
    assert len([line for line in living(folder) if "-m mi_keras.tuning.distributed" in line]) == 2
    supervisor.kill()
    supervisor.wait()
    _wait_for(lambda: not living(folder))


def test_trials_finished_before_are_not_handed_out_again(tmp_path, task):
    run(task(), tmp_path / "search", workers=0, trials=3)
    run_trials(
        task(exit=1), coarse_space(), workers=1, patience=60, folder=tmp_path / "search", name="coarse", trials=3, seed=7
    )  # fmt: skip
    assert len((tmp_path / "calls").read_text().splitlines()) == 3


def _wait_for(condition, seconds=60):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.1)


def test_the_port_of_the_chief_is_nobody_elses_before_it_binds_it():
    with _kept_port() as port:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        with socket.socket() as chief:
            chief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as gRPC does
            chief.bind(("127.0.0.1", port))
            chief.listen()
            for _ in range(8):  # none is lost to the socket that keeps it
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                chief.accept()[0].close()


DYING = """
import os, signal
from pathlib import Path
from mi_keras.tuning import gradient_search

def evaluator(arrays, settings):
    evaluate, begun = gradient_search.evaluator(arrays, settings["task"]), Path(settings["begun"])
    def dying(values):
        begun.write_text(begun.read_text() + "x" if begun.exists() else "x")
        scores = evaluate(values)
        if len(begun.read_text()) == 2 and "KERASTUNER_TUNER_ID" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
        return scores
    return dying
"""


@pytest.mark.slow
def test_a_search_whose_worker_was_killed_in_a_trial_is_finished_by_one_process(tmp_path, task, monkeypatch):
    """With the trials and the scores of a search that nothing happened to."""
    from mi_keras.models.cnn import build_cnn, observe

    task()
    (tmp_path / "dying_trials.py").write_text(DYING)
    truth = np.random.default_rng(1).random((8, 32, 32, 1), np.float32)
    shadow = build_cnn((32, 32, 1), 10, channels=(2, 3, 4))
    arrays = {"truth": truth, "output_vector": observe(shadow, truth).vectors}
    arrays |= {f"weights.{number:03d}": weight for number, weight in enumerate(shadow.get_weights())}
    gradient = asdict(GradientSettings(steps=5, start="random"))
    settings = {"channels": [2, 3, 4], "gradient": gradient, "objective": "logit_mse", "seed": 3}
    alone = run(
        Task("mi_keras.tuning.gradient_search:evaluator", arrays, settings), tmp_path / "alone", workers=0
    )
    dying = Task("dying_trials:evaluator", arrays, {"task": settings, "begun": str(tmp_path / "begun")})
    with pytest.raises(ChildProcessError, match="worker_1 of the search was killed by signal 9"):
        run(dying, tmp_path / "killed", workers=1)
    finished = run(dying, tmp_path / "killed", workers=0)
    assert len((tmp_path / "begun").read_text()) == 7  # six, and the one that was killed
    assert [trial.values for trial in finished] == [trial.values for trial in alone]
    for ours, theirs in zip(finished, alone, strict=True):
        assert ours.scores == pytest.approx(theirs.scores, abs=1e-5)
