"""EfficientNetB0 of `keras.applications` as a classifier of small images, without weights (Tan and Le 2019)."""

import keras

from mi_keras.errors import InputError
from mi_keras.models.copies import drawn_anew
from mi_keras.settings import IMAGE_SIZE

DROPOUT = 0.2  # before the dense layer, as in the source
MOMENTUM = 0.9  # of the running statistics


def build_efficientnet(
    input_shape: tuple[int, int, int] = (IMAGE_SIZE, IMAGE_SIZE, 1), classes: int = 10, *, seed: int = 1
) -> keras.Model:
    """Build EfficientNetB0 with a dense layer for `classes`; 4.0 million parameters.

    It halves height and width five times: an image of 32 pixels ends as a map of 1x1.

    # Deviates: running statistics have the momentum of our other classifiers, 0.9, and not 0.99, with which 300 steps of
    # training leave a model that is right about its images in training and by chance in inference.

    Args:
        input_shape: `(height, width, image channels)`, height and width at least 32; images in [0, 1].
        seed: of the initial weights and of dropout, whole blocks of maps included.

    Returns:
        A functional model from `(batch, height, width, image channels)` to a dictionary: `logits`, `(batch, classes)`, and
        `activations`, `(batch, 1280)`, what the dense layer sees in inference.

    Raises:
        InputError: the image is smaller.
    """
    if len(input_shape) != 3 or min(input_shape[:2]) < 32 or input_shape[2] < 1:
        raise InputError(
            f"`input_shape` must be (height, width, channels) of 32 pixels at least; got {input_shape}."
        )
    images = keras.Input(input_shape, name="image")
    as_bytes = keras.layers.Rescaling(255.0, name="as_bytes")(images)  # what it expects, and divides again
    inner = keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_tensor=as_bytes, pooling="avg"
    )
    dropped = keras.layers.Dropout(DROPOUT, name="dropout")(inner.output)
    logits = keras.layers.Dense(classes, name="logits")(dropped)
    for layer in inner.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = MOMENTUM
    outputs = {"logits": logits, "activations": inner.output}
    return drawn_anew(keras.Model(images, outputs, name="efficientnet"), seed)
