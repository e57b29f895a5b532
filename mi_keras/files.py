"""npz archives read without pickle, arrays mapped from the disk, and the disk as a place for unfinished work."""

import errno
import hashlib
import json
import logging
import math
import os
import shutil
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mi_keras.display import line_of
from mi_keras.errors import DamagedFile, InputError
from mi_keras.progress import Arrays
from mi_keras.whole import replace_file

log = logging.getLogger("mi_keras")
LARGE = ".npy"  # the ending of arrays that are filled bit by bit

# What NumPy and zipfile raise on files that are cut, overwritten, encrypted, pickled or no npz at all.
WRONG_FORMAT = (
    EOFError, KeyError, TypeError, AttributeError, ValueError, RuntimeError, NotImplementedError, SyntaxError, tokenize.TokenError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
UNREADABLE = (*WRONG_FORMAT, OSError, MemoryError)  # and where it does not matter why a file is not to be had
# What the system says of a file that is not there, or whose content sends a reader to a place that no file has. All
# else, such as EIO, EACCES and EMFILE, says nothing of the file: it may be good.
_OF_THE_FILE = (None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL)


def is_damage(path: Path, error: BaseException) -> bool:
    """Return whether what reading a file raised says that the file is missing, cut or changed, and not that it cannot be had now."""
    if isinstance(error, OSError):
        return error.errno in _OF_THE_FILE
    if isinstance(error, MemoryError):  # a changed header asks for any amount; checksums are taken bit by bit
        try:
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is not None
        except WRONG_FORMAT:
            return True
    return isinstance(error, WRONG_FORMAT)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read every array of an npz file.

    Raises:
        DamagedFile: it is no whole npz of plain arrays.
        OSError, MemoryError: it cannot be read now, whole or not.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in archive.files}
    except UNREADABLE as error:
        if not is_damage(path, error):
            raise
        raise DamagedFile(f"{path}: {_reason(path, error)}") from None


def _reason(path: Path, error: BaseException) -> str:
    """Say in a few words why a file is no npz of plain arrays; NumPy would advise to trust pickles."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if not zipfile.is_zipfile(path):
        return "it is no npz archive, or a cut one"
    if "pickle" in str(error):
        return "it holds Python objects, which are never loaded"
    return line_of(error)


def write_arrays(path: Path, arrays: Arrays, *, compressed: bool = False) -> None:
    """Write arrays as npz; object arrays are refused."""
    save = np.savez_compressed if compressed else np.savez
    with open(path, "wb") as file:
        save(file, allow_pickle=False, **{name: np.asarray(value) for name, value in arrays.items()})


def map_array(path: Path) -> NDArray[Any]:
    """Open the array of an npy file for reading, mapped from the disk.

    Raises:
        DamagedFile: it is no whole npy file of a plain array.
        OSError: it cannot be read now, whole or not.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")  # refuses object arrays
    except (*WRONG_FORMAT, OSError) as error:
        if not is_damage(path, error):
            raise
        raise DamagedFile(f"{path}: {line_of(error)}") from None


def map_new_array(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Open an npy file for writing, mapped from the disk: the one that is there if it has this shape and type.

    What is missing of a cut file is zeros: what the rest is worth, who fills the array has to know (see `progress.fill`).

    Raises:
        OSError: the disk has no room for it; ENOSPC, before anything is written.
    """
    array = _mapped_before(path, shape, np.dtype(dtype))
    if array is None:
        path.unlink(missing_ok=True)
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > shutil.disk_usage(path.parent).free:  # at once: an attempt would fill the disk for a moment
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
    if hasattr(os, "posix_fallocate"):  # else writing to a full disk would end the process by a signal
        try:
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            path.unlink()
            raise OSError(error.errno, error.strerror, str(path)) from None
    return array


def _mapped_before(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """Return the array that an earlier run left, if it is there and of this shape and type."""
    if not path.exists():
        return None
    try:
        found = np.lib.format.open_memmap(path, mode="r+")
    except (*WRONG_FORMAT, OSError) as error:
        if not is_damage(path, error):
            raise
        return None
    return found if (found.shape, found.dtype) == (shape, dtype) else None


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, with line ends as they are in it."""
    path.write_text(text, encoding="utf-8", newline="")


def bytes_below(folder: Path) -> int:
    """Return how many bytes a folder holds."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # another process has moved it
            total += path.lstat().st_size
    return total


def check_writable(name: str, folder: Path) -> None:
    """Raise `InputError`, which calls the folder `name`, unless files can be made where it is or will be; makes no folder."""
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(
            f"`{name}` must be a folder that can be written; got {str(folder)!r}: {error.strerror}."
        ) from None


def seal_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON values, whatever the order of their keys, in hexadecimal."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class DiskWorkspace:
    """Parts of an unfinished stage, one npz each, replaced in one step (see `progress.Workspace`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, name: str) -> dict[str, NDArray[Any]] | None:
        path = self.folder / f"{name}.npz"
        if not path.exists():
            return None
        try:
            return read_arrays(path)
        except DamagedFile as damage:
            log.warning("an unfinished part is damaged (%s); computing it again", damage)
            return None

    def save(self, name: str, arrays: Arrays) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_file(self.folder / f"{name}.npz", lambda path: write_arrays(path, arrays))

    def large(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return map_new_array(self.folder / f"{name}{LARGE}", shape, dtype)
