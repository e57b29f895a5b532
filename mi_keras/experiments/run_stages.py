"""What the stages of one run share, whichever attack they belong to: identity, seeds, labels, weights as arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mi_keras.experiments.store import Compute, Stage, Store, variant
from mi_keras.seeds import derive
from mi_keras.work import Arrays, Progress


class RunStages:
    """Describes stages of one run; an attack's own stages are methods of a subclass.

    Args:
        identity: what every stage of the attack depends on, as JSON values.
        seed: root of all random choices.
        run: number of the repetition, from 1.
    """

    def __init__(
        self, store: Store, progress: Progress, identity: Mapping[str, Any], *, seed: int, run: int
    ) -> None:
        self.store, self.progress = store, progress
        self._identity = {**identity, "seed": seed, "run": run}
        self._seed, self._run = seed, run

    def derive(self, *names: object) -> int:
        """Return the seed of a random choice of this run, by its names."""
        return derive(self._seed, "run", self._run, *names)

    def label(self, text: str, stage: Stage | None = None) -> str:
        """Return what progress bars of this run say; the variant of `stage` is added."""
        return ", ".join([f"run {self._run}: {text}", *(variant(stage) if stage else [])])

    def stage(
        self,
        kind: str,
        compute: Compute,
        *,
        upstream: Sequence[Stage] = (),
        seeds: Sequence[tuple[object, ...]] = (),
        **identity: Any,
    ) -> Stage:
        """Describe a stage of this run: data, seed and number of the run join its identity (see `Store.stage`).

        Args:
            seeds: the names, as of `derive`, of the random choices that `compute` makes.
        """
        derived = {"/".join(map(str, names)): self.derive(*names) for names in seeds}
        return self.store.stage(kind, compute, upstream=upstream, seeds=derived, **identity, **self._identity)


def weights_of(model: keras.Model) -> dict[str, NDArray[Any]]:
    """Return all variables of a model by position, the states of its random generators included."""
    return {f"{i:03d}": np.asarray(variable) for i, variable in enumerate(model.variables)}


def with_weights(model: keras.Model, arrays: Arrays) -> keras.Model:
    """Assign what `weights_of` returned to a model of the same architecture, and return that.

    Raises:
        ValueError: there are more or fewer variables.
    """
    if len(arrays) != len(model.variables):
        raise ValueError(f"`arrays` must hold {len(model.variables)} variables; got {len(arrays)}.")
    for i, variable in enumerate(model.variables):
        variable.assign(arrays[f"{i:03d}"])
    return model
