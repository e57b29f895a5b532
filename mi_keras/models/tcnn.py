"""The inversion model M_I, a transposed CNN (thesis 3.2, Figure 26)."""

from collections.abc import Sequence

import keras

from mi_keras.models.layers import (
    BitDropout,
    DoublingTransposedConv,
    FusedBatchNormalization,
    InputNoise,
    VectorToMap,
)
from mi_keras.seeds import derive


def build_tcnn(
    width: int,
    *,
    image_channels: int = 1,
    channels: Sequence[int] = (512, 256, 128),
    dropout: Sequence[float] = (0.3, 0.5, 0.5),
    input_noise: float = 0.0,
    seed: int = 1,
) -> keras.Model:
    """Build the TCNN of Figure 26: 1x1 -> 4x4 -> 8x8 -> 16x16 -> 32x32, tanh and dropout between, sigmoid at the end.

    With the text's channels it has `width * 512 * 16 + 512` parameters in the first layer and 2,625,665 in the rest.

    # Deviates: section 3.2.1 of the text says ReLU, its Figure 26 says Tanh; the figure is the code that was run.

    Args:
        width: length of the input vector, any combination of O, A^L and flattened X~.
        image_channels: channels of the image.
        channels: filters of the three inner maps.
        dropout: rate after each of the three inner maps, in [0, 1); where it is 0 there is no such layer.
        input_noise: standard deviation, in the input's own units, of Gaussian noise on the input in training; where
            it is 0 there is no such layer.
        seed: of the initial weights, of dropout and of the noise.

    Returns:
        A functional model from `(batch, width)` to images `(batch, 32, 32, image_channels)` in [0, 1].
    """
    inputs = vector = keras.Input((width,), name="attack_input")
    if input_noise:
        vector = InputNoise(input_noise, seed=derive(seed, "input_noise"), name="input_noise")(inputs)
    maps = VectorToMap(channels[0], seed=derive(seed, 0), name="up_0")(vector)
    for step, (filters, rate) in enumerate(zip((*channels[1:], image_channels), dropout, strict=True)):
        maps = FusedBatchNormalization(name=f"norm_{step}")(maps)
        maps = keras.layers.Activation("tanh", name=f"tanh_{step}")(maps)
        if rate:
            maps = BitDropout(rate, seed=derive(seed, "dropout", step), name=f"dropout_{step}")(maps)
        maps = DoublingTransposedConv(filters, seed=derive(seed, step + 1), name=f"up_{step + 1}")(maps)
    image = keras.layers.Activation("sigmoid", name="image")(maps)
    return keras.Model(inputs, image, name="tcnn")
