"""Stages as Ray tasks: each computed once, on any machine; lost machines lose nothing, and what fails of itself says so here."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from mi_keras.cli import main
from mi_keras.errors import InputError, LostTooOften
from mi_keras.experiments import ray_library, ray_tasks
from mi_keras.experiments.ray_tasks import RayTasks
from mi_keras.experiments.resources import Resources
from mi_keras.experiments.store import Store
from mi_keras.progress import SilentProgress

sys.path.insert(0, str(Path(__file__).parent))
import team_at_work

FOLLOW = "team_at_work:follow_at_home"


@pytest.fixture(scope="module")
def cluster():
    """Two machines of one core each, as far as Ray knows, on this one."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def compute(cluster, tmp_path):
    """Return a function that runs the stages on the cluster."""

    names = []

    def run(*, progress=None, threads=1, force=False, **more):
        job = {"root": str(tmp_path), "count": 4, "parent": os.getpid(), "seconds": 0.2, **more}
        progress = progress or SilentProgress()
        team = RayTasks(FOLLOW, job, Resources(threads=threads, ray=cluster.address), progress)
        names.append(team._name)
        try:
            store = Store(tmp_path / "store", team=team, progress=progress, force=force, run="a run")
            return team_at_work.run(store, job), store
        finally:
            team.close()

    yield run
    assert not [path for name in names for path in Path(tempfile.gettempdir()).glob(f"{name}*")]


def computed(tmp_path):
    """Return how often each stage was begun, and by which processes."""
    lines = [line.rsplit(maxsplit=1) for line in (tmp_path / "computed").read_text().splitlines()]
    return Counter(name for name, _ in lines), {int(process) for _, process in lines}


@pytest.mark.slow
def test_each_stage_is_computed_once_by_tasks_and_those_that_are_forced_once_more(
    compute, tmp_path, recording_progress
):
    progress = recording_progress()
    (total, last), store = compute(progress=progress, seconds=1.0)
    names, processes = computed(tmp_path)
    assert set(names.values()) == {1}
    assert len(names) == 6
    assert os.getpid() not in processes
    assert len(processes) == 2
    assert total == 4 * 3 * len("middle 1")
    assert store.has(last)
    assert progress.said == ["Ray: 2 stages at a time on 2 machines."]
    assert Counter(words.split()[0] for words in progress.ended) == {
        "first": 1,
        "middle": 4,
        "between": 1,
        "last": 1,
    }
    assert not any(each["reused"] for each in store.timings)
    compute(force=True)
    assert set(computed(tmp_path)[0].values()) == {2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("raises", "raised"),
    [
        ("InputError", InputError),
        ("FloatingPointError", FloatingPointError),
        ("PermissionError", OSError),
        ("LookupError", LookupError),
    ],
)
def test_a_stage_that_fails_of_itself_fails_here_with_its_own_words(compute, raises, raised):
    with pytest.raises(raised, match="`steps` must be there") as found:
        compute(of_itself="middle 1", raises=raises)
    if raised in (InputError, FloatingPointError):
        assert "Traceback" not in str(found.value)


