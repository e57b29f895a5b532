"""What an arrays.npz must look like before figures are made of it (docs/result_schema.md)."""

import numpy as np

from mi_keras.errors import InputError
from mi_keras.progress import Arrays
from mi_keras.results.metrics import METRICS

_NUMBERS = "shown.numbers"
_IMAGES = ("images", "height", "width", "channels")
_AXES = {
    "targets": _IMAGES,
    "labels": ("images",),
    "reconstruction.": _IMAGES,
    **{f"{metric}.": ("runs", "images") for metric in METRICS},
    "shown.": _IMAGES,
    "maps.": ("maps", "height", "width"),
    "curve.": ("runs", "epochs"),
    "class_images.": ("classes", "height", "width", "channels"),
    "confusion.": ("runs", "classes", "classes"),
    "search.": ("trials",),
    "class_counts.": ("classes",),
    "gradient_loss.": ("runs", "steps", "4 terms"),
}


def check_arrays(arrays: Arrays) -> None:
    """Raise `InputError` unless every array has the shape that its key promises, for one number of images."""
    for key, array in arrays.items():
        if key == _NUMBERS:
            continue
        for prefix, axes in _AXES.items():
            if not (key.startswith(prefix) if prefix.endswith(".") else key == prefix):
                continue
            if (
                array.ndim != len(axes)
                or 0 in array.shape
                or (axes[-1] == "4 terms" and array.shape[-1] != 4)
                or (axes[-2:] == ("classes", "classes") and array.shape[-1] != array.shape[-2])
            ):
                raise InputError(
                    f"`{key}` of arrays.npz must be ({', '.join(axes)}), none empty; got {array.shape}."
                )
            if array.dtype.kind not in "biuf":
                raise InputError(f"`{key}` of arrays.npz must be numbers; got {array.dtype}.")
            if axes[-1] == "channels" and array.shape[-1] not in (1, 3):
                raise InputError(f"`{key}` of arrays.npz must have 1 or 3 channels; got {array.shape}.")
    _check_targets(arrays)
    _check_shown(arrays)
    _check_searches(arrays)


def _check_targets(arrays: Arrays) -> None:
    targets, labels = arrays.get("targets"), arrays.get("labels")
    if targets is None:
        return
    if labels is None or labels.shape != targets.shape[:1]:
        found = None if labels is None else labels.shape
        raise InputError(f"`labels` of arrays.npz must be ({len(targets)},), one per target; got {found}.")
    for key, array in arrays.items():
        if key.startswith("reconstruction.") and array.shape != targets.shape:
            raise InputError(f"`{key}` must have the shape {targets.shape} of `targets`; got {array.shape}.")
        if key.startswith(("ssim.", "mse.")) and array.shape[1] != len(targets):
            raise InputError(
                f"`{key}` must be (runs, {len(targets)}), a value per target; got {array.shape}."
            )


def _check_shown(arrays: Arrays) -> None:
    """Check that all stored images are bytes of one shape, and that each has the number of a held-out image."""
    shown = {key: array for key, array in arrays.items() if key.startswith("shown.") and key != _NUMBERS}
    numbers, targets = arrays.get(_NUMBERS), shown.get("shown.targets")
    if not shown and numbers is None:
        return
    if targets is None or numbers is None:
        missing = _NUMBERS if numbers is None else "shown.targets"
        raise InputError(f"`{missing}` must be in an arrays.npz that has `shown.`; got none.")
    for key, array in shown.items():
        if array.dtype != np.uint8 or array.shape[-1] != 3:
            raise InputError(f"`{key}` must be uint8 in colour; got {array.dtype} of {array.shape}.")
        if array.shape != targets.shape:
            raise InputError(
                f"`{key}` must have the shape {targets.shape} of `shown.targets`; got {array.shape}."
            )
    if numbers.shape != targets.shape[:1] or numbers.dtype.kind not in "iu" or numbers.min() < 0:
        raise InputError(
            f"`{_NUMBERS}` must be {len(targets)} integers from 0 on, one per image of `shown.targets`; "
            f"got {numbers.dtype} of {numbers.shape}."
        )


def _check_searches(arrays: Arrays) -> None:
    trials: dict[str, int] = {}
    for key, array in arrays.items():
        if key.startswith("search."):
            phase = key.split(".")[1]
            if trials.setdefault(phase, len(array)) != len(array):
                raise InputError(
                    f"`{key}` must have {trials[phase]} trials, as the others of its phase; got {len(array)}."
                )
