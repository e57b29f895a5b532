"""Beyond the thesis, without a query: how far an inversion model carries from shadow models to a target that is only observed.

Text claims:  the thesis's M_I(X~) is best, at an SSIM of 0.3727 (Table 4). The steps beyond it are not in the text.
Command:      python scripts/reproduce.py --work beyond --section transfer
Measured:     quick, 5 targets, seed 1, n = 1,334: the whole 0.538 +- 0.015 (half the 95 % t-interval over targets), MSE 0.039. All
              rows: docs/beyond.md
Cost:         by the processor time of its parts `quick` takes about 25 minutes on 2 idle CPU cores; `paper` days.
Threat model: gray box as in 5.2: the adversary knows the architecture, has 10,000 images of the same distribution, and sees the
              target's answers to the images that it reconstructs: all of them before it draws the first, or as few as the
              row says. It asks the target nothing. The two oracles at the end have more, and say so.
Deviations:   ours, but for the thesis's two rows, which have its sizes and training. Targets differ in their seed and share
              their images. What an attack may choose is chosen on shadow models that play the target and that no attack learns
              from: one trained on half of the adversary's images, one on all of them, both attacked on D_V^S.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mi_keras.errors import InputError
from mi_keras.experiments.beyond.sizes import Banked, presets
from mi_keras.experiments.beyond.work import BEYOND, Benches, words
from mi_keras.experiments.section import Section
from mi_keras.results import Claim, ExperimentResult, Figure, Row, SweepSeries, figures
from mi_keras.results.claims import ahead
from mi_keras.settings import LARGEST, GradientSettings, InverterSettings, check_not_negative, check_whole

AVERAGE, PROTOTYPE, WHOLE = "class_average", "class_prototype", "whole"
GOAL, STRETCH = 0.525, 0.55  # mean SSIM over targets


@dataclass(frozen=True)
class Config(Banked):
    """Settings of the section.

    Attributes:
        gradient, inverter: of the thesis's two rows.
        noise_one: deviation of the noise on canonical answers that are not mapped.
        observed: numbers of observed answers that the whole recipe is measured with, beside all.
    """

    gradient: GradientSettings = GradientSettings()
    inverter: InverterSettings = InverterSettings()
    noise_one: float = 0.3
    observed: tuple[int, ...] = (1, 30, 300)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("noise_one", self.noise_one)
        for number in self.observed:
            check_whole("observed", number, 1, LARGEST)
        if len(set(self.observed)) < len(self.observed):
            raise InputError(f"`observed` must name each once; got {self.observed!r}.")


PAPER = Config()
PRESETS = presets(PAPER, smoke={"observed": (1, 30)})


def run(config: Config, benches: Benches) -> ExperimentResult:
    """Measure every step of the recipe on every target, and choose between them on held-out shadow models."""
    from mi_keras.experiments.beyond import recipe
    from mi_keras.experiments.beyond.rows import arrays_of, by_target, measured, table, worst_per_class

    whole = recipe.whole(config, benches)
    entries = {
        **recipe.thesis(config.gradient, config.inverter), **recipe.steps(config, config.noise_one),
        **recipe.alignments(config), **recipe.networks(config), WHOLE: recipe.entry("the whole", whole),
    }  # fmt: skip
    for number in config.observed:
        seen = replace(whole, observed=number)
        entries[f"{WHOLE}@{number}"] = recipe.entry(f"the whole, {number:,} observed", seen)
    entries |= recipe.oracles(config, benches, whole) | recipe.baselines(config)
    rows, plans = measured(benches, entries)
    tables = [
        table(
            "recipe", "Without a query: the thesis's attacks, and each step beyond them", "attack",
            [row for name, row in rows.items() if "@" not in name],
            [f"The whole, as chosen on the held-out shadow models: {whole.label}."],
        ),
        table(
            "observed", "The whole recipe against the number of observed answers", "attack",
            [rows[f"{WHOLE}@{n}"] for n in config.observed] + [rows[WHOLE]],
        ),
        by_target(rows.values()),
    ]  # fmt: skip
    shown = ["o", "x", "one", "bank", "canonical", "mapped", WHOLE, PROTOTYPE]
    arrays = arrays_of(benches, {name: plans[name] for name in [*shown, AVERAGE]})
    worst = worst_per_class(plans[WHOLE][0], benches[0].splits.test.labels)
    return ExperimentResult(
        tables, _claims(rows), words(config, benches), arrays, _figures(config, shown, worst)
    )


def _claims(rows: Mapping[str, Row]) -> list[Claim]:
    return [
        ahead(rows, "One shadow model's answers, standardised per class, carry further than the thesis's best attack", "one", ["o", "x"], source="not in the text"),
        ahead(rows, "A bank of shadow models on raw answers does better than one", "bank", ["o"], source="not in the text"),
        ahead(rows, "A bank does better than one shadow model on canonical answers too", "canonical", ["one"], source="not in the text"),
        ahead(rows, "Mapped to the mean of the bank, answers carry further", "mapped", ["canonical"], source="not in the text"),
        ahead(rows, "Covariance alignment helps", "mapped_covariance", ["mapped"], source="not in the text"),
        ahead(rows, "Matching by EM helps", "mapped_matching", ["mapped"], source="not in the text"),
        ahead(rows, "Augmented images help", "augmented", ["mapped"], source="not in the text"),
        ahead(rows, "The mean of both networks helps", "ensemble", ["augmented"], source="not in the text"),
        ahead(rows, "Without a query the whole recipe shows more than the class", WHOLE, [PROTOTYPE], source="not in the text"),
        _reached(rows[WHOLE]),
    ]  # fmt: skip


def _reached(row: Row) -> Claim:
    mean = row.mean("ssim")
    text = f"Without a query the mean SSIM over targets is at least {GOAL}"
    return Claim(text, "not in the text", mean >= GOAL, f"{mean:.4f}; a further goal is {STRETCH}")


def _figures(config: Config, shown: list[str], worst: list[int]) -> list[Figure]:
    drawn = [WHOLE, *(name for name in shown if name != WHOLE)]
    along = [*(f"{WHOLE}@{n}" for n in config.observed), WHOLE]
    return [
        figures.MedianPerClass(
            file="median_per_class.png", title="The median image of each class, from the thesis's attacks to the whole recipe",
            rows=drawn, caption="First target. Per class the test image whose SSIM by the whole recipe is the median.",
        ),
        figures.ChosenImages(
            file="worst_per_class.png", title="The worst image of each class by the whole recipe", rows=drawn, images=worst,
            caption="First target. Per class the test image whose SSIM by the whole recipe is the lowest.",
        ),
        figures.Sweep(
            file="observed.png", x_label="observed answers", ticks=[*(f"{n:,}" for n in config.observed), "all"],
            series=[SweepSeries("the whole", along)], metrics=["ssim", "mse", "found_10", "detail"],
            title="The whole recipe against the number of observed answers",
            caption="Mean over targets.",
        ),
        figures.Histogram(
            file="ssim_histograms.png", rows=shown, title="SSIM per test image and target",
            caption="The dashed line is the class prototype's mean.",
        ),
    ]  # fmt: skip


SECTION = Section(BEYOND, PRESETS, run)
