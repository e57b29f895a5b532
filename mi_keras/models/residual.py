"""A small residual network for images of 32 pixels (He et al. 2016, "Deep residual learning", section 4.2)."""

from collections.abc import Sequence

import keras

from mi_keras.errors import InputError
from mi_keras.models.layers import FusedBatchNormalization
from mi_keras.seeds import derive
from mi_keras.settings import IMAGE_SIZE


def build_residual(
    input_shape: tuple[int, int, int] = (IMAGE_SIZE, IMAGE_SIZE, 1),
    classes: int = 10,
    *,
    channels: Sequence[int] = (16, 32, 64),
    blocks: int = 1,
    seed: int = 1,
) -> keras.Model:
    """Build a convolution, a stage of residual blocks for each of `channels`, the mean over positions and a dense layer.

    A stage but the first halves height and width with its first convolution. With `blocks` n and three stages it has the
    6n + 2 weighted layers of the source.

    # Deviates: a shortcut that changes size is a 1x1 convolution, the source's option B, where it takes zeros on CIFAR.

    Args:
        input_shape: `(height, width, image channels)`, height and width at least 8; images in [0, 1].
        classes: width of the output vector.
        channels: widths of the stages.
        blocks: residual blocks of two convolutions in each stage, at least 1.
        seed: of the initial weights.

    Returns:
        A functional model from `(batch, height, width, image channels)` to a dictionary: `logits`, `(batch, classes)`, and
        `activations`, `(batch, channels[-1])`, what the dense layer sees.

    Raises:
        InputError: the image is smaller, or there is no stage or block.
    """
    if len(input_shape) != 3 or min(input_shape[:2]) < 8 or input_shape[2] < 1 or not channels or blocks < 1:
        raise InputError(
            "`input_shape` must be (height, width, channels) of 8 pixels at least, with a stage and a block at least; got "
            f"{input_shape}, {channels} and {blocks}."
        )
    images = maps = keras.Input(input_shape, name="image")
    maps = keras.layers.ReLU(name="relu")(_normalised(maps, channels[0], 3, 1, "stem", seed))
    for stage, filters in enumerate(channels):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            maps = _block(maps, filters, stride, f"stage_{stage}_block_{block}", seed)
    pooled = keras.layers.GlobalAveragePooling2D(name="activations")(maps)
    initial = keras.initializers.GlorotUniform(seed=derive(seed, "logits"))
    logits = keras.layers.Dense(classes, kernel_initializer=initial, name="logits")(pooled)
    return keras.Model(images, {"logits": logits, "activations": pooled}, name="residual")


def _block(maps: keras.KerasTensor, filters: int, stride: int, name: str, seed: int) -> keras.KerasTensor:
    inner = _normalised(maps, filters, 3, stride, f"{name}_first", seed)
    inner = keras.layers.ReLU(name=f"{name}_first_relu")(inner)
    inner = _normalised(inner, filters, 3, 1, f"{name}_second", seed)
    if stride > 1 or maps.shape[-1] != filters:
        maps = _normalised(maps, filters, 1, stride, f"{name}_shortcut", seed)
    return keras.layers.ReLU(name=f"{name}_relu")(keras.layers.Add(name=f"{name}_sum")([inner, maps]))


def _normalised(
    maps: keras.KerasTensor, filters: int, size: int, stride: int, name: str, seed: int
) -> keras.KerasTensor:
    initial = keras.initializers.HeNormal(seed=derive(seed, name))
    convolution = keras.layers.Conv2D(
        filters, size, stride, padding="same", use_bias=False, kernel_initializer=initial, name=name
    )
    return FusedBatchNormalization(name=f"{name}_norm")(convolution(maps))
