"""Loads a user's model from a file: the bytes are checked before Keras sees them, and exactly these bytes are
loaded."""

import inspect
import io
import json
import re
import stat
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import keras
import numpy as np
from numpy.typing import NDArray

from mi_keras.auditing.allowed import Names
from mi_keras.errors import InputError
from mi_keras.models.hdf5 import HDF5, check_hdf5, read_config
from mi_keras.models.keras_archive import CONFIG, ZIP, copy_file, line_of, unpack


def load_model(
    path: str, *, imports: Sequence[str] = (), content: NDArray[np.uint8] | None = None
) -> keras.Model:
    """Load a `.keras` or `.h5` model; what the file names is checked in JSON first, and nothing of it is run.

    Each is known by its content, not by its name. The model is not compiled.

    Args:
        path: of the file.
        imports: modules, as `package.module`, that are imported for the classes and functions that they define.
        content: of the file, where it is on another machine.

    Raises:
        InputError: there is no such file, or of another kind; it is damaged, refers to other files or promises more
            than it holds; it names what is neither a harmless part of Keras nor of `imports`; a module cannot be
            imported; or Keras cannot build the model.
    """
    with tempfile.TemporaryDirectory(
        prefix="mi_keras-"
    ) as made:  # a copy: the file may change after the check
        folder = Path(made)
        with _opened(path) if content is None else io.BytesIO(content.data) as file:
            if _kind(path, file) == "zip":
                text, copy = unpack(path, file, folder), folder
            else:
                copy = folder / "model.h5"
                copy_file(file, copy)
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


def content_of(path: str) -> NDArray[np.uint8]:
    """Return the bytes of a model file, unchecked, to be read by `load_model`; errors as of it."""
    with _opened(path) as file:
        return np.frombuffer(file.read(), np.uint8)


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


def _parsed(path: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"`model` must have a configuration in JSON; that of {path} is not ({line_of(error)})."
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
        except (
            Exception,
            SystemExit,
        ) as error:  # of the module's own code: a script's exit code 0 would be ours
            raise InputError(
                f"`imports` must be modules that can be imported; got {name} ({type(error).__name__}: {line_of(error)})."
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
            f"`model` must be one that Keras {keras.__version__} can build; {path} is not: {line_of(error)}."
        ) from None
    if not isinstance(model, keras.Model):
        raise InputError(f"`model` must be a model; {path} holds a {type(model).__name__}.")
    return model
