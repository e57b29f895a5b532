"""The commands that `soak.py` disturbs, what they write, and the server of an export."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mi_keras.serving.contract import LOOPBACK

REPOSITORY = Path(__file__).parents[1]
PROGRAM = "import sys; from mi_keras.cli import main; sys.exit(main())"
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


def environment() -> dict[str, str]:
    """Return the environment of what is started here."""
    return os.environ | {"PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"}


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

    def start(
        self, folder: Path, store: Path | None = None, under: Sequence[str] = ()
    ) -> "subprocess.Popen[str]":
        """Start it with everything below a folder, by another command if that is to change what it finds there."""
        folder.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            [*under, sys.executable, "-c", PROGRAM, *self.arguments, "--out", str(folder / "out")], cwd=folder,
            env=environment() | {"MI_KERAS_HOME": str(store or folder / "store")},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def finish(self, folder: Path, store: Path | None = None, under: Sequence[str] = ()) -> str:
        """Run it to its end; return what it said on standard error."""
        process = self.start(folder, store, under)
        _, said = process.communicate()
        if (
            process.returncode and "must be a folder without images" not in said
        ):  # killed right after the last of them
            raise SystemExit(f"{self.name} ended with {process.returncode}: {said}")
        return said

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


class Server:
    """The loopback server of a folder of exports, which can be ended and started again at the same addresses.

    Attributes:
        grpc, rest: its addresses.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.grpc = self.rest = f"{LOOPBACK}:0"
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = "import sys; from mi_keras.serving.loopback import main; sys.exit(main())"
        ports = ("--grpc-port", self.grpc.split(":")[1], "--rest-port", self.rest.split(":")[1])
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, str(self._folder), *ports], stdout=subprocess.PIPE, text=True,
            env=environment(),
        )  # fmt: skip
        assert self._process.stdout
        self.grpc, self.rest = (self._process.stdout.readline().strip() for _ in range(2))
        if not self.rest:
            raise SystemExit(f"the server ended with {self._process.wait()}")

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal; return its exit code."""
        self._process.send_signal(by)
        return self._process.wait()


@contextmanager
def served(job: Job, folder: Path, combination: str) -> Iterator[tuple[Server, Path]]:
    """Export a model of a finished job and serve it; gives the server and the folder of the model."""
    exported = folder.with_name(f"exported {combination}")
    export = Job("export", ("export", *job.arguments, "--combination", combination), ())
    export.finish(exported, folder / "store")
    server = Server(exported / "out")
    try:
        yield server, next(path for path in (exported / "out").iterdir() if path.name[0] != ".")
    finally:
        server.end()


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
