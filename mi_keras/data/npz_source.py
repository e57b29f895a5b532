"""Read a user's own labelled images from one npz file with the keys of `keras.datasets` (no pickle)."""

import os
import struct
import zipfile
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mi_keras.data.array_rules import as_labels, as_pictures, as_unit_floats, check_channels
from mi_keras.data.source import LARGEST_RATIO, Source, fingerprint, first_line
from mi_keras.display import displayable
from mi_keras.errors import InputError
from mi_keras.files import UNREADABLE
from mi_keras.types import Floats, Ints

HARMLESS = 2**28  # bytes: below it a large ratio does no harm
KEYS = ("x_train", "y_train", "x_test", "y_test")


def read_npz(file: str) -> Source:
    """Return the labelled images in `file`, checked.

    `x_train` and `x_test` are `(count, height, width)` or `(count, height, width, channels)`, uint8 in 0..255
    or floating point in [0, 1], of 1 or 3 channels; `y_train` and `y_test` are `(count,)` or `(count, 1)` integers. The
    classes are 0 up to the largest training label, each with a training image; their numbers are their names.

    Raises:
        InputError: the file or one of its arrays breaks a rule above.
    """
    spec = f"`data='npz:{file}'`"
    arrays = read_npz_arrays(spec, file, lambda found: _check_keys(spec, found))
    images = {key: _checked_images(f"{spec}: `{key}`", arrays[key]) for key in ("x_train", "x_test")}
    labels = {
        f"y_{part}": _checked_labels(
            f"{spec}: `y_{part}`", as_labels(arrays[f"y_{part}"], len(images[f"x_{part}"]))
        )
        for part in ("train", "test")
    }
    _check_together(spec, images, labels)
    ordered = (images["x_train"], labels["y_train"], images["x_test"], labels["y_test"])
    return Source(
        displayable(f"npz:{file}"),
        *ordered,
        class_names=tuple(str(number) for number in range(labels["y_train"].max() + 1)),
        fingerprint=fingerprint(*ordered),
    )


def read_npz_arrays(
    spec: str, file: str, choose: Callable[[list[str]], Sequence[str]]
) -> dict[str, NDArray[np.generic]]:
    """Return arrays of an npz file, read without pickle.

    Args:
        spec: what the messages begin with, such as "`data='npz:FILE'`".
        choose: takes all keys of the file and returns those to read, or raises.

    Raises:
        InputError: the file, or an array that was chosen, cannot be read; or what `choose` raises.
    """
    path = os.path.expanduser(file)
    if not (os.path.isfile(path) and os.access(path, os.R_OK)):
        raise InputError(f"{spec} must be an existing file that can be read; got {os.path.abspath(path)}.")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{spec} must be an npz file; got a truncated file or one of another format.")
    _check_sizes(spec, path)
    arrays = {}
    member = "its list of keys"
    try:
        with np.load(path, allow_pickle=False) as stored:
            for key in choose(stored.files):
                member = f"`{key}`"
                arrays[key] = np.asarray(stored[key])  # numpy gives bytes for a member that is no array
    except InputError:
        raise
    except UNREADABLE as error:
        said = first_line(error)
        raise InputError(f"{spec}: {member} must be readable, without pickle; numpy says: {said}.") from error
    return arrays


def _check_sizes(spec: str, path: str) -> None:
    """Refuse an array that is gigabytes of nothing, before it is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (*UNREADABLE, struct.error) as error:
        raise InputError(f"{spec} must be a whole npz file; zipfile says: {first_line(error)}.") from error
    for info in members:
        if info.file_size > max(HARMLESS, LARGEST_RATIO * info.compress_size):
            raise InputError(
                f"{spec} must hold as much as it declares; `{info.filename}` has {info.compress_size:,} bytes and declares "
                f"{info.file_size:,}: save such uniform arrays without compression."
            )


def _check_keys(spec: str, found: list[str]) -> Sequence[str]:
    missing = [key for key in KEYS if key not in found]
    if missing:
        raise InputError(
            f"{spec} must have the keys {', '.join(KEYS)}; it lacks {', '.join(missing)} "
            f"and has {', '.join(found) or 'none'}."
        )
    return KEYS


def _checked_images(name: str, images: NDArray[np.generic]) -> NDArray[np.uint8] | Floats:
    pictures = as_pictures(name, images)
    check_channels(name, pictures.shape[1:])
    if pictures.dtype == np.uint8:
        return pictures.astype(np.uint8, copy=False)
    if not np.issubdtype(pictures.dtype, np.floating):
        raise InputError(
            f"{name} must be uint8 in 0..255 or floating point in [0, 1]; got {pictures.dtype}{_as_bytes(pictures)}."
        )
    return as_unit_floats(name, pictures)


def _as_bytes(images: NDArray[np.generic]) -> str:
    whole = np.issubdtype(images.dtype, np.integer) and images.min() >= 0 and images.max() <= 255
    return ": `images.astype('uint8')` makes bytes of them" if whole else ""


def _checked_labels(name: str, labels: NDArray[np.generic]) -> Ints:
    if labels.ndim != 1:
        raise InputError(f"{name} must be (count,) class numbers; got shape {labels.shape}.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"{name} must be integer class numbers; got {labels.dtype}.")
    numbers = labels.astype(np.int64)
    if len(numbers) and numbers.min() < 0:
        raise InputError(f"{name} must be class numbers >= 0; got {numbers.min()}.")
    return numbers


def _check_together(
    spec: str, images: dict[str, NDArray[np.uint8] | Floats], labels: dict[str, Ints]
) -> None:
    for images_key, labels_key in (("x_train", "y_train"), ("x_test", "y_test")):
        if len(images[images_key]) != len(labels[labels_key]):
            raise InputError(
                f"{spec}: `{images_key}` and `{labels_key}` must have equal lengths; "
                f"got {len(images[images_key])} and {len(labels[labels_key])}."
            )
    train, test = images["x_train"], images["x_test"]
    if train.shape[1:] != test.shape[1:] or train.dtype != test.dtype:
        raise InputError(
            f"{spec}: `x_train` and `x_test` must have images of one shape and type; "
            f"got {train.shape[1:]} {train.dtype} and {test.shape[1:]} {test.dtype}."
        )
    classes = np.unique(labels["y_train"])
    gaps = np.flatnonzero(classes != np.arange(len(classes)))
    if len(classes) < 2 or len(gaps):
        raise InputError(
            f"{spec}: `y_train` must use every class number from 0 up, two at least; "
            + (f"got no image of class {gaps[0]}." if len(gaps) else "got class 0 alone.")
        )
    unknown = np.setdiff1d(labels["y_test"], classes)
    if len(unknown):
        raise InputError(
            f"{spec}: `y_test` must keep to the classes of `y_train`, 0..{classes[-1]}; got {unknown[0]}."
        )
