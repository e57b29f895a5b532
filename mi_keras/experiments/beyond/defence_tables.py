"""Tables and figures of the defences of `beyond`: what each costs and leaves, and the best possible pick behind noise. Imports TensorFlow."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mi_keras.experiments.beyond.optimal import optimal_pick
from mi_keras.experiments.beyond.sec_defences import (
    ANSWERED,
    ASKING,
    BAYES,
    CHANCE,
    LABEL,
    NONE,
    PICKS,
    SUMMARY,
    Config,
    levels,
    noise_name,
)
from mi_keras.experiments.beyond.work import Benches
from mi_keras.results import Figure, Row, SweepSeries, Table, figures


def summary(
    rows: Mapping[str, Row], costs: Mapping[str, Mapping[str, NDArray[np.float64]]], labels: Mapping[str, str]
) -> Table:
    """Return the table of all defences: what a user pays, and what either adversary gets."""
    found = []
    for name, cost in costs.items():
        values = dict(cost)
        for side, end in ((ASKING, "shadow"), (ANSWERED, "answers")):
            row = rows[f"{name}:{side}"]
            for metric in ("ssim", "found_10"):
                if metric in row.values:
                    values[f"{metric.removesuffix('_10')}_{end}"] = row.values[metric]
        found.append(Row(name, labels[name], "defense", values, rows[f"{name}:{ASKING}"].images))
    notes = [
        "Accuracy, agreement with the undefended label and ECE are those of one answer to each image; no ECE where what is sent "
        "does not say how sure the model is. Found: among 10 of the class, by chance a tenth."
    ]
    columns = ("accuracy", "agreement", "ece", *SUMMARY)
    title = "What each defence costs, and what it leaves"
    return Table("defences", title, "defence", columns, found, notes=notes, headings=SUMMARY, interval=True)


def picks(
    config: Config, benches: Benches, rows: Mapping[str, Row], labels: Mapping[str, str]
) -> tuple[Table, list[float | None]]:
    """Return the table of the best possible pick behind noise, and the deviation that it takes on each target, None where unknown."""
    met = {NONE: 0.0} | levels(config)
    stages = [optimal_pick(bench, tuple(met.values()), CHANCE + config.tolerance) for bench in benches]
    picked = np.stack([stage.arrays["picked"] for stage in stages])  # (targets, levels)
    listed = []
    for place, name in enumerate(met):
        values = {} if np.isnan(picked[:, place]).any() else {"found_10": picked[:, place]}
        for side, metric in ((ASKING, "found_shadow"), (ANSWERED, "found_answers")):
            if "found_10" in (row := rows[f"{name}:{side}"]).values:
                values[metric] = row.values["found_10"]
        listed.append(Row(f"{name}:{BAYES}", f"{labels[name]} ({BAYES})", "defense", values))
    note = "Who holds the 10 images, the model and the noise picks the nearest answer: no attack on the same answer is right more often."
    title = "Noise: the best possible pick, and what was found"
    table = Table(
        "optimal_pick", title, "defence", tuple(PICKS), listed, notes=[note], headings=PICKS, interval=True
    )
    return table, [stage.info["needed"] for stage in stages]


def pictures(config: Config, shown: Sequence[tuple[str, ...]]) -> list[Figure]:
    """Return the figures of the section; `shown`: name and adversary of each row that is drawn."""
    rising = sorted((level, name) for name, level in levels(config).items())
    along = [NONE, *(name for _, name in rising)]
    series = [
        SweepSeries(side, [f"{name}:{side}" for name in along]) for side in (ASKING, ANSWERED, BAYES)
    ]  # fmt: skip
    medians = [
        figures.MedianPerClass(
            file=f"median_{side.replace(' ', '_')}.png", title=f"The median image of each class behind each defence, {side}",
            rows=[f"{name}:{of}" for name, of in shown if of == side],
            caption="First target. Per class the test image whose SSIM without a defence is the median.",
        )
        for side in (ASKING, ANSWERED)
    ]  # fmt: skip
    kinds = {
        "what is sent, made coarser": ["logits_rounded", "logits_top", "shares_top", "shares_rounded", LABEL, "temperature"],
        "noise, by the number of sends": [noise_name(of, sends) for of in config.deviations for sends in config.sends],
        "label smoothing": [f"smoothing={share:g}" for share in config.smoothing],
        "distillation": ["distilled"],
    }  # fmt: skip
    return [
        figures.TradeOff(
            file="price.png", title="Which defence at which price: what is found from all answers, and accuracy",
            caption="Each point is a defence; star: none. Found among ten images of a class: by chance 0.1. Mean over targets.",
            panels=[figures.Panel("accuracy", "found_10", False, "lower right")], reference=f"{NONE}:{ANSWERED}",
            series=[
                figures.TradeOffSeries(label, [f"{name}:{ANSWERED}" for name in names], [_short(config, name) for name in names])
                for label, names in kinds.items()
            ],
        ),
        figures.Sweep(
            file="noise.png", x_label="deviation of the noise, after averaging", ticks=["0", *(f"{level:.2g}" for level, _ in rising)],
            series=series, metrics=["found_10", "ssim"], title="Noise on logits: what attacks find, and the best possible pick",
            caption="Mean over targets.",
        ),
        *medians,
    ]  # fmt: skip


def _short(config: Config, name: str) -> str:
    """Return the words for a defence at its point."""
    kind, _, amount = name.partition("=")
    return {
        "logits_rounded": f"logits, {config.decimals} decimal", "logits_top": f"{config.top} logits",
        "shares_rounded": f"probabilities, {config.share_decimals} decimals", "shares_top": f"{config.top} probabilities",
        "temperature": "temperature", LABEL: "label", "noise": f"{amount.partition('/')[2]}x", "smoothing": amount,
        "distilled": "student",
    }[kind]  # fmt: skip
