"""Rows of sections that score images: their names as values, their cases, and the baselines that stand in each table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.experiments.case import Case, Plan, plan
from mi_keras.results import Paper, Row, score_values
from mi_keras.types import Images, Scores

if TYPE_CHECKING:
    from mi_keras.attacks.attack import Input
    from mi_keras.attacks.learned import Learned
    from mi_keras.experiments.store import Stage
    from mi_keras.experiments.thesis.bench import ThesisBench
    from mi_keras.experiments.thesis.sizes import Inverted
    from mi_keras.settings import PrototypeSettings

AVERAGE, PROTOTYPE = "class_average", "class_prototype"
BASELINES = {AVERAGE: "class average", PROTOTYPE: "class prototype"}
MATCHED, ONE_HOT = "logit_mse", "cross_entropy"  # what X~ matches: the whole output vector, or its class
OBJECTIVE_NOTES = {MATCHED: "X~: logit MSE", ONE_HOT: "X~: one-hot cross-entropy"}
COLUMNS = ("ssim", "mse", "instance_gain")


@dataclass(frozen=True)
class Name:
    """What a row is about; its text is the row's name in result files.

    Attributes:
        method: the inputs of M_I such as "o+x", a baseline, or a way to X~.
        at: where it stands if there are several: the defence, the set of images, or who answered.
        objective: of X~, where it is not the usual one.
    """

    method: str
    at: str = ""
    objective: str = MATCHED

    def __str__(self) -> str:
        where = f"@{self.at}" if self.at else ""
        return f"{self.method}{where}" + (f"[{self.objective}]" if self.objective != MATCHED else "")

    @property
    def is_baseline(self) -> bool:
        """Whether it knows the class and nothing of the image."""
        return self.method in BASELINES

    @property
    def uses_x(self) -> bool:
        """Whether it is an inversion model with X~ among its inputs."""
        return "x" in self.method.split("+")


Plans = Mapping[Name, Sequence[Plan]]  # by row, its plan in every run


def inversion(config: "Inverted", combination: str, objective: str = MATCHED) -> "Learned":
    """Return M_I of a combination of O, A^L and X~ as an attack (thesis 3.6)."""
    from mi_keras.attacks.activations import Activations
    from mi_keras.attacks.attack import Answers
    from mi_keras.attacks.gradient import GradientImage
    from mi_keras.attacks.learned import Learned

    inputs: dict[str, Input] = {
        "o": Answers(), "a": Activations(config.activation), "x": GradientImage(config.gradient, objective),
    }  # fmt: skip
    return Learned(tuple(inputs[letter] for letter in combination.split("+")), config.inverter, combination)


def learned_from(config: "Inverted", source: "Input", name: str) -> "Learned":
    """Return M_I of one input, named in the store and in seeds."""
    from mi_keras.attacks.learned import Learned

    return Learned((source,), config.inverter, name)


def baselines(prototype: "PrototypeSettings") -> "dict[Name, Case]":
    """Return the cases that know the predicted class alone, by row."""
    from mi_keras.attacks.baselines import ClassAverage, ClassPrototype

    return {Name(AVERAGE): Case(ClassAverage()), Name(PROTOTYPE): Case(ClassPrototype(prototype))}


def plan_rows(benches: "Sequence[ThesisBench]", cells: Mapping[Name, Case]) -> Plans:
    """Compute the case of every row in every run: run by run, row by row, so that what is finished is kept."""
    plans: dict[Name, list[Plan]] = {name: [] for name in cells}
    for bench in benches:
        for name, case in cells.items():
            plans[name].append(plan(case, bench))
            plans[name][-1].scored.computed()
    return plans


def published(table: str, ssim: tuple[float, float], mse: tuple[float, float]) -> Paper:
    """Return the published SSIM and MSE of a row of a table of the text, which has MNIST only."""
    return Paper(f"{table} (MNIST)", {"ssim": ssim, "mse": mse})


def image_row(
    name: Name,
    label: str,
    plans: Plans,
    prototype: Name,
    *,
    group: str = "",
    paper: Paper | None = None,
    note: str = "",
) -> Row:
    """Return a row of SSIM, MSE and instance gain: SSIM minus that of the class prototype on the same images."""
    scores = [scores_of(plan.scored) for plan in plans[name]]
    values = score_values(scores)
    if not name.is_baseline:
        values["instance_gain"] = (
            values["ssim"] - score_values([scores_of(p.scored) for p in plans[prototype]])["ssim"]
        )
    group = group or ("baseline" if name.is_baseline else "attack")
    note = note or (OBJECTIVE_NOTES[name.objective] if name.uses_x else "")
    return Row(str(name), label, group, values, len(scores[0].ssim), paper, note)


def image_arrays(test: Images, plans: Plans) -> dict[str, Any]:
    """Return targets, labels, the first run's reconstructions, and every run's scores per image."""
    arrays: dict[str, Any] = {"targets": test.images.astype(np.float16), "labels": test.labels}
    arrays |= {f"reconstruction.{name}": runs[0].scored.arrays["images"] for name, runs in plans.items()}
    for metric in ("ssim", "mse"):
        arrays |= {
            f"{metric}.{name}": np.stack([plan.scored.arrays[metric] for plan in runs])
            for name, runs in plans.items()
        }
    return arrays


def measured_on(bench: "ThesisBench") -> str:
    """Return the line that says how many images were attacked, and learned from."""
    return f"{len(bench.splits.test):,} test images (D_F), {len(bench.splits.shadow_train):,} shadow training images"


def scores_of(stage: "Stage") -> Scores:
    """Return the per-image scores that a scored stage holds."""
    return Scores(ssim=stage.arrays["ssim"], mse=stage.arrays["mse"])
