"""A search in several processes of one machine: keras-tuner's chief hands out trials, its workers run them.

keras-tuner by itself waits for ever for a worker that died, and an hour for a chief that did. Here a supervisor starts
them, watches them, and ends them all when one breaks or none gets on. Each finished trial leaves the record that
`tuner.search` reads: called afterwards in the same folder, it finds all of them, and its result does not depend on how
many processes there were.
"""

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import keras_tuner

from mi_keras.files import read_arrays, write_arrays, write_text
from mi_keras.models.scope import let_idle_threads_sleep
from mi_keras.progress import Arrays, Progress, SilentProgress
from mi_keras.tuning.trials import Records, Trial
from mi_keras.tuning.tuner import Evaluate, SsimSearch, forget_project, search
from mi_keras.whole import replace_file

CHIEF = "chief"  # keras-tuner takes a process for the chief whose name has this word in it
ADDRESS = "127.0.0.1"  # its protocol has no authentication: never another than this
LOOK_EVERY = 0.1  # seconds


@dataclass(frozen=True)
class Task:
    """What trials are run on, in a form that another process can read.

    Attributes:
        evaluator: "module:function" of a function from arrays and settings to the function that runs a trial.
        arrays: such as images and weights.
        settings: JSON values.
    """

    evaluator: str
    arrays: Arrays
    settings: Mapping[str, Any]

    def load(self) -> Evaluate:
        """Return the function that runs a trial."""
        module, _, function = self.evaluator.partition(":")
        evaluate: Evaluate = getattr(import_module(module), function)(self.arrays, self.settings)
        return evaluate


def search_with(
    task: Task,
    space: keras_tuner.HyperParameters,
    *,
    workers: int,
    patience: float,
    folder: Path,
    name: str,
    trials: int,
    seed: int,
    progress: Progress,
    label: str,
    candidates: tuple[Trial, ...] = (),
) -> list[Trial]:
    """Run `tuner.search` over a task, the trials in `workers` processes first; 0 runs them in this one."""
    if workers:
        run_trials(
            task, space, workers=workers, patience=patience, folder=folder, name=name, trials=trials, seed=seed,
            progress=progress, label=f"{label}, {workers} workers",
        )  # fmt: skip
        progress = SilentProgress()
    return search(
        space, task.load(), folder=folder, name=name, trials=trials, seed=seed, candidates=candidates,
        progress=progress, label=label,
    )  # fmt: skip


def run_trials(
    task: Task,
    space: keras_tuner.HyperParameters,
    *,
    workers: int,
    patience: float,
    folder: Path,
    name: str,
    trials: int,
    seed: int,
    progress: Progress | None = None,
    label: str = "search",
) -> None:
    """Run the trials of a search that have no record yet, in one chief and `workers` worker processes.

    The processes end with this call in any case, also where this process is killed. Finished trials stay.

    Args:
        patience: seconds in which at least one trial has to finish.
        folder, name, trials, seed: as of `tuner.search`.

    Raises:
        ChildProcessError: the chief or a worker broke; the message has the last line that it wrote.
        TimeoutError: no trial finished within `patience`. Both are `OSError` and name the log or the folder.
    """
    records = Records(folder, name)
    forget_project(folder, name)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{name}-task.npz", lambda path: write_arrays(path, task.arrays))
    job = {
        "evaluator": task.evaluator, "settings": dict(task.settings), "space": space.get_config(), "name": name,
        "trials": trials, "seed": seed,
    }  # fmt: skip
    description = folder / f"{name}-task.json"
    replace_file(description, lambda path: write_text(path, json.dumps(job)))
    already = min(records.count(), trials)
    with (
        (progress or SilentProgress()).bar(label, trials, "trial", already) as bar,
        _processes(description, workers) as processes,
    ):
        finished, since = already, time.monotonic()
        while finished < trials and not _ended(processes, description):
            time.sleep(LOOK_EVERY)
            now = min(records.count(), trials)
            if now > finished:
                bar.advance(now - finished)
                finished, since = now, time.monotonic()
            elif time.monotonic() - since > patience:
                hung = f"no trial of {name} finished within {patience:g} seconds; the logs are in"
                raise TimeoutError(errno.ETIMEDOUT, hung, str(folder))


