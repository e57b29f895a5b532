"""The smallest settings, splits and bench that every kind of stage can be computed with."""

from dataclasses import dataclass

import numpy as np

from mi_keras.data.splits import Splits
from mi_keras.experiments.store import Store
from mi_keras.experiments.thesis.bench import ThesisBench
from mi_keras.experiments.thesis.sizes import Inverted
from mi_keras.machine import FLOAT32
from mi_keras.progress import SilentProgress
from mi_keras.settings import (
    ActivationSettings,
    ClassifierSettings,
    GradientSettings,
    InverterSettings,
    PrototypeSettings,
)
from mi_keras.types import Images

CLASSIFIER = ClassifierSettings(channels=(3, 4, 5), epochs=1, batch_size=8)
ACTIVATION = ActivationSettings(max_steps=50)
GRADIENT = GradientSettings(steps=3)
INVERTER = InverterSettings(channels=(4, 4, 4), epochs=1, batch_size=8)
PROTOTYPE = PrototypeSettings(steps=2)
SETS = ("target_train", "shadow_train", "target_validation", "shadow_validation", "test")


@dataclass(frozen=True)
class Config(Inverted):
    """Settings of a section that trains M_I, at these sizes."""

    runs: int = 1
    classifier: ClassifierSettings = CLASSIFIER
    gradient: GradientSettings = GRADIENT
    prototype: PrototypeSettings = PROTOTYPE
    activation: ActivationSettings = ACTIVATION
    inverter: InverterSettings = INVERTER


def make_splits(**replaced):
    draw = np.random.default_rng(0)
    sets = {}
    for number, name in enumerate(SETS):
        labels = np.arange(18) % 3
        images = (
            draw.random((18, 32, 32, 1), np.float32) * 0.3
            + labels[:, None, None, None].astype(np.float32) / 5
        )
        sets[name] = Images(images, labels, np.arange(18, dtype=np.uint64) + 100 * number)
    return Splits(**(sets | replaced), class_names=("a", "b", "c"), source_name="test", fingerprint="0")


def make_bench(
    folder, *, classifier=CLASSIFIER, splits=None, seed=1, run=1, data=None, progress=None, precision=FLOAT32
):
    """A bench whose store is in a folder; equal arguments give equal stages."""
    return ThesisBench(
        splits or make_splits(), data or {"fingerprint": "0"}, classifier, Store(folder, precision=precision),
        progress or SilentProgress(),
        seed=seed, run=run,
    )  # fmt: skip