@pytest.mark.slow
def test_a_stage_whose_process_dies_is_computed_again_but_not_for_ever(
    compute, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(ray_tasks, "RAYS_RETRIES", 0)
    (_, last), store = compute(dies_once="middle 1")
    assert store.has(last)
    assert computed(tmp_path)[0]["middle 1"] == 2
    assert "middle was lost on Ray" in caplog.text
    monkeypatch.setattr(ray_tasks, "TRIES", 1)
    with pytest.raises(LostTooOften, match="middle was lost 1 times on Ray: "):
        compute(dies="middle 2", force=True)


@pytest.mark.slow
def test_machines_that_are_too_small_are_refused(compute):
    with pytest.raises(
        InputError, match=r"`ray` must be a cluster with a machine that has {'CPU': 2} for a stage; none has"
    ):
        compute(threads=2)


@pytest.mark.slow
def test_what_a_removed_machine_had_begun_is_computed_by_another(cluster, compute, tmp_path):
    def remove():
        names, processes = Counter(), set()
        while len(names) < 3 or len(processes) < 2:
            time.sleep(0.05)
            if (tmp_path / "computed").exists():
                names, processes = computed(tmp_path)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    remover = threading.Thread(target=remove)
    remover.start()
    (total, last), store = compute(
        seconds=2.0, processes=2
    )  # one on each machine, however late the second begins
    remover.join()
    assert store.has(last)
    assert total == 4 * 3 * len("middle 1")
    assert sum(computed(tmp_path)[0].values()) > 6


@pytest.mark.parametrize(
    ("how", "sent"),
    [
        (signal.SIGINT, os.kill),
        pytest.param(signal.SIGTERM, os.kill, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, os.killpg, marks=pytest.mark.slow),  # as `timeout` does
    ],
)
def test_nothing_is_left_of_a_ray_that_was_started_here(tmp_path, how, sent):
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as short:  # it becomes part of names of sockets
        program = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import team_at_work
from mi_keras.command import guarded
from mi_keras.experiments.store import Store
from mi_keras.experiments.ray_tasks import RayTasks
from mi_keras.experiments.resources import Resources
from mi_keras.progress import SilentProgress
job = {{"root": {str(tmp_path)!r}, "count": 40, "seconds": 0.5, "parent": os.getpid()}}
def command():
    team = RayTasks({FOLLOW!r}, job, Resources(ray="auto"), SilentProgress())
    try:
        team_at_work.run(Store(Path({str(tmp_path)!r}) / "store", team=team, run="a run"), job)
    finally:
        team.close()
sys.exit(guarded(command))
"""
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {
            "TMPDIR": short
        }
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        until = time.monotonic() + 180
        while not (tmp_path / "computed").exists() or len(computed(tmp_path)[0]) < 3:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        sent(process.pid, how)
        _, said = process.communicate(timeout=40)
        assert process.returncode == 128 + how
        assert said.splitlines()[-1].startswith(
            f"stopped by {'Ctrl-C' if how == signal.SIGINT else 'SIGTERM'}"
        )
        assert os.listdir(short) == []
        for worker in computed(tmp_path)[1]:
            assert not team_at_work.runs(worker)


def test_without_ray_a_line_says_what_to_install(monkeypatch, refusal_of, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    said = refusal_of(main, ["--section", "5.2", "--preset", "smoke", "--ray", "auto"])
    assert said.rstrip().endswith('pip install "mi-keras[ray]".')
    assert not (tmp_path / ".mi_keras").exists()


@pytest.mark.parametrize(
    ("address", "why"), [("ray://x:1", ""), ("here", ""), ("127.0.0.1:1", ": "), ("127.0.0.1:99999", ": ")]
)
def test_where_no_cluster_can_be_is_refused_at_once(address, why):
    line = f"`ray` must be auto or HOST:PORT of a cluster that this machine is part of; got {address}{why}"
    with pytest.raises(InputError, match=re.escape(line)):
        RayTasks(FOLLOW, {}, Resources(ray=address), SilentProgress())


@contextmanager
def closed():
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield port


@contextmanager
def silent():
    """A server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def another():
    """A server of the same protocol that knows no question of Ray's."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None)


@pytest.mark.parametrize(
    ("listens", "why"),
    [(closed, ": [Errno 111] Connection refused."), (silent, ", where no Ray answers."), (another, ", where no Ray answers.")],
)  # fmt: skip
def test_where_something_else_or_nothing_listens_one_line_says_so_within_seconds(
    tmp_path, monkeypatch, capfd, listens, why
):
    """Ray itself tries for a minute and writes lines of its own past Python's streams."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_library, "ANSWER", 1.0)
    with listens() as port:
        started = time.monotonic()
        code = main(["--section", "5.2", "--preset", "smoke", "--ray", f"127.0.0.1:{port}"])
    assert time.monotonic() - started < 30
    assert code == 2
    line = "`--ray` must be auto or HOST:PORT of a cluster that this machine is part of; got "
    assert capfd.readouterr() == ("", f"{line}127.0.0.1:{port}{why}\n")


@pytest.mark.parametrize(
    ("error", "raised", "said"), [(Exception, InputError, "got auto: timed out. See"), (TypeError, TypeError, "timed out")]
)  # fmt: skip
def test_a_ray_that_does_not_start_is_said_in_one_line_and_leaves_nothing(
    monkeypatch, tmp_path, error, raised, said
):
    """What is no failure of a start, but of how it is called, is not made one."""
    import ray

    def slow(**_):
        raise error("timed out.\nSee its logs.")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", slow)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    job = {"root": str(tmp_path), "count": 2, "parent": os.getpid(), "seconds": 0}
    team = RayTasks(FOLLOW, job, Resources(ray="auto"), SilentProgress())
    try:
        with pytest.raises(raised, match=said):
            team_at_work.run(Store(tmp_path / "store", team=team), job)
    finally:
        team.close()
    assert not list(tmp_path.glob("ray-*"))
