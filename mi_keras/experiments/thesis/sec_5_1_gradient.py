"""Thesis 5.1: the two regularisation weights of the gradient reconstruction X~, found by random search, and its start.

Text claims:  the best weights are 4.4323e-5 (L2) and 9.48785e-3 (total variation) (Figure 8); the class average is the
              best start, SSIM 0.3014 on the shadow's own outputs and 0.2409 on the target's (Table 3).
Command:      python scripts/reproduce.py --section 5.1; the search alone: mi-keras search
Measured:     quick, 2 runs, seed 1, n = 1,333 and 1,334: class average 0.281 +- 0.016 and 0.254 +- 0.013, best start too; best weights
              2.0e-4 and 3.2e-2, at the upper edge of the text's range. All rows: docs/results.md
Cost:         `quick` 12 to 15 minutes on 2 idle CPU cores; `paper`, by estimate, about two days.
Threat model: gray box as in 5.2. The search sees nothing but the shadow model and its training images.
Deviations:   both objectives are shown (see `attacks.gradient`). Table 3 uses the text's weights; the rows
              "weights found" repeat its best start with those that our search found. Baselines are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from mi_keras.attacks.access import Access
from mi_keras.data.splits import Splits
from mi_keras.errors import InputError
from mi_keras.experiments.bench import Bench
from mi_keras.experiments.case import Case
from mi_keras.experiments.presets import check_choices
from mi_keras.experiments.section import Section
from mi_keras.experiments.thesis.rows import (
    AVERAGE,
    BASELINES,
    MATCHED,
    OBJECTIVE_WORDS,
    Name,
    attack,
    baselines,
    gradient_curves,
    gradient_losses,
    histogram,
    plan_rows,
    published,
)
from mi_keras.experiments.thesis.search_table import FIGURE_8, best_line, trial_table, weight_claims
from mi_keras.experiments.thesis.sizes import Reconstructed, presets
from mi_keras.experiments.thesis.work import THESIS, Benches
from mi_keras.progress import Run
from mi_keras.results import Claim, ExperimentResult, Figure, Row, figures
from mi_keras.results.claims import ahead
from mi_keras.settings import OBJECTIVES, STARTS, GradientSettings
from mi_keras.tuning.gradient_search import SearchSettings, search_stage

VALIDATION, TEST = "validation", "test"
SETS = {VALIDATION: ("shadow", "shadow_validation"), TEST: ("target", "test")}  # who answers which images
FOUND = "found"  # in place of a start: the class average with the weights that the search found
LABELS = {
    "x_random": "from noise", "x_class_instance": "from instance", "x_class_average": "from average",
    f"x_{FOUND}": "weights found",
}  # fmt: skip
SHOWN = {"random": "random pixels", "class_instance": "class instance", "class_average": "class average"}
PUBLISHED = {
    Name("x_random", VALIDATION): published("Table 3", (0.0536, 0.0081), (0.1032, 0.0042)),
    Name("x_random", TEST): published("Table 3", (0.0417, 0.0065), (0.1136, 0.0047)),
    Name("x_class_instance", VALIDATION): published("Table 3", (0.2476, 0.0138), (0.0687, 0.0078)),
    Name("x_class_instance", TEST): published("Table 3", (0.1846, 0.0141), (0.0778, 0.0084)),
    Name("x_class_average", VALIDATION): published("Table 3", (0.3014, 0.0079), (0.0601, 0.0037)),
    Name("x_class_average", TEST): published("Table 3", (0.2409, 0.0068), (0.0672, 0.0021)),
}


@dataclass(frozen=True)
class Config(Reconstructed):
    """Settings of the section; the defaults are the text's. The search is done once, with the first run's M_S.

    Attributes:
        starts: I_0 of the reconstructions.
        objectives: what X~ matches.
    """

    starts: tuple[str, ...] = STARTS
    objectives: tuple[str, ...] = OBJECTIVES
    search: SearchSettings = SearchSettings()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices("starts", self.starts, STARTS, at_least_one=True)
        check_choices("objectives", self.objectives, OBJECTIVES, at_least_one=True)


PAPER = Config()
PRESETS = presets(PAPER, smoke={"search": SearchSettings(coarse_trials=3, fine_trials=2, images=20)})


def check(config: Config, splits: Splits) -> None:
    """Raise `InputError` where a trial would need more images than the shadow training set has."""
    available = len(splits.shadow_train)
    if config.search.images > available:
        raise InputError(
            f"`search.images` must be at most the number of shadow training images, {available}; got {config.search.images}."
        )


def run(config: Config, benches: Benches) -> ExperimentResult:
    """Search the weights with the first run's shadow model, then reconstruct from every start in every run."""
    from_average = replace(config.gradient, start="class_average")
    search = search_stage(benches[0], from_average, config.search)
    plan_rows(benches, _cells(config), beside=[search])
    cells = _cells(config, replace(from_average, **search.info["best"]))
    found = attack(benches, cells, {VALIDATION: VALIDATION, TEST: TEST, "": TEST}, PUBLISHED, LABELS)
    more = {f"search.{name}": values for name, values in search.arrays.items()}
    averages = [Name("x_class_average", TEST, objective) for objective in config.objectives]
    more |= {
        f"gradient_loss.{name.objective}": gradient_losses(found.plans[name])
        for name in averages
        if name in found.plans
    }
    more |= {f"class_images.{SHOWN[start]}": _start(start, benches[0]) for start in config.starts}
    title, splits = "Table 3: start of the gradient reconstruction", benches[0].splits
    tables = [found.table("table_3", title, "start, images", found.rows, best=""), trial_table(search)]
    measured = (
        f"{len(splits.shadow_validation):,} shadow validation images answered by M_S, {len(splits.test):,} test images "
        f"(D_F) answered by M_T; search: {config.search.images} shadow training images a trial"
    )
    claims = [*_claims(found.rows, config.search.objective), *weight_claims(search)]
    return found.result(
        tables, claims, _figures(config), more, without=VALIDATION, measured=measured, notes=[best_line(search)]
    )  # fmt: skip


