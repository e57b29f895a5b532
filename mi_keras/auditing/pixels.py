"""The range of pixels: `--pixels` is checked against the data, and images are brought to [0, 1]."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.types import Floats

RANGES = {"0..1": (0.0, 1.0), "0..255": (0.0, 255.0), "-1..1": (-1.0, 1.0)}
TOLERANCE = 1e-5  # of a range: what rounding to float32 may add at its ends


def check_pixels(name: str, images: NDArray[Any], declared: str | None) -> tuple[NDArray[Any], str]:
    """Return images as uint8 or float32, and the range that they are in.

    Bytes are 0..255 unless something else is declared; other numbers must be declared. A declaration must fit: 0..255
    needs a value above 1, and -1..1 one below 0, since else the images are most likely in another range.

    Args:
        name: what the messages begin with.
        images: of any type of numbers; whole numbers in 0..255 become bytes.
        declared: "0..1", "0..255", "-1..1" or None.

    Raises:
        InputError: nothing is declared where it must be, it does not fit, or a value is not finite.
    """
    if declared is not None and declared not in RANGES:
        raise InputError(f"`pixels` must be {', '.join(RANGES)}; got {declared!r}.")
    low, high = float(images.min()), float(images.max())
    if not np.isfinite([low, high]).all():
        row = int(np.argmin([np.isfinite(image).all() for image in images]))
        raise InputError(f"{name} must hold finite pixels; got NaN or infinity in image {row}.")
    fitting = _fitting(low, high)
    values = f"{images.dtype} values from {low:g} to {high:g}"
    if fitting is None:
        raise InputError(
            f"{name} must hold pixels in {', '.join(RANGES)}; got {values}: bring them into one of these ranges."
        )
    if declared is None and not (images.dtype == np.uint8 and fitting == "0..255"):
        raise InputError(
            f"`pixels` must be declared for {name}, which has {values}: `pixels='{fitting}'` fits them, if it is what "
            "they mean."
        )
    if declared not in (None, fitting):
        raise InputError(
            f"`pixels='{declared}'` must fit the data; {name} has {values}, which fit `pixels='{fitting}'`."
        )
    is_whole = images.dtype.kind in "iu" and fitting != "-1..1"
    typed = images.astype(np.uint8 if is_whole or images.dtype == np.bool_ else np.float32, copy=False)
    return typed, fitting


def to_unit(images: NDArray[Any], pixels: str) -> Floats:
    """Return images as float32 in [0, 1], `(count, height, width, channels)` as given: the truth of every score.

    Args:
        images: all of them or some rows, uint8 or float32 in the range `pixels`.
        pixels: "0..1", "0..255" or "-1..1".
    """
    low, high = RANGES[pixels]
    unit = (images.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    return np.clip(unit, 0, 1, out=unit)


def _fitting(low: float, high: float) -> str | None:
    """Return the one range that values from `low` to `high` fit, or None."""
    if high <= 1 + TOLERANCE and low >= -TOLERANCE:
        return "0..1"
    if high <= 1 + 2 * TOLERANCE and low >= -1 - 2 * TOLERANCE:
        return "-1..1"
    if high <= 255 * (1 + TOLERANCE) and low >= -255 * TOLERANCE:
        return "0..255"
    return None
