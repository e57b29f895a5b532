"""A pipeline of the smallest size: three classes of 18 images, a CNN of twelve filters."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mi_keras.data.splits import Splits
from mi_keras.experiments.store import Store
from mi_keras.experiments.thesis.stages import Pipeline
from mi_keras.types import ImageSet
from mi_keras.work import Progress, SilentProgress

SETS = ("target_train", "shadow_train", "target_validation", "shadow_validation", "test")


def _splits() -> Splits:
    draw, sets = np.random.default_rng(0), {}
    for number, name in enumerate(SETS):
        labels = np.arange(18) % 3
        level = labels[:, None, None, None].astype(np.float32) / 5
        images = draw.random((18, 32, 32, 1), np.float32) * 0.3 + level
        sets[name] = ImageSet(images, labels, np.arange(18, dtype=np.uint64) + 100 * number)
    return Splits(**sets, class_names=("a", "b", "c"), source_name="test", fingerprint="0")


@pytest.fixture
def make_pipeline() -> Callable[..., Pipeline]:
    """Makes a pipeline whose store is in a folder; equal arguments give equal stages."""

    def make(folder: Path, *, seed: int = 1, run: int = 1, progress: Progress | None = None) -> Pipeline:
        return Pipeline(
            _splits(), {"fingerprint": "0"}, Store(folder), progress or SilentProgress(), seed=seed, run=run
        )

    return make
