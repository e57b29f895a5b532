"""Tables of the defences of `beyond`: what each costs and leaves, and the best possible pick behind noise. Imports TensorFlow."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mi_keras.experiments.beyond.optimal import optimal_pick
from mi_keras.experiments.beyond.sec_defences import (
    ANSWERED,
    ASKING,
    BAYES,
    CHANCE,
    NONE,
    PICKS,
    SUMMARY,
    Config,
    levels,
)
from mi_keras.experiments.beyond.work import Benches
from mi_keras.results import Row, Table


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
