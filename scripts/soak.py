#!/usr/bin/env python3
"""Kill commands at random moments, take away their disk, and compare what they end with: docs/reliability.md.

python scripts/soak.py --rounds 3                      # every job and every trouble; two minutes a round on 2 CPU cores
python scripts/soak.py --rounds 10 --only thesis invert
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).parents[1]
MOST_KILLS = 6  # of one round; the next attempt is left alone
TINY = ("--preset", "smoke", "--set", "data.train_per_class=12", "--set", "data.test_per_class=9")
INVERSION = (
    "--section", "5.2", *TINY, "--set", "combinations=o,x", "--set", "second_combinations=x", "--set", "prototype.steps=3",
)  # fmt: skip
SPLIT = (
    "--work", "split", "--section", "6", "--preset", "smoke", "--encoder-weights", "random", "--set", "faces.faces=22",
    "--set", "encoder.variant=minimalistic", "--set", "compact.epochs=1", "--set", "compact.batch_size=8",
)  # fmt: skip
SEARCH = (
    "search", "--preset", "smoke", "--set", "data.method=stratified", "--set", "data.train_per_class=4", "--set",
    "classifier.epochs=1", "--set", "gradient.steps=20", "--set", "search.coarse_trials=3", "--set", "search.fine_trials=2",
    "--set", "search.images=8",
)  # fmt: skip


@dataclass
class Job:
    """A command, and what of the files it writes has to be the same whatever happened on the way.

    Attributes:
        arguments: of `mi-keras`, but for `--out`.
        compared: patterns of files whose bytes count.
        seconds: that it took when nothing happened.
        expected: digest of what it wrote then.
    """

    name: str
    arguments: Sequence[str]
    compared: Sequence[str]
    seconds: float = 0.0
    expected: str = ""
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("rounds", "kills", "other results", "left behind"), 0)
    )

    def start(self, folder: Path, store: Path | None = None) -> "subprocess.Popen[str]":
        """Start it with everything below a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {
            "MI_KERAS_HOME": str(store or folder / "store"), "PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3",
        }  # fmt: skip
        command = [sys.executable, "-c", "import sys; from mi_keras.cli import main; sys.exit(main())"]
        return subprocess.Popen(
            [*command, *self.arguments, "--out", str(folder / "out")], cwd=folder, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def finish(self, folder: Path, store: Path | None = None) -> None:
        """Run it to its end."""
        process = self.start(folder, store)
        _, said = process.communicate()
        if (
            process.returncode and "must be a folder without images" not in said
        ):  # killed right after the last of them
            raise SystemExit(f"{self.name} ended with {process.returncode}: {said}")

    def digest(self, folder: Path) -> str:
        """Return the hash of the names and bytes of what is compared."""
        paths = sorted(path for pattern in self.compared for path in (folder / "out").glob(pattern))
        if not paths:
            raise SystemExit(f"{self.name} wrote nothing to compare in {folder}")
        content = hashlib.sha256()
        for path in paths:
            content.update(
                str(path.relative_to(folder)).encode() + hashlib.sha256(path.read_bytes()).digest()
            )
        return content.hexdigest()

    def check(self, folder: Path, store: Path | None = None) -> None:
        """Compare what it wrote with what it wrote undisturbed, and look for what nobody cleans up."""
        self.counts["rounds"] += 1
        self.counts["other results"] += self.digest(folder) != self.expected
        store = store or folder / "store"
        left = [
            *store.glob("temporary/*"),
            *store.glob("unfinished/*"),
            *folder.rglob(".*.tmp"),
            *folder.glob("out/parts"),
        ]
        self.counts["left behind"] += len(left)


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


def full_disk(job: Job, root: Path) -> str:
    """Let the disk run full under the store, then make it larger."""
    with mounted(root / "small disk", "size=300k") as store:
        process = job.start(root / "full", store)
        _, said = process.communicate()
        line = said.strip().splitlines()[-1]
        subprocess.run(["mount", "-o", "remount,size=200m", str(store)], check=True)
        job.finish(root / "full", store)
        job.check(root / "full", store)
        return f"exit code {process.returncode}, {line!r}; with room it finished"


def read_only(job: Job, root: Path) -> str:
    """Ask for a finished store that cannot be written."""
    with mounted(root / "read only", "size=200m") as store:
        job.finish(root / "before", store)
        subprocess.run(["mount", "-o", "remount,ro", str(store)], check=True)
        before = contents(store)
        process = job.start(root / "after", store)
        _, said = process.communicate()
        same = "unchanged" if contents(store) == before else "CHANGED"
        return f"exit code {process.returncode}, {said.strip().splitlines()[-1]!r}; the store is {same}"


def strange_path(job: Job, root: Path) -> str:
    """Use a folder whose name has what names seldom have."""
    folder = root / "Ein Pfad mit Lücken, 'Äpfeln' und 雪"
    job.finish(folder)
    job.check(folder)
    return "as elsewhere"


def two_at_once(job: Job, root: Path) -> str:
    """Start a job twice at the same time with one store."""
    store, folders = root / "shared", [root / "first", root / "second"]
    processes = [job.start(folder, store) for folder in folders]
    ended = [process.communicate()[1] for process in processes]
    for folder in folders:
        job.check(folder, store)
    waited = sum("waiting for it" in said for said in ended)
    return f"exit codes {[process.returncode for process in processes]}; {waited} said that it waits"


TROUBLES: Mapping[str, Callable[[Job, Path], str]] = {
    "full disk": full_disk, "read-only store": read_only, "strange path": strange_path, "two processes, one store": two_at_once,
}  # fmt: skip


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Mount a small disk in memory; needs the right to."""
    folder.mkdir(parents=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def served(job: Job, folder: Path) -> Iterator[Job]:
    """Export the model of a finished job, serve it, and give the job of asking it."""
    exported = folder.with_name("exported")
    export = Job("export", ("export", *job.arguments, "--combination", "x"), ())
    export.finish(exported, folder / "store")
    program = "import sys; from mi_keras.serving.loopback import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(exported / "out")], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    try:
        assert process.stdout
        process.stdout.readline()
        rest = process.stdout.readline().strip()
        given = exported / "vectors.npz"
        np.savez(given, output_vector=np.random.default_rng(1).normal(size=(400, 10)))
        name = next(
            path.name for path in (exported / "out").iterdir() if path.is_dir() and path.name[0] != "."
        )
        arguments = (
            "invert", "--server", rest, "--rest", "--model", name, "--endpoint", "invert_from_output", "--batch", "4",
            "--input", str(given),
        )  # fmt: skip
        yield Job("invert", arguments, ("*.png", "images.npz"))
    finally:
        process.terminate()
        process.wait()


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
        "--only", nargs="+", choices=(*jobs, "invert", "troubles"), default=[*jobs, "invert", "troubles"]
    )
    options = parser.parse_args()
    draw, failures = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory(prefix="soak ") as temporary:
        root = Path(temporary)

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
        if {"invert", "troubles"} & {*options.only} and not thesis.expected:
            measured(thesis)
        if "invert" in options.only:
            with served(Job("", thesis.arguments, ()), root / "thesis undisturbed") as job:
                measured(job)
                killed_rounds(job, root, options.rounds, draw)
                report(job)
        if "troubles" in options.only:
            for name, trouble in TROUBLES.items():
                thesis.counts = dict.fromkeys(thesis.counts, 0)
                try:
                    said = trouble(thesis, root / name)
                except subprocess.CalledProcessError as error:
                    said = f"not tried: {(error.stderr or b'').decode().strip()}"
                failures += thesis.counts["other results"]
                print(
                    json.dumps(
                        {"trouble": name, "seen": said, "other results": thesis.counts["other results"]}
                    ),
                    flush=True,
                )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