def _cells(config: Config, found: GradientSettings | None = None) -> dict[Name, Case]:
    """Return the case of every row: X~ from every start, with the weights found too, and the baselines, on both sets."""
    from mi_keras.attacks.attack import Direct
    from mi_keras.attacks.gradient import GradientImage

    cells: dict[Name, Case] = {}
    known: dict[Name, Case] = {}
    variants = {start: replace(config.gradient, start=start) for start in config.starts}
    for at, (answered_by, images) in SETS.items():
        for objective in config.objectives:
            searched = {FOUND: found} if found and objective == config.search.objective else {}
            for start, gradient in (variants | searched).items():
                alone = Direct(GradientImage(gradient, objective))
                cells[Name(f"x_{start}", at, objective)] = Case(alone, answered_by=answered_by, images=images)
        for name, case in baselines(config.prototype).items():
            # those of the test set have their plain names, which figures look for
            place = name if at == TEST else replace(name, at=at)
            known[place] = replace(case, answered_by=answered_by, images=images)
    return cells | known


def _start(start: str, bench: Bench) -> Any:
    """Return I_0 of each class; of random pixels an example, as they are drawn anew for every image."""
    from mi_keras.attacks.gradient import start_images

    held, run = bench.holdings(Access(images=True)), Run(seeds={"start": bench.derive("start")})
    images = start_images(start, held, run)
    shape = (bench.classes, *bench.image_shape)
    return np.random.default_rng(0).random(shape, np.float32) if images is None else images


def _claims(rows: Mapping[Name, Row], searched: str) -> list[Claim]:
    """Hold the section's sentences about Table 3 against the rows, for each objective."""
    claim, ours = partial(ahead, rows, source="thesis 5.1"), "not in the text"
    claims: list[Claim] = []
    for objective in OBJECTIVES:
        words = OBJECTIVE_WORDS[objective]
        average, instance, random = (Name(f"x_{start}", VALIDATION, objective) for start in STARTS)
        claims += [
            claim(f"The class average is the best start on the validation set ({words})", average, [instance, random]),
            claim(
                f"Random pixels are the worst start on the validation set ({words})", random, [instance, average], sign=-1,
                source="thesis Table 3",
            ),
            claim(
                f"SSIM falls from the shadow's own outputs to the target's ({words})", replace(average, at=TEST), [average],
                sign=-1, published="-20.1 %",
            ),
        ]  # fmt: skip
    given, known = Name("x_class_average", TEST, searched), Name(AVERAGE)
    return [
        *claims,
        claim("The weights found beat those given on the test set", Name(f"x_{FOUND}", TEST, searched), [given], source=ours),
        claim("X~ is closer to the image than its start, the class average", Name("x_class_average", TEST), [known], source=ours),
    ]  # fmt: skip


def _figures(config: Config) -> list[Figure]:
    order = [start for start in ("class_average", "class_instance", "random") if start in config.starts]
    rows = {o: [str(Name(f"x_{start}", TEST, o)) for start in order] for o in config.objectives}
    per_class: list[Figure] = []
    for objective, shown in rows.items():
        ending = "" if objective == MATCHED else f"_{objective}"
        for kind, file, title in (
            (figures.BestPerClass, "figures_9_12", "Figures 9 to 12: best image of each class"),
            (figures.MedianPerClass, "median_per_class", "The median image of each class"),
        ):
            per_class.append(kind(
                file=f"{file}{ending}.png", title=f"{title}, from every start ({OBJECTIVE_WORDS[objective]})",
                rows=[*shown, *BASELINES], caption="Per class the test image chosen by its SSIM in the first row.",
            ))  # fmt: skip
    return [
        figures.ClassImages(
            file="figure_4.png", title="Figure 4: starts of the gradient reconstruction",
            caption="I at t = 0, per class. Random pixels are drawn anew for every image.",
        ),
        FIGURE_8,
        *per_class,
        gradient_curves("Gradient reconstruction from the class average"),
        histogram([name for names in rows.values() for name in names]),
    ]  # fmt: skip


SECTION = Section(THESIS, PRESETS, run, check)
