"""Nearest neighbour: the adversary's own image whose answer is nearest to the observed one, without a network."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Attack, Evidence, Fitted
from mi_keras.attacks.steps import deviations_of
from mi_keras.data.preprocess import as_unit
from mi_keras.progress import Run
from mi_keras.settings import check_whole
from mi_keras.types import Floats, Rows

BATCH = 50  # answers at a time
WIDTH = 4096  # numbers of an answer that are compared
SEED = 1  # of the signs: nothing is chosen by it


@dataclass(frozen=True)
class LookUp(Attack):
    """The adversary's own image with the nearest answer, by squared differences in units of the standard deviation of
    its own answers.

    Answers longer than `WIDTH` are hashed to `WIDTH` numbers first by a fixed count sketch (Charikar et al. 2002),
    which keeps squared distances on average, with a standard deviation of about 2 %.

    Attributes:
        images: how many of the adversary's own images to use, at most; 0: all.
        maps: whether answers are feature maps.
    """

    images: int = 0
    maps: bool = True

    label: ClassVar[str] = "nearest own image"
    needs: ClassVar[Access] = Access(images=True, answers="surrogate")
    seed_names: ClassVar[list[tuple[object, ...]]] = []

    def __post_init__(self) -> None:
        check_whole("images", self.images, 0)

    @property
    def of_maps(self) -> bool:
        return self.maps

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Return `sketches` `(images, numbers)` of own answers, and `deviations` of these."""
        if known is None:
            raise ValueError("`known` must hold the answers to the adversary's own images; got None.")
        values = known.observation.values
        count = min(self.images or len(values), len(values))
        deviations = deviations_of(values, range(count))
        return {"sketches": _sketches(values, count, deviations), "deviations": deviations}, {}

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        own, values = fitted[0]["sketches"], observed.observation.values
        wanted = _sketches(values, len(values), fitted[0]["deviations"])
        for start in range(0, len(wanted), BATCH):
            rows = wanted[start : start + BATCH]
            nearest = [int(np.argmin(np.square(own - row).sum(axis=1, dtype=np.float64))) for row in rows]
            yield as_unit(np.stack([held.own_images.images[place] for place in nearest]))


def _sketches(values: Rows, count: int, deviations: Floats) -> Floats:
    """Return `(count, numbers)` of the first answers."""
    size = int(np.prod(values.shape[1:]))
    draw = np.random.default_rng(SEED)
    bucket = draw.integers(WIDTH, size=size)
    signs = draw.choice(np.array([-1, 1], np.float32), size)

    def sketch(row: Floats) -> NDArray[Any]:
        return row if size <= WIDTH else np.bincount(bucket, row * signs, WIDTH)

    found = np.empty((count, min(size, WIDTH)), np.float32)
    for start in range(0, count, BATCH):
        part = np.asarray(values[start : min(start + BATCH, count)], np.float32) / deviations
        found[start : start + len(part)] = [sketch(row.ravel()) for row in part]
    return found
