"""`read_pool`: reads the images of an audit from any supported source, in an order that depends only on their
content."""

import hashlib
import itertools
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mi_keras.auditing.arrays import read_array_pool, read_dataset_pool, read_mnist_pool, read_npz_pool
from mi_keras.auditing.classes import number_classes, number_groups
from mi_keras.auditing.given import Given, Size
from mi_keras.auditing.picture_files import read_pictures
from mi_keras.auditing.pixels import check_pixels
from mi_keras.data.folder_faces import open_folder
from mi_keras.data.zip_faces import open_zip
from mi_keras.display import displayable
from mi_keras.errors import InputError
from mi_keras.types import Ints

__all__ = ["Pool", "Size", "read_pool"]

Subfolders = Literal["none", "folder"]
FORMS = "npz:FILE, folder:DIR, zip:FILE, mnist, or the path of an .npz file, a .zip file or a folder"


@dataclass(frozen=True)
class Pool:
    """The images of an audit, sorted by the hash of their contents.

    Neither file names nor their order change anything but `names` and `skipped`.

    Attributes:
        images: `(count, height, width, channels)` uint8 or float32, as they were given.
        pixels: the range that they are in: "0..255", "0..1" or "-1..1".
        labels: `(count,)` class numbers, or None.
        class_names: `(classes,)` one name per class number; () without labels.
        groups: `(count,)` numbers: equal ones, such as one patient's, must not be divided. Without declared groups each
            image is its own.
        group_names: `(groups,)` one name per group number; () where none were declared.
        trained_on: `(count,)` whether the target has seen an image; None where that is unknown.
        names: `(count,)` file name of each image, or key and row number.
        skipped: `(name, reason)` of each file that cannot be used.
        notes: what was assumed, a sentence each.
        name: where the images came from.
        fingerprint: SHA-256 of images, classes, groups and what was trained on, in hexadecimal.
    """

    images: NDArray[Any]
    pixels: str
    labels: Ints | None
    class_names: tuple[str, ...]
    groups: Ints
    group_names: tuple[str, ...]
    trained_on: NDArray[np.bool_] | None
    names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    name: str
    fingerprint: str

    def __len__(self) -> int:
        return len(self.images)


def read_pool(
    data: Any,
    *,
    labels: Subfolders = "none",
    groups: Subfolders = "none",
    size: Size | None = None,
    channels: Literal[1, 3] | None = None,
    pixels: str | None = None,
    trained_on: Any = None,
    class_names: Sequence[str] | None = None,
) -> Pool:
    """Read the images of an audit, checked, in the order of the hash of their contents.

    Args:
        data: `npz:FILE`, `folder:DIR`, `zip:FILE`, `mnist`, or a path, which is taken by its kind; or in memory `images`,
            `(images, labels)` or `(images, labels, groups)`, `((x_train, y_train), (x_test, y_test))`, or a
            tf.data.Dataset of `image` or `(image, label)`, batched or not. See the readers for the keys of an npz. Or what
            this returned for the same arguments, on another machine.
        labels: "folder": the subfolder that a file is in is its class. "none": subfolders mean nothing.
        groups: "folder": the subfolder is the group; with `labels` too, the group is the subfolder of the class.
        size: `(height, width)` that images are resized to; needed where files have several sizes.
        channels: 1 or 3; None for 3 from files, and as many as there are from arrays.
        pixels: "0..1", "0..255" or "-1..1": what the numbers of arrays mean; needed unless they are bytes in 0..255.
        trained_on: which images the target has seen: `x_train`, `x_test`, or a key of booleans, of an npz; of arrays
            also booleans, one for each image.
        class_names: the classes in the order of the model's outputs; None for the order of their names, as
            `keras.utils.image_dataset_from_directory` has it.

    Raises:
        InputError: `data` has no legal form or cannot be read, or one of the rules above is broken.
    """
    if isinstance(data, Pool):
        return data
    for argument, value in (("labels", labels), ("groups", groups)):
        if value not in ("none", "folder"):
            raise InputError(f"`{argument}` must be none or folder; got {value!r}.")
    if channels not in (None, 1, 3):
        raise InputError(f"`channels` must be 1, 3 or None; got {channels!r}.")
    if size is not None and not (len(size) == 2 and min(size) >= 1):
        raise InputError(f"`size` must be height and width, at least 1 each; got {size!r}.")
    levels = [level for level, value in (("class", labels), ("group", groups)) if value == "folder"]
    given = _read(data, levels, size, channels, trained_on)
    images, found = check_pixels(given.argument, given.images, pixels)
    return _sorted_by_content(given, images, found, class_names)


