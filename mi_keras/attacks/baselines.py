"""Baselines that an attack has to beat: they know nothing of an image but its predicted class, or only the mean of all
images."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Attack, Evidence, Fitted, Input
from mi_keras.attacks.class_images import class_average, class_prototype
from mi_keras.data.preprocess import as_unit
from mi_keras.progress import Run
from mi_keras.settings import PrototypeSettings
from mi_keras.types import Floats

BATCH = 50  # images summed or answered together


class _OfClass(Attack):
    """Answers with one image per predicted class; what it learned is the array `images`, one per class."""

    needs: ClassVar[Access] = Access(images=True)

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        yield fitted[0]["images"][observed.observation.predicted_class]


@dataclass(frozen=True)
class ClassAverage(_OfClass):
    """The mean of the adversary's own images of the predicted class (thesis Figure 4c)."""

    kinds: ClassVar[tuple[str, str]] = ("class_average", "scored_baseline")
    label: ClassVar[str] = "class average"
    seed_names: ClassVar[list[tuple[object, ...]]] = []

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        return {"images": class_average(held.own_images, held.classes)}, {}


@dataclass(frozen=True)
class ClassPrototype(_OfClass):
    """The one image per predicted class that has the highest mean SSIM to the adversary's images of it (see
    `class_prototype`).

    For a class of which the adversary has no image, it is the mean of all its images.
    """

    settings: PrototypeSettings = PrototypeSettings()

    kinds: ClassVar[tuple[str, str]] = ("class_prototype", "scored_baseline")
    label: ClassVar[str] = "class prototype"
    seed_names: ClassVar[list[tuple[object, ...]]] = [("class_prototype",)]

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        own = held.own_images
        there, labels = np.unique(own.labels, return_inverse=True)
        of_class = class_prototype(replace(own, labels=labels), len(there), self.settings, run=run)
        prototypes = np.repeat(as_unit(own.images).mean(axis=0, keepdims=True), held.classes, axis=0)
        prototypes[there] = of_class
        return {"images": prototypes}, {}


@dataclass(frozen=True)
class MeanImage(Attack):
    """The mean of all of the adversary's own images, the same for every answer; for faces this is the mean face."""

    kinds: ClassVar[tuple[str, str]] = ("mean_face", "scored")
    shared: ClassVar[bool] = True
    label: ClassVar[str] = "mean face"
    needs: ClassVar[Access] = Access(images=True)
    inputs: ClassVar[tuple[Input, ...]] = ()
    seed_names: ClassVar[list[tuple[object, ...]]] = []

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        pixels = held.own_images.images
        total = np.zeros(pixels.shape[1:], np.float64)
        for start in range(0, len(pixels), BATCH):
            total += pixels[start : start + BATCH].sum(axis=0, dtype=np.float64)
        brightest = 255 if pixels.dtype == np.uint8 else 1
        return {"image": (total / (brightest * len(pixels))).astype(np.float32)}, {}

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        for start in range(0, len(observed), BATCH):
            yield np.repeat(fitted[0]["image"][None], min(BATCH, len(observed) - start), axis=0)
