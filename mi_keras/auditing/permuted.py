"""Rows that are read in another order than they are kept in."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.types import Rows


class Permuted:
    """Rows in another order, read on the way (see `types.Rows`)."""

    def __init__(self, rows: Rows, order: NDArray[np.int64]) -> None:
        self.rows, self.order, self.shape, self.dtype = rows, order, rows.shape, rows.dtype

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, wanted: Any) -> NDArray[Any]:
        return np.asarray(self.rows[self.order[wanted]])
