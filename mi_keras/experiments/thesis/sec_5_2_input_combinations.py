"""Thesis 5.2: which of the seven combinations of {O, A^L, X~} gives the inversion model M_I the best images.

Text claims:  M_I(X~) is best (SSIM 0.3727), ahead of the plain gradient reconstruction and of M_I(O);
              more inputs do not help.
Command:      python scripts/reproduce.py --section 5.2
Measured:     quick, 2 runs, seed 1, n = 1,334: M_I(X~) 0.395 +- 0.067, M_I(O) 0.358 +- 0.068, X~ alone 0.254, class
              prototype 0.429; no row beats the prototype. With M_S's answers to the same images M_I(O) 0.511 +- 0.016.
              paper, 1 run: M_I(O) 0.325, M_I(X~) 0.316; with M_S's answers M_I(O) 0.584. All rows: docs/results.md
Cost:         on 2 CPU cores `quick` under 10 minutes; `paper`, by its parts, about 4 hours a run for O, X~ and
              O + X~ with one X~.
Threat model: gray box. The adversary knows the architecture of M_T, has 10,000 images of the same distribution
              (disjoint from M_T's), and sees the output vectors of M_T on the images it reconstructs.
Deviations:   X~ is computed for two readings of its objective (see `attacks.gradient_inversion`): rows named by the
              combination alone match the whole output vector; rows marked [cross_entropy] use formula 2 with one-hot
              targets, where all images of a class share one X~. Rows for class average and class prototype are ours, and
              so is the table of the shadow model's own answers: what the adversary would get if M_T were M_S.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.data.splits import class_counts
from mi_keras.errors import InputError
from mi_keras.experiments.claims import ahead
from mi_keras.experiments.presets import check_choices, check_runs
from mi_keras.experiments.thesis.image_rows import (
    BASELINES,
    OBJECTIVE_NOTES,
    by_row,
    image_arrays,
    image_row,
    published,
    scored_baselines,
)
from mi_keras.experiments.thesis.own_answers import own_claims, own_figures, own_name, own_rows, own_table
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
    from mi_keras.experiments.store import Stage
    from mi_keras.experiments.thesis.stages import Pipeline

SECOND = "cross_entropy"  # the objective of the extra rows; the plain rows use "logit_mse"
WITH_X = tuple(name for name in COMBINATIONS if "x" in name.split("+"))


PUBLISHED = {
    "o": published("Table 4", (0.2298, 0.0041), (0.0966, 0.0011)),
    "a": published("Table 4", (0.1218, 0.0043), (0.1077, 0.0014)),
    "x": published("Table 4", (0.3727, 0.0030), (0.0649, 0.0009)),
    "o+a": published("Table 4", (0.1619, 0.0027), (0.1055, 0.0016)),
    "o+x": published("Table 4", (0.2467, 0.0013), (0.0904, 0.0013)),
    "a+x": published("Table 4", (0.1822, 0.0051), (0.0961, 0.0012)),
    "o+a+x": published("Table 4", (0.2194, 0.0016), (0.0927, 0.0011)),
    "gradient_reconstruction": published("Table 3", (0.2409, 0.0068), (0.0672, 0.0021)),
}
FIGURE_OF = {"x": "13_14", "o": "27", "a": "28", "o+a": "29", "o+x": "30", "a+x": "31", "o+a+x": "32"}


@dataclass(frozen=True)
class Config:
    """Settings of the section; the defaults are the text's.

    Attributes:
        runs: repetitions of M_T, M_S and M_I on the same splits.
        combinations: inputs of M_I to compare, with X~ from the logit objective.
        second_combinations: those with X~ to repeat with the one-hot cross-entropy objective.
        own_answers: combinations to apply to the shadow model's answers to the test images too; those that are not
            among `combinations` are left out.
    """

    runs: int = 5
    combinations: tuple[str, ...] = COMBINATIONS
    second_combinations: tuple[str, ...] = ("x", "o+x", "a+x", "o+a+x")
    own_answers: tuple[str, ...] = COMBINATIONS
    data: SplitSettings = SplitSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    gradient: GradientSettings = GradientSettings()
    activation: ActivationSettings = ActivationSettings()
    inverter: InverterSettings = InverterSettings()
    prototype: PrototypeSettings = PrototypeSettings()

    def __post_init__(self) -> None:
        check_runs(self.runs)
        check_choices("combinations", self.combinations, COMBINATIONS)
        check_choices("second_combinations", self.second_combinations, WITH_X)
        check_choices("own_answers", self.own_answers, COMBINATIONS)
        if not self.combinations:
            raise InputError("`combinations` must name at least one combination; got none.")


PAPER = Config()
PRESETS = {
    "smoke": replace(PAPER, runs=1, second_combinations=("x",), own_answers=("o",), **SMOKE),
    "quick": replace(PAPER, runs=2, second_combinations=("x",), own_answers=("o", "a", "o+a"), **QUICK),
    "paper": PAPER,
}


@dataclass(frozen=True)
class _Run:
    """The stages of one run: one per row of the tables, and those that tell about the models."""

    rows: dict[str, Stage]
    own: dict[str, Stage]
    curves: dict[str, Any]
    target: Stage
    shadow: Stage
    activations: tuple[Stage, Stage]


def run(config: Config, pipelines: Sequence[Pipeline]) -> ExperimentResult:
    """Train and score every combination in every run; `pipelines` has one per run."""
    runs = [_run_once(config, pipeline) for pipeline in pipelines]
    stages = by_row([run.rows for run in runs])
    rows = [_row(name, stages) for name in stages]
    own_stages = by_row([run.own for run in runs])
    own = own_rows(own_stages)
    splits = pipelines[0].splits
    arrays = image_arrays(splits.test, {**stages, **own_stages})
    arrays |= {name: np.stack([run.curves[name] for run in runs]) for name in runs[0].curves}
    arrays |= {f"class_counts.{subset}": counts for subset, counts in class_counts(splits).items()}
    measured = f"{len(splits.test):,} test images (D_F), {len(splits.shadow_train):,} shadow training images"
    notes = _model_notes(
        config, [run.target for run in runs], [run.shadow for run in runs], [run.activations for run in runs]
    )
    table = Table(
        "table_4", "Table 4: inputs of the inversion model", "combination", ("ssim", "mse", "instance_gain"), rows, "ssim",
    )  # fmt: skip
    claims = [
        *_claims({row.name: row for row in rows}),
        *own_claims({row.name: row for row in (*rows, *own)}),
    ]
    tables = [table, own_table(own)] if own else [table]
    return ExperimentResult(tables, claims, measured, arrays, _figures(config), notes)


def _run_once(config: Config, pipeline: Pipeline) -> _Run:
    target = pipeline.classifier("target", config.classifier)
    shadow = pipeline.classifier("shadow", config.classifier)
    known = pipeline.output_vector(shadow, config.classifier, "shadow_train")  # the adversary's own images
    observed = pipeline.output_vector(target, config.classifier, "test")  # what it attacks
    own = pipeline.output_vector(shadow, config.classifier, "test")  # what it would see if M_T were M_S
    rows: dict[str, Stage] = {}
    own_stages: dict[str, Stage] = {}
    curves: dict[str, Any] = {}
    for objective, combinations in (("logit_mse", config.combinations), (SECOND, config.second_combinations)):
        settings = (shadow, config.classifier, config.activation, config.gradient, objective)
        known_evidence = pipeline.evidence(known, *settings)
        observed_evidence = pipeline.evidence(observed, *settings)
        own_evidence = pipeline.evidence(own, *settings)
        mark = "" if objective != SECOND else f"[{SECOND}]"
        for combination in combinations:
            inverter = pipeline.inverter(known_evidence, combination, config.inverter)
            inversion = pipeline.inversion(inverter, observed_evidence, combination, config.inverter, "test")
            curves[f"curve.{combination}{mark}.loss"] = np.asarray(inverter.info["history"]["loss"])
            rows[combination + mark] = inversion.computed()  # row by row, not all at the end
            if objective != SECOND and combination in config.own_answers:
                inversion = pipeline.inversion(inverter, own_evidence, combination, config.inverter, "test")
                own_stages[own_name(combination)] = inversion.computed()
        rows[f"gradient_reconstruction{mark}"] = pipeline.scored_gradient(observed_evidence, "test")
        curves[f"gradient_loss.{objective}"] = observed_evidence.gradient.arrays["losses"]
    rows |= scored_baselines(pipeline, config.prototype, observed, "test")
    if own_stages:
        baselines = scored_baselines(pipeline, config.prototype, own, "test")
        own_stages |= {own_name(name): stage for name, stage in baselines.items()}
    for role, stage in (("target", target), ("shadow", shadow)):
        for curve, values in stage.info["history"].items():
            curves[f"curve.{role}.{curve}"] = np.asarray(values)
    solved = (known_evidence.activations, observed_evidence.activations)
    return _Run(rows, own_stages, curves, target, shadow, solved)


def _row(name: str, stages: Mapping[str, Sequence[Stage]]) -> Row:
    base = name.removesuffix(f"[{SECOND}]")
    uses_x = base == "gradient_reconstruction" or base in WITH_X
    return image_row(
        name,
        inverter_label(base) if base in COMBINATIONS else BASELINES.get(base, "X~ alone"),
        "attack" if base in COMBINATIONS else "baseline",
        stages[name],
        stages["class_prototype"],
        paper=PUBLISHED.get(base),
        note="" if not uses_x else OBJECTIVE_NOTES[SECOND if name != base else "logit_mse"],
    )


def _claims(rows: Mapping[str, Row]) -> list[Claim]:
    """Hold the section's sentences and its table, and the question they leave open, against the rows.

    Where a sentence speaks of X~ it is judged on the plain rows (logit MSE); the two that compare M_I(X~) with the
    plain methods also on formula 2's one-hot rows.
    """
    others = [name for name in COMBINATIONS if name != "x"]
    with_x = [name for name in WITH_X if name != "x"]
    without_a = [name for name in COMBINATIONS if name != "a"]
    best = max(
        (name for name, row in rows.items() if row.group == "attack"),
        key=lambda name: rows[name].mean("ssim"),
    )
    one_hot = f"x[{SECOND}]"
    claim = partial(ahead, rows, source="thesis 5.2")
    return [
        claim("M_I(X~) gives the highest SSIM of the seven combinations", "x", others),
        claim("Adding inputs to X~ lowers SSIM", "x", with_x),
        claim("M_I(A^L) gives the lowest SSIM of the seven combinations", "a", without_a, sign=-1, source="thesis Table 4"),
        claim("M_I(X~) has a higher SSIM than X~ alone", "x", ["gradient_reconstruction"], published="+54.73 %"),
        claim("M_I(X~) has a higher SSIM than M_I(O)", "x", ["o"], published="+62.19 %"),
        claim(
            "The same against X~ alone, both with one-hot cross-entropy", one_hot,
            [f"gradient_reconstruction[{SECOND}]"], published="+54.73 %",
        ),
        claim("The same against M_I(O), with one-hot cross-entropy", one_hot, ["o"], published="+62.19 %"),
        claim(
            "Even the best row of M_I, chosen on the test images, shows more than the class: it beats the class prototype",
            best, ["class_prototype"], source="not in the text",
        ),
    ]  # fmt: skip


def _model_notes(
    config: Config, target: Sequence[Stage], shadow: Sequence[Stage], solved: Sequence[Sequence[Stage]]
) -> list[str]:
    """Say how good the classifiers are, and whether every A^L was found."""
    f1 = [", ".join(f"{stage.info['f1']:.4f}" for stage in stages) for stages in (target, shadow)]
    notes = [
        f"Weighted F1 on the validation sets, run by run: target model {f1[0]}; shadow model {f1[1]} (text, MNIST: 0.9856, 0.9866)."
    ]
    if any("a" in name.split("+") for name in (*config.combinations, *config.second_combinations)):
        infos = [stage.info for stages in solved for stage in stages]
        missed, count = sum(info["not_converged"] for info in infos), sum(info["count"] for info in infos)
        notes.append(f"Activations A^L above the threshold after the last step: {missed} of {count:,}.")
    return notes


def _figures(config: Config) -> list[dict[str, Any]]:
    figures: list[dict[str, Any]] = [
        {
            "file": "figure_3.png", "kind": "class_counts", "rows": [],
            "title": "Figure 3: class distributions of the five sets", "caption": "Images per class and set.",
        }
    ]  # fmt: skip
    everything = [*config.combinations, *(f"{name}[{SECOND}]" for name in config.second_combinations)]
    for name in sorted(everything, key=lambda name: FIGURE_OF.get(name, "99" + name)):
        label = inverter_label(name.removesuffix(f"[{SECOND}]"))
        number = FIGURE_OF.get(name)
        extra = "" if number else ", X~ from one-hot cross-entropy"
        figures.append({
            "file": f"figure_{number}.png" if number else f"best_{name.split('[')[0].replace('+', '_')}_cross_entropy.png",
            "kind": "best_per_class", "rows": [name],
            "title": (f"Figure{'s' * ('_' in number)} {number.replace('_', ' and ')}: " if number else "") + f"{label}, best image per class{extra}",
            "caption": "Row 1 targets, row 2 reconstructions. The best of each class flatters the attack: see the medians.",
        })  # fmt: skip
    baselines = [
        "gradient_reconstruction",
        f"gradient_reconstruction[{SECOND}]",
        "class_average",
        "class_prototype",
    ]
    figures += [
        {
            "file": "median_per_class.png", "kind": "median_per_class", "rows": [*everything, *baselines],
            "title": "The median image of each class, by every method",
            "caption": "Per class the test image whose SSIM under the first method is the median.",
        },
        {
            "file": "training_curves.png", "kind": "training_curves", "rows": everything,
            "title": "Training curves", "caption": "Cross-entropy of M_T and M_S; 1 - SSIM of every inverter.",
        },
        {
            "file": "gradient_curves.png", "kind": "gradient_curves", "rows": [],
            "title": "Gradient reconstruction: loss terms over the steps", "caption": "Mean over the problems solved for the test images; equal ones are solved once.",
        },
        {
            "file": "ssim_histograms.png", "kind": "histogram", "rows": [*everything, *baselines],
            "title": "SSIM per test image", "caption": "The dashed line is the class prototype's mean.",
        },
    ]  # fmt: skip
    return [*figures, *own_figures([name for name in config.combinations if name in config.own_answers])]
