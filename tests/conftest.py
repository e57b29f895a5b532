"""Shared by all tests: quiet TensorFlow, `from oracles import ...`, and ways to watch or interrupt long work."""

import atexit
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Read when TensorFlow and NumPy are first imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
for threads in (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
):
    os.environ.setdefault(
        threads, "1"
    )  # small models gain nothing from a second one, and two test files run at a time
os.environ.setdefault(
    "NVIDIA_TF32_OVERRIDE", "0"
)  # on a GPU: float32 products in float32, as the oracles expect

from mi_keras.machine import use_onednn  # noqa: E402
from mi_keras.progress import Arrays, Bar, MemoryWorkspace  # noqa: E402

use_onednn()  # as commands do

sys.path.insert(0, str(Path(__file__).parent))
# A shell starts what is in the background with Ctrl-C ignored, and what it starts inherits that
signal.signal(signal.SIGINT, signal.default_int_handler)
atexit.register(gc.freeze)  # what is left goes with the process: to look through it first takes seconds


def pytest_collection_finish() -> None:
    """Half a million objects are imported by now, and stay: to look through them again and again took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


class StoppingWorkspace(MemoryWorkspace):
    """Is interrupted right after its save number `saves`."""

    def __init__(self, saves: int) -> None:
        super().__init__()
        self.left = saves

    def save(self, name: str, arrays: Arrays) -> None:
        super().save(name, arrays)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


class RecordingProgress:
    """Keeps what is reported to it, and is interrupted at report number `stop_at`."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at, self.bars, self.amounts, self.said, self.ended = stop_at, [], [], [], []
        self.left: list[int] = []  # steps, whenever they were counted

    @contextmanager
    def bar(self, label: str, total: float, unit: str, done: float = 0) -> Iterator[Bar]:
        self.bars.append((label, total, unit, done))
        yield self

    def advance(self, amount: float = 1) -> None:
        self.amounts.append(amount)
        if len(self.amounts) == self.stop_at:
            raise KeyboardInterrupt

    def announce(self, text: str) -> None:
        self.said.append(text)

    def expect(self, steps: int, seconds: float) -> None:
        self.expected = (steps, seconds)
        self.left.append(steps)

    def computing(self, words: str) -> None:
        pass

    def finished(self, words: str, seconds: float, left: tuple[int, float] | None = None) -> None:
        self.ended.append(words)
        if left is not None:
            self.left.append(left[0])


@pytest.fixture
def stopping_workspace() -> Callable[[int], StoppingWorkspace]:
    return StoppingWorkspace


@pytest.fixture
def recording_progress() -> Callable[..., RecordingProgress]:
    return RecordingProgress


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all workers of this run, for stores: each of their stages is computed by who needs it first."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture
def refusal_of(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return what calls a command and gives the line with which it refuses its arguments.

    Every command refuses them so: by one line on standard error and exit code 2, with nothing on standard output where
    it is `quiet`, as it is unless it says first what it has looked at.
    """

    def refusal(command: Callable[[list[str]], int], arguments: Iterable[str], *, quiet: bool = True) -> str:
        capsys.readouterr()
        try:
            code = command(list(arguments))
        except SystemExit as end:  # argparse's own way
            code = end.code
        said = capsys.readouterr()
        assert code == 2
        assert not (quiet and said.out)
        assert said.err.count("\n") == 1
        assert said.err.endswith("\n")
        return said.err

    return refusal
