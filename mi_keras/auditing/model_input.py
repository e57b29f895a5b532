"""From images in [0, 1] to what the model expects (`--model-input`), declared, or found by accuracy on labelled images."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.data.preprocess import as_unit
from mi_keras.data.source import first_line
from mi_keras.errors import InputError
from mi_keras.types import Floats, Ints

ModelInput = Callable[[Floats], Floats]

# Of ImageNet, as keras.applications.imagenet_utils.preprocess_input has them
CAFFE_MEAN = np.array([103.939, 116.779, 123.68], np.float32)  # blue, green, red in 0..255
TORCH_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # red, green, blue in 0..1
TORCH_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)

CONVERSIONS: Mapping[str, ModelInput] = {
    "0..1": lambda images: images,
    "0..255": lambda images: images * np.float32(255),
    "-1..1": lambda images: images * np.float32(2) - np.float32(1),
    "caffe": lambda images: images[..., ::-1] * np.float32(255) - CAFFE_MEAN,
    "torch": lambda images: (images - TORCH_MEAN) / TORCH_DEVIATION,
}
NEED_COLOUR = ("caffe", "torch")
SURE = 0.5  # accuracy below which outputs may stand in another order than the classes
SAMPLE = 512  # images that are enough to tell an accuracy from half of it
CLEAR = 2  # times the next accuracy
DEVIATIONS = 3  # that right answers must be apart, so that 2 of 512 are not taken for twice 1


def model_input(spec: str, *, channels: int) -> ModelInput:
    """Return the function from images in [0, 1], `(count, height, width, channels)` float32, to what the model expects.

    Args:
        spec: "0..1", "0..255", "-1..1"; "caffe" for blue, green, red in 0..255 less ImageNet's mean (ResNet50, VGG16);
            "torch" for ImageNet's mean and deviation (DenseNet); or MODULE:FUNCTION, which is imported now and called
            with a copy of the images.
        channels: of the images.

    Raises:
        InputError: `spec` is none of these, cannot be imported, or needs colour images. The returned function raises it
            where MODULE:FUNCTION fails or gives something else than finite numbers for each image.
    """
    if spec in NEED_COLOUR and channels != 3:
        raise InputError(f"`model_input={spec}` must have images of 3 channels; got {channels}.")
    if spec in CONVERSIONS:
        return CONVERSIONS[spec]
    module, colon, function = spec.partition(":")
    if not (module and colon and function):
        raise InputError(f"`model_input` must be {', '.join(CONVERSIONS)} or MODULE:FUNCTION; got {spec!r}.")
    return _imported(spec, module, function)


def expected_input(
    declared: str | None,
    answer: Callable[..., NDArray[Any]],
    images: NDArray[Any],
    labels: Ints | None,
    *,
    channels: int,
    dtype: str,
    tells_class: bool,
) -> tuple[str, str]:
    """Return what the model expects of pixels, declared or found by accuracy, and the sentence that says so.

    Args:
        answer: from images, and how they are prepared, to what the model answers.
        images: `(count, height, width, channels)`, bytes or in [0, 1].
        labels: `(count,)` class numbers, or None.
        dtype: of the model's input.
        tells_class: the largest of its answers is a class.

    Raises:
        InputError: nothing is declared and nothing can be found, or what is declared does not fit.
    """
    tried = candidates(channels)
    if declared in tried and declared != "0..255" and np.dtype(dtype).kind in "iu":
        raise InputError(
            f"`model_input` must be 0..255 or MODULE:FUNCTION for a model that takes whole numbers ({dtype}); "
            f"got {declared!r}."
        )
    if labels is None or not tells_class:
        why = "answers that tell one" if labels is not None else "labels"
        if declared is None:
            raise InputError(
                f"`model_input` must be declared where there are no {why} to find it by: one of {', '.join(tried)}, or "
                "MODULE:FUNCTION."
            )
        return declared, f"The model expects {declared} (declared, not checked: no {why})."
    if declared is not None and declared not in tried:
        tried[declared] = model_input(declared, channels=channels)

    def predicted(given: NDArray[Any]) -> NDArray[Any]:
        answers = answer(given, lambda batch: batch)
        return answers.argmax(axis=1) if answers.shape[1] > 1 else (answers[:, 0] > 0.5).astype(np.int64)

    count = min(SAMPLE, len(images))
    found = accuracies(predicted, as_unit(images[:count]), labels, tried)
    if declared is not None:
        doubt = check_model_input(declared, found, count=count)
        measured = f"declared; accuracy {found[declared]:.2f} on {count} images"
        if found[declared] < SURE:
            doubt = f"{doubt} Are its outputs in the order of the classes? See `class_names`.".strip()
        return declared, f"The model expects {declared} ({measured}). {doubt}".strip()
    chance = float(np.bincount(labels[:count]).max() / count)
    if max(found.values()) <= chance:
        raise InputError(
            f"`model_input` must be declared where no conversion is right more often than one class is, {chance:.2f}; "
            f"got accuracies {', '.join(f'{n} {a:.2f}' for n, a in found.items())}."
        )
    best = choose_model_input(found, count=count)
    return best, f"The model expects {best} (found: accuracy {found[best]:.2f} on {count} images)."


def candidates(channels: int) -> dict[str, ModelInput]:
    """Return every conversion that images of `channels` channels allow, by name."""
    return {
        name: convert for name, convert in CONVERSIONS.items() if channels == 3 or name not in NEED_COLOUR
    }


def accuracies(
    answer: Callable[[Floats], NDArray[Any]],
    images: Floats,
    labels: Ints,
    conversions: Mapping[str, ModelInput],
) -> dict[str, float]:
    """Return the accuracy of the model under each conversion, on the first 512 images.

    The order of a pool is by hash, so that its first images are a random sample. It is assumed that class number k of
    the labels is output k of the model; under another order no accuracy is high, and nothing is chosen.

    Args:
        answer: from what the model expects to `(count,)` predicted classes.
        images: `(count, height, width, channels)` in [0, 1].
        labels: `(count,)` class numbers.
    """
    images, labels = images[:SAMPLE], labels[:SAMPLE]
    return {
        name: float(np.mean(np.asarray(answer(convert(images))).reshape(-1) == labels))
        for name, convert in conversions.items()
    }


def choose_model_input(accuracies: Mapping[str, float], *, count: int) -> str:
    """Return the conversion whose accuracy is at least twice that of every other.

    Args:
        accuracies: of the model, by conversion.
        count: images that they were measured on.

    Raises:
        InputError: none is; it must be declared.
    """
    (best, first), *others = _ranked(accuracies)
    if all(first >= CLEAR * other and _is_apart(first, other, count) for _, other in others):
        return best
    raise InputError(
        f"`model_input` must be declared where no accuracy is twice the next; {_shown(accuracies, count)}, taking class "
        "number k for the model's output k."
    )


def check_model_input(declared: str, accuracies: Mapping[str, float], *, count: int) -> str:
    """Refuse a declared conversion where another one's accuracy is at least twice as high.

    Args:
        declared: a key of `accuracies`.
        accuracies: of the model, by conversion.
        count: images that they were measured on.

    Returns:
        A sentence to warn with where another one is more accurate by less than that, else "".

    Raises:
        InputError: another one fits; the message names it.
    """
    best, accuracy = _ranked(accuracies)[0]
    if best == declared or not _is_apart(accuracy, accuracies[declared], count):
        return ""
    if accuracy >= CLEAR * accuracies[declared]:
        raise InputError(
            f"`model_input={declared}` must be what the model expects; `model_input={best}` fits it: "
            f"{_shown(accuracies, count)}."
        )
    return f"{best} is more accurate than the declared {declared}: {_shown(accuracies, count)}."


def _ranked(accuracies: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(accuracies.items(), key=lambda pair: -pair[1])


def _is_apart(first: float, second: float, count: int) -> bool:
    """Whether an accuracy is above another by more than chance has it on so many images."""
    by_chance = DEVIATIONS * float(np.sqrt((first + second) * count))
    return (first - second) * count > by_chance


def _shown(accuracies: Mapping[str, float], count: int) -> str:
    listed = ", ".join(f"{name} {accuracy:.3f}" for name, accuracy in _ranked(accuracies))
    return f"accuracy on {count} images: {listed}"


def _imported(spec: str, module: str, function: str) -> ModelInput:
    name = f"`model_input={spec}`"
    try:
        found = getattr(import_module(module), function)
    except (Exception, SystemExit) as error:  # an imported module may raise anything, and end the process
        raise InputError(
            f"{name} must be a function that can be imported; got {type(error).__name__}: {first_line(error)}."
        ) from error
    if not callable(found):
        raise InputError(f"{name} must be a function; got a {type(found).__name__}.")

    def convert(images: Floats) -> Floats:
        try:
            converted = np.asarray(found(images.copy()), np.float32)  # the truth must not change under it
        except (Exception, SystemExit) as error:
            raise InputError(
                f"{name} must take images in [0, 1], {images.shape} float32; it raised {type(error).__name__}: "
                f"{first_line(error)}."
            ) from error
        if converted.shape[:1] != images.shape[:1]:
            raise InputError(
                f"{name} must return one for each of {len(images)} images; got {converted.shape}."
            )
        if not np.isfinite(converted).all():
            raise InputError(f"{name} must return finite numbers; got NaN or infinity.")
        return converted

    return convert
