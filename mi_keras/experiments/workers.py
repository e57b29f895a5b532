"""Processes on this machine that share the stages of a request: this one, and workers that it starts.

Every process describes the same experiment and meets the same calls of `Store.compute` in the same order. In each of them it
computes whatever stage is ready and locked by nobody, until the store has all of them. A worker goes on to the next call when
this process has come to it. What only one has to work out it tells the others (`agree`). Nothing is handed out, so nothing is
lost with a worker: the lock of its stage ends with it, and another process goes on with what it saved. Results are the same bytes
for any number of workers with the same threads.
"""

import json
import logging
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from queue import SimpleQueue
from typing import IO, Any

from mi_keras.display import line_of
from mi_keras.experiments.events import Bars, Reports
from mi_keras.experiments.graph import Graph
from mi_keras.experiments.resources import Resources
from mi_keras.experiments.stage_words import told
from mi_keras.experiments.store import WAIT, Store
from mi_keras.experiments.team import Team
from mi_keras.progress import Progress

log = logging.getLogger("mi_keras")
LOOK = 60.0  # seconds between two looks at which workers have given a sign
LOOKS = 10  # without one until it is said, again and again
QUIET = 10.0  # seconds without a sign of anything before it is said what is waited for
GO = "go\n"


class Workers(Team):
    """A team of this process and others (see `team.Team`).

    Args:
        follow: "MODULE:FUNCTION" of what describes the same experiment in a worker: called with `job`, the team, and where it
            reports to.
        job: JSON values.
        size: how many processes compute, this one included.
        progress: shows what workers do beside what this process does.
    """

    def __init__(self, follow: str, job: Mapping[str, Any], size: int, progress: Progress) -> None:
        self._begin = json.dumps({"follow": follow, "job": dict(job)}) + "\n"
        self._size, self._progress = size, progress
        self._others: list[subprocess.Popen[str]] = []
        self._readers: list[threading.Thread] = []
        self._shown: list[Bars] = []  # of each worker
        self._told = ""  # to every worker since it was started
        self._calls, self._allowed = 0, 0
        self._closed = threading.Event()

    def compute(self, graph: Graph, store: Store) -> None:
        self._calls += 1
        self._allow(self._calls)
        while len(self._others) < min(self._size, graph.most_at_once()) - 1:
            self._start()
        graph.at_once = self._size
        store.progress.expect(*graph.left())
        share(graph, store, lambda: any(bars.open for bars in self._shown))

    def go_ahead(self) -> None:
        self._allow(self._calls + 1)

    def _allow(self, calls: int) -> None:
        if calls > self._allowed:
            self._tell_all(GO * (calls - self._allowed))
            self._allowed = calls

    def agree(self, value: Callable[[], Any]) -> Any:
        agreed = value()
        self._tell_all(json.dumps(agreed) + "\n")
        return agreed

    def _tell_all(self, text: str) -> None:
        self._told += text
        for other in self._others:
            _tell(other, text)

    def close(self) -> None:
        """End the workers, whatever they do; what they saved is there for the next run."""
        self._closed.set()
        for other in self._others:
            other.kill()
        for other in self._others:
            other.wait()
        for reader in self._readers:
            reader.join()

    def _start(self) -> None:
        # Not of this terminal's group: Ctrl-C is for this process, which ends them. It imports from where this process does (-P)
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "mi_keras.experiments.workers"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, encoding="utf-8", start_new_session=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        _tell(worker, self._begin + self._told)
        reader = threading.Thread(target=self._read, args=[worker], daemon=True)
        reader.start()
        self._others.append(worker)
        self._readers.append(reader)

    def _read(self, worker: subprocess.Popen[str]) -> None:
        """Show what a worker reports, until it ends."""
        bars, why = Bars(self._progress), ""
        self._shown.append(bars)
        threading.Thread(target=self._watch, args=[worker, bars], daemon=True).start()
        assert worker.stdout is not None
        for line in worker.stdout:
            if not line.endswith("\n"):  # it has ended within it
                break
            event = json.loads(line)
            why = event.get("error", why)
            if not why:
                bars.show(event)
        bars.close()
        if worker.wait() and not self._closed.is_set():
            log.warning(
                "a worker process has ended (%s); the others compute what it has not",
                why or worker.returncode,
            )

    def _watch(self, worker: subprocess.Popen[str], bars: Bars) -> None:
        """Say again and again of a worker that tells nothing of the stage it computes: it may hang, or have nothing to tell."""
        looks = 0  # and no clock, as this process may be stopped for a while itself
        while worker.poll() is None and not self._closed.wait(LOOK):
            stage = bars.computing
            looks = looks + 1 if stage and not bars.heard else 0
            bars.heard = False
            if looks and looks % LOOKS == 0:
                self._progress.announce(
                    f"{stage}: process {worker.pid} has given no sign for {looks * LOOK / 60:.3g} minutes. "
                    f"If it hangs, `kill -9 {worker.pid}`: another process goes on with what it saved."
                )


