"""`Rows` that are computed when they are read, for arrays that are too large to store."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Recomputed:
    """What a model sends of images, computed anew whenever it is read (see `types.Rows`).

    Args:
        send: from images to what would be kept of them, `(count, ...)`.
        shape, dtype: of all of it.
    """

    def __init__(
        self,
        images: NDArray[Any],
        send: Callable[[NDArray[Any]], NDArray[Any]],
        shape: tuple[int, ...],
        dtype: type[np.generic],
    ) -> None:
        self.images, self.send, self.shape, self.dtype = images, send, shape, np.dtype(dtype)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, wanted: Any) -> NDArray[Any]:
        images = self.images[wanted]
        return self.send(images) if len(images) else np.zeros((0, *self.shape[1:]), self.dtype)
