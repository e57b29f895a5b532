"""Converts the variables of a model to arrays and back, to store trained models without Keras' files."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


def weights_of(model: keras.Model) -> dict[str, NDArray[Any]]:
    """Return all variables of a model by position, the states of its random generators included."""
    return {f"{i:03d}": np.asarray(variable) for i, variable in enumerate(model.variables)}


def with_weights(model: keras.Model, arrays: Mapping[str, NDArray[Any]]) -> keras.Model:
    """Assign what `weights_of` returned to a model of the same architecture, and return that.

    Raises:
        ValueError: there are more or fewer variables.
    """
    if len(arrays) != len(model.variables):
        raise ValueError(f"`arrays` must hold {len(model.variables)} variables; got {len(arrays)}.")
    for i, variable in enumerate(model.variables):
        variable.assign(arrays[f"{i:03d}"])
    return model
