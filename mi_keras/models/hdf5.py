"""Checks the HDF5 files of a model before Keras opens them: complete, without links, and of the declared size."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from mi_keras.display import line_of
from mi_keras.errors import InputError

OBJECTS = 100_000  # groups and arrays in a file; a large model has some thousands
HDF5 = b"\x89HDF\r\n\x1a\n"  # how such a file begins
EXPANSION = 100  # declared bytes for each byte of the file: Keras writes 1, compression some
CONFIG_BYTES = 1 << 26  # of a configuration; that of EfficientNetB7 takes 2^20
FILTERS = {
    1,
    2,
    3,
    32000,
}  # deflate, shuffle, checksum, and LZF: what h5py brings; others are loaded as plugins
# All that h5py raises on damage, and on types and links that it does not know
UNREADABLE = (OSError, KeyError, ValueError, RuntimeError, MemoryError, TypeError, AttributeError)


def check_hdf5(file: Path, path: str, argument: str = "model") -> None:
    """Check that a file holds plain arrays only and refers to nothing outside (CVE-2026-0897, CVE-2026-1669).

    Args:
        file: what is read.
        path: what messages call it.
        argument: what messages say must be otherwise.

    Raises:
        InputError: it is damaged, links to something, keeps arrays elsewhere, or promises more than it holds.
    """
    size = file.stat().st_size
    declared = 0
    try:
        with h5py.File(file, "r") as opened:
            for name, item in _objects(opened, path, argument):
                _check_attributes(item, name, size, path, argument)
                if isinstance(item, h5py.Group):
                    continue
                if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
                    raise InputError(
                        f"`{argument}` must hold its own arrays; {path} keeps {name!a} elsewhere."
                    )
                if item.dtype.kind not in "fiubcV" or item.dtype.hasobject or item.dtype.names:
                    raise InputError(f"`{argument}` must hold arrays of numbers; {name!a} of {path} is not.")
                made = item.id.get_create_plist()
                if not {made.get_filter(i)[0] for i in range(made.get_nfilters())} <= FILTERS:
                    raise InputError(
                        f"`{argument}` must be compressed by gzip, if at all; {name!a} of {path} needs a plugin."
                    )
                numbers = max(math.prod(item.shape), math.prod(item.chunks or ()))
                declared += numbers * item.dtype.itemsize
                if declared > EXPANSION * size:
                    raise InputError(
                        f"`{argument}` must hold as many numbers as it declares; {path} has {size:,} bytes and declares "
                        f"{declared:,} up to {name!a}."
                    )
    except InputError:  # which is a ValueError too
        raise
    except UNREADABLE as error:
        raise _damaged(path, error, argument) from None


def read_config(file: Path, path: str) -> str:
    """Return the configuration that a file of `check_hdf5` holds, as JSON.

    Raises:
        InputError: it holds none, as a file of weights does.
    """
    try:
        with h5py.File(file, "r") as opened:
            if "model_config" not in opened.attrs:
                raise InputError(
                    f"`model` must hold an architecture; {path} has no model inside: build the model in Python and "
                    "pass it to mi_keras.audit."
                )
            config = opened.attrs["model_config"]
            text = config.decode() if isinstance(config, bytes) else config
    except InputError:  # which is a ValueError too
        raise
    except UNREADABLE as error:
        raise _damaged(path, error) from None
    if not isinstance(text, str) or len(text) > CONFIG_BYTES:
        raise InputError(
            f"`model` must have a configuration of at most {CONFIG_BYTES:,} bytes; {path} has not."
        )
    return text


def _objects(opened: h5py.File, path: str, argument: str) -> Iterator[tuple[str, Any]]:
    """Yield what is in a file, each once, following nothing but hard links, which cannot leave it."""
    pending: list[tuple[str, Any]] = [("/", opened)]
    seen: set[int] = set()
    while pending:
        name, item = pending.pop()
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:  # a group may hold itself
            continue
        seen.add(address)
        if len(seen) > OBJECTS:
            raise InputError(
                f"`{argument}` must hold at most {OBJECTS:,} groups and arrays; {path} has more."
            )
        yield name, item
        if isinstance(item, h5py.Group):
            for child in item:
                link = item.get(child, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise InputError(
                        f"`{argument}` must hold its own arrays; {path} has a link at {f'{name}/{child}'!a}."
                    )
                pending.append((f"{name.rstrip('/')}/{child}", item[child]))


def _check_attributes(item: Any, name: str, size: int, path: str, argument: str) -> None:
    for key in item.attrs:
        attribute = item.attrs.get_id(key)
        if math.prod(attribute.shape) * attribute.dtype.itemsize > EXPANSION * size:
            raise InputError(
                f"`{argument}` must hold the text that it declares; {key!a} of {name!a} in {path} does not."
            )


def _damaged(path: str, error: BaseException, argument: str = "model") -> InputError:
    return InputError(f"`{argument}` must be a whole file; {path} is cut or damaged ({line_of(error)}).")
