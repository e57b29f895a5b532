"""Thesis 5.1: the two regularisation weights of the gradient reconstruction X~, found by random search, and its start.

Text claims:  the best weights are 4.4323e-5 (L2) and 9.48785e-3 (total variation) (Figure 8); the class average is the
              best start, SSIM 0.3014 on the shadow's own outputs and 0.2409 on the target's (Table 3).
Command:      python scripts/reproduce.py --section 5.1; the search alone: python -m tuning.search
Measured:     quick, 2 runs, seed 1, n = 1,333 and 1,334: class average 0.281 +- 0.016 and 0.254 +- 0.013, best start too; best weights
              2.0e-4 and 3.2e-2, at the upper edge of the text's range. All rows: docs/results.md
Cost:         `quick` 12 to 15 minutes on 2 idle CPU cores; `paper`, by estimate, about two days.
Threat model: gray box as in 5.2. The search sees nothing but the shadow model and its training images.
Deviations:   both objectives are shown (see `attacks.gradient_inversion`). Table 3 uses the text's weights; the rows
              "weights found" repeat its best start with those that our search found. Baselines are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.errors import InputError
from mi_keras.experiments.claims import ahead
from mi_keras.experiments.presets import check_choices, check_runs, sized
from mi_keras.experiments.thesis.image_rows import (
    BASELINES,
    OBJECTIVE_NOTES,
    PROTOTYPE,
    by_row,
    image_arrays,
    image_row,
    published,
    scored_baselines,
)
from mi_keras.experiments.thesis.search_table import FIGURE_8, best_line, trial_table, weight_claims
from mi_keras.experiments.thesis.sizes import QUICK, SMOKE
from mi_keras.results import Claim, ExperimentResult, Row, Table
from mi_keras.settings import (
    OBJECTIVES,
    STARTS,
    ActivationSettings,
    ClassifierSettings,
    GradientSettings,
    PrototypeSettings,
    SplitSettings,
)
from tuning.gradient_search import SearchSettings, search_stage

if TYPE_CHECKING:
    from mi_keras.data.splits import Splits
    from mi_keras.experiments.store import Stage
    from mi_keras.experiments.thesis.stages import Pipeline

SETS = {"validation": "shadow_validation", "test": "test"}
START_WORDS = {
    "random": "from noise",
    "class_instance": "from instance",
    "class_average": "from average",
    "found": "weights found",
}
STARTS_SHOWN = {
    "random": "random pixels",
    "class_instance": "class instance",
    "class_average": "class average",
}
FOUND = "found"  # in place of a start: the class average with the weights that the search found


PUBLISHED = {
    "x_random@validation": published("Table 3", (0.0536, 0.0081), (0.1032, 0.0042)),
    "x_random@test": published("Table 3", (0.0417, 0.0065), (0.1136, 0.0047)),
    "x_class_instance@validation": published("Table 3", (0.2476, 0.0138), (0.0687, 0.0078)),
    "x_class_instance@test": published("Table 3", (0.1846, 0.0141), (0.0778, 0.0084)),
    "x_class_average@validation": published("Table 3", (0.3014, 0.0079), (0.0601, 0.0037)),
    "x_class_average@test": published("Table 3", (0.2409, 0.0068), (0.0672, 0.0021)),
}


@dataclass(frozen=True)
class Config:
    """Settings of the section; the defaults are the text's.

    Attributes:
        runs: repetitions of M_T, M_S and X~ on the same splits; the search is done once, with the first run's M_S.
        starts: I_0 of the reconstructions.
        objectives: what X~ matches.
    """

    runs: int = 5
    starts: tuple[str, ...] = STARTS
    objectives: tuple[str, ...] = OBJECTIVES
    data: SplitSettings = SplitSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    gradient: GradientSettings = GradientSettings()
    search: SearchSettings = SearchSettings()
    prototype: PrototypeSettings = PrototypeSettings()

    def __post_init__(self) -> None:
        check_runs(self.runs)
        check_choices("starts", self.starts, STARTS)
        check_choices("objectives", self.objectives, OBJECTIVES)
        if not self.starts or not self.objectives:
            raise InputError("`starts` and `objectives` must name at least one each; got none.")


PAPER = Config()
_STEPS = ("data", "classifier", "gradient", "prototype")
PRESETS = {
    "smoke": replace(
        PAPER, runs=1, search=SearchSettings(coarse_trials=3, fine_trials=2, images=20), **sized(SMOKE, *_STEPS)
    ),
    "quick": replace(PAPER, runs=2, **sized(QUICK, *_STEPS)),
    "paper": PAPER,
}  # fmt: skip


def check(config: Config, splits: Splits) -> None:
    """Raise `InputError` where a trial would need more images than the shadow training set has."""
    available = len(splits.shadow_train)
    if config.search.images > available:
        raise InputError(
            f"`search.images` must be at most the number of shadow training images, {available}; got {config.search.images}."
        )


def run(config: Config, pipelines: Sequence[Pipeline]) -> ExperimentResult:
    """Search the weights with the first run's shadow model, then reconstruct from every start in every run."""
    from_average = replace(config.gradient, start="class_average")
    search = search_stage(pipelines[0], config.classifier, from_average, config.search)
    found = replace(from_average, **search.info["best"])
    runs = [_run_once(config, found, pipeline) for pipeline in pipelines]
    stages = by_row([scored for scored, _ in runs])
    rows = {name: _row(name, stages) for name in stages}
    splits = pipelines[0].splits
    arrays = image_arrays(splits.test, _of_test(stages))
    arrays |= {f"search.{name}": values for name, values in search.arrays.items()}
    for name in runs[0][1]:
        arrays[name] = np.stack([curves[name] for _, curves in runs])
    for start in config.starts:
        images = pipelines[0].start_images(start)
        arrays[f"class_images.{STARTS_SHOWN[start]}"] = _noise(pipelines[0]) if images is None else images
    tables = [
        Table(
            "table_3", "Table 3: start of the gradient reconstruction", "start, images", ("ssim", "mse", "instance_gain"),
            [*rows.values()], "",
        ),
        trial_table(search),
    ]  # fmt: skip
    measured = (
        f"{len(splits.shadow_validation):,} shadow validation images answered by M_S, {len(splits.test):,} test images "
        f"(D_F) answered by M_T; search: {config.search.images} shadow training images a trial"
    )
    claims = [*_claims(rows, config.search.objective), *weight_claims(search)]
    return ExperimentResult(tables, claims, measured, arrays, _figures(config), [best_line(search)])


