"""Holds inputs other than the image, such as an age, at constant values, so that the model is a function of the image
alone."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.types import Fix

NUMBERS = "biuf"  # kinds of types


class Held(keras.layers.Layer):
    """Gives the same value for every image that it is called on, `(batch, *value.shape)`."""

    def __init__(self, value: NDArray[Any], **settings: Any) -> None:
        super().__init__(**settings)
        self.value = value

    def call(self, images: Any) -> Any:
        return keras.ops.repeat(self.value[np.newaxis], keras.ops.shape(images)[0], axis=0)

    def compute_output_spec(self, images: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor((images.shape[0], *self.value.shape), str(self.value.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "value": self.value}


def image_and_held(model: keras.Model, fix: Fix) -> tuple[keras.KerasTensor, dict[str, NDArray[Any]]]:
    """Return the input of a model that takes the image, and what every other one is held at, in its type, by name.

    A number is for an input of one number, a sequence of numbers for a vector, an array for anything else.

    Raises:
        InputError: `fix` does not hold every input but one image, or a value does not fit its input.
    """
    if len(model.inputs) == 1:
        if fix:
            raise InputError(f"`fix` must be left out: the model has one input; got {', '.join(fix)}.")
        return model.inputs[0], {}
    images = [tensor for tensor in model.inputs if _is_image(tensor)]
    others = {tensor.name: tensor for tensor in model.inputs if not _is_image(tensor)}
    if len(images) != 1:
        given = ", ".join(f"{tensor.name} {tuple(tensor.shape[1:])}" for tensor in model.inputs)
        raise InputError(
            f"`model` must take one image (height, width, 1 or 3) if it has several inputs; got {given}."
        )
    if unknown := [name for name in fix if name not in others]:
        raise InputError(
            f"`fix` must name inputs other than the image: {', '.join(others)}; got {unknown[0]!r}."
        )
    if missing := [tensor for name, tensor in others.items() if name not in fix]:
        shown = ", ".join(f"{t.name} {tuple(t.shape[1:])} {t.dtype}" for t in missing)
        raise InputError(
            f"`fix={{{missing[0].name!r}: VALUE}}` must be given, as the model has inputs other than the image; without a value: {shown}."
        )
    return images[0], {name: _checked(tensor, fix[name]) for name, tensor in others.items()}


def not_held(model: keras.Model, fix: Fix) -> dict[str, NDArray[Any]]:
    """Return zeros for every input beside one image that `fix` does not hold: where a model can be cut no value changes."""
    if len(getattr(model, "inputs", None) or []) < 2:  # a subclassed model has none
        return {}
    others = [tensor for tensor in model.inputs if not _is_image(tensor) and tensor.name not in fix]
    return {tensor.name: np.zeros([n or 1 for n in tensor.shape[1:]]) for tensor in others}


def _is_image(tensor: keras.KerasTensor) -> bool:
    return len(tensor.shape) == 4 and tensor.shape[3] in (1, 3)


def _checked(tensor: keras.KerasTensor, value: Any) -> NDArray[Any]:
    """Return a value in type and shape of an input; what is too long to show is not shown."""
    name, shape, dtype = (
        f"`fix[{tensor.name!r}]`",
        tuple(tensor.shape[1:]),
        keras.backend.standardize_dtype(tensor.dtype),
    )
    try:
        array = np.asarray(value)
    except ValueError:  # lists of several lengths
        array = np.asarray(None)
    if array.dtype.kind not in NUMBERS or dtype == "string":
        raise InputError(f"{name} must be numbers, and the input take numbers ({dtype}); got {value!r:.40}.")
    if array.size == 1 and shape in ((), (1,)):
        array = array.reshape(shape)
    if len(array.shape) != len(shape) or any(
        n not in (None, m) for n, m in zip(shape, array.shape, strict=True)
    ):
        raise InputError(f"{name} must have the shape of the input, {shape}; got {array.shape}.")
    if not np.isfinite(array).all():
        raise InputError(f"{name} must be finite; got {value!r:.40}.")
    if dtype == "bool" or "int" in dtype:
        low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if (array != np.rint(array)).any() or (array < low).any() or (array > high).any():
            raise InputError(f"{name} must be whole numbers in {low}..{high} ({dtype}); got {value!r:.40}.")
    return array.astype("float32" if dtype == "bfloat16" else dtype)  # which NumPy does not have
