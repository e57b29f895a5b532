"""What the tests of teams follow: stages that say which process computed them."""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np

from mi_keras.errors import InputError
from mi_keras.experiments.store import Store, open_store

ERRORS = {error.__name__: error for error in (InputError, FloatingPointError, PermissionError, LookupError)}

MIDDLE = [f"middle {number}" for number in range(40)]


def begun(root):
    """Return how often each stage was begun, and by which processes."""
    lines = [line.rsplit(maxsplit=1) for line in (root / "computed").read_text().splitlines()]
    return Counter(name for name, _ in lines), {int(process) for _, process in lines}


def runs(process):
    """Return whether a process is there; one that has ended and that nobody has asked for its end is not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def described(store, job):
    """Return a stage that all others are made from, those others, and one that is made from them all.

    The others of several `processes` have begun something when the first of those others is done.
    """
    root = Path(job["root"])

    def compute(name, seconds):
        def computed(workspace):
            with open(root / "computed", "a") as file:
                file.write(f"{name} {os.getpid()}\n")
            if name == job.get("fails") and os.getpid() != job["parent"]:
                raise ValueError("this one fails\nhere")
            if name == job.get("dies") and os.getpid() != job["parent"]:
                os._exit(7)
            if name == job.get("dies_once") and (root / "computed").read_text().count(f"{name} ") == 1:
                os._exit(7)
            if name == job.get("stops") and os.getpid() != job["parent"]:
                os.kill(os.getpid(), signal.SIGSTOP)
            if name == job.get("of_itself"):
                raise ERRORS[job["raises"]]("`steps` must be there;\nit is not")
            until = time.monotonic() + 60
            while name in MIDDLE and len(begun(root)[1]) < job.get("processes", 1):
                assert time.monotonic() < until
                time.sleep(0.02)
            time.sleep(seconds)
            return {"x": np.full(3, float(len(name)))}, {"name": name}

        return computed

    seconds = job.get("seconds", 0)
    first = store.stage("first", compute("first", 0), seed=1)
    middle = [
        store.stage("middle", compute(MIDDLE[number], seconds), seed=number, upstream=[first])
        for number in range(job["count"])
    ]
    last = store.stage("last", compute("last", 0), upstream=middle)
    return first, middle, last


def follow(job, team, progress):
    """Compute what `described` returns in two calls, and between them something that is read at once."""
    run(Store(Path(job["root"]) / "store", progress=progress, team=team, run="a run"), job)


def follow_at_home(job, team, progress):
    """The same in whatever store the process is given."""
    run(open_store(progress=progress, team=team, run="a run"), job)


def run(store, job):
    _, middle, last = described(store, job)
    store.compute(middle)
    between = store.stage(
        "between", lambda _: ({}, {"sum": sum(s.arrays["x"].sum() for s in middle)}), upstream=middle
    )
    assert between.info["sum"]
    agreed = store.agree(lambda: [os.getpid(), between.info["sum"]])
    last = store.stage("last", last.compute, upstream=middle, agreed=agreed)
    store.compute([last])
    return between.info["sum"], last
