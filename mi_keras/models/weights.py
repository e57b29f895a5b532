"""Reads weights files of Keras without running code from them, and sets all weights of a model or none."""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from mi_keras.display import line_of
from mi_keras.errors import InputError
from mi_keras.models.hdf5 import HDF5, UNREADABLE, check_hdf5
from mi_keras.models.keras_archive import WEIGHTS, ZIP, copy_file, unpack

_RULE = "`weights` must be random, imagenet or a readable HDF5 file"
Layers = Iterator[tuple[str, list[NDArray[Any]]]]


class FileWeights(NamedTuple):
    """Weights of a file by layer; `ordered` where its layers stand in the order of the model, as in files of Keras 2."""

    arrays: dict[str, list[NDArray[np.float32]]]
    ordered: bool


def read_weights(path: Path) -> FileWeights:
    """Read the weights of a file that Keras wrote, with h5py alone: nothing that the file holds is run.

    It may be of `save_weights`, of `model.save` (`.keras` or `.h5`), or one that Keras downloads for its applications.

    Raises:
        InputError: it is no such file, is damaged or promises more than it holds, refers to another file, or has numbers
            that are not finite.
    """
    with tempfile.TemporaryDirectory(
        prefix="mi_keras-"
    ) as folder:  # a copy: the file may change after the check
        copy = _checked_copy(path, Path(folder))
        with h5py.File(copy, "r") as file:
            root = file.get("model_weights", file)
            ordered = any(name.startswith("layer_names") for name in root.attrs)
            try:
                found = dict(_legacy_layers(root) if ordered else _layers(file))
            except (*UNREADABLE, UnicodeError) as error:
                raise InputError(f"{_RULE}; got {path} ({line_of(error)}).") from None
    if not found:
        raise InputError(
            f"`weights` must be a file of weights that Keras wrote; {path} holds no layer: "
            "write one by `model.save_weights('model.weights.h5')`."
        )
    for name, arrays in found.items():
        if any(array.dtype.kind != "f" for array in arrays):
            raise InputError(f"`weights` must hold floats; layer {name} of {path} does not.")
        with np.errstate(
            over="ignore"
        ):  # what is too large for float32 becomes infinite, and is refused as such
            found[name] = [array.astype(np.float32) for array in arrays]
        if not all(np.isfinite(array).all() for array in found[name]):
            raise InputError(f"`weights` must be finite in float32; layer {name} of {path} is not.")
    return FileWeights(found, ordered)


def copy_weights(model: keras.Model, weights: FileWeights, source: str) -> None:
    """Assign by layer name, all or nothing: every layer of the model from the file, and nothing of the file left.

    Where a file of Keras 2 calls no layer as the model does, as many layers of the same shapes are taken in their order, as
    Keras itself takes them.
    """
    weighted = [layer for layer in model.layers if layer.weights]
    arrays = weights.arrays
    if (
        weights.ordered
        and len(arrays) == len(weighted)
        and not arrays.keys() & {layer.name for layer in weighted}
    ):
        arrays = {layer.name: of_layer for layer, of_layer in zip(weighted, arrays.values(), strict=True)}
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


def _checked_copy(path: Path, folder: Path) -> Path:
    """Return a copy of the HDF5 file that holds the weights, looked at as a whole."""
    try:
        if not path.is_file():  # a folder, or a pipe that would never end
            raise InputError(f"{_RULE}; got {path} (no such file).")
        with open(path, "rb") as file:
            head = file.read(len(HDF5))
            file.seek(0)
            if head.startswith(ZIP):
                unpack(str(path), file, folder, "weights")
                return folder / WEIGHTS
            if head != HDF5:
                raise InputError(f"{_RULE}; got {path} (neither HDF5 nor a .keras archive).")
            copy_file(file, folder / WEIGHTS)
    except OSError as error:
        raise InputError(f"{_RULE}; got {path} ({error.strerror or error}).") from None
    check_hdf5(folder / WEIGHTS, str(path), "weights")
    return folder / WEIGHTS


def _layers(file: h5py.File) -> Layers:
    """Yield name and arrays of each layer, as Keras 3 writes them."""
    groups: list[tuple[str, Any]] = []

    def keep(path: str, item: Any) -> None:
        if (
            path.startswith("layers/")
            and path.endswith("/vars")
            and isinstance(item, h5py.Group)
            and len(item)
        ):
            groups.append((_text(item.attrs.get("name", "")), item))

    file.visititems(keep)
    for name, variables in groups:
        yield name, [np.asarray(variables[str(number)]) for number in range(len(variables))]


def _legacy_layers(root: Any) -> Layers:
    """Yield name and arrays of each layer that has weights, in order, as Keras 2 wrote them."""
    for name in _names(root, "layer_names"):
        arrays = [np.asarray(root[name][weight]) for weight in _names(root[name], "weight_names")]
        if arrays:
            yield name, arrays


def _names(group: Any, attribute: str) -> list[str]:
    """Return a list of names, which is in numbered parts where it is long."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    parts = itertools.takewhile(
        lambda part: part in group.attrs, (f"{attribute}{n}" for n in itertools.count())
    )
    return [_text(name) for part in parts for name in group.attrs[part]]


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
