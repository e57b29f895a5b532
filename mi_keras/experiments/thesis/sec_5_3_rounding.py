"""Thesis 5.3: does rounding the output vector to d decimals stop the inversion model?

Text claims:  SSIM and MSE of M_I(O) and M_I(X~) stay the same under d = 1 (Table 5).
Command:      python scripts/reproduce.py --section 5.3
Measured:     quick with --set decimals=0,1,2,3,4, 2 runs, seed 1, n = 1,334: M_I(O) 0.358 +- 0.068 in both cases, M_I(X~) 0.395 +- 0.067 and 0.393 +- 0.069; the
              differences within runs are negligible. All rows: docs/results.md
Cost:         `quick` 7 minutes on 2 idle CPU cores after 5.2; `paper`, by estimate, about a day a run.
Threat model: gray box as in 5.2, and the adversary knows d.
Deviations:   the sweep over d and the cost to the honest user are ours. X~ matches the whole rounded vector; with the
              one-hot targets of formula 2 it would not see the rounding at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mi_keras.defenses.output_vector import Defense, Rounding
from mi_keras.errors import InputError
from mi_keras.experiments.claims import ahead, unchanged
from mi_keras.experiments.presets import check_choices, check_runs
from mi_keras.experiments.thesis.defended import (
    ATTACKED,
    attack,
    attack_rows,
    cost_metrics,
    cost_rows,
    row_name,
)
from mi_keras.experiments.thesis.image_rows import BASELINES, by_row, image_arrays, published
from mi_keras.experiments.thesis.sizes import QUICK, SMOKE
from mi_keras.results import Claim, ExperimentResult, Row, Table, inverter_label
from mi_keras.settings import (
    COMBINATIONS,
    ActivationSettings,
    ClassifierSettings,
    GradientSettings,
    InverterSettings,
    PrototypeSettings,
    SplitSettings,
)

if TYPE_CHECKING:
    from mi_keras.experiments.thesis.stages import Pipeline

UNROUNDED = "none"
TEXT_DECIMALS = 1


PUBLISHED = {
    "o@none": published("Table 5", (0.2287, 0.0031), (0.0977, 0.0012)),
    "o@d=1": published("Table 5", (0.2295, 0.0025), (0.0965, 0.0015)),
    "x@none": published("Table 5", (0.3720, 0.0043), (0.0659, 0.0005)),
    "x@d=1": published("Table 5", (0.3716, 0.0060), (0.0658, 0.0013)),
}


@dataclass(frozen=True)
class Config:
    """Settings of the section; the defaults are the text's, but for the sweep over `decimals`.

    Attributes:
        runs: repetitions of M_T, M_S and M_I on the same splits.
        decimals: the text has 1 only.
        combinations: inputs of M_I.
    """

    runs: int = 5
    decimals: tuple[int, ...] = (0, 1, 2, 3, 4)
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
        check_choices("decimals", self.decimals, tuple(range(8)))
        if not self.combinations or not self.decimals:
            raise InputError("`combinations` and `decimals` must name at least one each; got none.")


PAPER = Config()
PRESETS = {
    "smoke": replace(PAPER, runs=1, decimals=(0, 1), **SMOKE),
    "quick": replace(PAPER, runs=2, decimals=(0, 1), **QUICK),
    "paper": PAPER,
}


def run(config: Config, pipelines: Sequence[Pipeline]) -> ExperimentResult:
    """Attack rounded and unrounded output vectors in every run; `pipelines` has one per run."""
    defenses: dict[str, Defense | None] = {UNROUNDED: None}
    defenses |= {f"d={decimals}": Rounding(decimals) for decimals in config.decimals}
    labels = {name: "not rounded" if name == UNROUNDED else name.replace("=", " = ") for name in defenses}
    runs = [attack(config, pipeline, defenses) for pipeline in pipelines]
    stages = by_row([scored for scored, _ in runs])
    rows = attack_rows(stages, config, labels, PUBLISHED)
    in_text = [row_name(c, d) for c in config.combinations for d in (UNROUNDED, f"d={TEXT_DECIMALS}")]
    columns = ("ssim", "mse", "instance_gain")
    costs = cost_rows([seen for _, seen in runs], pipelines, rows, config, labels)
    tables = [
        Table(
            "table_5", "Table 5: rounding to one decimal", "model, output vector", columns,
            [rows[name] for name in (*in_text, *BASELINES) if name in rows], "ssim",
        ),
        Table(
            "rounding_sweep", "Rounding to d decimals", "model, output vector", columns, list(rows.values()), "ssim"
        ),
        Table(
            "rounding_cost", "Rounding: what it costs the honest user, and what it leaves the attack", "output vector",
            cost_metrics(config), costs,
        ),
    ]  # fmt: skip
    splits = pipelines[0].splits
    measured = f"{len(splits.test):,} test images (D_F), {len(splits.shadow_train):,} shadow training images"
    return ExperimentResult(
        tables, _claims(rows, {row.name: row for row in costs}, config), measured,
        image_arrays(splits.test, stages), _figures(config, list(labels)),
    )  # fmt: skip


def _claims(rows: Mapping[str, Row], costs: Mapping[str, Row], config: Config) -> list[Claim]:
    """Hold the section's sentences, and what the sweep adds to them, against the rows."""
    claims, coarsest = [], f"d={min(config.decimals)}"
    for combination in config.combinations:
        model, plain = inverter_label(combination), row_name(combination, UNROUNDED)
        rounded = row_name(combination, f"d={TEXT_DECIMALS}")
        for metric in ("ssim", "mse"):
            claims.append(unchanged(
                rows, f"Rounding to one decimal leaves the {metric.upper()} of {model} the same", rounded, plain,
                source="thesis 5.3", metric=metric,
            ))  # fmt: skip
        claims.append(ahead(
            rows, f"The coarsest rounding measured lowers the SSIM of {model}", row_name(combination, coarsest), [plain],
            source="not in the text", sign=-1,
        ))  # fmt: skip
    claims.append(unchanged(
        costs, "The coarsest rounding measured leaves the honest user's accuracy the same", coarsest, UNROUNDED,
        source="not in the text", metric="accuracy",
    ))  # fmt: skip
    return claims


