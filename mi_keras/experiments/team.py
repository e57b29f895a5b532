"""Who computes the stages of an experiment beside the process that describes it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

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
        """Tell the store's progress what is left, and return when the store holds every stage of the graph.

        What it still lacks then, this process computes.
        """
        store.progress.expect(*graph.left())

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
