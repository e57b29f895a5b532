"""A small residual network that halves the image five times, as MobileNetV3 does: a second kind of model to observe."""

from dataclasses import replace

import keras

from mi_keras.models.layers import FusedBatchNormalization
from mi_keras.models.mobilenet import SplitModel
from mi_keras.models.target import observed_at
from mi_keras.seeds import derive

WIDTHS = (16, 16, 32, 64, 128)  # of the maps of strides 2 to 32


def build_small_residual(size: int, classes: int, *, seed: int) -> keras.Model:
    """Build a residual block for each stride (He et al. 2016), from images in [0, 1] to logits.

    Maps are halved by their means: with convolutions of stride 2 and `FusedBatchNormalization` a training step that is a
    graph crashes on CPU (TensorFlow 2.21).

    Args:
        size: height and width of the images.
        classes: width of the output vector.
        seed: of the initial weights.
    """
    image = maps = keras.Input((size, size, 3), name="image")
    for number, filters in enumerate(WIDTHS, start=1):
        name = f"stage_{number}"
        halved = keras.layers.AveragePooling2D(2, name=f"{name}_halved")(maps)
        branch = _convolution(halved, filters, f"{name}_first", seed)
        branch = _convolution(branch, filters, f"{name}_second", seed)
        normal = keras.initializers.GlorotNormal(seed=derive(seed, name, "skip"))
        skip = keras.layers.Conv2D(filters, 1, kernel_initializer=normal, name=f"{name}_skip")(halved)
        maps = keras.layers.Add(name=name)([skip, branch])
    pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(maps)
    normal = keras.initializers.GlorotNormal(seed=derive(seed, "logits"))
    logits = keras.layers.Dense(classes, kernel_initializer=normal, name="logits")(pooled)
    return keras.Model(image, logits, name="small_residual")


def split_small_residual(whole: keras.Model, cut: str) -> SplitModel:
    """Return the network observed after the last block of a stride, C1 to C5 as of `mobilenet.CUTS`."""
    number = int(cut[1:])
    at = observed_at(whole, f"stage_{number}")
    return SplitModel(
        at.head, at.tail, replace(at.point, name=f"residual_{cut}"), at.identity, whole, 2**number
    )


def _convolution(maps: keras.KerasTensor, filters: int, name: str, seed: int) -> keras.KerasTensor:
    normal = keras.initializers.HeNormal(seed=derive(seed, name))
    maps = keras.layers.Conv2D(
        filters, 3, padding="same", use_bias=False, kernel_initializer=normal, name=f"{name}_conv"
    )(maps)
    return keras.layers.ReLU(name=name)(FusedBatchNormalization(epsilon=1e-3, name=f"{name}_norm")(maps))
