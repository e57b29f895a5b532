"""Thesis 5.4: does truncating the output vector to its k largest values stop the inversion model?

Text claims:  SSIM rises as k falls (Table 6), as reconstructions become the class's generic image: a "2" without a
              loop gets one (Figures 20 to 24). Truncation is therefore called an effective defence.
Command:      python scripts/reproduce.py --section 5.4
Measured:     quick, 2 runs, seed 1, n = 1,334: M_I(O) 0.358 to 0.425, M_I(X~) 0.395 to 0.423 from k = 10 to k = 1, class prototype
              0.429; the distance to the prototype falls, the calibration error doubles. All rows: docs/results.md
Cost:         `quick` 10 minutes on 2 idle CPU cores after 5.2; `paper`, by
              estimate, about a day a run.
Threat model: gray box as in 5.2, and the adversary knows k.
Deviations:   instance gain, distance to the class prototype, the share of loops and the cost to the honest user are
              ours. X~ matches the whole truncated vector; with the one-hot targets of formula 2 it would not see the
              truncation at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.defenses.output_vector import Defense, Truncation
from mi_keras.errors import InputError
from mi_keras.experiments.claims import ahead
from mi_keras.experiments.presets import check_choices, check_runs
from mi_keras.experiments.thesis.defended import (
    ATTACKED,
    attack,
    attack_rows,
    cost_metrics,
    cost_rows,
    row_name,
)
from mi_keras.experiments.thesis.image_rows import PROTOTYPE, by_row, image_arrays, published
from mi_keras.experiments.thesis.loops import TWO, loop_table, twos_without_loop
from mi_keras.experiments.thesis.sizes import QUICK, SMOKE
from mi_keras.results import Claim, ExperimentResult, Row, Table, inverter_label
from mi_keras.settings import (
    COMBINATIONS,
    LARGEST,
    ActivationSettings,
    ClassifierSettings,
    GradientSettings,
    InverterSettings,
    PrototypeSettings,
    SplitSettings,
)

if TYPE_CHECKING:
    from mi_keras.data.splits import Splits
    from mi_keras.experiments.store import Stage
    from mi_keras.experiments.thesis.stages import Pipeline

FIGURES = {"o": "15 to 19", "x": "20 to 24"}


PUBLISHED = {
    "o@k=10": published("Table 6", (0.2538, 0.0025), (0.0952, 0.0003)),
    "o@k=5": published("Table 6", (0.3895, 0.0024), (0.0604, 0.0008)),
    "o@k=3": published("Table 6", (0.4092, 0.0018), (0.0580, 0.0007)),
    "o@k=1": published("Table 6", (0.4135, 0.0013), (0.0569, 0.0004)),
    "x@k=10": published("Table 6", (0.3747, 0.0015), (0.0649, 0.0006)),
    "x@k=5": published("Table 6", (0.4084, 0.0014), (0.0588, 0.0003)),
    "x@k=3": published("Table 6", (0.4172, 0.0027), (0.0572, 0.0005)),
    "x@k=1": published("Table 6", (0.4296, 0.0017), (0.0548, 0.0005)),
}


@dataclass(frozen=True)
class Config:
    """Settings of the section; the defaults are the text's.

    Attributes:
        runs: repetitions of M_T, M_S and M_I on the same splits.
        top: values of k, how many of the largest values are kept; all others become 0.
        combinations: inputs of M_I.
    """

    runs: int = 5
    top: tuple[int, ...] = (10, 5, 3, 1)
    combinations: tuple[str, ...] = ATTACKED
    data: SplitSettings = SplitSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    gradient: GradientSettings = GradientSettings()
    activation: ActivationSettings = ActivationSettings()
    inverter: InverterSettings = InverterSettings()
    prototype: PrototypeSettings = PrototypeSettings()

    def __post_init__(self) -> None:
        check_runs(self.runs)
        check_choices("combinations", self.combinations, COMBINATIONS)
        if not self.combinations or not self.top:
            raise InputError("`combinations` and `top` must name at least one each; got none.")
        if len(set(self.top)) < len(self.top) or not all(1 <= k <= LARGEST for k in self.top):
            raise InputError(f"`top` must be distinct whole numbers >= 1; got {self.top!r}.")


PAPER = Config()
PRESETS = {
    "smoke": replace(PAPER, runs=1, top=(10, 1), **SMOKE),
    "quick": replace(PAPER, runs=2, **QUICK),
    "paper": PAPER,
}


def check(config: Config, splits: Splits) -> None:
    """Raise `InputError` where more values would be kept than there are classes."""
    classes = len(splits.class_names)
    if max(config.top) > classes:
        raise InputError(f"`top` must be at most the number of classes, {classes}; got {max(config.top)}.")


def run(config: Config, pipelines: Sequence[Pipeline]) -> ExperimentResult:
    """Attack truncated output vectors in every run; `pipelines` has one per run."""
    classes = pipelines[0].classes
    # All values kept is no defence: those stages are the ones of section 5.2.
    defenses: dict[str, Defense | None] = {
        f"k={k}": Truncation(k) if k < classes else None for k in config.top
    }
    labels = {name: name.replace("=", " = ") for name in defenses}
    runs = [attack(config, pipeline, defenses) for pipeline in pipelines]
    stages = by_row([scored for scored, _ in runs])
    rows = attack_rows(stages, config, labels, PUBLISHED)
    images = [
        _per_image(config, pipeline, scored) for pipeline, (scored, _) in zip(pipelines, runs, strict=True)
    ]
    distances = [_with_distance(row, images) for row in rows.values() if row.group == "attack"]
    costs = cost_rows([seen for _, seen in runs], pipelines, rows, config, labels)
    splits = pipelines[0].splits
    arrays = image_arrays(splits.test, stages)
    tables = [
        Table(
            "table_6", "Table 6: truncation to the k largest values", "model, k", ("ssim", "mse", "instance_gain"),
            list(rows.values()), "ssim",
        ),
        Table(
            "prototype_distance", "How far reconstructions are from the class prototype", "model, k",
            ("prototype_distance", "instance_gain"), distances,
            notes=["Distance: 1 - SSIM of a reconstruction to the prototype of the class that was predicted, mean over images."],
        ),
        Table(
            "truncation_cost", "Truncation: what it costs the honest user, and what it leaves the attack", "k",
            cost_metrics(config), costs,
        ),
    ]  # fmt: skip
    claims = _claims(rows, {row.name: row for row in distances}, {row.name: row for row in costs}, config)
    chosen = twos_without_loop(splits.test, splits.class_names)
    if len(chosen):
        loops = loop_table(images, splits.test, chosen, rows, PROTOTYPE)
        tables.append(loops)
        claims += _loop_claims({row.name: row for row in loops.rows}, config)
    measured = f"{len(splits.test):,} test images (D_F), {len(splits.shadow_train):,} shadow training images"
    return ExperimentResult(tables, claims, measured, arrays, _figures(config, list(labels), chosen))


def _per_image(config: Config, pipeline: Pipeline, scored: Mapping[str, Stage]) -> dict[str, dict[str, Any]]:
    """Return of each row the images, their SSIM and their distance to the prototype of the class that was predicted."""
    target = pipeline.classifier("target", config.classifier)
    observed = pipeline.output_vector(target, config.classifier, "test")
    prototype = pipeline.baseline(PROTOTYPE, config.prototype)
    return {
        name: {name: values for name, values in stage.arrays.items() if name in ("images", "ssim")}
        | {"distance": pipeline.prototype_distance(stage, prototype, observed).arrays["distance"]}
        for name, stage in scored.items()
    }


def _with_distance(row: Row, runs: Sequence[Mapping[str, Mapping[str, Any]]]) -> Row:
    distance = np.array([run[row.name]["distance"].mean(dtype=np.float64) for run in runs])
    return replace(row, values={**row.values, "prototype_distance": distance}, paper=None)


def _claims(
    rows: Mapping[str, Row], distances: Mapping[str, Row], costs: Mapping[str, Row], config: Config
) -> list[Claim]:
    """Hold the section's sentences, and what they mean by our measures, against the rows."""
    claims, falling = [], sorted(config.top, reverse=True)
    most, least = f"k={falling[0]}", f"k={falling[-1]}"
    for combination in config.combinations:
        model = inverter_label(combination)
        claims += [
            ahead(
                rows, f"SSIM of {model} rises from k = {before} to k = {after}", row_name(combination, f"k={after}"),
                [row_name(combination, f"k={before}")], source="thesis 5.4",
            )
            for before, after in pairwise(falling)
        ]  # fmt: skip
        first, last = row_name(combination, most), row_name(combination, least)
        claims.append(ahead(
            rows, f"Under {least.replace('=', ' = ')}, {model} shows more than the class: it beats the class prototype",
            last, [PROTOTYPE], source="not in the text",
        ))  # fmt: skip
        if most != least:
            claims.append(ahead(
                distances, f"Reconstructions of {model} come closer to the class's generic image", last, [first],
                source="thesis 5.4", metric="prototype_distance", sign=-1,
            ))  # fmt: skip
    if most != least:
        claims.append(ahead(
            costs, f"{least.replace('=', ' = ')} worsens the calibration of what the honest user gets", least, [most],
            source="not in the text", metric="ece",
        ))  # fmt: skip
    return claims


