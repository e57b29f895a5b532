"""The same targets before an adversary who has no image of their source. Imports TensorFlow."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from mi_keras.data.splits import Splits
from mi_keras.defenses.defense import Defense
from mi_keras.experiments.bench import TARGET
from mi_keras.experiments.beyond.bench import BeyondBench
from mi_keras.experiments.store import Stage


class ElsewhereBench(BeyondBench):
    """Describes the stages of one target whose adversary has the training and validation images of another source.

    Its shadow models learn the other source's classes, and so do those that play the target, which are attacked on the other
    source's images: it has no others to choose by.

    Attributes:
        other_source: where this adversary's images are from, in the form of `--data`.
    """

    other_source: str
    _near: BeyondBench  # whose target is attacked

    @classmethod
    def of(cls, bench: BeyondBench, other: Splits, data: Mapping[str, Any]) -> Self:
        """Return the bench of the same target; `data` identifies both sources."""
        splits = replace(
            bench.splits, shadow_train=other.shadow_train, shadow_validation=other.shadow_validation
        )
        found = cls(
            splits, data, bench.settings, bench.store, bench.progress, bank=bench.bank, seed=bench._seed, run=bench._run
        )  # fmt: skip
        found._near, found.other_source = bench, other.source_name
        return found

    def of_run(self, run: int) -> Self:
        other = super().of_run(run)
        other._near = self._near.of_run(run)
        return other

    def model(self, role: str, defense: Defense | None = None) -> Stage:
        near = role == TARGET and not self.player
        return self._near.model(role, defense) if near else super().model(role, defense)

    def output_vector(self, role: str, subset: str, defense: Defense | None = None) -> Stage:
        if role == TARGET and not self.player and subset == self.attacked:
            return self._near.output_vector(role, subset, defense)
        return super().output_vector(role, subset, defense)
