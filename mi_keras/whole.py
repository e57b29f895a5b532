"""Atomic files and folders: complete or not there, however the process ends; and locks that end with their process.

Process numbers are not used, since another container may have the same ones under the same host name. What is being
written is locked; only what can be locked is treated as left behind.
"""

import errno
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # no such locks on Windows: nothing is waited for there, nor taken for left behind
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"  # the ending of the file whose lock says that a temporary folder is being filled
_FILE = re.compile(r"\..+-[0-9a-f]{32}\.tmp")
_CLAIM = re.compile(rf"[0-9a-f]{{32}}{re.escape(LOCK)}")
_NOT_FOR_FOLDERS = (
    errno.EINVAL,
    errno.EBADF,
    errno.ENOTSUP,
)  # said by file systems that wait for files alone
Write = Callable[[Path], object]


def replace_file(path: Path, write: Write) -> Path:
    """Let `write` fill a temporary file beside `path`, then rename it: readers see the old or the new file, whole.

    Its content is on the disk before it has its name, and its name when this returns.
    """
    replace_files(path.parent, [(path.name, write)])
    return path


def replace_files(folder: Path, contents: Iterable[tuple[str, Write]]) -> None:
    """Replace files of one folder by name, each as `replace_file` does; the folder is waited for once, at the end.

    What earlier calls that did not end have left in the folder is deleted.
    """
    _remove(
        folder, _FILE
    )  # a claim may be somebody else's here: only the folder of our own holds none but ours
    for name, write in contents:
        temporary = folder / f".{name}-{uuid.uuid4().hex}.tmp"
        with _claimed(temporary):
            try:
                write(temporary)
                sync_file(temporary)
                os.replace(temporary, folder / name)
            finally:
                temporary.unlink(missing_ok=True)
    sync_folder(folder)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Give a new folder in `parent` until the block ends: what is to stay is renamed out of it, or it is renamed itself.

    If this process ends before, `remove_leftovers` deletes it.
    """
    folder = parent / uuid.uuid4().hex
    claim = folder.with_suffix(LOCK)
    with _claimed(claim):
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            claim.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary folders in a folder of ours whose lock nobody holds: who made them has ended."""
    _remove(folder, _CLAIM)


def _remove(folder: Path, names: re.Pattern[str]) -> None:
    if fcntl is None or not folder.is_dir():
        return
    for path in list(folder.iterdir()):
        if names.fullmatch(path.name):
            with suppress(OSError), open(path, "r+b") as file:
                if _try_lock(file) and _is_at(file, path):
                    if path.suffix == LOCK:
                        shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                    path.unlink()


@contextmanager
def locked(path: Path, busy: Callable[[], object]) -> Iterator[None]:
    """Hold the lock of a file, which is made if need be, until the block ends or this process does.

    Args:
        busy: called if somebody else holds it, which is waited for then unless this raises.

    Raises:
        OSError: the file cannot be made, or its file system has no locks; it names the file.
    """
    if fcntl is None:
        yield
        return
    while True:
        with open(path, "ab") as file:
            try:
                if not _try_lock(file):
                    busy()
                    fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                reason = f"no lock can be had here ({error.strerror}); another file system may have them"
                raise OSError(error.errno, reason, str(path)) from None
            if _is_at(file, path):  # else who held it has deleted it
                yield
                return


def sync_tree(folder: Path) -> None:
    """Wait until everything below a folder is on the disk: the content of files, and the names in folders."""
    for parent, _, files in os.walk(folder):
        for name in files:
            sync_file(Path(parent, name))
        sync_folder(Path(parent))


def sync_file(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    with open(path, "r+b") as file:  # Windows waits only for files that are open for writing
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can be asked for that."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NOT_FOR_FOLDERS:
            raise
    finally:
        os.close(descriptor)


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """Make a file and hold its lock; without one where there are none, and then nobody else can take it for left."""
    if fcntl is None:  # and Windows renames no open file
        yield
        return
    while True:
        with open(path, "ab") as file:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)  # against `remove_leftovers`, which is quick
            if _is_at(file, path):
                yield
                return


def _try_lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Return whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
