"""Content-addressed store of finished stages: written whole or not at all, verified when read, resumed when cut off."""

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import DamagedFile
from mi_keras.experiments.renewal import Renewal
from mi_keras.experiments.stage_words import describe, told
from mi_keras.files import (
    LARGE,
    WRONG_FORMAT,
    DiskWorkspace,
    check_writable,
    is_damage,
    map_array,
    read_arrays,
    seal_of,
    sha256,
    write_arrays,
    write_text,
)
from mi_keras.machine import FLOAT32, usable_precision, versions
from mi_keras.progress import Arrays, Workspace
from mi_keras.whole import locked, remove_leftovers, sync_folder, sync_tree, temporary_folder

log = logging.getLogger("mi_keras")

HOME_VARIABLE, DEFAULT_HOME = "MI_KERAS_HOME", ".mi_keras"
ARRAYS, META = "arrays.npz", "meta.json"
Compute = Callable[[Workspace], tuple[Arrays, Mapping[str, Any]]]
Result = tuple[dict[str, NDArray[Any]], dict[str, Any]]


def home() -> Path:
    """Return the root of the user's store: `$MI_KERAS_HOME`, by default `.mi_keras` in the working folder."""
    return Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)


@dataclass(frozen=True)
class Stage:
    """A step of an experiment, not yet computed or computed long ago: reading its result computes it if need be.

    Arrays are read from the disk at each access and not kept: models are large.

    Attributes:
        kind: what the step is, for example "classifier".
        identity: everything its result depends on, as JSON values: settings, seed, data, keys of earlier stages.
        upstream: the earlier stages themselves.
        seeds: of its random choices, by the names that they derive from.
        words: what tells it from others of its kind, for progress and timings.
        told: the same for who knows no kinds of stages, whole; "": nobody said it.
    """

    store: "Store"
    kind: str
    identity: Mapping[str, Any]
    compute: Compute = field(repr=False)
    upstream: tuple["Stage", ...] = field(repr=False)
    seeds: Mapping[str, int] = field(default_factory=dict, repr=False)
    words: tuple[str, ...] = field(default=(), repr=False)
    told: str = field(default="", repr=False)

    @cached_property
    def key(self) -> str:
        """The SHA-256 of kind and identity, shortened: equal stages of different sections share one artifact."""
        text = json.dumps([self.kind, self.identity], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the result."""
        return self.store.fetch(self)[0]

    def large(self, name: str) -> NDArray[Any]:
        """A large array of the result (see `progress.Workspace.large`), mapped from the disk for reading."""
        return self.store.map_large(self, name)

    def computed(self) -> "Stage":
        """Compute the result now if it is not stored, and return the stage."""
        self.store.fetch(self, with_arrays=False)
        return self

    @cached_property
    def info(self) -> dict[str, Any]:
        """The JSON values of the result."""
        return self.store.fetch(self, with_arrays=False)[1]


class Store:
    """The artifacts under one root folder.

    Layout: `stages/KIND/KEY/{arrays.npz,meta.json}` and `NAME.npy` of large arrays for what is finished, `unfinished/KEY/` for checkpoints,
    `temporary/` for what is being written, `locks/`. A finished stage appears by renaming its folder. Processes that
    need the same stage at the same time wait for the first of them, where the system has locks.

    Args:
        root: folder, created on demand.
        force: compute every stage anew, once in the life of this object.
        precision: that stages of adversaries are computed in where it makes them faster; of `machine.PRECISIONS`.
        run: what is asked for, where that may be cut off and asked for again (see `renewal`).
        finished: told the words of each stage that was computed, and its seconds.
    """

    def __init__(
        self,
        root: Path,
        *,
        force: bool = False,
        precision: str = FLOAT32,
        run: str = "",
        finished: Callable[[str, float], object] = lambda words, seconds: None,
    ) -> None:
        self.root, self.precision = root, usable_precision(precision)
        self._finished = finished
        self.current = ""  # what to name when it is interrupted
        self._computing = 0.0  # seconds of all stages that were computed
        self._fresh: set[str] = set()  # computed in the life of this object
        self._whole: set[str] = set()  # large arrays verified in the life of this object
        self.start_record()
        for folder in ("temporary", "locks", "stages"):
            check_writable(HOME_VARIABLE, root / folder)
            (root / folder).mkdir(parents=True, exist_ok=True)
        remove_leftovers(root / "temporary")
        self.renewal = Renewal(root, run, force=force)

    def start_record(self) -> None:
        """Begin to record anew which stages are used: `timings`, and `versions`, one entry per distinct set."""
        self.timings: list[dict[str, Any]] = []
        self.versions: list[dict[str, str]] = []
        self._noted: set[str] = set()
        self._earlier = set(self._fresh)

    def stage(
        self,
        kind: str,
        compute: Compute,
        *,
        upstream: Sequence[Stage] = (),
        seeds: Mapping[str, int] | None = None,
        words: Sequence[str] = (),
        told: str = "",
        **identity: Any,
    ) -> Stage:
        """Describe a stage; nothing is computed. A settings dataclass in its identity counts with all of its fields."""
        described = identity | {"upstream": [stage.key for stage in upstream]}
        as_json = json.loads(json.dumps(described, default=_as_json))
        return Stage(self, kind, as_json, compute, tuple(upstream), seeds or {}, tuple(words), told)

    def size(self) -> int:
        """Return the bytes of all that is kept, finished or not."""
        total = 0
        for path in self.root.rglob("*"):
            with suppress(FileNotFoundError):  # another process has moved it
                total += path.lstat().st_size
        return total

    def has(self, stage: Stage) -> bool:
        """Return whether a stage is finished and whole, so that reading it computes nothing."""
        try:
            return self._read_meta(stage) is not None
        except DamagedFile:
            return False

    def fetch(self, stage: Stage, *, with_arrays: bool = True) -> Result:
        """Return a stage's arrays and info: from disk where they are whole, else computed and stored."""
        found = self._find(stage, with_arrays=with_arrays)
        if found is None:
            waiting = f"another process computes {told(stage)}: waiting for it"
            with locked(self.root / "locks" / stage.key, lambda: log.warning(waiting)):
                found = self._find(stage, with_arrays=with_arrays) or self._produce(stage)
        return found

    def map_large(self, stage: Stage, name: str) -> NDArray[Any]:
        """Open a large array of a stage for reading, computing the stage if need be."""
        path = self._folder(stage) / f"{name}{LARGE}"
        self.fetch(stage, with_arrays=False)
        try:
            return map_array(path)
        except DamagedFile:  # cut after its one check: it is checked again
            self._whole.discard(stage.key)
            self.fetch(stage, with_arrays=False)
            return map_array(path)

    def _find(self, stage: Stage, *, with_arrays: bool) -> Result | None:
        if not self.renewal.is_new(stage.key):
            return None
        try:
            meta = self._read_meta(stage)
            if meta is None:
                return None
            arrays = read_arrays(self._folder(stage) / ARRAYS) if with_arrays else {}
        except DamagedFile as damage:
            log.warning("a stored stage is damaged (%s); computing it again", damage)
            return None
        reused = stage.key not in self._fresh or stage.key in self._earlier
        self._note(stage, meta["seconds"], meta["versions"], reused=reused)
        return arrays, meta["info"]

    def _produce(self, stage: Stage) -> Result:
        workspace = DiskWorkspace(self.root / "unfinished" / stage.key)
        if self.renewal.begin(stage.key):
            shutil.rmtree(workspace.folder, ignore_errors=True)
            self.renewal.save_begun()
        outer, self.current = self.current, told(stage)
        started, before = time.perf_counter(), self._computing
        arrays, info = stage.compute(workspace)
        on_the_way = self._computing - before  # stages that have their own entries
        seconds = round(time.perf_counter() - started - on_the_way, 3)
        self._computing += seconds
        self._write(stage, arrays, info, seconds, workspace.folder)
        shutil.rmtree(workspace.folder, ignore_errors=True)
        self.current = outer
        self._fresh.add(stage.key)
        self.renewal.finish(stage.key)
        self._finished(told(stage), seconds)
        self._note(stage, seconds, versions(), reused=False)
        return {key: np.asarray(value) for key, value in arrays.items()}, json.loads(json.dumps(info))

    def _note(self, stage: Stage, seconds: float, used: dict[str, str], *, reused: bool) -> None:
        if stage.key not in self._noted:
            self._noted.add(stage.key)
            self.timings.append({"stage": describe(stage), "seconds": seconds, "reused": reused})
            if used not in self.versions:
                self.versions.append(used)

    def _folder(self, stage: Stage) -> Path:
        return self.root / "stages" / stage.kind / stage.key

    def _read_meta(self, stage: Stage) -> dict[str, Any] | None:
        folder = self._folder(stage)
        if not folder.exists():
            return None
        try:
            meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
            seal = meta.pop("seal")
            whole = seal == seal_of(meta) and meta["identity"] == stage.identity
            whole = whole and meta["sha256"] == sha256(folder / ARRAYS)
            if stage.key not in self._whole:  # reading them all takes a while
                whole = whole and all(sha256(folder / n) == s for n, s in meta.get("large", {}).items())
        except (*WRONG_FORMAT, OSError) as error:
            if not is_damage(folder, error):
                raise  # it may be good
            raise DamagedFile(f"{folder}: {error}") from None
        if not whole:
            raise DamagedFile(f"{folder} does not match its checksum")
        self._whole.add(stage.key)
        return meta

    def _write(
        self, stage: Stage, arrays: Arrays, info: Mapping[str, Any], seconds: float, unfinished: Path
    ) -> None:
        with temporary_folder(self.root / "temporary") as temporary:
            new = temporary / "new"
            new.mkdir()
            write_arrays(new / ARRAYS, arrays)
            large = sorted(unfinished.glob(f"*{LARGE}"))
            meta = {"kind": stage.kind, "identity": stage.identity, "info": info, "seconds": seconds,
                    "versions": versions(), "sha256": sha256(new / ARRAYS)}  # fmt: skip
            if large:
                meta["large"] = {path.name: sha256(path) for path in large}
            write_text(new / META, json.dumps(meta | {"seal": seal_of(meta)}, indent=1, allow_nan=False))
            folder = self._folder(stage)
            folder.parent.mkdir(parents=True, exist_ok=True)
            if large:  # from here on nothing may say how far arrays that are no longer there were filled
                for part in unfinished.glob("*.npz"):
                    part.unlink()
                sync_folder(unfinished)
            for path in large:
                os.replace(path, new / path.name)
            sync_tree(new)  # before it has its name
            if folder.exists():  # damaged or forced
                os.replace(folder, temporary / "replaced")
            os.replace(new, folder)
            sync_folder(folder.parent)
            sync_folder(folder.parent.parent)


def _as_json(value: object) -> dict[str, Any]:
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(
            f"the identity of a stage must be JSON values and settings dataclasses; got {value!r}."
        )
    return asdict(value)
