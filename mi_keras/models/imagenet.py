"""Where Keras caches the downloaded weights of MobileNetV3-Large; found without importing Keras, which takes
seconds."""

import os
from pathlib import Path

from mi_keras.errors import InputError


def imagenet_file(minimalistic: bool) -> Path:
    """Return the file of the weights trained on ImageNet, there or not."""
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    form = "_minimalistic" if minimalistic else ""
    return Path(home, "models", f"weights_mobilenet_v3_large{form}_224_1.0_float.h5")


def require_imagenet(minimalistic: bool, argument: str = "weights") -> None:
    """Raise `InputError`, which calls the weights `argument`, unless the file is there."""
    if not (file := imagenet_file(minimalistic)).is_file():
        raise InputError(
            f"`{argument}` must be at hand for imagenet where `offline` forbids the download: {file} is missing; drop `offline` "
            "once, or give the path of a weights file, or `random` to see the wiring."
        )
