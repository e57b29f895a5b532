"""Content-addressed store of finished stages: written whole or not at all, verified when read, resumed when cut off."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import DamagedFile
from mi_keras.experiments.artifacts import Artifacts, Shelf
from mi_keras.experiments.graph import Graph
from mi_keras.experiments.home import HOME_VARIABLE, home, shelf_at_home
from mi_keras.experiments.renewal import Renewal
from mi_keras.experiments.stage_words import describe, told
from mi_keras.experiments.team import Team
from mi_keras.files import DiskWorkspace, check_writable
from mi_keras.machine import FLOAT32, machine, usable_precision, versions
from mi_keras.progress import Arrays, Progress, SilentProgress, Workspace
from mi_keras.whole import locked, remove_leftovers

log = logging.getLogger("mi_keras")

WAIT = 0.1  # seconds until a stage that another process computes is looked for again
Compute = Callable[[Workspace], tuple[Arrays, Mapping[str, Any]]]
Result = tuple[dict[str, NDArray[Any]], dict[str, Any]]


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
        devices: that train one model together.
        run: what is asked for, where that may be cut off and asked for again (see `renewal`).
        progress: told of each stage that was computed, and how many are left.
        team: computes what `compute` is asked for; by default this process, one stage after another.
        shelf: where results are that are not below the root; by default that of the team.
    """

    def __init__(
        self,
        root: Path,
        *,
        force: bool = False,
        precision: str = FLOAT32,
        devices: int = 1,
        run: str = "",
        progress: Progress | None = None,
        team: Team | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self.root, self.precision, self.devices = root, usable_precision(precision), devices
        self.progress, self.team = progress or SilentProgress(), team or Team()
        self.artifacts = Artifacts(root, self.team.shelf or shelf)
        self._graph: Graph | None = None  # of the stages that are being computed
        self.current = ""  # what to name when it is interrupted
        self._computing = 0.0  # seconds of all stages that were computed
        self._fresh: set[str] = set()  # computed in the life of this object
        self.start_record()
        for folder in ("temporary", "locks", "stages"):
            check_writable(HOME_VARIABLE, root / folder)
            (root / folder).mkdir(parents=True, exist_ok=True)
        remove_leftovers(root / "temporary")
        self.renewal = Renewal(root, run, force=force)

    def start_record(self) -> None:
        """Begin to record anew which stages are used: `timings`; and what computed them, `computed_with`, each distinct one once."""
        self.timings: list[dict[str, Any]] = []
        self.computed_with: list[dict[str, str]] = []
        self._noted, self._earlier = set[str](), set(self._fresh)

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

    def has(self, stage: Stage) -> bool:
        """Return whether a stage is finished and whole, so that reading it computes nothing."""
        with suppress(DamagedFile):
            return self.artifacts.meta(stage.kind, stage.key, stage.identity) is not None
        return False

    def compute(
        self,
        stages: Iterable[Stage],
        *,
        measured: Mapping[str, float] | None = None,
        later: tuple[int, float] = (0, 0.0),
    ) -> None:
        """Compute those of some stages that are not stored, and what they are made from; a team does several at a time.

        Args:
            measured, later: for the forecast, see `Graph`.
        """
        wanted = list({stage.key: stage for stage in stages}.values())
        if not self.team.meets(wanted):
            return
        has = lambda stage: self.renewal.is_new(stage.key) and self.has(stage)  # noqa: E731
        self._graph = Graph(wanted, has, self.artifacts, measured, later)
        try:
            self.team.compute(self._graph, self)
            for stage in wanted:
                self.fetch(stage, with_arrays=False)
        finally:
            self._graph = None

    def compute_first(self, stages: Iterable[Stage]) -> None:
        """Compute stages before any other is begun: all at a time where the team computes elsewhere, else one after another here."""
        if self.team.apart:
            self.compute(stages)
        else:
            for stage in stages:
                stage.computed()

    def agree(self, value: Callable[[], Any]) -> Any:
        """Return a JSON value on which stages depend, and which one process of a team works out for all."""
        return self.team.agree(value)

    def take(self, stage: Stage, fill: Callable[[Path], object]) -> None:
        """Take over the result of a stage that another machine computed (see `Artifacts.take`)."""
        self.artifacts.take(stage.kind, stage.key, stage.identity, fill)
        self.renewal.finish(stage.key)
        self.fetch(stage, with_arrays=False)

    def fetch(self, stage: Stage, *, with_arrays: bool = True) -> Result:
        """Return a stage's arrays and info: from disk where they are whole, else computed and stored."""
        waits = self._graph is None and not self.team.leads
        while (found := self._find(stage, with_arrays=with_arrays)) is None and waits:
            time.sleep(WAIT)
        if found is None:
            waiting = f"another process computes {told(stage)}: waiting for it"
            self.progress.computing("")  # as long as the lock is waited for
            with locked(self.root / "locks" / stage.key, lambda: log.warning(waiting)):
                self.progress.computing(self.current)
                found = self._find(stage, with_arrays=with_arrays) or self._produce(stage)
        return found

    def fetch_if_free(self, stage: Stage) -> bool:
        """Compute a stage if it is not stored; return False, at once, where another process has its lock."""
        try:  # nothing is looked for without it: what is damaged is not read, and told of, again and again
            with locked(self.root / "locks" / stage.key, _give_up):
                _ = self._find(stage, with_arrays=False) or self._produce(stage)
        except _Busy:
            return False
        return True

    def map_large(self, stage: Stage, name: str) -> NDArray[Any]:
        """Open a large array of a stage for reading, computing the stage if need be."""
        self.fetch(stage, with_arrays=False)
        with suppress(DamagedFile):  # cut after its one check: it is checked again
            return self.artifacts.large(stage.kind, stage.key, name)
        self.fetch(stage, with_arrays=False)
        return self.artifacts.large(stage.kind, stage.key, name)

    def _find(self, stage: Stage, *, with_arrays: bool) -> Result | None:
        if not self.renewal.is_new(stage.key):
            return None
        try:
            meta = self.artifacts.meta(stage.kind, stage.key, stage.identity)
            if meta is None:
                return None
            arrays = self.artifacts.arrays(stage.kind, stage.key) if with_arrays else {}
        except DamagedFile as damage:
            log.warning("a stored stage is damaged (%s); computing it again", damage)
            return None
        if self._graph is not None and stage in self._graph:  # another process of the team has computed it
            self._fresh.add(stage.key)
            self._say_finished(stage, meta["seconds"])
        reused = stage.key not in self._fresh or stage.key in self._earlier
        self._note(stage, meta["seconds"], meta["versions"] | meta.get("machine", {}), reused=reused)
        return arrays, meta["info"]

    def _produce(self, stage: Stage) -> Result:
        workspace = DiskWorkspace(self.root / "unfinished" / stage.key)
        self.renewal.begin(stage.key, lambda: shutil.rmtree(workspace.folder, ignore_errors=True))
        outer, self.current = self.current, told(stage)
        self.progress.computing(self.current)
        started, before = time.perf_counter(), self._computing
        arrays, info = stage.compute(workspace)
        on_the_way = self._computing - before  # stages that have their own entries
        seconds = round(time.perf_counter() - started - on_the_way, 3)
        self._computing += seconds
        self.artifacts.write(stage.kind, stage.key, stage.identity, arrays, info, seconds, workspace.folder)
        shutil.rmtree(workspace.folder, ignore_errors=True)
        self.current = outer
        self.progress.computing(outer)
        self._fresh.add(stage.key)
        self.renewal.finish(stage.key)
        self._say_finished(stage, seconds)
        self._note(stage, seconds, versions() | machine(), reused=False)
        return {key: np.asarray(value) for key, value in arrays.items()}, json.loads(json.dumps(info))

    def _say_finished(self, stage: Stage, seconds: float) -> None:
        left = None
        if self._graph is not None and stage in self._graph:
            self._graph.done(stage, seconds)
            left = self._graph.left()
        self.progress.finished(told(stage), seconds, left)

    def _note(self, stage: Stage, seconds: float, by: dict[str, str], *, reused: bool) -> None:
        if stage.key not in self._noted:
            self._noted.add(stage.key)
            self.timings.append({"stage": describe(stage), "seconds": seconds, "reused": reused})
            if by not in self.computed_with:
                self.computed_with.append(by)


def open_store(**options: Any) -> Store:
    """Return the user's store (see `home`); `options` are those of `Store`."""
    return Store(home(), shelf=shelf_at_home(options.get("progress")), **options)


class _Busy(Exception):
    """Another process holds the lock of a stage."""


def _give_up() -> None:
    raise _Busy


def _as_json(value: object) -> dict[str, Any]:
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"a stage's identity must be JSON values and settings dataclasses; got {value!r}.")
    return asdict(value)
