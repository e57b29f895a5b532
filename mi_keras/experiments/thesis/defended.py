"""Attacks on defended output vectors, and what the defence costs the honest user (thesis 5.3, 5.4).

The adversary knows the defence: it applies it to its own shadow model's output vectors before it derives X~ and trains
M_I, as the text assumes of k. The class prototype that a gain is measured against is that of the undefended answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mi_keras.attacks.attack import Attack
from mi_keras.defenses.defense import Defense
from mi_keras.experiments.case import Case
from mi_keras.experiments.thesis.rows import (
    PROTOTYPE,
    Attacked,
    Name,
    attack,
    baselines,
    inversion,
    model_labels,
)
from mi_keras.experiments.thesis.sizes import Inverted
from mi_keras.experiments.thesis.work import Benches
from mi_keras.metrics.classification import accuracy, expected_calibration_error
from mi_keras.results import Paper, Row, SweepSeries, Table


def attack_all(
    config: Inverted,
    benches: Benches,
    defenses: Mapping[str, Defense | None],
    labels: Mapping[str, str],
    published: Mapping[Name, Paper] = {},
    more: Mapping[Name, Attack] = {},
) -> Attacked:
    """Attack the target behind every defence in every run, with X~ matching the whole output vector.

    With one-hot targets X~ would depend on the predicted class alone, defended or not.

    Args:
        defenses: by the names that rows carry behind the combination.
        labels: of the same names, as tables print them.
        more: attacks of another kind on undefended answers, by their rows.
    """
    cells = {
        Name(combination, at): Case(inversion(config, combination), defense)
        for combination in config.combinations
        for at, defense in defenses.items()
    }
    cells |= {name: Case(other) for name, other in more.items()} | baselines(config.prototype)
    found, costs = attack(benches, cells, labels, published), {}
    for at, defense in defenses.items():
        sent = [bench.output_vector("target", "test", defense).arrays["output_vector"] for bench in benches]
        values: dict[str, Any] = {
            name: np.array([measure(vectors, bench.splits.test.labels) for vectors, bench in zip(sent, benches, strict=True)])
            for name, measure in (("accuracy", accuracy), ("ece", expected_calibration_error))
        }  # fmt: skip
        for combination in config.combinations:
            values[f"gain_{combination}"] = found.rows[Name(combination, at)].values["instance_gain"]
        costs[Name(at)] = Row(at, labels[at], "defense", values, found.rows[Name(PROTOTYPE)].images)
    return replace(found, costs=costs)


def cost_table(config: Inverted, found: Attacked, file: str, title: str, first_column: str) -> Table:
    """Return the table of what defences cost: accuracy and calibration of what the honest user gets, and gains left."""
    gains = {f"gain_{combination}": f"gain of {label}" for combination, label in model_labels(config).items()}
    rows = list(found.costs.values())
    return Table(file, title, first_column, ("accuracy", "ece", *gains), rows, headings=gains)


def series_over(config: Inverted, along: Sequence[str]) -> list[SweepSeries]:
    """Return a line per attack over defences, by the names of these."""
    return [
        SweepSeries(label, [str(Name(c, at)) for at in along]) for c, label in model_labels(config).items()
    ]
