"""What runs on the machines of a Ray cluster: one stage of an experiment, and who reads there what the experiment has (see `ray_tasks`)."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import DamagedFile, InputError
from mi_keras.experiments.artifacts import Artifacts, Shelf
from mi_keras.experiments.home import HOME_VARIABLE
from mi_keras.experiments.store import Stage
from mi_keras.experiments.team import Team
from mi_keras.progress import SilentProgress

OF_ITS_OWN = {error.__name__: error for error in (InputError, FloatingPointError, MemoryError, DamagedFile)}
Contents = dict[str, NDArray[np.uint8]]
T = TypeVar("T")
TEMPORARY = Path(tempfile.gettempdir())  # of the machine, before a task puts its own in the place
_KEPT: dict[object, Any] = {}  # from task to task: Ray gives this process those of one experiment alone


@dataclass(frozen=True)
class Failed:
    """A stage failed of itself, or its machine did: what is raised where it was asked for."""

    error: str
    words: str
    number: int | None = None

    def raised(self) -> Exception:
        if self.error in OF_ITS_OWN:
            return OF_ITS_OWN[self.error](self.words)
        return OSError(self.number, os.strerror(self.number or 0), self.words)


class Reader:
    """The results of the process that runs the experiment, for tasks; it runs beside that."""

    def __init__(self, root: Path, shelf: Shelf | None) -> None:
        self._artifacts = Artifacts(root, shelf)

    def read(self, kind: str, key: str, identity: Mapping[str, Any]) -> Contents | None:
        """Return the files of a result, None where there is none that is whole."""
        try:
            there = self._artifacts.meta(kind, key, identity) is not None
        except DamagedFile:
            there = False
        return contents(self._artifacts.files(kind, key)) if there else None


class _One(Team):
    """The team of a task: it computes one stage, and ends the experiment there; its shelf is the reader of the experiment."""

    apart = True

    def __init__(
        self, key: str, agreed: Sequence[Any], read: Callable[[str, str, Mapping[str, Any]], Contents | None]
    ) -> None:
        self._key, self._agreed, self._read, self.shelf = key, iter(agreed), read, self

    def agree(self, value: Callable[[], Any]) -> Any:
        return next(self._agreed)

    def remember(self, make: Callable[[], T]) -> T:
        return _kept("described", make)

    def fetch(self, kind: str, key: str, identity: Mapping[str, Any], into: Path) -> bool:
        found = None if key == self._key else self._read(kind, key, identity)
        if found is not None:
            write(found, into)
        return found is not None

    def keep(self, kind: str, key: str, folder: Path) -> None:
        pass  # it is sent back

    def meets(self, wanted: Sequence[Stage]) -> bool:
        seen, left = set(), list(wanted)
        while left:
            stage = left.pop()
            if stage.key == self._key:
                raise _Found(stage.computed())
            if stage.key not in seen:
                seen.add(stage.key)
                left += stage.upstream
        return False


class _Found(BaseException):
    """The stage of a task is computed: no handler of errors may stop this on its way."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage


def compute_stage(
    follow: str,
    job: Mapping[str, Any],
    brought: Mapping[str, Any],
    kind: str,
    key: str,
    name: str,
    reader: Any,
    cwd: str,
    agreed: Sequence[Any],
) -> Contents | Failed:
    """Compute a stage on the machine of this task, and return its files.

    Args:
        brought: references to values that join the job.
        agreed: see `Team.agree`, in its order.
    """
    import ray

    folder = TEMPORARY / f"{name}-{ray.get_runtime_context().get_node_id()[:16]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    tempfile.tempdir = str(folder)  # so that a task that is killed leaves nothing elsewhere
    os.environ[HOME_VARIABLE] = str(folder)
    with suppress(OSError):  # paths of data may be relative
        os.chdir(cwd)
    module, _, function = follow.partition(":")
    team = _One(key, agreed, lambda *asked: ray.get(reader.read.remote(*asked)))
    try:
        values = _kept(tuple(brought.values()), lambda: {each: ray.get(it) for each, it in brought.items()})
        getattr(import_module(module), function)({**job, **values}, team, SilentProgress())
    except _Found as found:
        return contents(found.stage.store.artifacts.files(kind, key))
    except tuple(OF_ITS_OWN.values()) as error:
        of = next(name for name, each in OF_ITS_OWN.items() if isinstance(error, each))
        return Failed(of, str(error))
    except OSError as error:
        return Failed(
            "OSError",
            f"{error.filename or error} on {ray.util.get_node_ip_address()}",
            error.errno or errno.EIO,
        )
    others = "another version of the package, other data, weights or code of your own, or another kind of processor"
    return Failed(
        "InputError",
        f"`ray` must be a cluster whose machines have what is here; a {kind} is not known on one, which has {others}.",
    )


def _kept(key: object, make: Callable[[], T]) -> T:
    if key not in _KEPT:
        _KEPT[key] = make()
    kept: T = _KEPT[key]
    return kept


def delete(name: str) -> None:
    for folder in TEMPORARY.glob(f"{name}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def contents(files: Sequence[Path]) -> Contents:
    """Map files from the disk: Ray copies them into its own memory once, and this process not at all."""
    return {path.name: np.asarray(np.memmap(path, np.uint8, "r")) for path in files}


def write(files: Contents, into: Path) -> None:
    for name, content in files.items():
        if Path(name).name == name:
            (into / name).write_bytes(content.data)
