"""What a long computation needs from outside: a place to report progress and a place to keep unfinished state."""

import hashlib
import itertools
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mi_keras.machine import FLOAT32
from mi_keras.seeds import derive

Arrays = Mapping[str, NDArray[Any]]
SAVE_EVERY = 20  # batches of a large array


class Bar(Protocol):
    """A known amount to do, in a named unit."""

    def advance(self, amount: float = 1) -> None:
        """Report that `amount` more is done."""


class Progress(Protocol):
    """Opens bars and makes announcements; the one for terminals is `console.TerminalProgress`."""

    def bar(self, label: str, total: float, unit: str, done: float = 0) -> AbstractContextManager[Bar]:
        """Open a bar for `total` units, of which `done` were finished by an earlier, interrupted run."""

    def announce(self, text: str) -> None:
        """Say something that the user must hear also where no bar is shown, such as the disk space about to be used."""

    def expect(self, steps: int, seconds: float) -> None:
        """Be told how many stages are left to be computed, and in about what time; 0: nobody knows."""

    def computing(self, words: str) -> None:
        """Be told which stage is computed from now on, by its words; "": none."""

    def finished(self, words: str, seconds: float, left: tuple[int, float] | None = None) -> None:
        """Be told of a stage that was computed, by its words, and what it took; and what is left, where it was one of those."""


class Workspace(Protocol):
    """Keeps named parts of unfinished work; the one on disk is `files.DiskWorkspace`."""

    @property
    def folder(self) -> Path:
        """Where a library may keep files of its own while the computation is unfinished; it need not exist yet."""

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        """Return a part saved before, or None."""

    def save(self, name: str, arrays: Arrays) -> None:
        """Write or replace a part; it is there whole or not at all."""

    def large(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Open an array that is filled bit by bit and may be larger than the memory; it becomes part of the result.

        What an interrupted run wrote into it is still there. How far it came is for a part saved with `save` to say,
        after `flush`.
        """


class SilentProgress:
    """Reports nothing."""

    @contextmanager
    def bar(self, label: str, total: float, unit: str, done: float = 0) -> Iterator[Bar]:
        yield self

    def advance(self, amount: float = 1) -> None:
        pass

    def announce(self, text: str) -> None:
        pass

    def expect(self, steps: int, seconds: float) -> None:
        pass

    def computing(self, words: str) -> None:
        pass

    def finished(self, words: str, seconds: float, left: tuple[int, float] | None = None) -> None:
        pass


class MemoryWorkspace:
    """Keeps parts for as long as the object lives."""

    def __init__(self) -> None:
        self.parts: dict[str, dict[str, NDArray[Any]]] = {}
        self.arrays: dict[str, NDArray[Any]] = {}

    @cached_property
    def folder(self) -> Path:
        path = tempfile.mkdtemp(prefix="mi_keras-")
        weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)
        return Path(path)

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        return self.parts.get(name)

    def save(self, name: str, arrays: Arrays) -> None:
        self.parts[name] = {key: np.array(value) for key, value in arrays.items()}

    def large(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        return self.arrays.setdefault(name, np.zeros(shape, dtype))


@dataclass(frozen=True)
class Run:
    """What every long computation asks for.

    Attributes:
        seed: root of its random choices.
        seeds: further seeds by name, where a caller has drawn them; `named` derives one where it has not.
        workspace: keeps finished parts, so that an interrupted computation goes on where it was.
        progress: where it reports to.
        label: what its progress bars say.
        precision: of products in networks that it trains or inverts, of `machine.PRECISIONS`.
        devices: that share each batch of a training, see `training.devices`.
    """

    seed: int = 1
    seeds: Mapping[str, int] = field(default_factory=dict)
    workspace: Workspace | None = None
    progress: Progress = field(default_factory=SilentProgress)
    label: str = "working"
    precision: str = FLOAT32
    devices: int = 1

    def named(self, name: str) -> int:
        """Return the seed of a further random choice."""
        return self.seeds[name] if name in self.seeds else derive(self.seed, name)


def fill(
    values: NDArray[Any], answer: Callable[[slice], NDArray[Any]], workspace: Workspace, progress: Progress, label: str, *,
    batch: int, beside: NDArray[Any] | None = None,
) -> None:  # fmt: skip
    """Fill a large array of a workspace batch by batch; an interrupted call goes on where it was.

    With how far it came it keeps a hash of each block that it has filled. A block that is no longer what it was, as in a file
    that was cut, is computed again, and so is what follows it.

    Args:
        answer: returns the values of a part of the array.
        label: of the progress bar, which counts images.
        batch: rows of a part.
        beside: another large array, which `answer` fills with a row for each part.
    """
    block = SAVE_EVERY * batch

    def hashed(start: int) -> NDArray[np.uint8]:
        content = hashlib.sha256(np.ascontiguousarray(values[start : start + block]).data)
        if beside is not None:
            first = start // batch
            content.update(np.ascontiguousarray(beside[first : first + SAVE_EVERY]).data)
        return np.frombuffer(content.digest(), np.uint8)

    saved = (workspace.load("progress") or {}).get("blocks", np.empty((0, 32), np.uint8))
    blocks = list(
        itertools.takewhile(lambda it: np.array_equal(hashed(it[0] * block), it[1]), enumerate(saved))
    )
    hashes, done = [found for _, found in blocks], len(blocks) * block
    if len(blocks) < len(saved):
        again = len(saved) * block - done
        progress.announce(
            f"{label}: {again} of {len(values)} are no longer as they were saved; computing them again."
        )
    with progress.bar(label, len(values), "img", done) as bar:
        for number, start in enumerate(range(done, len(values), batch), start=1):
            part = answer(slice(start, start + batch))
            values[start : start + len(part)] = part
            bar.advance(len(part))
            if number % SAVE_EVERY == 0:
                for array in (values, beside):
                    flush(array)
                hashes.append(hashed(start + batch - block))
                workspace.save("progress", {"blocks": np.stack(hashes)})
    for array in (values, beside):
        flush(array)


def flush(array: NDArray[Any] | None) -> None:
    """Wait until what was written into a large array is on the disk, if it is mapped from there."""
    if isinstance(array, np.memmap):
        array.flush()
