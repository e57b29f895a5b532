"""The inversion model M_I, a transposed CNN (thesis 3.2, Figure 26)."""

from collections.abc import Sequence

import keras

from mi_keras.errors import InputError
from mi_keras.models.layers import (
    BitDropout,
    DoublingTransposedConv,
    FusedBatchNormalization,
    InputNoise,
    VectorToMap,
)
from mi_keras.models.sizes import checked_image_shape, doublings_of_vector, fit, ladder, start_size
from mi_keras.seeds import derive
from mi_keras.settings import IMAGE_SIZE


def build_tcnn(
    width: int,
    image_shape: tuple[int, int, int] | None = None,
    *,
    image_channels: int = 1,
    channels: Sequence[int] = (512, 256, 128),
    dropout: Sequence[float] = (0.3, 0.5, 0.5),
    input_noise: float = 0.0,
    seed: int = 1,
) -> keras.Model:
    """Build the TCNN of Figure 26: 1x1 -> 4x4 -> 8x8 -> 16x16 -> 32x32, tanh and dropout between, sigmoid at the end.

    With the default channels, the thesis's, it has `width * 512 * 16 + 512` parameters in the first layer and 2,625,665
    in the rest. For another image size the first maps have 4 to 8 pixels on the longer side and are doubled as often as
    needed, each time with a width and a dropout rate of its own (`sizes.ladder`); the excess is cropped.

    # Deviates: section 3.2.1 of the text says ReLU, its Figure 26 says Tanh; the figure is the code that was run.

    Args:
        width: length of the input vector, such as O, A^L and flattened X~ concatenated.
        image_shape: `(height, width, channels)` of the image, at least 8 by 8; None is `(32, 32, image_channels)`.
        image_channels: channels of the image where `image_shape` is None.
        channels: filters of the three inner maps for an image of 32 pixels.
        dropout: dropout rate after each of these maps, in [0, 1); 0: no dropout layer.
        input_noise: standard deviation of Gaussian noise on the input in training, in the units of the input; 0: no
            noise layer.
        seed: seed of the initial weights, of dropout and of the noise.

    Returns:
        A functional model from `(batch, width)` to images `(batch, *image_shape)` in [0, 1].

    Raises:
        InputError: `width` is below 1, the image is smaller than 8 pixels, or `dropout` and `channels` differ in
            length.
    """
    height, columns, image_channels = checked_image_shape(
        image_shape or (IMAGE_SIZE, IMAGE_SIZE, image_channels)
    )
    if width < 1 or min(height, columns) < 8:
        raise InputError(
            f"`width` must be >= 1 and `image_shape` at least 8 by 8; got {width} and {(height, columns)}."
        )
    if not channels or min(channels) < 1 or len(channels) != len(dropout):
        raise InputError(
            f"`channels` must be numbers >= 1, as many as rates of `dropout`; got {channels!r} and {dropout!r}."
        )
    doubled = doublings_of_vector((height, columns))
    filters = ladder(channels, doubled)
    rates = [*dropout[-doubled:], *(doubled - len(dropout)) * [dropout[-1]]]  # as the ladder goes on
    inputs = vector = keras.Input((width,), name="attack_input")
    if input_noise:
        vector = InputNoise(input_noise, seed=derive(seed, "input_noise"), name="input_noise")(inputs)
    size = start_size((height, columns), doubled)
    maps = VectorToMap(filters[0], size=size, seed=derive(seed, 0), name="up_0")(vector)
    for step, (outputs, rate) in enumerate(zip((*filters[1:], image_channels), rates, strict=True)):
        maps = FusedBatchNormalization(name=f"norm_{step}")(maps)
        maps = keras.layers.Activation("tanh", name=f"tanh_{step}")(maps)
        if rate:
            maps = BitDropout(rate, seed=derive(seed, "dropout", step), name=f"dropout_{step}")(maps)
        maps = DoublingTransposedConv(outputs, seed=derive(seed, step + 1), name=f"up_{step + 1}")(maps)
    image = keras.layers.Activation("sigmoid", name="image")(fit(maps, (height, columns), doubled))
    return keras.Model(inputs, image, name="tcnn")
