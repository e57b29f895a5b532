"""`Source`: what every reader of labelled images returns (thesis 3.3)."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_keras.display import line_of
from mi_keras.types import Floats, Ints

LARGEST_RATIO = (
    200  # of sizes before and after compression that an archive may have; images hardly compress at all
)


@dataclass(frozen=True)
class Source:
    """A labelled data set as it was published: a training and a test part, not yet divided or resized.

    Attributes:
        name: where it came from, in the form that `--data` takes.
        train_images: `(count, height, width, channels)` uint8 in 0..255, or float32 in [0, 1].
        train_labels: `(count,)` class numbers.
        test_images: as `train_images`.
        test_labels: as `train_labels`; every class of it is in the training part too.
        class_names: `(classes,)` one name per class number.
        fingerprint: SHA-256 of images and labels, in hexadecimal.
    """

    name: str
    train_images: NDArray[np.uint8] | Floats
    train_labels: Ints
    test_images: NDArray[np.uint8] | Floats
    test_labels: Ints
    class_names: tuple[str, ...]
    fingerprint: str


def fingerprint(*arrays: NDArray[np.generic]) -> str:
    """Return the SHA-256 of the types, shapes and values of `arrays`, in order, in hexadecimal."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def first_line(error: BaseException) -> str:
    """Return the first line of `error`, where what follows is advice for programmers, as `line_of` gives it."""
    return line_of((str(error).strip() or type(error).__name__).splitlines()[0])
