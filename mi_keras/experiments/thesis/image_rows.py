"""Rows and arrays of sections that score images, and the baselines that stand in each of their tables."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.results import Paper, Row, score_values
from mi_keras.types import ImageSet

if TYPE_CHECKING:
    from mi_keras.experiments.store import Stage
    from mi_keras.experiments.thesis.stages import Pipeline
    from mi_keras.settings import PrototypeSettings

BASELINES = {"class_average": "class average", "class_prototype": "class prototype"}
PROTOTYPE = "class_prototype"
OBJECTIVE_NOTES = {"logit_mse": "X~: logit MSE", "cross_entropy": "X~: one-hot cross-entropy"}
Runs = Mapping[str, Sequence["Stage"]]  # by name of a row, its scored stage in every run


def published(table: str, ssim: tuple[float, float], mse: tuple[float, float]) -> Paper:
    """Return the published SSIM and MSE of a row of a table of the text, which has MNIST only."""
    return Paper(f"{table} (MNIST)", {"ssim": ssim, "mse": mse})


def scored_baselines(
    pipeline: "Pipeline", prototype: "PrototypeSettings", observed: "Stage", subset: str
) -> dict[str, "Stage"]:
    """Score what knowing the predicted class alone gives: class average and class prototype."""
    return {
        name: pipeline.scored_baseline(pipeline.baseline(name, prototype), observed, subset)
        for name in BASELINES
    }


def image_row(
    name: str,
    label: str,
    group: str,
    stages: Sequence["Stage"],
    prototypes: Sequence["Stage"],
    *,
    paper: Paper | None = None,
    note: str = "",
) -> Row:
    """Return a row of SSIM, MSE and instance gain: SSIM minus that of the class prototype on the same images."""
    from mi_keras.experiments.thesis.stages import scores_of

    scores = [scores_of(stage) for stage in stages]
    values = score_values(scores)
    if name.partition("@")[0] not in BASELINES:
        values["instance_gain"] = values["ssim"] - score_values([scores_of(s) for s in prototypes])["ssim"]
    return Row(name, label, group, values, len(scores[0].ssim), paper, note)


def image_arrays(test: ImageSet, runs: Runs) -> dict[str, Any]:
    """Return targets, labels, the first run's reconstructions, and every run's scores per image."""
    arrays: dict[str, Any] = {"targets": test.images.astype(np.float16), "labels": test.labels}
    arrays |= {f"reconstruction.{name}": stages[0].arrays["images"] for name, stages in runs.items()}
    for metric in ("ssim", "mse"):
        arrays |= {
            f"{metric}.{name}": np.stack([stage.arrays[metric] for stage in stages])
            for name, stages in runs.items()
        }
    return arrays


def by_row(runs: Sequence[Mapping[str, "Stage"]]) -> dict[str, list["Stage"]]:
    """Turn a mapping per run into the runs of each row."""
    return {name: [run[name] for run in runs] for name in runs[0]}
