"""Our decoders: residual blocks where the maps are small, then doublings; the even one is as large for maps of any layer."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import keras
import tensorflow as tf

from mi_keras.errors import InputError
from mi_keras.models.decoder_parts import Start, begin
from mi_keras.models.layers import FusedBatchNormalization
from mi_keras.models.sizes import fit, ladder
from mi_keras.models.upsampling import Doubling, PixelShuffle
from mi_keras.seeds import derive

COMPACT = (128, 64, 32)
PARAMETERS = 183_180  # of the compact decoder for 672 maps that are doubled four times
RESIDUALS = 2
WIDEST, NARROWEST, STEP = 1024, 8, 8  # widths that are looked through
FOLDED = 8  # pixels of the image for each place, at least


def build_residual_decoder(
    map_shape: tuple[int, ...],
    image_shape: tuple[int, int, int] | None = None,
    *,
    channels: Sequence[int] = COMPACT,
    residuals: int = RESIDUALS,
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
    at_half = image_shape is None or _is_half(start.doublings)
    widths = ladder(channels, _steps(start.doublings, at_half=at_half) + 1)
    return _built(start, widths, at_half=at_half, residuals=residuals, convolutions=convolutions, seed=seed)


def build_even_decoder(
    map_shape: tuple[int, ...],
    image_shape: tuple[int, int, int] | None = None,
    *,
    image_channels: int = 3,
    seed: int = 1,
) -> keras.Model:
    """Build a residual decoder with as many parameters as `PARAMETERS` allow, whatever the layer that sends the maps.

    What it draws of two layers tells the layers apart, and not its own size. Maps of fewer than `FOLDED` pixels a place are
    folded to larger places with more channels, which loses nothing: most parameters work there, where they cost little.
    For 672 maps of a sixteenth of the image's size it is the compact decoder. Arguments and answers as of
    `build_residual_decoder`.

    # Deviates: not in the text.

    Raises:
        InputError: also where `map_shape` is that of a vector.
    """
    if len(map_shape) != 3:
        raise InputError(f"`map_shape` must be (height, width, channels); got {map_shape!r}.")
    start = begin(map_shape, image_shape, COMPACT, len(COMPACT) + 1, image_channels, seed)
    height, width, channels = map_shape
    folds, least = 0, FOLDED.bit_length() - 1
    while start.doublings + folds < least and not (height % 2 ** (folds + 1) or width % 2 ** (folds + 1)):
        folds += 1
    doubled = start.doublings + folds
    if folds:
        folded = Folding(2**folds, name="fold")(start.maps)
        start = start._replace(maps=folded, doublings=doubled)
    widths = _even_widths(channels << 2 * folds, doubled, start.image_shape[2])
    return _built(start, widths, at_half=_is_half(doubled), residuals=RESIDUALS, convolutions=1, seed=seed)


class Folding(keras.layers.Layer):
    """Lay `size` x `size` places out as one: `(batch, h, w, c)` to `(batch, h / size, w / size, size * size * c)`."""

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.space_to_depth(inputs, self.size)

    def compute_output_shape(
        self, shape: tuple[int | None, int, int, int]
    ) -> tuple[int | None, int, int, int]:
        batch, height, width, channels = shape
        return batch, height // self.size, width // self.size, channels * self.size**2

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


def _built(
    start: Start, widths: Sequence[int], *, at_half: bool, residuals: int, convolutions: int, seed: int
) -> keras.Model:
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


def _even_widths(channels: int, doubled: int, outputs: int) -> tuple[int, ...]:
    """Return the widest ladder within `PARAMETERS`, or the narrowest there is."""
    count = _steps(doubled, at_half=_is_half(doubled)) + 1
    for width in range(WIDEST, NARROWEST, -STEP):
        widths = ladder((width, width // 2, width // 4), count)
        if _parameters(channels, widths, 4 * outputs) <= PARAMETERS:
            return widths
    return ladder((NARROWEST, NARROWEST, NARROWEST), count)


def _parameters(channels: int, widths: Sequence[int], pixels: int) -> int:
    """Return how many a residual decoder has, with four of batch normalisation for each channel."""
    first = widths[0]
    total = (channels + 4) * first + RESIDUALS * (9 + first + 4) * first
    for before, width in pairwise(widths):
        total += (before + 4) * width + (9 * width + 4) * width
    return total + (9 * widths[-1] + 1) * pixels


def _is_half(doubled: int) -> bool:
    """Say whether the image is drawn at half its size."""
    return doubled >= 4


def _steps(doubled: int, *, at_half: bool) -> int:
    """Return how many doublings convolutions follow."""
    return max(0, doubled - 1 - at_half)


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
