"""Checks of requests to a server and of its answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import DamagedFile, InputError
from mi_keras.files import read_arrays
from mi_keras.serving.contract import (
    DEFAULT_ENDPOINT,
    DTYPES,
    INPUT_KINDS,
    LOGITS,
    UNIT_PIXELS,
    Endpoint,
    ServedModel,
    ServerError,
    TensorInfo,
    Tensors,
)
from mi_keras.types import Floats

UNNAMED = "arr_0"  # how NumPy calls an array that was saved without a name
IMAGE_OUTPUTS = ("image", "png_bytes")
_SUM = 1e-3  # how near to 1 the sum of rounded probabilities is


def read_inputs(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays to send from an npz file, never with pickle.

    Raises:
        InputError: it is no whole npz file of plain arrays, or an empty one.
    """
    try:
        arrays = read_arrays(path)
    except (DamagedFile, OSError) as error:
        raise InputError(f"`--input` must be an npz file of plain arrays; got {error}.") from None
    if not arrays:
        raise InputError(f"`--input` must hold at least one array; got {path}, which is empty.")
    return arrays


def choose_endpoint(served: ServedModel, arrays: Tensors) -> str:
    """Return the endpoint that returns images and uses most of the arrays.

    For a single array without a name, it is one whose only input has the shape of that array, the default one if it can.

    Raises:
        InputError: no endpoint gets along with these arrays alone.
    """
    endpoints = {name: e for name, e in served.endpoints.items() if e.inputs and "image" in e.outputs}
    unnamed = tuple(arrays) == (UNNAMED,)
    fitting = [
        name
        for name, endpoint in endpoints.items()
        if (_takes(endpoint, arrays[UNNAMED]) if unnamed else set(endpoint.inputs) <= set(arrays))
    ]
    if not fitting:
        wanted = "; ".join(f"{name}: {_listed(e.inputs)}" for name, e in sorted(endpoints.items()))
        came = f"one array {arrays[UNNAMED].shape} without a name" if unnamed else ", ".join(arrays)
        raise InputError(f"`--input` must hold the inputs of an endpoint ({wanted}); got {came}.")
    if unnamed and DEFAULT_ENDPOINT in fitting:
        return DEFAULT_ENDPOINT
    return min(fitting, key=lambda name: (-len(endpoints[name].inputs), name == DEFAULT_ENDPOINT, name))


def find_endpoint(served: ServedModel, name: str) -> Endpoint:
    """Return an endpoint by name.

    Raises:
        InputError: the model has none of that name, or one that takes nothing or returns what NumPy has no type for.
    """
    if name not in served.endpoints:
        known = ", ".join(sorted(served.endpoints))
        raise InputError(f"`endpoint` of {served.name} must be one of: {known}; got {name}.")
    endpoint = served.endpoints[name]
    if not endpoint.inputs:
        raise InputError(f"`endpoint` of {served.name} must take an input; got {name}, which takes none.")
    strange = {key: info for key, info in endpoint.outputs.items() if info.dtype not in DTYPES.values()}
    if strange:
        raise InputError(
            f"`endpoint` of {served.name} must return types among {', '.join(DTYPES.values())}; got {name}, which "
            f"returns {_listed(strange)}."
        )
    return endpoint