def _figures(config: Config, defenses: Sequence[str]) -> list[dict[str, Any]]:
    along = [*(f"d={decimals}" for decimals in sorted(config.decimals)), UNROUNDED]  # from coarse to exact
    series = [
        {"label": inverter_label(c), "rows": [row_name(c, d) for d in along]} for c in config.combinations
    ]
    ticks = ["not rounded" if name == UNROUNDED else name.removeprefix("d=") for name in along]
    shared = {"kind": "sweep", "x_label": "decimals kept", "ticks": ticks}
    return [
        shared | {
            "file": "rounding_sweep.png", "rows": [], "series": series, "metrics": ["ssim", "instance_gain"],
            "title": "Rounding of the output vector: what the attack loses", "caption": "Mean and standard deviation over runs, which differ in their pair of models.",
        },
        shared | {
            "file": "rounding_cost.png", "rows": [], "metrics": ["accuracy", "ece"],
            "series": [{"label": "honest user", "rows": along}],
            "title": "Rounding of the output vector: what the honest user loses",
            "caption": "Accuracy and expected calibration error of the rounded output vectors of the test images.",
        },
        *(
            {
                "file": f"median_{combination.replace('+', '_')}.png", "kind": "median_per_class",
                "rows": [*(row_name(combination, d) for d in defenses), "class_prototype"],
                "title": f"{inverter_label(combination)} under rounding, the median image of each class",
                "caption": "Per class the test image whose SSIM without rounding is the median.",
            }
            for combination in config.combinations
        ),
    ]  # fmt: skip