@contextmanager
def _processes(description: Path, workers: int) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Start the chief and the workers, and kill them at the end.

    A worker has as many threads as a search without workers, as what they compute depends on that number.
    """
    started: dict[str, subprocess.Popen[bytes]] = {}
    with _kept_port() as port:
        shared = {
            "KERASTUNER_ORACLE_IP": ADDRESS, "KERASTUNER_ORACLE_PORT": str(port), "no_grpc_proxy": ADDRESS,
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }  # fmt: skip
        try:
            for role in (CHIEF, *(f"worker_{number}" for number in range(1, workers + 1))):
                with open(_log(description, role), "wb") as log:
                    started[role] = subprocess.Popen(
                        [sys.executable, "-m", "mi_keras.tuning.distributed", str(description)],
                        env=os.environ | shared | {"KERASTUNER_TUNER_ID": role},
                        stdin=subprocess.PIPE,  # see `_end_with_supervisor`
                        stdout=log,
                        stderr=log,
                        start_new_session=True,  # a Ctrl-C reaches the supervisor alone
                    )
            yield started
        finally:
            for process in started.values():
                process.kill()
            for process in started.values():
                process.communicate()


@contextmanager
def _kept_port() -> Iterator[int]:
    """Give a port that no other program gets until the block ends, where the system lets the chief share it with us."""
    with socket.socket() as ours:
        if hasattr(
            socket, "SO_REUSEPORT"
        ):  # as gRPC binds; a socket that does not listen takes no connection away
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        ours.bind((ADDRESS, 0))
        port: int = ours.getsockname()[1]
        if not hasattr(socket, "SO_REUSEPORT"):
            ours.close()
        yield port


def _ended(processes: Mapping[str, subprocess.Popen[bytes]], description: Path) -> bool:
    """Return whether the search is over; raise if a process broke, the chief first: workers break with it."""
    for role, process in processes.items():
        if code := process.poll():
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            lines = _log(description, role).read_text(encoding="utf-8", errors="replace").split("\n")
            last = next((line.strip()[:300] for line in reversed(lines) if line.strip()), "nothing")
            what = f"{role} of the search {how}; its last line: {last}; its log:"
            raise ChildProcessError(errno.ECHILD, what, str(_log(description, role)))
    codes = [process.poll() for role, process in processes.items() if role != CHIEF]
    return processes[CHIEF].poll() == 0 or all(code == 0 for code in codes)


def _log(description: Path, role: str) -> Path:
    return description.with_name(f"{description.stem}-{role}.log")


def main(description: Path) -> None:
    """Be the chief or a worker, as the environment says, of the search described in a file."""
    _end_with_supervisor()
    let_idle_threads_sleep()
    job = json.loads(description.read_text(encoding="utf-8"))
    chief = CHIEF in os.environ["KERASTUNER_TUNER_ID"]
    task = Task(
        job["evaluator"], {} if chief else read_arrays(description.with_suffix(".npz")), job["settings"]
    )
    space = keras_tuner.HyperParameters.from_config(job["space"])
    tuner = SsimSearch(
        space, _no_trial if chief else task.load(), folder=description.parent, name=job["name"], trials=job["trials"],
        seed=job["seed"],
    )  # fmt: skip
    tuner.search(verbose=0)


def _no_trial(_: dict[str, float]) -> Mapping[str, float]:
    raise RuntimeError("keras-tuner's chief runs no trials.")


def _end_with_supervisor() -> None:
    """End this process when the supervisor's end of its standard input closes, however the supervisor ended."""

    def wait() -> None:
        while os.read(0, 1):  # not through sys.stdin, whose lock a daemon thread would keep at exit
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
