"""Content-addressed store of finished stages: written whole or not at all, verified when read, resumed when cut off."""

import hashlib
import json
import logging
import os
import shutil
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.work import Arrays, Workspace

log = logging.getLogger("mi_keras")

HOME_VARIABLE, DEFAULT_HOME = "MI_KERAS_HOME", ".mi_keras"
ARRAYS, META = "arrays.npz", "meta.json"
Compute = Callable[[Workspace], tuple[Arrays, Mapping[str, Any]]]


def home() -> Path:
    """Return the root of the user's store: `$MI_KERAS_HOME`, by default `.mi_keras` in the working folder."""
    return Path(os.environ.get(HOME_VARIABLE, DEFAULT_HOME))


class DamagedArtifact(Exception):
    """A stored stage does not match its checksum, or a part of it is missing."""


@dataclass(frozen=True)
class Stage:
    """A step of an experiment, not yet computed or computed long ago: reading its result computes it if need be.

    Attributes:
        kind: what the step is, for example "classifier".
        identity: everything its result depends on, as JSON values: settings, seed, data, keys of earlier stages.
    """

    store: "Store"
    kind: str
    identity: Mapping[str, Any]
    compute: Compute = field(repr=False)

    @cached_property
    def key(self) -> str:
        """The SHA-256 of kind and identity, shortened: equal stages of different sections share one artifact."""
        text = json.dumps([self.kind, self.identity], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    @cached_property
    def _result(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        return self.store.fetch(self)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the result."""
        return self._result[0]

    @property
    def info(self) -> dict[str, Any]:
        """The JSON values of the result."""
        return self._result[1]


class DiskWorkspace:
    """Parts of an unfinished stage, one npz each, replaced in one step (see `work.Workspace`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        path = self.folder / f"{name}.npz"
        if not path.exists():
            return None
        try:
            return _read_npz(path)
        except DamagedArtifact:
            log.warning("unfinished part %s is damaged; computing it again", path)
            return None

    def save(self, name: str, arrays: Arrays) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{name}-{os.getpid()}.tmp"
        try:
            _write_npz(temporary, arrays)
            os.replace(temporary, self.folder / f"{name}.npz")
        finally:
            temporary.unlink(missing_ok=True)


class Store:
    """The artifacts under one root folder.

    Layout: `stages/KIND/KEY/{arrays.npz,meta.json}` for what is finished, `unfinished/KEY/` for checkpoints,
    `temporary/` for what is being written. A finished stage appears by renaming its folder.

    Args:
        root: folder, created on demand.
        force: compute every stage anew, once in the life of this object.
    """

    def __init__(self, root: Path, *, force: bool = False) -> None:
        self.root = root
        self.force = force
        self.timings: list[dict[str, Any]] = []
        self.current = ""  # what to name when the work is interrupted
        self._fresh: set[str] = set()
        try:
            (root / "temporary").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"`MI_KERAS_HOME` must be a folder that can be written; got {str(root)!r}: {error}."
            ) from None
        _remove_leftovers(root / "temporary")

    def stage(
        self,
        kind: str,
        compute: Compute,
        *,
        upstream: Sequence[Stage] = (),
        settings: object = None,
        **identity: Any,
    ) -> Stage:
        """Describe a stage; nothing is computed. `settings` is a settings dataclass, all of whose fields count."""
        described = dict(identity) | {"upstream": [stage.key for stage in upstream]}
        if is_dataclass(settings) and not isinstance(settings, type):
            described["settings"] = json.loads(json.dumps(asdict(settings)))
        return Stage(self, kind, described, compute)

    def fetch(self, stage: Stage) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return a stage's arrays and info: from disk where they are whole, else computed and stored."""
        name = _describe(stage)
        if not self.force or stage.key in self._fresh:
            try:
                arrays, meta = self._read(stage)
                self._note(name, meta["seconds"], reused=True)
                return arrays, meta["info"]
            except FileNotFoundError:
                pass
            except DamagedArtifact as damage:
                log.warning("stored stage %s is damaged (%s); computing it again", stage.kind, damage)
        workspace = DiskWorkspace(self.root / "unfinished" / stage.key)
        outer, self.current = self.current, name
        spent = sum(entry["seconds"] for entry in self.timings if not entry["reused"])
        started = time.perf_counter()
        computed, info = stage.compute(workspace)
        elapsed = time.perf_counter() - started
        inner = sum(entry["seconds"] for entry in self.timings if not entry["reused"]) - spent
        seconds = round(elapsed - inner, 3)  # stages computed on the way have their own entries
        self._write(stage, computed, info, seconds)
        shutil.rmtree(workspace.folder, ignore_errors=True)
        self.current = outer
        self._fresh.add(stage.key)
        self._note(name, seconds, reused=False)
        return {key: np.asarray(value) for key, value in computed.items()}, json.loads(json.dumps(info))

    def _note(self, name: str, seconds: float, *, reused: bool) -> None:
        self.timings.append({"stage": name, "seconds": seconds, "reused": reused})

    def _folder(self, stage: Stage) -> Path:
        return self.root / "stages" / stage.kind / stage.key

    def _read(self, stage: Stage) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        folder = self._folder(stage)
        if not folder.exists():
            raise FileNotFoundError(folder)
        try:
            meta = json.loads((folder / META).read_text())
            if _sha256(folder / ARRAYS) != meta["sha256"]:
                raise DamagedArtifact(f"{folder / ARRAYS} does not match its checksum")
            meta["info"], meta["seconds"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DamagedArtifact(f"{folder}: {error}") from None
        return _read_npz(folder / ARRAYS), meta

    def _write(self, stage: Stage, arrays: Arrays, info: Mapping[str, Any], seconds: float) -> None:
        temporary = self.root / "temporary" / f"{os.getpid()}-{uuid.uuid4().hex}"
        temporary.mkdir(parents=True)
        try:
            _write_npz(temporary / ARRAYS, arrays)
            meta = {"kind": stage.kind, "identity": stage.identity, "info": info, "seconds": seconds,
                    "sha256": _sha256(temporary / ARRAYS)}  # fmt: skip
            _write_bytes(temporary / META, json.dumps(meta, indent=1).encode())
            folder = self._folder(stage)
            folder.parent.mkdir(parents=True, exist_ok=True)
            if folder.exists():  # damaged, forced, or finished meanwhile by another process: all are replaced
                os.replace(folder, temporary.with_name(temporary.name + "-old"))
            os.replace(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(temporary.with_name(temporary.name + "-old"), ignore_errors=True)


def _describe(stage: Stage) -> str:
    words = [value for value in stage.identity.values() if isinstance(value, str)]
    run = stage.identity.get("run")
    return " ".join([stage.kind, *words, *([f"(run {run})"] if run else [])])


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DamagedArtifact(f"{path}: {error}") from None


def _write_npz(path: Path, arrays: Arrays) -> None:
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=False, **{name: np.asarray(value) for name, value in arrays.items()})
        file.flush()
        os.fsync(file.fileno())


def _write_bytes(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_leftovers(folder: Path) -> None:
    """Delete what processes that are gone had begun to write."""
    for path in folder.iterdir():
        pid = path.name.split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc").exists():
            shutil.rmtree(path, ignore_errors=True)
