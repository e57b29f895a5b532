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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mi_keras.defenses.answers import Rounding
from mi_keras.experiments.presets import check_choices
from mi_keras.experiments.section import Section
from mi_keras.experiments.thesis.defended import attack_all, cost_table, series_over
from mi_keras.experiments.thesis.rows import BASELINES, PROTOTYPE, Name, medians, model_labels, published
from mi_keras.experiments.thesis.sizes import Inverted, presets
from mi_keras.experiments.thesis.work import THESIS, Benches
from mi_keras.results import Claim, ExperimentResult, Figure, Row, SweepSeries, figures
from mi_keras.results.claims import ahead, unchanged

UNROUNDED, ROUNDED = "none", "d=1"  # the text's
PUBLISHED = {
    Name("o", UNROUNDED): published("Table 5", (0.2287, 0.0031), (0.0977, 0.0012)),
    Name("o", ROUNDED): published("Table 5", (0.2295, 0.0025), (0.0965, 0.0015)),
    Name("x", UNROUNDED): published("Table 5", (0.3720, 0.0043), (0.0659, 0.0005)),
    Name("x", ROUNDED): published("Table 5", (0.3716, 0.0060), (0.0658, 0.0013)),
}


@dataclass(frozen=True)
class Config(Inverted):
    """Settings of the section; the defaults are the text's, but for the sweep over `decimals`.

    Attributes:
        decimals: the text has 1 only.
    """

    decimals: tuple[int, ...] = (0, 1, 2, 3, 4)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices("decimals", self.decimals, tuple(range(8)), at_least_one=True)


PAPER = Config()
PRESETS = presets(PAPER, smoke={"decimals": (0, 1)}, quick={"decimals": (0, 1)})


def run(config: Config, benches: Benches) -> ExperimentResult:
    """Attack rounded and unrounded output vectors in every run."""
    labels = {UNROUNDED: "not rounded"} | {f"d={d}": f"d = {d}" for d in config.decimals}
    defenses = {UNROUNDED: None} | {f"d={d}": Rounding(d) for d in config.decimals}
    found = attack_all(config, benches, defenses, labels, PUBLISHED)
    in_text = [Name(combination, at) for combination in config.combinations for at in (UNROUNDED, ROUNDED)]
    first_column = "model, output vector"
    costs = "Rounding: what it costs the honest user, and what it leaves the attack"
    tables = [
        found.table("table_5", "Table 5: rounding to one decimal", first_column, [*in_text, *map(Name, BASELINES)]),
        found.table("rounding_sweep", "Rounding to d decimals", first_column, found.rows),
        cost_table(config, found, "rounding_cost", costs, "output vector"),
    ]  # fmt: skip
    return found.result(tables, _claims(found.rows, found.costs, config), _figures(config, list(labels)))


def _claims(rows: Mapping[Name, Row], costs: Mapping[Name, Row], config: Config) -> list[Claim]:
    """Hold the section's sentences, and what the sweep adds to them, against the rows."""
    claims, coarsest = [], f"d={min(config.decimals)}"
    for combination, model in model_labels(config).items():
        plain, rounded = Name(combination, UNROUNDED), Name(combination, ROUNDED)
        claims += [
            *(
                unchanged(
                    rows, f"Rounding to one decimal leaves the {metric.upper()} of {model} the same", rounded, plain,
                    source="thesis 5.3", metric=metric,
                )
                for metric in ("ssim", "mse")
            ),
            ahead(
                rows, f"The coarsest rounding measured lowers the SSIM of {model}", Name(combination, coarsest), [plain],
                source="not in the text", sign=-1,
            ),
        ]  # fmt: skip
    claims.append(unchanged(
        costs, "The coarsest rounding measured leaves the honest user's accuracy the same", Name(coarsest), Name(UNROUNDED),
        source="not in the text", metric="accuracy",
    ))  # fmt: skip
    return claims


def _figures(config: Config, defenses: Sequence[str]) -> list[Figure]:
    kept = sorted(config.decimals)  # from coarse to exact
    along, ticks = [*(f"d={d}" for d in kept), UNROUNDED], [*map(str, kept), "not rounded"]
    return [
        figures.Sweep(
            file="rounding_sweep.png", x_label="decimals kept", ticks=ticks, series=series_over(config, along),
            metrics=["ssim", "instance_gain"], title="Rounding of the output vector: what the attack loses",
            caption="Mean and standard deviation over runs.",
        ),
        figures.Sweep(
            file="rounding_cost.png", x_label="decimals kept", ticks=ticks, series=[SweepSeries("honest user", along)],
            metrics=["accuracy", "ece"], title="Rounding of the output vector: what the honest user loses",
            caption="Accuracy and expected calibration error of the rounded output vectors of the test images.",
        ),
        *(
            medians(
                f"median_{combination.replace('+', '_')}.png", f"{model} under rounding, the median image of each class",
                [*(str(Name(combination, at)) for at in defenses), PROTOTYPE], "without rounding",
            )
            for combination, model in model_labels(config).items()
        ),
    ]  # fmt: skip


SECTION = Section(THESIS, PRESETS, run)
