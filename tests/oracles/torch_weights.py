"""Read the stored PyTorch outputs, and map PyTorch's weight layouts to those of the Keras models.

An oracle name is that of an npz file beside this one; `make_torch_oracles.py` made them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]

_BATCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_WEIGHTED = {"weight": "kernel", "bias": "bias"}
# index in the figure's layer list -> Keras layer, names of its weights
_CNN_LAYERS = {
    **{4 * block: (f"conv_{block}", _WEIGHTED) for block in range(3)},
    **{4 * block + 1: (f"norm_{block}", _BATCH_NORM) for block in range(3)},
    13: ("activations", _WEIGHTED),
    15: ("logits", _WEIGHTED),
}
_TCNN_LAYERS = {
    **{4 * step: (f"up_{step}", _WEIGHTED) for step in range(4)},
    **{4 * step + 1: (f"norm_{step}", _BATCH_NORM) for step in range(3)},
}


def load(name: str) -> Arrays:
    with np.load(Path(__file__).parent / f"{name}.npz") as stored:
        return dict(stored)


def part(oracle: Mapping[str, NDArray[Any]], prefix: str) -> Arrays:
    """Return the arrays below `prefix/`, without it."""
    return {name.removeprefix(f"{prefix}/"): a for name, a in oracle.items() if name.startswith(f"{prefix}/")}


def keras_layout(network: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Map weights, gradients or statistics of "cnn" or "tcnn" from `layers.13.weight` to `activations/kernel`."""
    layers = {"cnn": _CNN_LAYERS, "tcnn": _TCNN_LAYERS}[network]
    mapped = {}
    for name, array in arrays.items():
        _, index, weight = name.split(".")
        if weight == "num_batches_tracked":
            continue
        layer, weights = layers[int(index)]
        mapped[f"{layer}/{weights[weight]}"] = _transpose(layer, array) if array.ndim > 1 else array
    return mapped


def assign(model: Any, weights: Mapping[str, NDArray[Any]]) -> None:
    """Give a Keras model weights in Keras' layout; every weight of the model must be there."""
    variables = by_name(model)
    assert variables.keys() == weights.keys()
    for name, variable in variables.items():
        variable.assign(weights[name])


def as_in(network: str, model: Any) -> Any:
    """Give a Keras model the weights with which the stored runs of "cnn" or "tcnn" began."""
    assign(model, keras_layout(network, part(load(network), "weights")))
    return model


def by_name(model: Any) -> dict[str, Any]:
    """Return the weights of a Keras model by `layer/weight`, the state of dropout left out."""
    return {
        f"{layer.name}/{w.name}": w for layer in model.layers for w in layer.weights if "seed" not in w.name
    }


def without_dropout(model: Any) -> Any:
    """Switch dropout off also in training mode, as the stored PyTorch runs have it."""
    for layer in model.layers:
        if layer.name.startswith("dropout"):
            layer.rate = 0.0
    return model


def assert_close(ours: Any, theirs: NDArray[Any], relative: float, name: str = "") -> None:
    """Compare relative to the largest entry: single entries may be near zero."""
    ours = ours.numpy() if hasattr(ours, "numpy") else ours
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=relative * np.abs(theirs).max(), err_msg=name)


def _transpose(layer: str, kernel: NDArray[Any]) -> NDArray[Any]:
    if layer.startswith("conv"):  # (out, in, rows, columns) -> (rows, columns, in, out)
        return kernel.transpose(2, 3, 1, 0)
    if layer == "activations":  # (units, channels * 4 * 4), flattened NCHW -> (4 * 4 * channels, units)
        return kernel.reshape(len(kernel), -1, 4, 4).transpose(2, 3, 1, 0).reshape(-1, len(kernel))
    if layer == "logits":
        return kernel.T
    if layer == "up_0":  # (in, out, 4, 4) -> (in, 4, 4, out)
        return kernel.transpose(0, 2, 3, 1)
    return kernel.transpose(2, 3, 1, 0)  # (in, out, 4, 4) -> (4, 4, out, in)
