#!/usr/bin/env python3
"""Kill commands at random moments, take away their disk, their clock and their server, and compare what they end with:
docs/reliability.md.

python scripts/soak.py --rounds 3                      # every job and every trouble; two minutes a round on 2 CPU cores
python scripts/soak.py --rounds 10 --only thesis invert
python scripts/soak.py --only requests                 # 10,000 to a server that is restarted five times
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

# A script finds what lies beside it, not `scripts`
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scripts.soak_jobs import INVERSION, SEARCH, SPLIT, Job, served
from scripts.soak_served import requests
from scripts.soak_troubles import TROUBLES

OF_THESIS = ("invert", "requests", "troubles")  # start from what `thesis` has computed
MOST_KILLS = 6  # of one round; the next attempt is left alone


def killed_rounds(job: Job, root: Path, rounds: int, draw: random.Random) -> None:
    """Kill a job at random moments, `MOST_KILLS` times at most, and let it finish: once a round."""
    for number in range(rounds):
        folder = root / f"{job.name} {number}"
        for _ in range(MOST_KILLS):
            process = job.start(folder)
            try:
                process.communicate(timeout=draw.uniform(0.1, 1.0) * job.seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # workers of a search too
                process.communicate()
                job.counts["kills"] += 1
            else:
                break
        job.finish(folder)
        job.check(folder)


def inverted(server: str, model: Path, root: Path) -> Job:
    """Return the job of asking a server for images."""
    given = root / "vectors.npz"
    np.savez(given, output_vector=np.random.default_rng(1).normal(size=(400, 10)))
    arguments = (
        "invert", "--server", server, "--rest", "--model", model.name, "--endpoint", "invert_from_output", "--batch", "4",
        "--input", str(given),
    )  # fmt: skip
    return Job("invert", arguments, ("*.png", "images.npz"))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    jobs = {
        "thesis": Job("thesis", INVERSION, ("**/arrays.npz", "**/*.png", "**/*.csv")),
        "split": Job("split", SPLIT, ("**/arrays.npz", "**/*.png", "**/*.csv")),
        "audit": Job("audit", ("audit", "--preset", "smoke", "--budget", "0"), ("pictures.npz",)),
        "search": Job("search", SEARCH, ("**/arrays.npz", "**/*.png", "**/*.csv")),
    }
    parser.add_argument("--rounds", type=int, default=3, help="of every job (default: 3)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments (default: 1)")
    parser.add_argument(
        "--only", nargs="+", choices=(*jobs, *OF_THESIS), default=[*jobs, *OF_THESIS],
    )  # fmt: skip
    parser.add_argument("--requests", type=int, default=10_000, help="to the server (default: 10,000)")
    options = parser.parse_args()
    draw, failures = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory(prefix="soak ") as temporary:
        root = Path(temporary)
        root.chmod(0o755)  # another user reads his copy of a store

        def measured(job: Job) -> None:
            since = time.monotonic()
            job.finish(root / f"{job.name} undisturbed")
            job.seconds, job.expected = time.monotonic() - since, job.digest(root / f"{job.name} undisturbed")

        def report(job: Job) -> None:
            nonlocal failures
            failures += job.counts["other results"] + job.counts["left behind"]
            print(json.dumps({"job": job.name, "seconds": round(job.seconds, 1), **job.counts}), flush=True)

        for job in (jobs[name] for name in jobs if name in options.only):
            measured(job)
            killed_rounds(job, root, options.rounds, draw)
            report(job)
        thesis = jobs["thesis"]
        if {*OF_THESIS} & {*options.only} and not thesis.expected:
            measured(thesis)
        if "invert" in options.only:
            with served(thesis, root / "thesis undisturbed", "x") as (server, model):
                job = inverted(server.rest, model, root)
                measured(job)
                killed_rounds(job, root, options.rounds, draw)
                report(job)
        if "requests" in options.only:
            with served(thesis, root / "thesis undisturbed", "o") as (server, model):
                came = requests(server, model, options.requests, options.seed)
                failures += came.get("right", 0) != options.requests
                print(json.dumps(came), flush=True)
        if "troubles" in options.only:
            for name, trouble in TROUBLES.items():
                thesis.counts = dict.fromkeys(thesis.counts, 0)
                try:
                    said = trouble(thesis, root / name)
                except subprocess.CalledProcessError as error:
                    said = f"not tried: {(error.stderr or b'').decode().strip()}"
                except FileNotFoundError as error:
                    said = f"not tried: {error}"
                bad = ("CHANGED", "NOT ALL KEPT", "WAITED", "NEGATIVE")  # what a trouble says in capitals
                failures += thesis.counts["other results"] + thesis.counts["left behind"]
                failures += any(word in str(said) for word in bad)
                print(
                    json.dumps(
                        {"trouble": name, "seen": said, "other results": thesis.counts["other results"]}
                    ),
                    flush=True,
                )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
