"""Files that are whole or not there, and npz archives read without pickle."""

import errno
import hashlib
import json
import logging
import math
import os
import shutil
import socket
import tempfile
import tokenize
import uuid
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mi_keras.errors import InputError
from mi_keras.progress import Arrays

log = logging.getLogger("mi_keras")
LARGE = ".npy"  # the ending of arrays that are filled bit by bit

# All that NumPy and zipfile raise on files that are cut, overwritten, encrypted, pickled or no npz at all.
UNREADABLE = (
    OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, NotImplementedError, MemoryError,
    SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class DamagedFile(Exception):
    """A file of ours is missing, cut or changed; the message is one line."""


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read every array of an npz file.

    Raises:
        DamagedFile: it is no whole npz of plain arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in archive.files}
    except UNREADABLE as error:
        raise DamagedFile(f"{path}: {_reason(path, error)}") from None


def _reason(path: Path, error: BaseException) -> str:
    """Say in a few words why a file is no npz of plain arrays; NumPy would advise to trust pickles."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if not zipfile.is_zipfile(path):
        return "it is no npz archive, or a cut one"
    if "pickle" in str(error):
        return "it holds Python objects, which are never loaded"
    return " ".join(str(error).split()) or type(error).__name__


def write_arrays(path: Path, arrays: Arrays, *, compressed: bool = False) -> None:
    """Write arrays as npz and wait until they are on the disk; object arrays are refused."""
    save = np.savez_compressed if compressed else np.savez
    with open(path, "wb") as file:
        save(file, allow_pickle=False, **{name: np.asarray(value) for name, value in arrays.items()})
        file.flush()
        os.fsync(file.fileno())


def map_array(path: Path) -> NDArray[Any]:
    """Open the array of an npy file for reading, mapped from the disk.

    Raises:
        DamagedFile: it is no whole npy file of a plain array.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")  # refuses object arrays
    except UNREADABLE as error:
        raise DamagedFile(f"{path}: {' '.join(str(error).split()) or type(error).__name__}") from None


def map_new_array(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Open an npy file for writing, mapped from the disk: the one that is there if it has this shape and type.

    Raises:
        OSError: the disk has no room for it; ENOSPC, before anything is written.
    """
    if path.exists():
        try:
            found = np.lib.format.open_memmap(path, mode="r+")
            if found.shape == shape and found.dtype == np.dtype(dtype):
                return found
        except UNREADABLE:
            pass
        path.unlink()
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > shutil.disk_usage(path.parent).free:  # at once: an attempt would fill the disk for a moment
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
    if hasattr(os, "posix_fallocate"):  # else writing to a full disk would end the process by a signal
        try:
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError:
            path.unlink()
            raise
    return array


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 and wait until it is on the disk."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary file beside `path`, then rename it: readers see the old or the new file whole."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def check_writable(name: str, folder: Path) -> None:
    """Raise `InputError`, which calls the folder `name`, unless files can be made where it is or will be; makes no folder."""
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(
            f"`{name}` must be a folder that can be written; got {str(folder)!r}: {error.strerror}."
        ) from None


def temporary_name() -> str:
    """Return a new name for what this process is about to write; `remove_leftovers` knows whose it is."""
    return f"{os.getpid()}-{uuid.uuid4().hex}-{socket.gethostname()}"


def remove_leftovers(folder: Path) -> None:
    """Delete folders with a `temporary_name`, or one with "-old" behind it, of processes of this machine that are gone."""
    for path in folder.iterdir():
        pid, _, host = (
            path.name.removesuffix("-old").split("-", 2) if path.name.count("-") > 1 else ("", "", "")
        )
        if pid.isdecimal() and host == socket.gethostname() and _is_gone(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def sync_tree(folder: Path) -> None:
    """Wait until everything below a folder is on the disk: the content of files, and the names in folders."""
    for parent, _, files in os.walk(folder):
        for name in files:
            with open(Path(parent, name), "rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(parent))


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system lets a folder be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def seal_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON values, whatever the order of their keys, in hexadecimal."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_gone(pid: int) -> bool:
    """Return whether this machine has no such process; where that cannot be asked, none is taken for gone."""
    if os.name != "posix":  # the same call would send Ctrl-C there
        return False
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):  # of somebody else; not from `temporary_name`
        return False
    return False


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
