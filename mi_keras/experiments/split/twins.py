"""Training images that show a held-out one again, as another file: counted, or left out with all of their group."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.metrics.near_duplicates import near_any
from mi_keras.progress import Arrays, Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mi_keras.experiments.split.bench import SplitBench


def twins(bench: "SplitBench") -> int:
    """Return how many training images are near-duplicates of a held-out one: by name they stay, by content none is left."""
    if bench.faces.group_of:
        return 0

    def compute(_: Workspace) -> "tuple[Arrays, Mapping[str, Any]]":
        return {}, {"count": int(near_any(bench.pictures(bench.own), bench.pictures(bench.attacked)).sum())}

    return int(bench.store.stage("twins", compute, upstream=[bench.images()]).info["count"])


def without_twins(training: NDArray[Any], groups: Sequence[Sequence[str]], held_out: NDArray[Any]) -> int:
    """Move up the images whose groups have no near-duplicate among the held-out ones; return how many they are.

    Args:
        training: `(count, height, width, 3)` uint8, written in place; rows from the returned number on mean nothing then.
        groups: of the first rows of `training`, which are those that count: its own, then those that hold an equal file.
        held_out: `(count, height, width, 3)` uint8.
    """
    twins = near_any(training[: len(groups)], held_out)
    gone = {group for of_row, twin in zip(groups, twins, strict=True) if twin for group in of_row}
    kept = [row for row, (own, *_) in enumerate(groups) if own not in gone]
    for place, row in enumerate(kept):
        if place != row:
            training[place] = np.array(training[row])
    return len(kept)
