"""What noise on answers leaves to the best possible attack (see `metrics.optimal_pick`). Imports TensorFlow."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.experiments.bench import TARGET
from mi_keras.experiments.beyond.bench import BeyondBench
from mi_keras.experiments.beyond.sizes import AMONG
from mi_keras.experiments.store import Stage
from mi_keras.metrics.optimal_pick import optimal_picks
from mi_keras.progress import Arrays, Workspace

HALVINGS = 12  # of the span, on a logarithm: the answer is within 0.2 %
SPAN = (1e-2, 1e2)  # of the deviation of all logits


def optimal_pick(bench: BeyondBench, deviations: tuple[float, ...], most: float) -> Stage:
    """Find how often the best possible attack picks an attacked image among `AMONG` of its class from a noisy answer.

    Classes are those that are predicted without noise, as in `BeyondBench.score`.

    Args:
        deviations: of the noise on each logit, 0 for none.
        most: a share of picks.

    Returns:
        Array `picked`, the mean over images for each deviation, NaN where all classes are too small. Info `needed`, the
        deviation that brings it down to `most`, None where none of `SPAN` does or nothing was measured.
    """
    answers = bench.output_vector(TARGET, bench.attacked)

    def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
        logits = answers.arrays["output_vector"].astype(np.float64)
        seed = next(iter(stage.seeds.values()))
        low, high = (share * float(logits.std()) for share in SPAN)
        enough = _picked(logits, high, seed) <= most  # False for NaN
        for _halving in range(HALVINGS):
            middle = float(np.sqrt(low * high))
            low, high = (middle, high) if _picked(logits, middle, seed) > most else (low, middle)
        picked = np.array([_picked(logits, each, seed) for each in deviations])
        return {"picked": picked}, {"needed": high if enough else None}

    stage = bench.stage(
        "optimal_pick", compute, upstream=[answers], seeds=[("optimal_pick",)], deviations=deviations, among=AMONG,
        most=most,
    )  # fmt: skip
    return stage


def _picked(logits: NDArray[np.float64], deviation: float, seed: int) -> float:
    classes = np.argmax(logits, axis=1).astype(np.int64)
    counted = np.bincount(classes)[classes] >= AMONG
    own = np.arange(len(logits))
    picks = optimal_picks(
        logits, deviation, classes, own, counted, len(own), among=AMONG, seed=seed
    )  # fmt: skip
    return float(np.nanmean(picks)) if counted.any() else float("nan")
