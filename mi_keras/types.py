"""The frozen values that travel between data, models, attacks and reports."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
# What inputs of a model beside its image are held at, by their names
Fix = Mapping[str, float | Sequence[float] | NDArray[Any]]


class Rows(Protocol):
    """An array that is read some rows at a time: in memory, mapped from the disk, or computed on the way."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any, /) -> Any: ...


class Redrawn:
    """Rows of which there is another draw whenever it is asked for, by number; read as they are, they are the first.

    Args:
        first: draw 0.
        draw: returns another one, equal for equal numbers.
        period: after so many draws they are the same again; 0: never.
    """

    def __init__(self, first: Rows, draw: Callable[[int], Rows], *, period: int = 0) -> None:
        self.first, self.draw, self.period = first, draw, period
        self.shape, self.dtype = first.shape, first.dtype

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, rows: Any) -> Any:
        return self.first[rows]


def redrawn(rows: Rows, number: int) -> Rows:
    """Return a draw of rows by its number; rows that are no `Redrawn` are the same in each."""
    return rows.draw(number) if isinstance(rows, Redrawn) and number else rows


@dataclass(frozen=True)
class Images:
    """Labelled images with an identity each.

    Attributes:
        images: `(count, height, width, channels)` float32 in [0, 1], or uint8 in 0..255 where they are many.
        labels: `(count,)` int64 class numbers.
        ids: `(count,)` uint64, the head of the SHA-256 of each image's original pixels. Equal ids are
            equal images, so that disjointness is a statement about images and not about positions.
        groups: `(count,)` numbers: whose images they are, such as a patient's; None where each is its own group.
    """

    images: NDArray[Any]
    labels: Ints
    ids: NDArray[np.uint64]
    groups: Ints | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or not len(self.images) == len(self.labels) == len(self.ids):
            raise ValueError(
                "`images`, `labels` and `ids` must be (count, height, width, channels), (count,) and (count,); "
                f"got {self.images.shape}, {self.labels.shape}, {self.ids.shape}."
            )
        if self.groups is not None and len(self.groups) != len(self.images):
            raise ValueError(f"`groups` must be ({len(self.images)},); got {self.groups.shape}.")

    @classmethod
    def unlabelled(cls, images: NDArray[Any]) -> "Images":
        """Return images of which nothing else is known: one class, and an identity each."""
        return cls(images, np.zeros(len(images), np.int64), np.arange(len(images), dtype=np.uint64))

    def __len__(self) -> int:
        return len(self.images)

    def first(self, count: int) -> "Images":
        """Return the first of them."""
        groups = None if self.groups is None else self.groups[:count]
        return Images(self.images[:count], self.labels[:count], self.ids[:count], groups)

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """`(count,)` of mean 1, by which every group counts the same; None where each image is its own group."""
        if self.groups is None:
            return None
        _, of_group, sizes = np.unique(self.groups, return_inverse=True, return_counts=True)
        weights: NDArray[np.float64] = len(self) / len(sizes) / sizes[of_group]
        return weights


@dataclass(frozen=True)
class Observation:
    """What the adversary sees: the values that a model sent, with the point at which it sent them, and nothing else.

    An attack takes an `Observation`; there is no field through which an input image, a label or a weight of the
    target model could reach it.

    Attributes:
        values: `(count, ...)` float16 or float32 after any defence: output vectors `(count, classes)` or feature maps
            `(count, height, width, channels)`, in memory or read some rows at a time.
        point: where they were taken: the name of an output or a layer.
    """

    values: Rows
    point: str = "logits"

    def __post_init__(self) -> None:
        values = self.values
        if len(values.shape) < 2 or values.dtype not in (np.float16, np.float32):
            raise ValueError(
                f"`values` must be float16 or float32 (count, ...); got {values.dtype} {tuple(values.shape)}."
            )
        # What is mapped from the disk was checked when it was written, and to read it all here could take minutes
        if type(values) is np.ndarray and not np.isfinite(values).all():
            raise ValueError("`values` must be finite; got NaN or infinity.")

    @property
    def vectors(self) -> Floats:
        """The values as output vectors, `(count, classes)` float32 in memory.

        Raises:
            ValueError: they are feature maps.
        """
        if len(self.values.shape) != 2:
            raise ValueError(
                f"`values` must be output vectors (count, classes); got {tuple(self.values.shape)}."
            )
        vectors: Floats = np.asarray(self.values[:], np.float32)
        return vectors

    @property
    def predicted_class(self) -> Ints:
        """`(count,)` the class the target model predicts: argmax of the output vector."""
        return np.argmax(self.vectors, axis=1).astype(np.int64)

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Scores:
    """Scores of reconstructions against the true images, one value per image.

    Attributes:
        ssim: `(count,)` structural similarity in [-1, 1].
        mse: `(count,)` mean squared error of images in [0, 1].
    """

    ssim: Floats
    mse: Floats
