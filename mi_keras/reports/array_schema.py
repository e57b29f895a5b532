"""What an arrays.npz must look like before figures are made of it (docs/result_schema.md)."""

from mi_keras.errors import InputError
from mi_keras.work import Arrays

_IMAGES = ("images", "height", "width", "channels")
_AXES = {
    "targets": _IMAGES,
    "labels": ("images",),
    "reconstruction.": _IMAGES,
    "ssim.": ("runs", "images"),
    "mse.": ("runs", "images"),
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


def _check_searches(arrays: Arrays) -> None:
    trials: dict[str, int] = {}
    for key, array in arrays.items():
        if key.startswith("search."):
            stage = key.split(".")[1]
            if trials.setdefault(stage, len(array)) != len(array):
                raise InputError(
                    f"`{key}` must have {trials[stage]} trials, as the others of its stage; got {len(array)}."
                )
