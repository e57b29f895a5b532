"""Attacks on defended output vectors, and what the defence costs the honest user (thesis 5.3, 5.4).

The adversary knows the defence: it applies it to its own shadow model's output vectors before it derives X~ and trains
M_I, as the text assumes of k. The class prototype that a gain is measured against is that of the undefended answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.defenses.defense import Defense
from mi_keras.experiments.case import Case
from mi_keras.experiments.thesis.rows import (
    PROTOTYPE,
    Name,
    Plans,
    baselines,
    image_row,
    inversion,
    plan_rows,
)
from mi_keras.metrics.classification import accuracy, expected_calibration_error
from mi_keras.results import Paper, Row, SweepSeries, Table

if TYPE_CHECKING:
    from mi_keras.attacks.attack import Attack
    from mi_keras.experiments.store import Stage
    from mi_keras.experiments.thesis.bench import ThesisBench
    from mi_keras.experiments.thesis.sizes import Inverted


@dataclass(frozen=True)
class Sweep:
    """What a section on a defence measured.

    Attributes:
        plans: of every attack behind every defence, and of the baselines, in every run.
        rows: of the same.
        costs: a row per defence: accuracy and calibration of what the honest user gets, and the gain left to each attack.
    """

    plans: Plans
    rows: dict[Name, Row]
    costs: dict[Name, Row]


def attack_all(
    config: Inverted,
    benches: Sequence[ThesisBench],
    defenses: Mapping[str, Defense | None],
    labels: Mapping[str, str],
    published: Mapping[Name, Paper] = {},
    more: Mapping[Name, Attack] = {},
) -> Sweep:
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
    cells |= {name: Case(attack) for name, attack in more.items()} | baselines(config.prototype)
    plans = plan_rows(benches, cells)
    rows = {
        name: image_row(
            name, ", ".join(filter(None, [case.attack.label, labels.get(name.at)])), plans, Name(PROTOTYPE),
            paper=published.get(name),
        )
        for name, case in cells.items()
    }  # fmt: skip
    costs = {
        Name(at): _cost(config, benches, rows, at, defense, labels[at]) for at, defense in defenses.items()
    }
    return Sweep(plans, rows, costs)


def cost_table(config: Inverted, found: Sweep, file: str, title: str, first_column: str) -> Table:
    """Return the table of `costs`."""
    gains = {f"gain_{c}": f"gain of {inversion(config, c).label}" for c in config.combinations}
    return Table(
        file, title, first_column, ("accuracy", "ece", *gains), list(found.costs.values()), headings=gains
    )


def series_over(config: Inverted, along: Sequence[str]) -> list[SweepSeries]:
    """Return a line per attack over defences, by the names of these."""
    return [
        SweepSeries(inversion(config, combination).label, [str(Name(combination, at)) for at in along])
        for combination in config.combinations
    ]


def _cost(
    config: Inverted,
    benches: Sequence[ThesisBench],
    rows: Mapping[Name, Row],
    at: str,
    defense: Defense | None,
    label: str,
) -> Row:
    values = _usefulness([bench.output_vector("target", "test", defense) for bench in benches], benches)
    for combination in config.combinations:
        values[f"gain_{combination}"] = rows[Name(combination, at)].values["instance_gain"]
    return Row(at, label, "defense", values, rows[Name(PROTOTYPE)].images)


def _usefulness(sent: Sequence[Stage], benches: Sequence[ThesisBench]) -> dict[str, Any]:
    pairs = [
        (stage.arrays["output_vector"], bench.splits.test.labels)
        for stage, bench in zip(sent, benches, strict=True)
    ]
    return {
        "accuracy": np.array([accuracy(vectors, truth) for vectors, truth in pairs]),
        "ece": np.array([expected_calibration_error(vectors, truth) for vectors, truth in pairs]),
    }
