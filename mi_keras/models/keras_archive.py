"""Checks a `.keras` archive before Keras opens it: complete, of the declared size, and with only the files that Keras
writes."""

import zipfile
import zlib
from pathlib import Path
from typing import IO

from mi_keras.display import line_of as line_of  # the audit takes it from here
from mi_keras.errors import InputError
from mi_keras.models.hdf5 import CONFIG_BYTES, EXPANSION, HDF5, check_hdf5

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
PLAIN_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may need gigabytes to be read
SMALL = 1 << 24  # bytes: up to here a member may be compressed as well as zeros are
BLOCK = 1 << 20  # bytes copied at a time
ZIP = b"PK\x03\x04"
UNREADABLE_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def unpack(path: str, file: IO[bytes], folder: Path, argument: str = "model") -> str:
    """Copy the weights out of an archive of Keras into `folder`, as `WEIGHTS`, check them, and return its configuration.

    Args:
        path: what messages call it; `argument` what they say must be otherwise.

    Raises:
        InputError: it is damaged, holds something else, or promises more than it holds.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = {member.filename: member for member in archive.infolist()}
            if any(name.endswith("/data.pkl") for name in members):
                raise InputError(
                    f"`{argument}` must be a .keras or .h5 file; {path} is a PyTorch file, a pickle."
                )
            extra = sorted(members.keys() - {CONFIG, METADATA, WEIGHTS})
            if extra or len(members) < len(archive.infolist()) or not {CONFIG, WEIGHTS} <= members.keys():
                found = ascii(extra[0])[:80] if extra else ", ".join(sorted(members))
                raise InputError(
                    f"`{argument}` must be an archive of {CONFIG}, {METADATA} and {WEIGHTS}, once each and nothing else; "
                    f"{path} has {found}."
                )
            for name, limit in ((CONFIG, CONFIG_BYTES), (WEIGHTS, None)):
                _check_member(path, members[name], limit, argument)
            text = archive.read(CONFIG).decode()
            with archive.open(WEIGHTS) as weights:
                copy_file(weights, folder / WEIGHTS)
    except InputError:
        raise
    except UNREADABLE_ZIP as error:
        raise InputError(
            f"`{argument}` must be a whole archive; {path} is cut or damaged ({line_of(error)})."
        ) from None
    with open(folder / WEIGHTS, "rb") as copy:
        start = copy.read(len(HDF5))
    if start != HDF5:
        raise InputError(f"`{argument}` must have HDF5 weights; {WEIGHTS} of {path} is no HDF5 file.")
    check_hdf5(folder / WEIGHTS, f"{WEIGHTS} of {path}", argument)
    return text


def _check_member(path: str, member: zipfile.ZipInfo, limit: int | None, argument: str) -> None:
    expands = member.file_size > max(SMALL, EXPANSION * member.compress_size)
    if expands or member.file_size > (limit or member.file_size):
        raise InputError(
            f"`{argument}` must hold as much as it declares; {member.filename} of {path} has {member.compress_size:,} bytes and "
            f"declares {member.file_size:,}."
        )
    if member.compress_type not in PLAIN_COMPRESSION or member.flag_bits & 1:  # bit 0: encrypted
        raise InputError(
            f"`{argument}` must be stored or deflated, and open; {member.filename} of {path} is not."
        )


def copy_file(source: IO[bytes], to: Path) -> None:
    """Write what is left of a file to a new one, some at a time."""
    with open(to, "xb") as copy:
        while block := source.read(BLOCK):
            copy.write(block)
