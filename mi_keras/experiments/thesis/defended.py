"""Attacks on defended output vectors, and what the defence costs the honest user (thesis 5.3, 5.4).

The adversary knows the defence: it applies it to its own shadow model's output vectors before it derives X~ and trains
M_I, as the text assumes of k. The class prototype that a gain is measured against is that of the undefended answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mi_keras.experiments.thesis.image_rows import (
    BASELINES,
    OBJECTIVE_NOTES,
    PROTOTYPE,
    image_row,
    scored_baselines,
)
from mi_keras.metrics.classification import accuracy, expected_calibration_error
from mi_keras.results import Paper, Row, inverter_label
from mi_keras.settings import (
    ActivationSettings,
    ClassifierSettings,
    GradientSettings,
    InverterSettings,
    PrototypeSettings,
)

if TYPE_CHECKING:
    from mi_keras.defenses.output_vector import Defense
    from mi_keras.experiments.store import Stage
    from mi_keras.experiments.thesis.stages import Pipeline

ATTACKED = ("o", "x")  # the two models of the text's Tables 5 and 6
OBJECTIVE = "logit_mse"  # with one-hot targets X~ would depend on the predicted class alone, defended or not


class Config(Protocol):
    """The settings that both sections have."""

    @property
    def combinations(self) -> tuple[str, ...]: ...
    @property
    def classifier(self) -> ClassifierSettings: ...
    @property
    def gradient(self) -> GradientSettings: ...
    @property
    def activation(self) -> ActivationSettings: ...
    @property
    def inverter(self) -> InverterSettings: ...
    @property
    def prototype(self) -> PrototypeSettings: ...


def row_name(combination: str, defense: str) -> str:
    """Return the name of the row of M_I under a defence: "x@k=3"."""
    return f"{combination}@{defense}"


def attack(
    config: Config, pipeline: Pipeline, defenses: Mapping[str, Defense | None]
) -> tuple[dict[str, Stage], dict[str, Stage]]:
    """Attack a target in one run behind every defence.

    Returns:
        The scored stages of all rows, baselines included, and the defended output vectors of the test images by
        name of the defence.
    """
    target = pipeline.classifier("target", config.classifier)
    shadow = pipeline.classifier("shadow", config.classifier)
    known = pipeline.output_vector(shadow, config.classifier, "shadow_train")
    observed = pipeline.output_vector(target, config.classifier, "test")
    settings = (shadow, config.classifier, config.activation, config.gradient, OBJECTIVE)
    scored: dict[str, Stage] = {}
    seen: dict[str, Stage] = {}
    for name, defense in defenses.items():
        seen[name] = pipeline.defended(observed, defense)
        known_evidence = pipeline.evidence(pipeline.defended(known, defense), *settings)
        observed_evidence = pipeline.evidence(seen[name], *settings)
        for combination in config.combinations:
            inverter = pipeline.inverter(known_evidence, combination, config.inverter)
            inversion = pipeline.inversion(inverter, observed_evidence, combination, config.inverter, "test")
            scored[row_name(combination, name)] = inversion.computed()
    return scored | scored_baselines(pipeline, config.prototype, observed, "test"), seen


def attack_rows(
    stages: Mapping[str, Sequence[Stage]],
    config: Config,
    labels: Mapping[str, str],
    published: Mapping[str, Paper],
) -> dict[str, Row]:
    """Return the rows of every attack, combination by combination, and of the baselines; `labels` by defence."""
    rows = {
        row_name(combination, defense): image_row(
            row_name(combination, defense), f"{inverter_label(combination)}, {label}", "attack",
            stages[row_name(combination, defense)], stages[PROTOTYPE],
            paper=published.get(row_name(combination, defense)),
            note=OBJECTIVE_NOTES[OBJECTIVE] if "x" in combination.split("+") else "",
        )
        for combination in config.combinations
        for defense, label in labels.items()
    }  # fmt: skip
    return rows | {
        name: image_row(name, label, "baseline", stages[name], stages[PROTOTYPE])
        for name, label in BASELINES.items()
    }


def cost_rows(
    seen: Sequence[Mapping[str, Stage]],
    pipelines: Sequence[Pipeline],
    rows: Mapping[str, Row],
    config: Config,
    labels: Mapping[str, str],
) -> list[Row]:
    """Return one row per defence with both sides: accuracy and calibration of what the honest user gets, and what it
    leaves the attack, as instance gain."""
    return [
        Row(
            defense,
            label,
            "defense",
            _usefulness([run[defense] for run in seen], [p.splits.test.labels for p in pipelines])
            | {
                f"gain_{combination}": rows[row_name(combination, defense)].values["instance_gain"]
                for combination in config.combinations
            },
            rows[PROTOTYPE].images,
        )
        for defense, label in labels.items()
    ]


def cost_metrics(config: Config) -> tuple[str, ...]:
    """Return the columns of the table of `cost_rows`."""
    return ("accuracy", "ece", *(f"gain_{combination}" for combination in config.combinations))


def _usefulness(seen: Sequence[Stage], labels: Sequence[Any]) -> dict[str, Any]:
    vectors = [stage.arrays["output_vector"] for stage in seen]
    return {
        "accuracy": np.array([accuracy(v, truth) for v, truth in zip(vectors, labels, strict=True)]),
        "ece": np.array([expected_calibration_error(v, truth) for v, truth in zip(vectors, labels, strict=True)]),
    }  # fmt: skip
