"""Read the images of a zip archive in place (split 3); nothing is ever written to disk."""

import os
import re
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence

from mi_keras.data.face_source import LARGEST_FILE, FaceSource, hash_rows, is_hidden, is_image
from mi_keras.data.source import LARGEST_RATIO, first_line
from mi_keras.display import displayable
from mi_keras.errors import InputError
from mi_keras.files import UNREADABLE

MOST_MEMBERS = 1_000_000
HARMLESS_SIZE = 1024**2  # bytes: below it a large ratio does no harm
ENCRYPTED = 0x1  # of the flag bits
# The other methods unpack a block at once, however large: what a header declares could not be held to.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def open_zip(path: str) -> FaceSource:
    """List the images in the archive `path`, after a check of every member.

    Raises:
        InputError: no zip archive; or a member has a name that could lead out of a folder or comes twice, is encrypted,
            compressed by another method than deflate, larger than 64 MiB or compressed more than 200 to 1; or there
            are more than 1,000,000 members.
    """
    spec = f"`data='zip:{path}'`"
    file = os.path.abspath(os.path.expanduser(path))
    with _open(spec, file) as archive:
        members = archive.infolist()
    _check_members(spec, members)
    files = [info for info in members if not (info.is_dir() or is_hidden(info.filename))]
    rows = sorted((info.filename, info.CRC, info.file_size) for info in files if is_image(info.filename))
    others = tuple(sorted(info.filename for info in files if not is_image(info.filename)))
    sizes = {key: size for key, _, size in rows}

    def read(wanted: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        with _open(spec, file) as archive:
            for key in wanted:
                yield key, _content(archive, key, sizes[key])

    return FaceSource(displayable(f"zip:{path}"), tuple(sizes), read, hash_rows(rows), others=others)


def _open(spec: str, file: str) -> zipfile.ZipFile:
    if not (os.path.isfile(file) and os.access(file, os.R_OK)):
        raise InputError(f"{spec} must be an existing file that can be read; got {file}.")
    try:
        return zipfile.ZipFile(file)
    except (*UNREADABLE, struct.error) as error:
        raise InputError(f"{spec} must be a whole zip archive; zipfile says: {first_line(error)}.") from error


def _check_members(spec: str, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MOST_MEMBERS:
        raise InputError(f"{spec} must have at most {MOST_MEMBERS:,} members; got {len(members):,}.")
    for info in members:
        fault = _fault(info)
        if fault:
            raise InputError(f"{spec} must have no member {fault}; got {_shown(info.orig_filename)}.")
    name, times = Counter(info.filename for info in members).most_common(1)[0] if members else ("", 0)
    if times > 1:
        raise InputError(f"{spec} must have no two members of one name; got {_shown(name)} {times} times.")


def _fault(info: zipfile.ZipInfo) -> str:
    """Return what is wrong with a member, or ""."""
    # zipfile cuts a name at NUL and may take it from an extra field: `filename` alone would hide what was written.
    for name in (info.orig_filename, info.filename):
        if "\0" in name:
            return "with a NUL in its name"
        if "\\" in name:
            return "with a backslash in its name"
        if name.startswith("/") or re.match("[A-Za-z]:", name):
            return "with an absolute path or a drive letter"
        if ".." in name.split("/"):
            return "with a part .. in its path"
    if info.flag_bits & ENCRYPTED:
        return "that is encrypted"
    if info.compress_type not in METHODS:
        return "compressed by another method than deflate"
    if info.file_size > LARGEST_FILE:
        return f"larger than {LARGEST_FILE // 1024**2} MiB"
    if info.file_size > HARMLESS_SIZE and info.file_size > LARGEST_RATIO * info.compress_size:
        return f"compressed more than {LARGEST_RATIO} to 1"
    return ""


def _content(archive: zipfile.ZipFile, key: str, size: int) -> bytes:
    try:
        with archive.open(key) as member:
            content = member.read(size + 1)  # a header may declare less than there is
    except UNREADABLE:
        return b""
    return content if len(content) == size else b""


def _shown(name: str) -> str:
    return repr(name if len(name) <= 100 else f"{name[:100]}...")
