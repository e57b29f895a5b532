"""Decoders from feature maps to images, by name: the two of the split paper (section 4, Table 1), and ours."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mi_keras.errors import InputError
from mi_keras.models.decoder_parts import activated, begin, pointwise, published_end, torch_initial
from mi_keras.models.residual_decoder import build_even_decoder, build_residual_decoder
from mi_keras.models.sizes import ladder
from mi_keras.models.upsampling import Doubling
from mi_keras.seeds import derive
from mi_keras.settings import DECODERS, EVEN, IMAGENET_DEVIATION, IMAGENET_MEAN, RELEASED

TRANSPOSED = (112, 80, 80, 16, 16)
BICUBIC = (112, 480, 80, 16)
# Widths, and kernels that are the strides too
RELEASED_STEPS = ((112, 1), (80, 2), (80, 2), (16, 1), (16, 4))
LARGE = (256, 128, 64)


def build_decoder(
    name: str,
    map_shape: tuple[int, ...],
    image_shape: tuple[int, int, int] | None = None,
    *,
    image_channels: int = 3,
    seed: int = 1,
) -> keras.Model:
    """Build a decoder of `settings.DECODERS` at its own size; "large" is "compact" with twice the width and depth.

    "even" has about the same size for maps of any layer (see `residual_decoder.build_even_decoder`).

    Args:
        name: "transposed" or "bicubic", whose outputs are normalised images (`unit_range` brings them back to [0, 1]),
            "compact", "large" or "even".
        map_shape: `(height, width, channels)` of the feature maps, or `(width,)` of a vector, which a dense layer turns
            into maps first.
        image_shape: `(height, width, channels)` of the images, which decides how often the maps are doubled. The excess
            is cropped, or resized where the ratio is no power of two. None: 16 times the height and width of the maps,
            as in the split paper, with `image_channels`.
        image_channels: channels of the image where `image_shape` is None.
        seed: of the initial weights.

    Returns:
        A functional model from `(batch, *map_shape)` to `(batch, *image_shape)`.

    Raises:
        InputError: the name is unknown, a shape is malformed, or `image_shape` is missing for a vector.
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
    if name == EVEN:
        return build_even_decoder(map_shape, image_shape, image_channels=image_channels, seed=seed)
    raise InputError(f"`name` must be one of {', '.join((*DECODERS, RELEASED, EVEN))}; got {name!r}.")


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
