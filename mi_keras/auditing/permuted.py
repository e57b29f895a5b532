"""`Rows` that are read in another order than they are stored in."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.types import Ints, Rows


class Permuted:
    """Rows in another order, read on the way (see `types.Rows`)."""

    def __init__(self, rows: Rows, order: NDArray[np.int64]) -> None:
        self.rows, self.order, self.shape, self.dtype = rows, order, rows.shape, rows.dtype

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, wanted: Any) -> NDArray[Any]:
        return np.asarray(self.rows[self.order[wanted]])


def shuffled_order(classes: Ints, *, seed: int) -> Ints:
    """Return an order in which every image has the place of another one of its class.

    Images that are alone in their class change places among each other: none keeps its own, but a single one of these.
    """
    draw, order = np.random.default_rng(seed), np.arange(len(classes))
    numbers, sizes = np.unique(classes, return_counts=True)
    alone = np.flatnonzero(np.isin(classes, numbers[sizes == 1]))
    for same in (alone, *(np.flatnonzero(classes == number) for number in numbers[sizes > 1])):
        of = draw.permutation(same)
        order[of] = np.roll(of, 1)
    return order
