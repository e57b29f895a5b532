"""What arrays of images and labels must be, whoever brings them: one set of rules, checked before anything is trained."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import InputError

CHANNELS = (1, 3)  # what can be drawn in a report
LEAST_SIDE = 4  # pixels: a shorter side is an axis that means something else


def as_pictures(name: str, images: NDArray[Any]) -> NDArray[Any]:
    """Return images as `(count, height, width, channels)`; grey ones may come without channels.

    Args:
        name: what the messages begin with.

    Raises:
        InputError: they have another number of axes, or height or width is below 4: rows of numbers are no pictures.
    """
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise InputError(
            f"{name} must be (count, height, width) or (count, height, width, channels), none of them 0; "
            f"got {images.shape}{_as_square(images.shape)}."
        )
    pictures = images if images.ndim == 4 else images[..., np.newaxis]
    if min(pictures.shape[1:3]) < LEAST_SIDE:
        raise InputError(
            f"{name} must be pictures of at least {LEAST_SIDE} pixels a side; got {images.shape}"
            f"{_as_square(images.shape) or _channels_last(images.shape)}."
        )
    return pictures


def check_channels(name: str, shape: tuple[int | None, ...]) -> None:
    """Raise `InputError` unless pictures of `(height, width, channels)` have 1 or 3 channels, which reports can draw."""
    if shape[-1] not in CHANNELS:
        hint = ": leave the transparency out" if shape[-1] == 4 else _channels_last((0, *shape))
        raise InputError(
            f"{name} must have 1 or 3 channels, and the channels stand last; got images of {shape}{hint}."
        )


def as_unit_floats(name: str, images: NDArray[Any]) -> NDArray[np.float32]:
    """Return floating-point images as float32, after a look at their range.

    Raises:
        InputError: a value is outside [0, 1] or not a number; the message names the division that is missing.
    """
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):  # so written, NaN fails too
        raise InputError(
            f"{name} is floating point and must be in [0, 1], without NaN; got values from {low:g} to {high:g}"
            f"{_division(low, high)}."
        )
    return images.astype(np.float32)


def as_labels(values: NDArray[Any], count: int) -> NDArray[Any]:
    """Return `(count, 1)` labels, as keras.datasets gives those of CIFAR, as `(count,)`; others as they are."""
    return values.reshape(count) if values.shape == (count, 1) else values


def _as_square(shape: tuple[int, ...]) -> str:
    """Say how rows of numbers become pictures, where they are as many as a square of pixels."""
    numbers = math.prod(shape[1:])
    for channels in CHANNELS:
        side = math.isqrt(numbers // channels)
        if (
            side >= LEAST_SIDE
            and side * side * channels == numbers
            and max(shape[1:], default=0) * channels >= numbers
        ):
            inner = f"{side}, {side}" + (f", {channels}" if channels > 1 else "")
            return f": rows of {numbers} numbers, which `images.reshape(-1, {inner})` makes pictures"
    return ""


def _channels_last(shape: tuple[int | None, ...]) -> str:
    return (
        ": `numpy.moveaxis(images, 1, -1)` brings the channels last"
        if len(shape) == 4 and shape[1] in CHANNELS
        else ""
    )


def _division(low: float, high: float) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    if -1 <= low < 0 and high <= 1:
        return ": use `(images + 1) / 2` if they are in [-1, 1]"
    if low >= 0 and high <= 255:
        return ": use `images / 255` if they are in [0, 255]"
    return ""
