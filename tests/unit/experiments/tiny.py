"""The smallest settings, splits and pipeline that every kind of stage can be computed with."""

import numpy as np

from mi_keras.data.splits import Splits
from mi_keras.experiments.store import Store
from mi_keras.experiments.thesis.stages import Pipeline
from mi_keras.settings import (
    ActivationSettings,
    ClassifierSettings,
    GradientSettings,
    InverterSettings,
    PrototypeSettings,
)
from mi_keras.types import ImageSet
from mi_keras.work import SilentProgress

CLASSIFIER = ClassifierSettings(channels=(3, 4, 5), epochs=1, batch_size=8)
ACTIVATION = ActivationSettings(max_steps=50)
GRADIENT = GradientSettings(steps=3)
INVERTER = InverterSettings(channels=(4, 4, 4), epochs=1, batch_size=8)
PROTOTYPE = PrototypeSettings(steps=2)
SETS = ("target_train", "shadow_train", "target_validation", "shadow_validation", "test")


def make_splits(**replaced):
    draw = np.random.default_rng(0)
    sets = {}
    for number, name in enumerate(SETS):
        labels = np.arange(18) % 3
        images = (
            draw.random((18, 32, 32, 1), np.float32) * 0.3
            + labels[:, None, None, None].astype(np.float32) / 5
        )
        sets[name] = ImageSet(images, labels, np.arange(18, dtype=np.uint64) + 100 * number)
    return Splits(**(sets | replaced), class_names=("a", "b", "c"), source_name="test", fingerprint="0")


def make_pipeline(folder, *, splits=None, seed=1, run=1, data=None):
    return Pipeline(
        splits or make_splits(),
        data or {"fingerprint": "0"},
        Store(folder),
        SilentProgress(),
        seed=seed,
        run=run,
    )
