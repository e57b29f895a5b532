"""Read the images below a folder (split 3: "no fixed size for the images")."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from mi_keras.data.face_source import LARGEST_FILE, FaceSource, hash_rows, is_hidden, is_image
from mi_keras.data.source import first_line
from mi_keras.display import displayable
from mi_keras.errors import InputError


def open_folder(path: str) -> FaceSource:
    """List the images below `path`, at any depth.

    A link to a file counts where the file lies below the folder too; links to folders are not followed.

    Raises:
        InputError: `path` or a folder below it cannot be read.
    """
    root = os.path.realpath(os.path.expanduser(path))
    if not (os.path.isdir(root) and os.access(root, os.R_OK | os.X_OK)):
        raise InputError(f"`data='folder:{path}'` must be an existing folder that can be read; got {root}.")
    try:
        found = sorted(_files(root))
    except OSError as error:
        raise InputError(
            f"`data='folder:{path}'` must be readable throughout; got {first_line(error)}."
        ) from error

    def read(wanted: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        for key in wanted:
            yield key, _content(os.path.join(root, key))

    rows = [row for row, is_read in found if is_read]
    others = tuple(row[0] for row, is_read in found if not is_read)
    # Name, size and time of change stand for the content: to hash 200,000 files would take longer than to use them.
    return FaceSource(
        displayable(f"folder:{path}"), tuple(key for key, _, _ in rows), read, hash_rows(rows), others=others
    )


def _files(root: str) -> Iterator[tuple[tuple[str, int, int], bool]]:
    """Yield key, size in bytes and time of the last change in nanoseconds of each file, and whether it is read."""

    def stop(error: OSError) -> None:
        raise error  # os.walk would leave the folder out and say nothing

    for folder, inner, names in os.walk(root, onerror=stop):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in names:
            path = os.path.join(folder, name)
            key = Path(path).relative_to(root).as_posix()
            if is_hidden(key):
                continue
            if not (is_image(key) and _lies_below(root, path)):
                yield (key, 0, 0), False
                continue
            status = os.stat(path)
            if stat.S_ISREG(status.st_mode):
                yield (key, status.st_size, status.st_mtime_ns), True


def _lies_below(root: str, path: str) -> bool:
    if not os.path.islink(path):
        return True
    target = os.path.realpath(path)
    return os.path.exists(target) and Path(target).is_relative_to(root)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(LARGEST_FILE + 1)  # the one byte more is how decoding sees that it is too large
    except OSError:
        return b""