def _run_once(
    config: Config, found: GradientSettings, pipeline: Pipeline
) -> tuple[dict[str, Stage], dict[str, Any]]:
    target = pipeline.classifier("target", config.classifier)
    shadow = pipeline.classifier("shadow", config.classifier)
    scored: dict[str, Stage] = {}
    baselines: dict[str, Stage] = {}
    curves: dict[str, Any] = {}
    variants = {start: replace(config.gradient, start=start) for start in config.starts}
    for where, subset in SETS.items():
        answering = shadow if where == "validation" else target
        observed = pipeline.output_vector(answering, config.classifier, subset)
        for objective in config.objectives:
            searched = {FOUND: found} if objective == config.search.objective else {}
            for start, gradient in (variants | searched).items():
                evidence = pipeline.evidence(
                    observed, shadow, config.classifier, ActivationSettings(), gradient, objective
                )
                name = row_name(start, where, objective)
                scored[name] = pipeline.scored_gradient(evidence, subset).computed()
                if where == "test" and start == "class_average":
                    curves[f"gradient_loss.{objective}"] = evidence.gradient.arrays["losses"]
        for name, stage in scored_baselines(pipeline, config.prototype, observed, subset).items():
            baselines[f"{name}@{where}"] = stage
    return scored | _renamed(baselines), curves


def row_name(start: str, where: str, objective: str = "logit_mse") -> str:
    """Return the name of the row of X~ from a start: "x_random@test[cross_entropy]"."""
    return f"x_{start}@{where}" + ("" if objective == "logit_mse" else f"[{objective}]")


def _renamed(baselines: Mapping[str, Stage]) -> dict[str, Stage]:
    """Give the baselines of the test set their plain names, which figures look for."""
    return {name.removesuffix("@test"): stage for name, stage in baselines.items()}