def checked_inputs(
    name: str, endpoint: Endpoint, arrays: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Return the arrays that an endpoint wants, as float32, or say what is wrong before anything is sent.

    A single array without a name stands for the only input of an endpoint; arrays of other names are left out.

    Raises:
        InputError: an input is missing, is not numeric, has another shape or number of rows, is not finite, or is of another
            kind than the endpoint's: the answer would mean nothing.
    """
    if len(endpoint.inputs) == 1 and tuple(arrays) == (UNNAMED,):
        arrays = {next(iter(endpoint.inputs)): arrays[UNNAMED]}
    missing = [wanted for wanted in endpoint.inputs if wanted not in arrays]
    if missing:
        raise InputError(
            f"`inputs` of endpoint {name} must be {', '.join(endpoint.inputs)}; got {', '.join(arrays)}."
        )
    checked = {
        wanted: _checked_input(wanted, name, info, arrays[wanted]) for wanted, info in endpoint.inputs.items()
    }
    for wanted, array in checked.items():
        _check_kind(wanted, name, endpoint, array)
    rows = {wanted: len(array) for wanted, array in checked.items()}
    if len(set(rows.values())) > 1:
        found = ", ".join(f"{wanted} {count}" for wanted, count in rows.items())
        raise InputError(f"`inputs` must have equally many rows; got {found}.")
    return checked


def checked_outputs(server: str, endpoint: Endpoint, rows: int, outputs: Tensors) -> dict[str, NDArray[Any]]:
    """Return what a server sent, if it is what its own signature promised for `rows` rows of input.

    Raises:
        ServerError: an output is missing, of another type or shape, or not finite.
    """
    for name, info in endpoint.outputs.items():
        if name not in outputs:
            raise ServerError(server, f"the answer lacks the output {name}")
        array = outputs[name]
        if info.dtype == "string":
            fits = array.shape == (rows,) and all(isinstance(value, bytes) for value in array)
        else:
            fits = array.dtype == np.dtype(info.dtype) and _fits(info, array) and len(array) == rows
        if not fits:
            raise ServerError(
                server,
                f"the answer must hold {rows} rows of {name} as {info}; got {array.dtype} {array.shape}",
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ServerError(server, f"the answer holds NaN or infinity in {name}")
    return {name: outputs[name] for name in endpoint.outputs}


def _checked_input(name: str, endpoint: str, info: TensorInfo, array: NDArray[Any]) -> Floats:
    if array.dtype.kind not in "fiu" or info.dtype != "float32":
        raise InputError(f"`{name}` of endpoint {endpoint} must be {info} numbers; got {array.dtype}.")
    if array.ndim == 0 or len(array) == 0 or not _fits(info, array):
        raise InputError(f"`{name}` of endpoint {endpoint} must be {info}; got {array.shape}.")
    with np.errstate(over="ignore"):  # what is too large for float32 is infinite then, and found below
        numbers = np.ascontiguousarray(array, np.float32)
    wrong = ~np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1)
    if wrong.any():
        raise InputError(f"`{name}` must be finite; got NaN or infinity in row {int(np.argmax(wrong))}.")
    return numbers


def _check_kind(name: str, of: str, endpoint: Endpoint, array: Floats) -> None:
    """Refuse pixels of another range, and output vectors that are no logits, where the endpoint is one of ours by its names."""
    kind = INPUT_KINDS.get(name)
    if name == "image" and "feature_maps" not in endpoint.outputs:
        kind = None  # of somebody else's model
    came = ""
    if kind == UNIT_PIXELS and not (array.min() >= 0 and array.max() <= 1):
        came = f"values from {array.min():g} to {array.max():g}"
    elif kind == LOGITS:
        came = _view_of_logits(array)
    if came:
        raise InputError(f"`{name}` of endpoint {of} must be {kind}; got {came}.")


def _view_of_logits(vectors: Floats) -> str:
    """Return what every one of some output vectors is by its sum, if that is not logits, which have any."""
    if vectors.ndim != 2 or vectors.shape[1] < 2:
        return ""
    values = vectors.astype(np.float64)
    if (values >= 0).all() and (np.abs(values.sum(axis=1) - 1) < _SUM).all():
        return "probabilities: every row has the sum 1"
    if (values <= 0).all() and (np.abs(np.exp(values).sum(axis=1) - 1) < _SUM).all():
        return "log-probabilities: the exponentials of every row have the sum 1"
    return ""


def _takes(endpoint: Endpoint, array: NDArray[Any]) -> bool:
    return len(endpoint.inputs) == 1 and all(_fits(info, array) for info in endpoint.inputs.values())


def _listed(infos: Mapping[str, TensorInfo]) -> str:
    return ", ".join(f"{name} {info}" for name, info in infos.items())


def _fits(info: TensorInfo, array: NDArray[Any]) -> bool:
    if info.shape is None:
        return True
    return len(info.shape) == array.ndim and all(
        wanted in (None, found) for wanted, found in zip(info.shape, array.shape, strict=True)
    )
