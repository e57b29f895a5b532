"""Weights files of Keras: read without running what they hold, and given to a model whole or not at all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import InputError

H5PY_ERRORS = (OSError, KeyError, ValueError, RuntimeError, MemoryError)  # all that h5py raises on damage


def read_weights(path: Path) -> dict[str, list[NDArray[np.float32]]]:
    """Read a weights file of Keras, `{layer: [array, ...]}`, with h5py alone: nothing that the file holds is run.

    Raises:
        InputError: it is no such file, refers to another file, or holds numbers that are not finite.
    """
    found: dict[str, list[NDArray[np.float32]]] = {}
    if not path.is_file():
        raise InputError(
            f"`weights` must be random, imagenet or a readable HDF5 file; got {path} (no such file)."
        )
    try:
        with h5py.File(path, "r") as file:
            for name, variables in _groups_of_variables(file):
                names = [str(i) for i in range(len(variables))]
                linked = any(not isinstance(variables.get(n, getlink=True), h5py.HardLink) for n in names)
                arrays = [] if linked else [variables[n] for n in names]  # no look at what a link leads to
                if linked or any(
                    not isinstance(a, h5py.Dataset) or a.external or a.is_virtual for a in arrays
                ):
                    raise InputError(
                        f"`weights` must hold plain arrays only; layer {name} of {path} does not."
                    )
                if any(a.dtype.kind != "f" for a in arrays):
                    raise InputError(f"`weights` must hold floats; layer {name} of {path} does not.")
                found[name] = [np.asarray(a, np.float32) for a in arrays]
                if not all(np.isfinite(a).all() for a in found[name]):
                    raise InputError(f"`weights` must be finite; layer {name} of {path} is not.")
    except InputError:
        raise
    except H5PY_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"`weights` must be random, imagenet or a readable HDF5 file; got {path} ({reason})."
        ) from None
    if not found:
        raise InputError(
            f"`weights` must be a file that `save_weights` of Keras wrote; {path} holds no layer."
        )
    return found


def copy_weights(model: keras.Model, arrays: dict[str, list[NDArray[np.float32]]], source: str) -> None:
    """Assign by layer name, all or nothing: every layer of the model from the file, and nothing of the file left."""
    weighted = [layer for layer in model.layers if layer.weights]
    for layer in weighted:
        if layer.name not in arrays:
            raise InputError(f"`weights` must hold every layer; {source} lacks layer {layer.name!r}.")
        expected = [tuple(w.shape) for w in layer.weights]
        found = [a.shape for a in arrays[layer.name]]
        if found != expected:
            raise InputError(
                f"`weights` must fit the model, also in whether it is minimalistic (`minimalistic`); layer {layer.name!r} needs "
                f"shapes {expected}, {source} has {found}."
            )
    if extra := sorted(arrays.keys() - {layer.name for layer in weighted}):
        raise InputError(f"`weights` must be of this model; {source} has layer {extra[0]!r}, which it lacks.")
    for layer in weighted:
        layer.set_weights(arrays[layer.name])


def _groups_of_variables(file: h5py.File) -> Iterator[tuple[str, Any]]:
    """Yield layer name and group of variables; `visititems` follows no link out of the file."""
    groups: list[tuple[str, Any]] = []

    def keep(path: str, item: Any) -> None:
        if (
            path.startswith("layers/")
            and path.endswith("/vars")
            and isinstance(item, h5py.Group)
            and len(item)
        ):
            name = item.attrs.get("name", "")
            groups.append((name if isinstance(name, str) else bytes(name).decode(), item))

    file.visititems(keep)
    return iter(groups)
