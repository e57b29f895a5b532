"""The candidate whose answer is nearest to the observed one, for an adversary whose pool of candidates includes the
attacked image."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mi_keras.attacks.access import UNLIMITED, Access, Holdings
from mi_keras.attacks.attack import Attack, Evidence, Fitted
from mi_keras.attacks.steps import deviations_of
from mi_keras.errors import InputError
from mi_keras.progress import Run
from mi_keras.types import Floats

BATCH = 64  # candidates, or observed answers, at a time
TIE = 1e-6  # of a distance: answers this close are equal
HOW = ("queries", "weights")


@dataclass(frozen=True)
class PoolMatch(Attack):
    """The candidate with the nearest answer, by squared differences in standard deviations of the pool's answers; of
    equally near ones their mean.

    It learns nothing. Where every image has a different answer and no noise is added, it finds every image; so it does
    not measure how much an answer tells somebody without the pool.

    Attributes:
        by: how it gets the answers of candidates: "queries" to the target, or its "weights".
    """

    by: str = "queries"

    kinds: ClassVar[tuple[str, str]] = ("", "PoolMatch.scored")
    label: ClassVar[str] = "nearest answer in a pool"

    def __post_init__(self) -> None:
        if self.by not in HOW:
            raise InputError(f"`by` must be one of {', '.join(HOW)}; got {self.by!r}.")

    @property
    def needs(self) -> Access:
        return Access(
            pool=True, weights=self.by == "weights", queries=UNLIMITED if self.by == "queries" else 0
        )

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        assert held.pool is not None  # as `needs` asks for one
        answers = self._answers(held)
        deviations = deviations_of(answers)
        answers = _flat(answers / deviations)
        with run.progress.bar(run.label, len(observed), "img") as bar:
            for start in range(0, len(observed), BATCH):
                wanted = _flat(
                    np.asarray(observed.observation.values[start : start + BATCH], np.float32) / deviations
                )
                yield np.stack([self._picked(answers, row, held.pool) for row in wanted])
                bar.advance(len(wanted))

    def _answers(self, held: Holdings) -> Floats:
        assert held.pool is not None
        if self.by == "queries":
            assert held.query is not None
            return np.asarray(held.query(held.pool).values[:], np.float32)
        assert held.target is not None
        batches = [held.pool[i : i + BATCH] for i in range(0, len(held.pool), BATCH)]
        answers = [held.target.send(batch) for batch in batches]
        return np.concatenate([np.asarray(answer, np.float32) for answer in answers])

    @staticmethod
    def _picked(answers: Floats, wanted: Floats, pool: Floats) -> Floats:
        """Return the mean of the nearest candidates: which of equals comes first must not matter."""
        distances = np.square(answers - wanted).sum(axis=1, dtype=np.float64)
        return (
            pool[distances <= distances.min() * (1 + TIE)].mean(axis=0, dtype=np.float64).astype(np.float32)
        )


def _flat(values: Floats) -> Floats:
    return values.reshape(len(values), -1)
