"""Rows of class inversion: what a model takes for typical of a class. Not a reconstruction of an image. Imports TensorFlow."""

from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from mi_keras.attacks.attack import Attack, Direct
from mi_keras.attacks.baselines import ClassAverage
from mi_keras.attacks.generator import ClassGenerator
from mi_keras.attacks.gradient import GradientImage
from mi_keras.experiments.beyond.class_bench import ClassBench
from mi_keras.experiments.beyond.work import Benches
from mi_keras.experiments.case import Case, plan
from mi_keras.results import Row, Table
from mi_keras.settings import GradientSettings
from mi_keras.types import Floats

COLUMNS = {  # measures of class inversion alone: no row stands in a table of reconstructions
    "judged": "taken for the class by another target",
    "confidence": "its probability",
    "typical": "mean SSIM to images of the class",
    "nearest": "SSIM to the nearest of them",
}


@dataclass(frozen=True)
class Inversion:
    """A row: an attack, and whether it steps through the target's weights or the adversary's shadow model."""

    label: str
    attack: Attack
    by_weights: bool = True
    group: str = "attack"


def inversions(settings: GradientSettings, generator: ClassGenerator) -> dict[str, Inversion]:
    """Return the attacks on a class by the names of their rows."""
    instance = replace(settings, start="class_instance", steps=0)
    noise = replace(settings, start="random")

    def one_hot(of: GradientSettings) -> Attack:
        return Direct(GradientImage(of, "cross_entropy"))

    return {
        "class:x_shadow": Inversion("one-hot X~ by the shadow model, from the class average", one_hot(settings), False),
        "class:x": Inversion("one-hot X~ by the target's weights, from the class average", one_hot(settings)),
        "class:x_noise": Inversion("one-hot X~ by the target's weights, from noise", one_hot(noise)),
        "class:generator": Inversion("generator, by the target's weights", generator),
        "class:average": Inversion("mean of the adversary's images of the class", ClassAverage(), group="baseline"),
        "class:instance": Inversion("one of them", one_hot(instance), False, "baseline"),
    }  # fmt: skip


def inverted(benches: Benches, found: dict[str, Inversion]) -> tuple[Table, dict[str, Floats]]:
    """Return the table of class inversion, means over classes for each target, and the images of the first target."""
    rows: list[Row] = []
    images: dict[str, Floats] = {}
    judged = list(zip(benches, [*benches[1:], benches[0]], strict=True))
    stages = {
        name: [
            plan(Case(each.attack), ClassBench.of(*of, by_weights=each.by_weights)).scored for of in judged
        ]
        for name, each in found.items()
    }
    benches[0].store.compute(chain(*stages.values()))
    for name, each in found.items():
        values: dict[str, list[float]] = {column: [] for column in COLUMNS}
        for stage in stages[name]:
            scored = stage.arrays
            for column, listed in values.items():
                listed.append(float(scored[column].mean(dtype=np.float64)))
            images.setdefault(f"class_images.{name}", scored["images"].astype(np.float32))
        rows.append(Row(name, each.label, each.group, {c: np.array(v) for c, v in values.items()}))
    note = (
        "The judge is the target of the next run: the same training images, another seed. Means over classes."
    )
    title = "Class inversion: what a model takes for typical of a class, which is no image of anybody"
    table = Table(
        "class_inversion",
        title,
        "attack",
        tuple(COLUMNS),
        rows,
        notes=[note],
        headings=COLUMNS,
        interval=True,
    )
    return table, images
