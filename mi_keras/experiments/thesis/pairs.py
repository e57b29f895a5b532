"""Every shadow model against several target models: the pairs, their settings, and what tells one pair from another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mi_keras.errors import InputError
from mi_keras.experiments.bench import SHADOW, TARGET
from mi_keras.experiments.presets import MOST_RUNS
from mi_keras.experiments.thesis.sizes import Inverted
from mi_keras.experiments.thesis.work import Benches
from mi_keras.metrics.agreement import logit_cosine
from mi_keras.settings import check_whole
from mi_keras.types import Floats, Ints

if TYPE_CHECKING:
    from mi_keras.experiments.thesis.bench import ThesisBench

NOTE = (
    "Mean and deviation over {count} pairs of {shadows} shadow and {targets} target models; pairs that share a model are "
    "not independent."
)
HEADINGS = {
    "target_loss": "validation loss of M_T", "shadow_loss": "validation loss of M_S",
    "target_scale": "deviation of M_T's logits", "shadow_scale": "deviation of M_S's logits",
    "agreement": "cosine of the other nine logits",
}  # fmt: skip


@dataclass(frozen=True)
class Paired(Inverted):
    """Settings of a study over pairs of models.

    Attributes:
        targets: target models, those of the first so many runs; the shadow model of each run attacks all of them.
    """

    runs: int = 4
    targets: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("targets", self.targets, 1, MOST_RUNS)
        if self.same_models:
            raise InputError("`same_models` must be false where pairs of models are compared; got true.")


@dataclass(frozen=True)
class Pair:
    """A shadow and a target model by the numbers of their runs, and the bench on which one attacks the other."""

    shadow: int
    target: int
    bench: "ThesisBench"

    def __str__(self) -> str:
        return f"M_S {self.shadow}, M_T {self.target}"

    def described(self) -> dict[str, float]:
        """Return the values of `HEADINGS`: losses after the last epoch, logits of the test images."""
        sent = {
            role: self.bench.output_vector(role, "test").arrays["output_vector"] for role in (TARGET, SHADOW)
        }
        predicted = np.argmax(sent[TARGET], axis=1)
        others = [_others(sent[role], predicted) for role in (SHADOW, TARGET)]
        found = {"agreement": float(logit_cosine(*others).mean())}
        for role, vectors in sent.items():
            history = self.bench.classifier(role).info["history"]
            found |= {
                f"{role}_loss": history["validation_loss"][-1], f"{role}_scale": float(vectors.std(dtype=np.float64)),
            }  # fmt: skip
        return found


def pairs_of(config: Paired, benches: Benches) -> list[Pair]:
    """Return the pairs, one shadow model after another, so that what is finished is of use."""
    return list(_pairs(config, benches))


def pair_note(config: Paired, pairs: Sequence[Pair]) -> str:
    """Say what means and deviations of a table are taken over."""
    return NOTE.format(count=len(pairs), shadows=config.runs, targets=config.targets)


def _pairs(config: Paired, benches: Benches) -> Iterator[Pair]:
    for shadow, bench in enumerate(benches, 1):
        for target in range(1, config.targets + 1):
            yield Pair(shadow, target, bench.against(target))


def _others(vectors: Floats, predicted: Ints) -> Floats:
    """Return output vectors `(count, classes)` less the value of one class each, `(count, classes - 1)`."""
    kept = np.arange(vectors.shape[1]) != predicted[:, None]
    return vectors[kept].reshape(len(vectors), -1)
