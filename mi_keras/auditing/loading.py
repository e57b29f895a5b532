"""A user's model from a file: looked at before Keras is, and loaded from the very bytes that were looked at."""

import inspect
import json
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import keras

from mi_keras.auditing.allowed import Names
from mi_keras.auditing.hdf5 import CONFIG_BYTES, EXPANSION, check_hdf5, read_config
from mi_keras.errors import InputError

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
PLAIN_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may need gigabytes to be read
SMALL = 1 << 24  # bytes: up to here a member may be compressed as well as zeros are
BLOCK = 1 << 20  # bytes copied at a time
REASON = 300  # characters of Keras' complaint, which can hold a configuration whole
HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
UNREADABLE_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def load_model(path: str, *, imports: Sequence[str] = ()) -> keras.Model:
    """Load a `.keras` or `.h5` model; what the file names is checked in JSON first, and nothing of it is run.

    Each is known by its content, not by its name. The model is not compiled.

    Args:
        path: of the file.
        imports: modules, as `package.module`, that are imported for the classes and functions that they define.

    Raises:
        InputError: there is no such file, or of another kind; it is damaged, refers to other files or promises more
            than it holds; it names what is neither a harmless part of Keras nor of `imports`; a module cannot be
            imported; or Keras cannot build the model.
    """
    with tempfile.TemporaryDirectory(
        prefix="mi_keras-"
    ) as made:  # a copy: the file may change after the check
        folder = Path(made)
        with _opened(path) as file:
            if _kind(path, file) == "zip":
                text, copy = _unpack(path, file, folder), folder
            else:
                copy = folder / "model.h5"
                _copy(file, copy)
                check_hdf5(copy, path)
                text = read_config(copy, path)
        config = _parsed(path, text)
        names = Names(path, _own(imports), rewritten=copy == folder)
        names.check(config)
        if copy == folder:
            (folder / CONFIG).write_text(
                json.dumps(config)
            )  # as it was understood, and without how to compile
        return _built(path, copy, names.used)


def _opened(path: str) -> IO[bytes]:
    """Open a regular file; a folder, a pipe and what is not there are refused."""
    try:
        mode = Path(path).stat().st_mode
        if stat.S_ISREG(mode):
            return open(path, "rb")
    except (OSError, ValueError) as error:  # ValueError: of a null character
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"`model` must be a readable .keras or .h5 file; got {path!r} ({reason}).") from None
    if (Path(path) / "saved_model.pb").exists():
        raise InputError(
            f"`model` must be a .keras or .h5 file; SavedModel targets are not read yet; got {path}."
        )
    what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
    raise InputError(f"`model` must be a .keras or .h5 file; {path} is {what}.")


def _kind(path: str, file: IO[bytes]) -> str:
    """Return "zip" or "hdf5" by the content, or name what else it is."""
    head = file.read(1024)
    file.seek(0)
    if head.startswith(ZIP):
        return "zip"
    if head.startswith(HDF5):
        return "hdf5"
    suffix = Path(path).suffix.lower()
    if head[4:8] == b"TFL3" or suffix == ".tflite":
        what = "a TFLite file: the Keras model is audited, not its conversion"
    elif head[512:520] == HDF5:
        what = "an HDF5 file behind a user block, whose content nobody checks"
    elif re.match(rb"\x80[\x02-\x05]", head):
        what = "a pickle, as PyTorch writes it, and pickles are never loaded"
    elif re.match(rb"\x08[\x01-\x20][\x12\x1a\x3a]", head) or suffix == ".onnx":
        what = "an ONNX file"
    elif head[8:9] == b"{" or suffix == ".safetensors":
        what = "a safetensors file, which has no model inside"
    elif suffix == ".pb":
        what = "a TensorFlow graph; SavedModel targets are not read yet"
    else:
        what = "neither" if head else "empty"
    raise InputError(f"`model` must be a .keras or .h5 file; {path} is {what}.")


