"""Rows of sections that score images: their names as values, their cases, and the baselines that stand in each table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.attacks.attack import Input
from mi_keras.experiments.case import Case, Plan, plan
from mi_keras.experiments.store import Stage
from mi_keras.experiments.thesis.sizes import Inverted
from mi_keras.experiments.thesis.work import Benches
from mi_keras.results import Claim, ExperimentResult, Figure, Paper, Row, Table, figures, score_values
from mi_keras.settings import KNOWN, PrototypeSettings
from mi_keras.types import Images, Scores

if TYPE_CHECKING:
    from mi_keras.attacks.learned import Learned

# They know the class and nothing of the image
AVERAGE, PROTOTYPE = BASELINES = ("class_average", "class_prototype")
MATCHED, ONE_HOT = "logit_mse", "cross_entropy"  # what X~ matches: the whole output vector, or its class
OBJECTIVE_WORDS = {MATCHED: "logit MSE", ONE_HOT: "one-hot cross-entropy"}
SOLVED, EXTRACTED = KNOWN
KNOWN_WORDS = {SOLVED: "own ones solved", EXTRACTED: "own ones extracted"}
COLUMNS = ("ssim", "mse", "instance_gain")


@dataclass(frozen=True)
class Name:
    """What a row is about; its text is the row's name in result files.

    Attributes:
        method: the inputs of M_I such as "o+x", a baseline, or a way to X~.
        at: where it stands if there are several: the defence, the set of images, or who answered.
        objective: of X~, where it is not the usual one.
        known: how the adversary has A^L of its own images, where it is not the usual way.
    """

    method: str
    at: str = ""
    objective: str = MATCHED
    known: str = SOLVED

    def __str__(self) -> str:
        where = f"@{self.at}" if self.at else ""
        unusual = [f"[{o}]" for o in (self.objective,) if o != MATCHED]
        unusual += [f"[{k}]" for k in (self.known,) if k != SOLVED]
        return f"{self.method}{where}{''.join(unusual)}"


Plans = Mapping[Name, Sequence[Plan]]  # by row, its plan in every run


def inversion(
    config: Inverted, combination: str, objective: str = MATCHED, known: str | None = None
) -> "Learned":
    """Return M_I of a combination of O, A^L and X~ as an attack (thesis 3.6); `known` in place of the settings' own."""
    from mi_keras.attacks.activations import Activations
    from mi_keras.attacks.attack import Answers
    from mi_keras.attacks.gradient import GradientImage
    from mi_keras.attacks.learned import Learned

    activation = replace(config.activation, known=known or config.activation.known)
    inputs: dict[str, Input] = {
        "o": Answers(), "a": Activations(activation), "x": GradientImage(config.gradient, objective),
    }  # fmt: skip
    return Learned(tuple(inputs[letter] for letter in combination.split("+")), config.inverter, combination)


def model_labels(config: Inverted) -> dict[str, str]:
    """Return how tables call M_I of each combination of the settings."""
    return {combination: inversion(config, combination).label for combination in config.combinations}


def learned_from(config: Inverted, source: Input, name: str) -> "Learned":
    """Return M_I of one input, named in the store and in seeds."""
    from mi_keras.attacks.learned import Learned

    return Learned((source,), config.inverter, name)


def baselines(prototype: PrototypeSettings) -> dict[Name, Case]:
    """Return the cases that know the predicted class alone, by row."""
    from mi_keras.attacks.baselines import ClassAverage, ClassPrototype

    return {Name(AVERAGE): Case(ClassAverage()), Name(PROTOTYPE): Case(ClassPrototype(prototype))}


def plan_rows(benches: Benches, cells: Mapping[Name, Case], *, beside: Sequence[Stage] = ()) -> Plans:
    """Compute the case of every row in every run, run by run where nobody shares it; and, `beside` them, other stages."""
    plans = {name: [plan(case, bench) for bench in benches] for name, case in cells.items()}
    by_run = zip(*plans.values(), strict=True)
    benches[0].store.compute([*beside, *(each.scored for of_run in by_run for each in of_run)])
    return plans


def published(table: str, ssim: tuple[float, float], mse: tuple[float, float]) -> Paper:
    """Return the published SSIM and MSE of a row of a table of the text, which has MNIST only."""
    return Paper(f"{table} (MNIST)", {"ssim": ssim, "mse": mse})


