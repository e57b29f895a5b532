"""Decoders from feature maps to images: the two published ones and two of ours (split 4, Table 1 of 5)."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mi_keras.errors import InputError
from mi_keras.models.decoder_parts import activated, begin, pointwise, published_end, torch_initial
from mi_keras.models.layers import FusedBatchNormalization
from mi_keras.models.sizes import fit, ladder
from mi_keras.models.upsampling import Doubling, PixelShuffle
from mi_keras.seeds import derive
from mi_keras.settings import DECODERS, IMAGENET_DEVIATION, IMAGENET_MEAN, RELEASED

TRANSPOSED = (112, 80, 80, 16, 16)
BICUBIC = (112, 480, 80, 16)
# Widths, and kernels that are the strides too
RELEASED_STEPS = ((112, 1), (80, 2), (80, 2), (16, 1), (16, 4))
COMPACT = (128, 64, 32)
LARGE = (256, 128, 64)


def build_decoder(
    name: str,
    map_shape: tuple[int, ...],
    image_shape: tuple[int, int, int] | None = None,
    *,
    image_channels: int = 3,
    seed: int = 1,
) -> keras.Model:
    """Build a decoder of `settings.DECODERS` with its own widths; "large" is the compact one, twice as wide and deep.

    Args:
        name: "transposed" or "bicubic", whose answers are normalised (`unit_range` undoes that), "compact" or "large".
        map_shape: `(height, width, channels)` of the feature maps; or `(width,)` of a vector, of which a dense layer
            makes maps first.
        image_shape: `(height, width, channels)` of the images, which decides how often the maps are doubled; what is
            left over is cut off, or resized where their ratio is no power of two. None is 16 times the maps' height
            and width, as the text has it, and `image_channels`.
        image_channels: channels of the image where `image_shape` is None.
        seed: of the initial weights.

    Returns:
        A functional model from `(batch, *map_shape)` to `(batch, *image_shape)`.

    Raises:
        InputError: the name is unknown, a shape is none, or there is none of the image for a vector.
    """
    if name == "transposed":
        return build_transposed_decoder(map_shape, image_shape, image_channels=image_channels, seed=seed)
    if name == RELEASED:
        return build_released_decoder(map_shape, image_shape, image_channels=image_channels, seed=seed)
    if name == "bicubic":
        return build_bicubic_decoder(map_shape, image_shape, image_channels=image_channels, seed=seed)
    if name in ("compact", "large"):
        size: dict[str, Any] = (
            {"channels": LARGE, "residuals": 4, "convolutions": 2} if name == "large" else {}
        )
        return build_residual_decoder(
            map_shape, image_shape, image_channels=image_channels, seed=seed, **size
        )
    raise InputError(f"`name` must be one of {', '.join((*DECODERS, RELEASED))}; got {name!r}.")


def build_transposed_decoder(
    map_shape: tuple[int, ...],
    image_shape: tuple[int, int, int] | None = None,
    *,
    channels: Sequence[int] = TRANSPOSED,
    image_channels: int = 3,
    seed: int = 1,
) -> keras.Model:
    """Build the published decoder with transposed convolutions: pointwise, four doublings, pointwise.

    From the text: transposed convolutions double the maps, six convolutions in all. From the published code: kernel
    equal to stride, hence blocks of 2x2 that do not overlap; ReLU at the end, so that nothing darker than ImageNet's
    mean can be answered; 143,663 parameters with batch normalisation's statistics. Inferred: all widths, that each
    doubling is by two and that no batch normalisation follows it. Of ladders that never widen, in widths from 8 to 160
    that MobileNets use, this is the only one of six layers with four equal doublings which gives that count; without
    these conditions others do too, and one of these is what the code has (`build_released_decoder`).

    # Deviates: the text calls the convolutions depth-wise; here none is, and the count leaves no room for more kernels.
    # The text does not name the activation function inside; hard-swish is MobileNet's own.

    Its answers are normalised images >= 0 (see `unit_range`); arguments as of `build_decoder`, and `channels`: widths
    before the image, of which the second to the last belong to doublings.
    """
    start = begin(map_shape, image_shape, channels, len(channels) - 1, image_channels, seed)
    widths = ladder(channels, start.doublings + 1)
    maps = pointwise(start.maps, widths[0], "hard_swish", "block_0", seed)
    for step, filters in enumerate(widths[1:], start=1):
        initial = torch_initial(4 * filters, derive(seed, "up", step))  # PyTorch counts outputs as fan-in
        maps = keras.layers.Conv2DTranspose(filters, 2, 2, **initial, name=f"up_{step}")(maps)
        maps = keras.layers.Activation("hard_swish", name=f"up_{step}_activation")(maps)
    return published_end(start, maps, "transposed_decoder", seed)


def build_released_decoder(
    map_shape: tuple[int, ...],
    image_shape: tuple[int, int, int] | None = None,
    *,
    image_channels: int = 3,
    seed: int = 1,
) -> keras.Model:
    """Build the transposed decoder as the published code has it: two doublings, a pointwise layer and a quadrupling.

    As many parameters as `build_transposed_decoder`, 143,663, in other places: batch normalisation follows every
    layer, and the last blocks are of 4x4 pixels. Arguments and answers are those of the other.

    Raises:
        InputError: as `build_decoder`, or the image is not 16 times as high and wide as the maps.
    """
    start = begin(map_shape, image_shape, (RELEASED_STEPS[0][0],), 4, image_channels, seed)
    maps = start.maps
    if start.image_shape[:2] != (16 * maps.shape[1], 16 * maps.shape[2]):
        raise InputError(
            f"`image_shape` must be 16 times the maps' height and width; got {image_shape!r} for {map_shape!r}."
        )
    for step, (filters, kernel) in enumerate(RELEASED_STEPS):
        if kernel == 1:
            maps = pointwise(maps, filters, "hard_swish", f"block_{step}", seed)
            continue
        initial = torch_initial(kernel**2 * filters, derive(seed, "up", step))
        maps = keras.layers.Conv2DTranspose(filters, kernel, kernel, **initial, name=f"up_{step}")(maps)
        maps = activated(maps, "hard_swish", f"up_{step}_activation", f"up_{step}_norm")
    return published_end(start, maps, "released_decoder", seed)


def build_bicubic_decoder(
    map_shape: tuple[int, ...],
    image_shape: tuple[int, int, int] | None = None,
    *,
    channels: Sequence[int] = BICUBIC,
    image_channels: int = 3,
    seed: int = 1,
) -> keras.Model:
    """Build the published decoder with bicubic upsampling: pointwise convolution and doubling, four times, pointwise.

    From the text: bicubic upsampling. From the published code: ReLU at the end; 172,207 parameters with batch
    normalisation's statistics. Inferred: all widths, which are widths of MobileNetV3-Large and give that count exactly,
    and the order of convolution and doubling.

    # Deviates: the text speaks of six depth-wise convolutions; five pointwise ones alone give the count. (So do six
    # separable ones of 184, 120, 64, 64, 32 and 3 channels, which are no ladder of MobileNet's and would leave the
    # transposed decoder without any of the same kind.) The text does not name the activation function inside;
    # hard-swish is MobileNet's own.

    Its answers are those of the transposed decoder in kind, and so are the arguments, but that a doubling follows each
    of the `channels`.
    """
    start = begin(map_shape, image_shape, channels, len(channels), image_channels, seed)
    maps = start.maps
    for step, filters in enumerate(ladder(channels, max(1, start.doublings))):
        maps = pointwise(maps, filters, "hard_swish", f"block_{step}", seed)
        if step < start.doublings:
            maps = Doubling("bicubic", name=f"up_{step}")(maps)
    return published_end(start, maps, "bicubic_decoder", seed)


def build_residual_decoder(
    map_shape: tuple[int, ...],
    image_shape: tuple[int, int, int] | None = None,
    *,
    channels: Sequence[int] = COMPACT,
    residuals: int = 2,
    convolutions: int = 1,
    image_channels: int = 3,
    seed: int = 1,
) -> keras.Model:
    """Build our decoder: residual blocks where the maps are small, then bilinear doublings and 3x3 convolutions.

    Most parameters and operations work at the maps' own size, where the information is. The image is drawn at half
    its size and doubled: what the deep maps of a classifier hold is not finer than that, and it takes half the time.
    Maps that take fewer than four doublings do hold finer detail: of those it is drawn at its full size.

    # Deviates: not in the text. A kernel wider than the stride leaves no checkerboard, and a sigmoid reaches black.

    Its answers are images in [0, 1]; arguments as of `build_decoder`, and these:

    Args:
        channels: widths at the maps' own size, then after each doubling; they give `2 ** (len(channels) + 1)` times
            the maps' size where `image_shape` is None.
        residuals: separable residual blocks at the maps' own size.
        convolutions: 3x3 convolutions after each doubling.
    """
    if residuals < 0 or convolutions < 1:
        raise InputError(
            f"`residuals` must be >= 0 and `convolutions` >= 1; got {residuals} and {convolutions}."
        )
    start = begin(map_shape, image_shape, channels, len(channels) + 1, image_channels, seed)
    at_half = image_shape is None or start.doublings >= 4
    widths = ladder(channels, max(0, start.doublings - 1 - at_half) + 1)
    maps = _convolution(start.maps, widths[0], 1, "entry", seed)
    for block in range(residuals):
        maps = _residual(maps, f"residual_{block}", seed)
    for step, filters in enumerate(widths[1:], start=1):
        maps = _convolution(maps, filters, 1, f"narrow_{step}", seed)
        maps = Doubling("bilinear", name=f"up_{step}")(maps)
        for block in range(convolutions):
            maps = _convolution(maps, filters, 3, f"block_{step}_{block}", seed)
    normal = keras.initializers.HeNormal(seed=derive(seed, "pixels"))
    *size, outputs = start.image_shape
    pixels = 4 * outputs if start.doublings else outputs
    maps = keras.layers.Conv2D(pixels, 3, padding="same", kernel_initializer=normal, name="pixels")(maps)
    if start.doublings:
        maps = PixelShuffle(name="shuffle")(maps)  # Shi et al. 2016
    if at_half:
        maps = Doubling("bicubic", name="logits")(maps)
    image = keras.layers.Activation("sigmoid", name="image")(fit(maps, (size[0], size[1]), start.doublings))
    return keras.Model(start.inputs, image, name="residual_decoder")


def layer_outputs(decoder: keras.Model, maps: Any, names: Sequence[str]) -> Iterator[Any]:
    """Yield what the named layers of a decoder give for the maps of one image, `(height, width, channels)` each."""
    taps = keras.Model(decoder.input, [decoder.get_layer(name).output for name in names])
    for output in taps(tf.cast(maps, tf.float32), training=False):
        yield output.numpy()[0]


def unit_range(normalised: tf.Tensor) -> tf.Tensor:
    """Return what a published decoder answers as images in [0, 1]: unnormalised, then clipped (split 4.1).

    Images of another number of channels than three are unnormalised by the averages over ImageNet's three.
    """
    deviation, mean = (np.array(values, np.float32) for values in (IMAGENET_DEVIATION, IMAGENET_MEAN))
    if normalised.shape[-1] != 3:
        deviation, mean = deviation.mean(), mean.mean()
    return tf.clip_by_value(normalised * deviation + mean, 0.0, 1.0)


def _convolution(maps: keras.KerasTensor, filters: int, size: int, name: str, seed: int) -> keras.KerasTensor:
    normal = keras.initializers.HeNormal(seed=derive(seed, name))
    maps = keras.layers.Conv2D(
        filters, size, padding="same", use_bias=False, kernel_initializer=normal, name=f"{name}_conv"
    )(maps)
    # Momentum 0.9: with MobileNet's 0.99 a decoder that goes on training on other maps for two epochs would be judged by
    # statistics of which a sixth is the old maps'
    maps = FusedBatchNormalization(epsilon=1e-3, name=f"{name}_norm")(maps)
    return keras.layers.ReLU(name=name)(maps)


def _residual(maps: keras.KerasTensor, name: str, seed: int) -> keras.KerasTensor:
    # Nine inputs a channel: Keras' own initialisers count all channels, which makes the maps that much smaller
    small = keras.initializers.RandomNormal(stddev=1 / 3, seed=derive(seed, name, "depthwise"))
    mixed = keras.layers.DepthwiseConv2D(
        3, padding="same", use_bias=False, depthwise_initializer=small, name=f"{name}_depthwise"
    )(maps)
    mixed = _convolution(mixed, maps.shape[-1], 1, f"{name}_pointwise", seed)
    return keras.layers.Add(name=name)([maps, mixed])
