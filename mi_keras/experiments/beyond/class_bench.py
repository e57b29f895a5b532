"""Class inversion as a bench: a class is observed and not an answer, and what is drawn is judged by a model that was not attacked."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import keras
import numpy as np
from scipy.special import softmax

from mi_keras.attacks.access import Access
from mi_keras.attacks.attack import Attack
from mi_keras.defenses.defense import Defense
from mi_keras.experiments.bench import TARGET, Asked, Bench
from mi_keras.experiments.beyond.bench import BeyondBench
from mi_keras.experiments.store import Compute, Stage
from mi_keras.experiments.thesis.bench import EVERYTHING
from mi_keras.metrics.image import score
from mi_keras.models.cnn import observe
from mi_keras.progress import Arrays, Workspace
from mi_keras.types import Floats, Observation

CLASSES = "classes"


class ClassBench(BeyondBench):
    """Describes the stages of an attack on each class of one target.

    Attributes:
        judge: whose model says what an image is of: it has another seed than the attacked one.
        by_weights: what imitates the target is the target itself, for an adversary with its weights.
    """

    attacked: ClassVar[str] = CLASSES
    judge: BeyondBench
    by_weights: bool

    @classmethod
    def of(cls, bench: BeyondBench, judge: BeyondBench, *, by_weights: bool) -> Self:
        """Return the bench of the same target."""
        other = copy.copy(bench)
        other.__class__ = cls  # asks and scores as this class does; all else as the target's bench
        assert isinstance(other, cls)
        other.judge, other.by_weights = judge, by_weights
        other.access = other.supplies = EVERYTHING  # type: ignore[misc]  # of an instance here
        return other

    def asked(self, answered_by: str, images: str, defense: Defense | None) -> Asked:
        if images != CLASSES:
            return super().asked(answered_by, images, defense)

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            return {"output_vector": np.eye(self.classes, dtype=np.float32)}, {}

        stage = self.stage("one_hot", compute, classes=self.classes)
        return Asked(images, (stage,), lambda: Observation(stage.arrays["output_vector"]))

    def upstream(self, needs: Access, defense: Defense | None, expected: Defense | None) -> list[Stage]:
        if needs.surrogates and self.by_weights:
            return [self.model(TARGET)]
        return super().upstream(needs, defense, expected)

    def surrogates(self, needs: Access, defense: Defense | None) -> Sequence[keras.Model]:
        if self.by_weights:
            return [self.load(self.model(TARGET))]
        return super().surrogates(needs, defense)

    def score(self, images: Iterable[Floats], subset: str, scores: Sequence[str] = ()) -> Arrays:
        """Return the images, and how each is like its class.

        `judged` is 1 where the judge takes it for the class, `confidence` the probability that it gives to that; `typical` is
        the mean SSIM to the images of the class in D_F, `nearest` the largest.
        """
        drawn, test = np.concatenate(list(images)), self.splits.test
        logits = observe(self.load(self.judge.model(TARGET)), drawn).vectors.astype(np.float64)
        shares, own = softmax(logits, axis=1), np.arange(len(drawn))
        alike = []
        for number, image in enumerate(drawn):
            of_class = test.images[test.labels == number]
            alike.append(score(np.repeat(image[None], len(of_class), axis=0), of_class).ssim)
        return {
            "images": drawn.astype(np.float16),
            "judged": (logits.argmax(axis=1) == own).astype(np.float32),
            "confidence": shares[own, own].astype(np.float32),
            "typical": np.array([each.mean() for each in alike], np.float32),
            "nearest": np.array([each.max() for each in alike], np.float32),
        }

    def score_stage(
        self, attack: Attack, asked: Asked, scores: Sequence[str], compute: Compute, /, **described: Any
    ) -> Stage:
        described["upstream"] = [*described["upstream"], self.judge.model(TARGET)]
        return Bench.score_stage(self, attack, asked, scores, compute, **described)