def _loop_claims(loops: Mapping[str, Row], config: Config) -> list[Claim]:
    """Hold the text's story of the "2" without a loop against all of them; nothing without a second k."""
    most, least = f"k={max(config.top)}", f"k={min(config.top)}"
    claims: list[Claim] = []
    for combination in config.combinations if most != least else ():
        model, first, last = (
            inverter_label(combination),
            row_name(combination, most),
            row_name(combination, least),
        )
        claims += [
            ahead(
                loops, f"A {TWO} without a loop is given one more often by {model} as k falls", last, [first],
                source="thesis 5.4", metric="loop_rate",
            ),
            ahead(
                loops, f"A {TWO} without a loop is drawn more like the class's generic {TWO} by {model} as k falls", last,
                [first], source="thesis 5.4", metric="prototype_distance", sign=-1,
            ),
        ]  # fmt: skip
    return claims


def _figures(config: Config, defenses: Sequence[str], chosen: Any) -> list[dict[str, Any]]:
    ticks = [name.removeprefix("k=") for name in defenses]
    shared = {"kind": "sweep", "rows": [], "x_label": "k, values kept", "ticks": ticks}
    series = [
        {"label": inverter_label(c), "rows": [row_name(c, d) for d in defenses]} for c in config.combinations
    ]
    figures: list[dict[str, Any]] = [
        {
            "file": f"figures_{FIGURES.get(combination, combination).replace(' to ', '_').replace('+', '_')}.png",
            "kind": "median_per_class",
            "rows": [*(row_name(combination, d) for d in defenses), PROTOTYPE],
            "title": (f"Figures {FIGURES[combination]}: " if combination in FIGURES else "") + f"{inverter_label(combination)} over k",
            "caption": "Per class the test image whose SSIM at the first k is the median.",
        }
        for combination in config.combinations
    ]  # fmt: skip
    if len(chosen):
        figures += [
            {
                "file": f"twos_without_loop_{combination.replace('+', '_')}.png", "kind": "chosen_images",
                "images": [int(number) for number in chosen[:10]],
                "rows": [*(row_name(combination, d) for d in defenses), PROTOTYPE],
                "title": f"The {TWO} without a loop: {inverter_label(combination)} over k",
                "caption": f"The first test images of a {TWO} whose stroke encloses nothing.",
            }
            for combination in config.combinations
        ]  # fmt: skip
    return [
        *figures,
        shared | {
            "file": "truncation_sweep.png", "series": series, "metrics": ["ssim", "instance_gain", "prototype_distance"],
            "title": "Truncation: score, instance gain and distance to the class prototype",
            "caption": "Instance gain: SSIM minus the class prototype's on the same image.",
        },
        shared | {
            "file": "truncation_cost.png", "metrics": ["accuracy", "ece"],
            "series": [{"label": "honest user", "rows": list(defenses)}],
            "title": "Truncation: what the honest user loses",
            "caption": "Accuracy and expected calibration error of the truncated output vectors of the test images.",
        },
    ]  # fmt: skip