def _unpack(path: str, file: IO[bytes], folder: Path) -> str:
    """Copy the weights out of an archive of Keras, check them, and return its configuration."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {member.filename: member for member in archive.infolist()}
            if any(name.endswith("/data.pkl") for name in members):
                raise InputError(f"`model` must be a .keras or .h5 file; {path} is a PyTorch file, a pickle.")
            extra = sorted(members.keys() - {CONFIG, METADATA, WEIGHTS})
            if extra or len(members) < len(archive.infolist()) or not {CONFIG, WEIGHTS} <= members.keys():
                found = ascii(extra[0])[:80] if extra else ", ".join(sorted(members))
                raise InputError(
                    f"`model` must be an archive of {CONFIG}, {METADATA} and {WEIGHTS}, once each and nothing else; "
                    f"{path} has {found}."
                )
            for name, limit in ((CONFIG, CONFIG_BYTES), (WEIGHTS, None)):
                _check_member(path, members[name], limit)
            text = archive.read(CONFIG).decode()
            with archive.open(WEIGHTS) as weights:
                _copy(weights, folder / WEIGHTS)
    except InputError:
        raise
    except UNREADABLE_ZIP as error:
        raise InputError(
            f"`model` must be a whole archive; {path} is cut or damaged ({_line(error)})."
        ) from None
    if (folder / WEIGHTS).open("rb").read(len(HDF5)) != HDF5:
        raise InputError(f"`model` must have HDF5 weights; {WEIGHTS} of {path} is no HDF5 file.")
    check_hdf5(folder / WEIGHTS, f"{WEIGHTS} of {path}")
    return text


def _check_member(path: str, member: zipfile.ZipInfo, limit: int | None) -> None:
    expands = member.file_size > max(SMALL, EXPANSION * member.compress_size)
    if expands or member.file_size > (limit or member.file_size):
        raise InputError(
            f"`model` must hold what it promises; {member.filename} of {path} has {member.compress_size:,} bytes and "
            f"promises {member.file_size:,}."
        )
    if member.compress_type not in PLAIN_COMPRESSION or member.flag_bits & 1:  # bit 0: encrypted
        raise InputError(f"`model` must be stored or deflated, and open; {member.filename} of {path} is not.")


def _copy(source: IO[bytes], to: Path) -> None:
    with open(to, "xb") as copy:
        while block := source.read(BLOCK):
            copy.write(block)


def _parsed(path: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"`model` must have a configuration in JSON; that of {path} is not ({_line(error)})."
        ) from None


def _own(imports: Sequence[str]) -> dict[str, object]:
    """Import modules and return the classes and functions that they define, by the names that Keras gives them.

    What a module merely uses, as NumPy or a shell, is not its own.
    """
    found: dict[str, object] = {}
    for name in [imports] if isinstance(imports, str) else imports:
        if not all(part.isidentifier() for part in name.split(".")) or name.split(".")[0] == "keras":
            raise InputError(f"`imports` must be modules of your own, as package.module; got {name!r}.")
        try:
            module = import_module(name)
        except Exception as error:  # of the module's own code, which may fail in any way
            raise InputError(
                f"`imports` must be modules that can be imported; got {name} ({_line(error)})."
            ) from None
        package = name.split(".")[0]
        own = [
            value
            for attribute, value in vars(module).items()
            if (inspect.isclass(value) or inspect.isfunction(value))
            and value.__module__.split(".")[0] == package
            and not attribute.startswith("_")
        ]
        found |= {value.__name__: value for value in own}
        found |= {
            key: value
            for key, value in keras.saving.get_custom_objects().items()
            if f"{value.__module__}.".startswith(f"{name}.") or value in own
        }
    return found


def _built(path: str, copy: Path, own: dict[str, object]) -> keras.Model:
    """Let Keras build the model and give it the weights."""
    try:
        model = keras.saving.load_model(str(copy), custom_objects=own, compile=False, safe_mode=True)
    except Exception as error:  # of whatever kind: a wrong configuration reaches every constructor of Keras
        raise InputError(
            f"`model` must be one that Keras {keras.__version__} can build; {path} is not: {_line(error)}."
        ) from None
    if not isinstance(model, keras.Model):
        raise InputError(f"`model` must be a model; {path} holds a {type(model).__name__}.")
    return model


def _line(error: BaseException) -> str:
    """Return what an error says as one short line that steers no terminal."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(letter if letter.isprintable() else "?" for letter in text).rstrip(".")
    return text if len(text) <= REASON else f"{text[:REASON]}..."