@dataclass(frozen=True)
class Attacked:
    """What a section that scores images measured.

    Attributes:
        costs: a row per defence, where there are any (see `defended`).
    """

    benches: Benches
    plans: Plans
    rows: Mapping[Name, Row]
    costs: Mapping[Name, Row] = field(default_factory=dict)

    def table(
        self, file: str, title: str, first_column: str, names: Iterable[Name], best: str = "ssim", notes: Sequence[str] = ()
    ) -> Table:  # fmt: skip
        """Return the table of those rows that were measured."""
        rows = [self.rows[name] for name in names if name in self.rows]
        return Table(file, title, first_column, COLUMNS, rows, best, notes)

    def result(
        self, tables: Sequence[Table], claims: Sequence[Claim], drawn: Sequence[Figure], more: Mapping[str, Any] = {},
        *, without: str | None = None, measured: str = "", notes: Sequence[str] = (),
    ) -> ExperimentResult:  # fmt: skip
        """Return the result of the section: its images beside `more` arrays, but for those of one set of images."""
        splits = self.benches[0].splits
        words = f"{len(splits.test):,} test images (D_F), {len(splits.shadow_train):,} shadow training images"
        kept = {name: runs for name, runs in self.plans.items() if name.at != without}
        arrays = image_arrays(splits.test, kept) | dict(more)
        return ExperimentResult(tables, claims, measured or words, arrays, drawn, notes)


def attack(
    benches: Benches,
    cells: Mapping[Name, Case],
    places: Mapping[str, str] = {},
    published: Mapping[Name, Paper] = {},
    methods: Mapping[str, str] = {},
) -> Attacked:
    """Compute the case of every row in every run; a row is held against the class prototype of its place, if it has one.

    Args:
        places: words for `Name.at`, behind the label.
        published: by row; whatever X~ matches.
        methods: labels in place of the attacks' own.
    """
    plans, rows = plan_rows(benches, cells), {}
    for name, case in cells.items():
        words = [methods.get(name.method, case.attack.label), places.get(name.at, "")]
        own = Name(PROTOTYPE, name.at)
        rows[name] = image_row(
            name, ", ".join(filter(None, words)), plans, own if own in plans else Name(PROTOTYPE),
            paper=published.get(replace(name, objective=MATCHED, known=SOLVED)),
        )  # fmt: skip
    return Attacked(benches, plans, rows)


def image_row(name: Name, label: str, plans: Plans, prototype: Name, *, paper: Paper | None = None) -> Row:
    """Return a row of SSIM, MSE and instance gain: SSIM minus that of the class prototype on the same images."""
    from mi_keras.attacks.activations import Activations
    from mi_keras.attacks.gradient import GradientImage

    values, known = _scores(plans[name]), name.method in BASELINES
    if not known:
        values["instance_gain"] = values["ssim"] - _scores(plans[prototype])["ssim"]
    first = plans[name][0]
    notes = []
    for each in first.case.attack.inputs:
        if isinstance(each, GradientImage):
            notes.append(f"X~: {OBJECTIVE_WORDS[each.objective]}")
        elif isinstance(each, Activations):
            notes.append(f"A^L: {KNOWN_WORDS[each.settings.known]}")
    return Row(
        str(name), label, "baseline" if known else "attack", values, len(first.scored.arrays["ssim"]), paper, "; ".join(notes)
    )  # fmt: skip


def image_arrays(test: Images, plans: Plans) -> dict[str, Any]:
    """Return targets, labels, the first run's reconstructions, and every run's scores per image."""
    arrays: dict[str, Any] = {"targets": test.images.astype(np.float16), "labels": test.labels}
    for name, runs in plans.items():
        scored = [plan.scored.arrays for plan in runs]
        arrays[f"reconstruction.{name}"] = scored[0]["images"]
        arrays |= {
            f"{metric}.{name}": np.stack([run[metric] for run in scored]) for metric in ("ssim", "mse")
        }
    return arrays


def curves(model: str, stages: Sequence[Stage], *names: str) -> dict[str, Any]:
    """Return training curves of a model by the key of their array, `(runs, epochs)`."""
    return {
        f"curve.{model}.{name}": np.stack([stage.info["history"][name] for stage in stages]) for name in names
    }


def gradient_losses(runs: Sequence[Plan]) -> Any:
    """Return the loss terms of an attack by X~, `(runs, steps, 4)`."""
    return np.stack([plan.seen[0].stage.arrays["losses"] for plan in runs])


def gradient_curves(title: str) -> figures.GradientCurves:
    """Return the figure of `gradient_losses`."""
    return figures.GradientCurves(
        file="gradient_curves.png", title=f"{title}: loss terms over the steps",
        caption="Mean over the problems solved for the test images; equal ones are solved once.",
    )  # fmt: skip


def medians(
    file: str, title: str, rows: Sequence[str], where: str = "under the first row"
) -> figures.MedianPerClass:
    """Return the figure of a class's images of median SSIM; `where` says in which row."""
    caption = f"Per class the test image whose SSIM {where} is the median."
    return figures.MedianPerClass(file=file, title=title, rows=rows, caption=caption)


def histogram(rows: Sequence[str]) -> figures.Histogram:
    """Return the figure of scores per image."""
    return figures.Histogram(
        file="ssim_histograms.png", rows=rows, title="SSIM per test image",
        caption="The dashed line is the class prototype's mean.",
    )  # fmt: skip


def _scores(runs: Sequence[Plan]) -> dict[str, Any]:
    return score_values([Scores(run["ssim"], run["mse"]) for run in (plan.scored.arrays for plan in runs)])
