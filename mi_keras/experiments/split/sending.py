"""From pictures to the feature maps that are sent: noise on the way in, and a large array that is filled (split 4.1)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.data.preprocess import as_unit
from mi_keras.progress import Progress, Workspace, fill
from mi_keras.seeds import derive
from mi_keras.settings import IMAGENET_DEVIATION
from mi_keras.types import Floats, Rows

Send = Callable[[Floats, int], Floats]  # images in [0, 1] and the number of the first -> their maps


def fill_maps(
    workspace: Workspace,
    what: str,
    images: Rows,
    send: Send,
    map_shape: tuple[int, ...],
    *,
    size: int,
    progress: Progress,
    beside: NDArray[Any] | None = None,
) -> None:
    """Write what is sent of images into the large array `maps`, float16, going on where an earlier run was cut off.

    Args:
        what: the progress bar says.
        images: uint8, or float32 in [0, 1].
        send: called with `size` images, fewer at the end.
        beside: as of `progress.fill`.

    Raises:
        FloatingPointError: a value is not finite, or too large for float16.
    """
    maps = workspace.large("maps", (len(images), *map_shape), np.float16)
    fill(
        maps, lambda part: send(as_unit(images[part]), part.start), workspace, progress, what, batch=size, beside=beside
    )  # fmt: skip
    if not all(np.isfinite(maps[start : start + size]).all() for start in range(0, len(maps), size)):
        raise FloatingPointError("feature maps: a value is not finite, or too large for float16.")


class NoisyPictures:
    """Pictures in [0, 1], float32, with Gaussian noise drawn once for each, added as they are read (see `types.Rows`).

    Args:
        pictures: `(count, height, width, 3)` uint8.
        noise: its mean and variance once the pictures are normalised; they are not clipped.
        seed: of the draws.
    """

    ndim = 4

    def __init__(self, pictures: NDArray[np.uint8], noise: tuple[float, float], seed: int) -> None:
        self.pictures, self.noise, self.seed = pictures, noise, seed
        self.shape, self.dtype = pictures.shape, np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, rows: Any) -> Floats:
        mean, deviation = self.noise[0], self.noise[1] ** 0.5
        seeds = [derive(self.seed, "image noise", int(row)) for row in np.arange(len(self))[rows]]
        draws = [np.random.default_rng(seed).standard_normal(self.shape[1:], np.float32) for seed in seeds]
        return as_unit(self.pictures[rows]) + (mean + deviation * np.stack(draws)) * np.array(
            IMAGENET_DEVIATION, np.float32
        )
