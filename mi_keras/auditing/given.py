"""`Given`: images as a reader found them, with their labels and groups, before they are checked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mi_keras.data.decoding import to_pixels
from mi_keras.data.preprocess import LUMA
from mi_keras.errors import InputError

Size = tuple[int, int]  # height, width
IN_MEMORY = ("arrays", "dataset")  # names of sources that no text stands for


@dataclass(frozen=True)
class Given:
    """What one source holds.

    Attributes:
        name: where it came from, in the form that `--data` takes.
        images: `(count, height, width, channels)`, of any type of numbers.
        names: `(count,)` file names, or row numbers of arrays.
        labels: `(count,)` class numbers, or class names; None where there are none.
        groups: `(count,)` the group of each image by name or number; None where none were declared.
        trained_on: `(count,)` whether the target has seen an image; None where that is unknown.
        skipped: `(name, reason)` of each file that cannot be used.
        notes: what was assumed, a sentence each.
    """

    name: str
    images: NDArray[Any]
    names: tuple[str, ...]
    labels: NDArray[Any] | None = None
    groups: NDArray[Any] | None = None
    trained_on: NDArray[np.bool_] | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def argument(self) -> str:
        """How messages name it."""
        return "`data`" if self.name in IN_MEMORY else f"`data='{self.name}'`"


def stacked(name: str, images: Sequence[NDArray[Any]], size: Size | None) -> NDArray[Any]:
    """Return images of `(height, width, channels)` each as one array.

    Raises:
        InputError: they are of several sizes, which only `size` makes one.
    """
    shapes = sorted({image.shape for image in images})
    if len({shape[2:] for shape in shapes}) > 1:
        raise InputError(
            f"{name} must hold images of one number of channels; got {shapes[0][2]} and {shapes[-1][2]}."
        )
    if len(shapes) > 1 and size is None:
        (low, wide, *_), (high, narrow, *_) = shapes[0], shapes[-1]
        raise InputError(
            f"`size=(H, W)` must be given for images of several sizes; {name} has {len(shapes)} of them, such as "
            f"{low}x{wide} and {high}x{narrow} (height x width)."
        )
    return np.stack([resized(image[np.newaxis], size)[0] if size else image for image in images])


def with_channels(name: str, images: NDArray[Any], channels: int | None) -> NDArray[Any]:
    """Return `(count, height, width, channels)`: grey repeated for 3, the luma of RGB for 1, as files are read.

    Raises:
        InputError: the images have neither 1 nor 3 channels, and another number is needed.
    """
    found = images.shape[3]
    if channels is None or channels == found:
        return images
    if found not in (1, 3):
        raise InputError(
            f"{name} must have {channels} channels, and the channels stand last; got images of {images.shape[1:]}."
        )
    if channels == 3:
        return np.repeat(images, 3, axis=3)
    if images.dtype == np.uint8:
        return np.stack([to_pixels(Image.fromarray(image), channels=1) for image in images])
    return (images.astype(np.float32) @ LUMA)[..., np.newaxis]


def note_on_channels(count: int, channels: int | None) -> tuple[str, ...]:
    """Return a sentence on images that came in another number of channels than the model takes; nothing on none."""
    if not count:
        return ()
    if channels == 1:
        return (f"{count:,} colour images were turned grey (ITU-R 601): the model takes one channel.",)
    return (f"{count:,} grey images were given three equal channels: the model takes colour.",)


def resized(images: NDArray[Any], size: Size | None) -> NDArray[Any]:
    """Return `(count, *size, channels)`, by bicubic interpolation with antialiasing, as files are resized.

    Bytes stay bytes; other numbers become float32, each image within its own range.
    """
    if size is None or images.shape[1:3] == size:
        return images
    is_bytes = images.dtype == np.uint8
    result = np.empty((len(images), *size, images.shape[3]), np.uint8 if is_bytes else np.float32)
    for image, place in zip(images, result, strict=True):
        for channel in range(
            images.shape[3]
        ):  # one at a time: Pillow has no pictures of several float channels
            plane = np.ascontiguousarray(image[..., channel], np.uint8 if is_bytes else np.float32)
            place[..., channel] = Image.fromarray(plane).resize(size[::-1], Image.Resampling.BICUBIC)
        if not is_bytes:
            np.clip(place, image.min(), image.max(), out=place)
    return result