@contextmanager
def team_of(
    follow: str, job: Mapping[str, Any], resources: Resources, size: int, progress: Progress
) -> Iterator[Team]:
    """Give a team until the block ends: of a cluster, see `ray_tasks.RayTasks`, or of so many processes, see `Workers`."""
    team: Team
    if resources.ray is not None:
        from mi_keras.experiments.ray_tasks import RayTasks

        team = RayTasks(follow, job, resources, progress)
    else:
        team = Workers(follow, job, size, progress) if size > 1 else Team()
    try:
        yield team
    finally:
        team.close()


class Follower(Team):
    """The team of a worker: it computes beside the process that started it, never ahead of it."""

    leads = False

    def __init__(self, orders: IO[str], reports: Reports) -> None:
        self._reports = reports
        self._may_go, self._agreed = threading.Semaphore(0), SimpleQueue[str]()
        threading.Thread(target=self._listen, args=[orders], daemon=True).start()

    def compute(self, graph: Graph, store: Store) -> None:
        self._may_go.acquire()
        with self._reports.heard():
            share(graph, store)

    def agree(self, value: Callable[[], Any]) -> Any:
        return json.loads(self._agreed.get())

    def _listen(self, orders: IO[str]) -> None:
        while line := orders.readline():
            if line == GO:
                self._may_go.release()
            else:
                self._agreed.put(line)
        os._exit(0)  # who started it has ended, in whatever way


def share(graph: Graph, store: Store, seen: Callable[[], bool] = lambda: True) -> None:
    """Compute what is ready and nobody computes, until the store has every stage of the graph.

    Args:
        seen: returns whether the user sees that somebody computes; where nothing is seen for a while, it is said.
    """
    since = time.monotonic()
    while len(graph):
        if any(store.fetch_if_free(stage) for stage in graph.ready()):
            since = time.monotonic()
            continue
        if seen():
            since = time.monotonic()
        if time.monotonic() - since > QUIET:
            log.warning("another process computes %s: waiting for it", told(graph.ready()[0]))
            since = math.inf  # it is said once
        time.sleep(WAIT)


def _tell(worker: subprocess.Popen[str], text: str) -> None:
    assert worker.stdin is not None
    try:
        worker.stdin.write(text)
        worker.stdin.flush()
    except BrokenPipeError:  # it has ended, and is told of
        pass


def main() -> None:
    """Follow the process that has started this one: a line of JSON says in what, a line each lets it go on."""
    orders, reports = sys.stdin, os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever libraries print
    begin = json.loads(orders.readline())
    module, _, function = begin["follow"].partition(":")
    reporter = Reports(reports)
    log.addHandler(reporter)
    team: Team = Follower(orders, reporter)
    try:
        getattr(import_module(module), function)(begin["job"], team, reporter)
    except Exception as error:  # who has started this process comes to the same stage, and says all of it
        reporter.tell(error=line_of(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