def _of_test(stages: Mapping[str, Sequence[Stage]]) -> dict[str, Sequence[Stage]]:
    return {name: runs for name, runs in stages.items() if "@validation" not in name}


def _row(name: str, stages: Mapping[str, Sequence[Stage]]) -> Row:
    base, _, objective = name.partition("[")
    method, _, where = base.partition("@")
    images = where or "test"
    prototypes = stages[f"{PROTOTYPE}@validation" if where == "validation" else PROTOTYPE]
    if method in BASELINES:
        return image_row(name, f"{BASELINES[method]}, {images}", "baseline", stages[name], prototypes)
    note = OBJECTIVE_NOTES[objective.rstrip("]") or "logit_mse"]
    label, paper = f"{START_WORDS[method.removeprefix('x_')]}, {images}", PUBLISHED.get(base)
    return image_row(name, label, "attack", stages[name], prototypes, paper=paper, note=note)


def _claims(rows: Mapping[str, Row], searched: str) -> list[Claim]:
    """Hold the section's sentences about Table 3 against the rows, for each objective."""
    claims: list[Claim] = []
    for objective in OBJECTIVES:
        words = OBJECTIVE_NOTES[objective].removeprefix("X~: ")
        on = {start: row_name(start, "validation", objective) for start in STARTS}
        claims += [
            ahead(
                rows, f"The class average is the best start on the validation set ({words})", on["class_average"],
                [on["class_instance"], on["random"]], source="thesis 5.1",
            ),
            ahead(
                rows, f"Random pixels are the worst start on the validation set ({words})", on["random"],
                [on["class_instance"], on["class_average"]], source="thesis Table 3", sign=-1,
            ),
            ahead(
                rows, f"SSIM falls from the shadow's own outputs to the target's ({words})",
                row_name("class_average", "test", objective), [on["class_average"]], source="thesis 5.1", sign=-1,
                published="-20.1 %",
            ),
        ]  # fmt: skip
    plain = row_name("class_average", "test")
    return [
        *claims,
        ahead(
            rows, "The weights found beat those given on the test set", row_name(FOUND, "test", searched),
            [row_name("class_average", "test", searched)], source="not in the text",
        ),
        ahead(rows, "X~ is closer to the image than its start, the class average", plain, ["class_average"], source="not in the text"),
    ]  # fmt: skip


def _noise(pipeline: Pipeline) -> Any:
    shape = (pipeline.classes, *pipeline.splits.test.images.shape[1:])
    return np.random.default_rng(0).random(
        shape, np.float32
    )  # an example of what is drawn anew for every image


def _figures(config: Config) -> list[dict[str, Any]]:
    figures: list[dict[str, Any]] = [
        {
            "file": "figure_4.png", "kind": "class_images", "rows": [], "title": "Figure 4: starts of the gradient reconstruction",
            "caption": "I at t = 0, per class. Random pixels are drawn anew for every image.",
        },
        FIGURE_8,
    ]  # fmt: skip
    order = [start for start in ("class_average", "class_instance", "random") if start in config.starts]
    for objective in config.objectives:
        words = OBJECTIVE_NOTES[objective].removeprefix("X~: ")
        ending = "" if objective == "logit_mse" else f"_{objective}"
        for file, kind, title in (
            ("figures_9_12", "best_per_class", "Figures 9 to 12: best image of each class"),
            ("median_per_class", "median_per_class", "The median image of each class"),
        ):
            figures.append({
                "file": f"{file}{ending}.png", "kind": kind,
                "rows": [*(row_name(start, "test", objective) for start in order), *BASELINES],
                "title": f"{title}, from every start ({words})",
                "caption": "Per class the test image chosen by its SSIM in the first row.",
            })  # fmt: skip
    return [
        *figures,
        {
            "file": "gradient_curves.png", "kind": "gradient_curves", "rows": [],
            "title": "Gradient reconstruction from the class average: loss terms over the steps",
            "caption": "Mean over the problems solved for the test images; equal ones are solved once.",
        },
        {
            "file": "ssim_histograms.png", "kind": "histogram",
            "rows": [row_name(start, "test", o) for o in config.objectives for start in order],
            "title": "SSIM per test image", "caption": "The dashed line is the class prototype's mean.",
        },
    ]  # fmt: skip
