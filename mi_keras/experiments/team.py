"""Who computes the stages of an experiment beside the process that describes it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from mi_keras.errors import InputError
from mi_keras.experiments.artifacts import Shelf
from mi_keras.experiments.graph import Graph

if TYPE_CHECKING:
    from mi_keras.experiments.store import Stage, Store

T = TypeVar("T")


class Team:
    """Who computes stages that do not need one another: see `workers` and `ray_tasks`. This one is a process by itself.

    Attributes:
        leads: this process may compute what is read outside of `Store.compute`; else it waits for the one that does.
        apart: what `compute` is asked for is computed elsewhere, and this process only waits for it.
        shelf: where this process finds results that are not on its disk, in place of the user's own.
    """

    leads: bool = True
    apart: bool = False
    shelf: Shelf | None = None

    def compute(self, graph: Graph, store: "Store") -> None:
        """Return when the store holds every stage of the graph; what it still lacks then, this process computes."""

    def meets(self, wanted: Sequence["Stage"]) -> bool:
        """Be told what a call of `Store.compute` wants, before any of it is looked for; False: this process needs none of it."""
        return True

    def agree(self, value: Callable[[], Any]) -> Any:
        """Return a JSON value on which stages depend, and which the process that leads works out for all."""
        return value()

    def narrow(self, **job: Any) -> None:
        """Be told which part of the job comes now, where the rest need not be described for it."""
        return None

    def bring(self, name: str, value: Callable[[], Any]) -> None:
        """Be offered a value of the job, for machines that cannot read it themselves."""
        return None

    def remember(self, make: Callable[[], T]) -> T:
        """Return what `make` returns; a process that describes the same job again gets the same object."""
        return make()

    def go_ahead(self) -> None:
        """Let others begin what the next call is for, while this process does something else."""
        return None

    def close(self) -> None:
        """End what the team has started."""
        return None


def check_cluster(
    ray: str | None, workers: int | None, gpus_per_stage: float, memory_per_stage: float | None
) -> None:
    """Raise `InputError` unless arguments that say where stages are computed go together."""
    if ray is not None and not ray:
        raise InputError("`ray` must be auto or the HOST:PORT of a cluster; got ''.")
    if ray is None and (gpus_per_stage or memory_per_stage):
        raise InputError("`gpus_per_stage` and `memory_per_stage` must go with `ray`; got none.")
    if ray is not None and workers is not None:
        raise InputError(f"`workers` must be left out with `ray`; got {workers}.")
    for name, value in (("gpus_per_stage", gpus_per_stage), ("memory_per_stage", memory_per_stage)):
        if not 0 <= (value or 0) < float("inf"):
            raise InputError(f"`{name}` must be a finite number >= 0; got {value!r}.")
