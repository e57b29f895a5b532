"""Stages that are to be computed, which of them can be now, and how long all of them will take."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mi_keras.experiments.store import Stage


class Record(Protocol):
    """Where it stands what stages took before; see `artifacts.Artifacts`."""

    def took(self, kind: str) -> Iterator[tuple[dict[str, Any], float]]: ...


LATEST = 10  # stages that tell what computing elsewhere takes beside
# What stages of the same work may differ in, at any depth of their identity
APART = {"fingerprint", "seed", "run", "number", "attacker", "upstream", "model"}


@dataclass
class Beside:
    """What stages that came back from elsewhere took beside their computing.

    Attributes:
        seconds: of each, in the order in which they came.
        first: how many of them began a process as well; 0: none is sent yet.
    """

    seconds: list[float] = field(default_factory=list)
    first: int = 0


class Graph:
    """The stages that are wanted and not stored, with all that they are made from and that is not stored either.

    Stages are forecast to take as long as others of the same kind and settings took, in this run or ever in this store;
    else as was measured beforehand, else as others of the kind in this run, else as the mean of what this run has computed. What
    computing them elsewhere takes beside that (see `sent`) comes on top: for each the lower quartile of the latest.

    Args:
        has: returns whether a stage is stored.
        measured: seconds, by the keys of stages.
        later: how many stages follow that cannot be described yet, and their seconds.
    """

    def __init__(
        self,
        wanted: Iterable["Stage"],
        has: Callable[["Stage"], bool],
        record: Record,
        measured: Mapping[str, float] | None = None,
        later: tuple[int, float] = (0, 0.0),
    ) -> None:
        self._measured, self._later = measured or {}, later
        self.at_once = 1  # how many are computed at a time, for the forecast
        self.beside = Beside()
        self._sent: dict[str, float] = {}  # when
        self._pending: dict[str, Stage] = {}  # each after what it is made from
        self._alike: dict[str, str] = {}
        seen: set[str] = set()
        for stage in wanted:
            self._add(stage, has, seen)
        self._took: dict[str, list[float]] = {}
        for kind in {stage.kind for stage in self._pending.values()}:
            for identity, seconds in record.took(kind):
                self._took.setdefault(_alike(kind, identity), []).append(seconds)
        self._now: dict[str, list[float]] = {}  # seconds in this run, by kind
        self._mean = 0.0, 0  # of all of them, and how many there are
        self._ready: list[Stage] | None = None

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, stage: "Stage") -> bool:
        return stage.key in self._pending

    def _add(self, stage: "Stage", has: Callable[["Stage"], bool], seen: set[str]) -> None:
        if stage.key in seen:
            return
        seen.add(stage.key)
        if not has(stage):
            for earlier in stage.upstream:
                self._add(earlier, has, seen)
            self._pending[stage.key] = stage
            self._alike[stage.key] = _alike(stage.kind, stage.identity)

    def ready(self) -> list["Stage"]:
        """Return the stages whose upstream is all there, the one with the longest way behind it first."""
        if self._ready is None:
            ways = self.ways()
            free = [
                stage
                for stage in self._pending.values()
                if not any(each.key in self._pending for each in stage.upstream)
            ]
            self._ready = sorted(free, key=lambda stage: -ways[stage.key])
        return self._ready

    def ways(self) -> Mapping[str, float]:
        """Return of each stage the seconds from its start to the end of the longest chain of stages that it begins."""
        ways, beside = dict[str, float](), self._beside_each()
        behind: dict[str, float] = {}  # the longest way among those that need it
        for key, stage in reversed(self._pending.items()):
            seconds = self.seconds(stage)
            ways[key] = (1.0 if seconds is None else seconds) + beside + behind.get(key, 0.0)
            for each in stage.upstream:
                behind[each.key] = max(behind.get(each.key, 0.0), ways[key])
        return ways

    def most_at_once(self) -> int:
        """Return how many stages can be computed at a time, counted by how many steps come before each."""
        steps: dict[str, int] = {}
        for key, stage in self._pending.items():
            steps[key] = 1 + max((steps.get(each.key, 0) for each in stage.upstream), default=0)
        return max(Counter(steps.values()).values(), default=0)

    def sent(self, stage: "Stage") -> None:
        """Note that a stage is sent to be computed elsewhere, from where it comes back when it is `done`."""
        self.beside.first = self.beside.first or self.at_once
        self._sent[stage.key] = time.monotonic()

    def done(self, stage: "Stage", seconds: float) -> None:
        """Note that a stage is stored, and what its computing took."""
        if (sent := self._sent.pop(stage.key, None)) is not None:
            self.beside.seconds.append(max(time.monotonic() - sent - seconds, 0.0))
        del self._pending[stage.key]
        self._ready = None
        self._took.setdefault(self._alike[stage.key], []).append(seconds)
        self._now.setdefault(stage.kind, []).append(seconds)
        known, count = self._mean
        self._mean = (known * count + seconds) / (count + 1), count + 1

    def seconds(self, stage: "Stage") -> float | None:
        """Return how long a stage will take, None where nothing tells."""
        if found := self._took.get(self._alike[stage.key]):
            return fmean(found)
        if stage.key in self._measured:
            return self._measured[stage.key]
        if found := self._now.get(stage.kind):
            return fmean(found)
        known, count = self._mean
        return known if count else None

    def left(self) -> tuple[int, float]:
        """Return how many stages are left, and the seconds they will take, so many at a time; 0: nothing tells."""
        each = [self.seconds(stage) for stage in self._pending.values()]
        known = [seconds for seconds in each if seconds is not None]
        count = len(each) + self._later[0]
        seconds = self._later[1] + count * self._beside_each()
        if len(known) < len(each):
            return count, 0.0
        return count, max([(sum(known) + seconds) / self.at_once, *self.ways().values()])

    def _beside_each(self) -> float:
        """Return the seconds that a stage takes beside its computing: the lower quartile of the latest; 0 where nothing tells.

        A quartile, as machines that have just joined and others that were waiting with a process are far from the rest.
        """
        begun = sorted(self.beside.seconds[self.beside.first :][-LATEST:])
        return begun[len(begun) // 4] if begun else 0.0


def _alike(kind: str, identity: Mapping[str, Any]) -> str:
    """Return what stages of the same work have in common: kind, settings and the size of their data, whatever their seed."""
    return json.dumps([kind, _settings(identity)], sort_keys=True)


def _settings(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _settings(each) for name, each in value.items() if name not in APART}
    return value
