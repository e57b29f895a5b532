"""From images in [0, 1] to what the model expects: the conversions that `model_input` may name."""

from collections.abc import Callable, Mapping
from importlib import import_module

import numpy as np

from mi_keras.data.source import first_line
from mi_keras.errors import InputError
from mi_keras.types import Floats

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
        raise InputError(f"`model_input='{spec}'` must have images of 3 channels; got {channels}.")
    if spec in CONVERSIONS:
        return CONVERSIONS[spec]
    module, colon, function = spec.partition(":")
    if not (module and colon and function):
        raise InputError(f"`model_input` must be {', '.join(CONVERSIONS)} or MODULE:FUNCTION; got {spec!r}.")
    return _imported(spec, module, function)


def candidates(channels: int) -> dict[str, ModelInput]:
    """Return every conversion that images of `channels` channels allow, by name."""
    return {
        name: convert for name, convert in CONVERSIONS.items() if channels == 3 or name not in NEED_COLOUR
    }


def _imported(spec: str, module: str, function: str) -> ModelInput:
    name = f"`model_input='{spec}'`"
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
