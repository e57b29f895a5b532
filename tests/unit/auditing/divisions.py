"""What the tests of divisions give it: images that are all different, and what every division must keep."""

import itertools
from typing import Any

import numpy as np

from mi_keras.auditing.division import Divided, Division

SIDES = ("own", "choice", "attacked", "members")


def noise_images(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 1), dtype=np.uint8)


def alone(count: int) -> Any:
    return np.arange(count)


def sides(division: Division) -> dict[str, set[int]]:
    return {side: set(getattr(division, side).tolist()) for side in SIDES}


def shown(images: Any, division: Division) -> list[set[bytes]]:
    return [{images[row].tobytes() for row in getattr(division, side)} for side in SIDES]


def check_kept_apart(divided: Divided) -> None:
    """No image and no group is on two sides."""
    for fold in divided.folds:
        for one, other in itertools.combinations(SIDES, 2):
            first, second = getattr(fold, one), getattr(fold, other)
            assert len(set(first)) == len(first)
            assert not set(first) & set(second)
            assert not set(divided.groups[first]) & set(divided.groups[second])