def _read(data: Any, levels: list[str], size: Size | None, channels: int | None, trained_on: Any) -> Given:
    scheme, value = "", ""
    if isinstance(data, str | os.PathLike):
        scheme, value = _kind(os.fspath(data))
    if scheme in ("folder", "zip"):
        if trained_on is not None:
            raise InputError(
                f"`trained_on` must go with an npz file or arrays; got {trained_on!r} with {scheme}."
            )
        source = open_folder(value) if scheme == "folder" else open_zip(value)
        return read_pictures(
            source, levels=levels, size=size, channels=channels or 3, drop_top=scheme == "zip"
        )
    if levels:
        asked = " and ".join(f"`{'labels' if level == 'class' else 'groups'}='folder'`" for level in levels)
        raise InputError(f"{asked} must go with a folder or a zip file; got {scheme or 'arrays'}.")
    if scheme == "npz":
        return read_npz_pool(value, trained_on=trained_on, size=size, channels=channels)
    if scheme == "mnist":
        return read_mnist_pool(trained_on=trained_on, size=size, channels=channels)
    if hasattr(data, "as_numpy_iterator"):
        return read_dataset_pool(data, trained_on=trained_on, size=size, channels=channels)
    if isinstance(data, np.ndarray | tuple):
        return read_array_pool(data, trained_on=trained_on, size=size, channels=channels)
    raise InputError(
        f"`data` must be text or a path, arrays, (images, labels) or a tf.data.Dataset; got {type(data).__name__}."
    )


def _kind(data: str) -> tuple[str, str]:
    """Return scheme and value of a source: as written, or by what lies at the path."""
    scheme, _, value = data.partition(":")
    if data == "mnist" or (scheme in ("npz", "folder", "zip") and value):
        return scheme, value
    path = os.path.expanduser(data)
    if os.path.isdir(path):
        return "folder", data
    if os.path.isfile(path) and data.lower().endswith(".npz"):
        return "npz", data
    if os.path.isfile(path) and (data.lower().endswith(".zip") or zipfile.is_zipfile(path)):
        return "zip", data
    what = "which is none of these" if os.path.exists(path) else "and there is no such file or folder"
    raise InputError(f"`data` must be {FORMS}; got {data!r}, {what}.")


def _sorted_by_content(
    given: Given, images: NDArray[Any], pixels: str, class_names: Sequence[str] | None
) -> Pool:
    name = given.argument
    labels: Ints | None = None
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if given.labels is not None:
        labels, names, notes = number_classes(name, given.labels, class_names)
    elif class_names is not None:
        raise InputError(f"`class_names` must go with labels; {name} has none.")
    digests = [_digest(image) for image in images]
    facts = [digests]  # what tells images apart, the image first
    if labels is not None:
        facts.append([names[label].encode() for label in labels])
    if given.groups is not None:
        numbers, group_names = number_groups(name, given.groups)
        facts.append(_group_digests(digests, numbers))
    if given.trained_on is not None:
        facts.append([bytes([int(seen)]) for seen in given.trained_on])
    records = list(zip(*facts, strict=True))
    order = np.array(sorted(range(len(records)), key=records.__getitem__))
    groups, shown = np.arange(len(order)), tuple[str, ...]()
    if given.groups is not None:
        place: dict[int, int] = {}  # numbered as they come, so that what groups are called changes nothing
        groups = np.array([place.setdefault(number, len(place)) for number in numbers[order]])
        shown = tuple(group_names[number] for number in place)
    return Pool(
        images=images[order],
        pixels=pixels,
        labels=None if labels is None else labels[order],
        class_names=names,
        groups=groups.astype(np.int64),
        group_names=shown,
        trained_on=None if given.trained_on is None else given.trained_on[order],
        names=tuple(displayable(given.names[number]) for number in order),
        skipped=tuple((displayable(file), reason) for file, reason in given.skipped),
        notes=tuple(map(displayable, (*given.notes, *notes))),
        name=displayable(given.name),
        fingerprint=_fingerprint(pixels, [records[number] for number in order]),
    )


def _digest(image: NDArray[Any]) -> bytes:
    header = f"{image.dtype.str} {image.shape}\n".encode()
    unsigned = image + image.dtype.type(0)  # a zero with a sign is the same pixel
    return hashlib.sha256(header + np.ascontiguousarray(unsigned).tobytes()).digest()


def _group_digests(digests: Sequence[bytes], groups: Ints) -> list[bytes]:
    """Return for each image the hash of all images of its group, in any order."""
    members: dict[int, list[bytes]] = {}
    for digest, group in zip(digests, groups, strict=True):
        members.setdefault(group, []).append(digest)
    of_group = {group: hashlib.sha256(b"".join(sorted(found))).digest() for group, found in members.items()}
    return [of_group[group] for group in groups]


def _fingerprint(pixels: str, records: Sequence[tuple[bytes, ...]]) -> str:
    digest = hashlib.sha256(pixels.encode())
    for part in itertools.chain(*records):
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.hexdigest()
