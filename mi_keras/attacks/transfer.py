"""Alignment without a query: the observed answers alone show how the target differs from the shadow models."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.alignment import family_of, matched, transport
from mi_keras.attacks.attack import Attack, Evidence, Fitted
from mi_keras.attacks.canonical import canonical_parts, inputs_by, own_of, shrunk, unpacked, with_own
from mi_keras.attacks.drawing import drawn_by, last_network
from mi_keras.errors import InputError
from mi_keras.progress import Run
from mi_keras.settings import LARGEST, check_positive, check_whole
from mi_keras.types import Floats, Ints

ALIGNMENTS = ("none", "covariance", "matching")


@dataclass(frozen=True)
class Transfer(Attack):
    """A bank's networks on a target's canonical answers, standardised by the target's own statistics, and aligned.

    Attributes:
        networks: those of a bank (see `bank.BankInverter`), of canonical or mapped answers.
        sources: shadow models of that bank.
        observed: number of answers, from the first on, whose statistics are used; 0: all.
        alignment: "none"; "covariance", by optimal transport; or "matching" of answers with the adversary's images by EM.
        share: how far the covariance is moved to that of the shadow models, in [0, 1].
        weight: weight of the shadow models against the observed answers in an alignment, as a number of answers.
        only_last: use the last of the networks alone.
    """

    networks: Attack
    sources: int = 10
    observed: int = 0
    alignment: str = "none"
    share: float = 0.5
    weight: float = 100.0
    only_last: bool = False

    starts_behind: ClassVar[bool] = True
    tolerance: ClassVar[float] = 1e-4

    def __post_init__(self) -> None:
        if self.alignment not in ALIGNMENTS:
            raise InputError(f"`alignment` must be one of {', '.join(ALIGNMENTS)}; got {self.alignment!r}.")
        check_whole("sources", self.sources, 1, LARGEST)
        check_whole("observed", self.observed, 0, LARGEST)
        if not 0 <= self.share <= 1:
            raise InputError(f"`share` must be between 0 and 1; got {self.share!r}.")
        check_positive("weight", self.weight)

    @property
    def label(self) -> str:
        words = {"none": "", "covariance": ", covariance aligned", "matching": ", matched by EM"}
        seen = f", {self.observed:,} observed" if self.observed else ""
        last = ", last network" if self.only_last else ""
        return f"{self.networks.label}{words[self.alignment]}{seen}{last}"

    @property
    def needs(self) -> Access:
        return Access(images=True, answers="surrogate", surrogates=self.sources, population=True)

    @property
    def start(self) -> Attack:
        return self.networks

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Return what the networks learned with the target's statistics as `own.` arrays, and its `map`."""
        assert known is not None
        assert before is not None
        assert held.population is not None  # as `needs` asks for all of them
        arrays = before[0]
        vectors = held.population.vectors[: self.observed or None]
        own = shrunk(vectors, unpacked(arrays))
        standard, classes = own.canonical(vectors)
        maps = self._aligned(known, standard, classes, arrays)
        kept = last_network(arrays) if self.only_last else arrays
        return {**kept, **with_own(own), "map": maps}, before[1]

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        arrays = fitted[0]
        inputs = inputs_by(own_of(arrays), observed.observation.vectors, arrays["map"])
        yield from drawn_by(arrays, inputs, held.image_shape, label=self.label)

    def _aligned(self, known: Evidence, standard: Floats, classes: Ints, arrays: Any) -> NDArray[np.float64]:
        if self.alignment == "covariance":
            goal = arrays["covariances"]
            moved = transport(standard, classes, goal, share=self.share, weight=self.weight)
            carried: NDArray[np.float64] = moved @ arrays["map"]
            return carried
        if self.alignment == "matching":
            parts = canonical_parts(known.observation, arrays)
            family = family_of(parts, arrays["anchors"], arrays["anchor_classes"])
            return matched(standard, classes, family, weight=self.weight)
        unchanged: NDArray[np.float64] = arrays["map"]
        return unchanged
