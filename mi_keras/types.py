"""The frozen values that travel between data, models, attacks and reports."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class Rows(Protocol):
    """An array that is read some rows at a time: in memory, mapped from the disk, or computed on the way."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any, /) -> Any: ...


@dataclass(frozen=True)
class ImageSet:
    """Labelled images with an identity each.

    Attributes:
        images: `(count, height, width, channels)` float32 in [0, 1].
        labels: `(count,)` int64 class numbers.
        ids: `(count,)` uint64, the head of the SHA-256 of each image's original pixels. Equal ids are
            equal images, so that disjointness is a statement about images and not about positions.
    """

    images: Floats
    labels: Ints
    ids: NDArray[np.uint64]

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or not len(self.images) == len(self.labels) == len(self.ids):
            raise ValueError(
                "`images`, `labels` and `ids` must be (count, height, width, channels), (count,) and (count,); "
                f"got {self.images.shape}, {self.labels.shape}, {self.ids.shape}."
            )

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Observation:
    """What the adversary sees of the attacked model: its output vectors and nothing else.

    An attack takes an `Observation`; there is no field through which an input image, a label or a weight
    of the target model could reach it.

    Attributes:
        output_vector: `(count, classes)` float32 logits, after any defence.
    """

    output_vector: Floats

    def __post_init__(self) -> None:
        vector = self.output_vector
        if vector.ndim != 2 or vector.dtype != np.float32:
            raise ValueError(
                f"`output_vector` must be float32 (count, classes); got {vector.dtype} {vector.shape}."
            )
        if not np.isfinite(vector).all():
            raise ValueError("`output_vector` must be finite; got NaN or infinity.")

    @property
    def predicted_class(self) -> Ints:
        """`(count,)` the class the target model predicts: argmax of the output vector."""
        return np.argmax(self.output_vector, axis=1).astype(np.int64)

    def __len__(self) -> int:
        return len(self.output_vector)


@dataclass(frozen=True)
class ShadowEvidence:
    """All that the adversary derives from an `Observation` with its own shadow model (thesis 3.7).

    In experiments it comes from `experiments.thesis.stages.Evidence`, out of an `Observation` and the shadow model alone.

    Attributes:
        output_vector: `(count, classes)`, O.
        activations: `(count, units)`, A^L; None where no combination asks for it.
        gradient_reconstruction: `(count, height, width, channels)`, X~; None where no combination asks for it.
    """

    output_vector: Floats
    activations: Floats | None = None
    gradient_reconstruction: Floats | None = None

    def __post_init__(self) -> None:
        for name in ("activations", "gradient_reconstruction"):
            part = getattr(self, name)
            if part is not None and len(part) != len(self.output_vector):
                raise ValueError(
                    f"`{name}` must be as many as `output_vector`, {len(self.output_vector)}; got {len(part)}."
                )

    def __len__(self) -> int:
        return len(self.output_vector)


@dataclass(frozen=True)
class Scores:
    """Scores of reconstructions against the true images, one value per image.

    Attributes:
        ssim: `(count,)` structural similarity in [-1, 1].
        mse: `(count,)` mean squared error of images in [0, 1].
    """

    ssim: Floats
    mse: Floats
