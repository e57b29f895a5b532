"""Parts of decoders: the first layers of all, and the blocks and last layers of the published ones (split 4)."""

from collections.abc import Sequence
from typing import NamedTuple

import keras

from mi_keras.errors import InputError
from mi_keras.models.layers import FusedBatchNormalization, VectorToMap, torch_uniform
from mi_keras.models.sizes import checked_image_shape, doublings, doublings_of_vector, fit, start_size
from mi_keras.seeds import derive


class Start(NamedTuple):
    """Where a decoder begins, `maps` being what it is given or makes of a vector, and what it must reach."""

    inputs: keras.KerasTensor
    maps: keras.KerasTensor
    image_shape: tuple[int, int, int]
    doublings: int


def begin(
    map_shape: Sequence[int],
    image_shape: Sequence[int] | None,
    channels: Sequence[int],
    own: int,
    image_channels: int,
    seed: int,
) -> Start:
    """Check the shapes and choose the doublings, `own` where the image's shape is None."""
    if len(map_shape) not in (1, 3) or any(not isinstance(n, int) or n < 1 for n in map_shape):
        raise InputError(
            f"`map_shape` must be (height, width, channels) or (width,), each >= 1; got {map_shape!r}."
        )
    if not channels or min(channels) < 1:
        raise InputError(f"`channels` must be one or more numbers >= 1; got {channels!r}.")
    if image_channels < 1:
        raise InputError(f"`image_channels` must be >= 1; got {image_channels}.")
    inputs = maps = keras.Input(map_shape, name="feature_maps")
    if len(map_shape) == 1:
        if image_shape is None:
            raise InputError(f"`image_shape` must be given for a vector; got None for {map_shape!r}.")
        height, width, outputs = checked_image_shape(image_shape)
        count = doublings_of_vector((height, width))
        size = start_size((height, width), count)
        maps = VectorToMap(channels[0], size=size, seed=derive(seed, "vector"), name="spread")(inputs)
    else:
        default = (map_shape[0] << own, map_shape[1] << own, image_channels)
        height, width, outputs = checked_image_shape(default if image_shape is None else image_shape)
        count = doublings((map_shape[0], map_shape[1]), (height, width))
    return Start(inputs, maps, (height, width, outputs), count)


def published_end(start: Start, maps: keras.KerasTensor, name: str, seed: int) -> keras.Model:
    """Return the model that ends as the published decoders do."""
    height, width, outputs = start.image_shape
    maps = fit(maps, (height, width), start.doublings)
    return keras.Model(start.inputs, pointwise(maps, outputs, "relu", "normalised_image", seed), name=name)


def pointwise(
    maps: keras.KerasTensor, filters: int, activation: str, name: str, seed: int
) -> keras.KerasTensor:
    """Return maps after a pointwise convolution, batch normalisation and an activation, the layer `name`."""
    initial = torch_initial(maps.shape[-1], derive(seed, name))
    maps = keras.layers.Conv2D(filters, 1, **initial, name=f"{name}_conv")(maps)
    return activated(maps, activation, name, f"{name}_norm")


def activated(maps: keras.KerasTensor, activation: str, name: str, norm: str) -> keras.KerasTensor:
    """Return maps after batch normalisation, the layer `norm`, and an activation, the layer `name`."""
    normalised = FusedBatchNormalization(epsilon=1e-3, momentum=0.99, name=norm)(maps)  # MobileNet's epsilon
    return keras.layers.Activation(activation, name=name)(normalised)


def torch_initial(fan_in: int, seed: int) -> dict[str, keras.initializers.Initializer]:
    """Return the arguments with which a layer draws kernel and bias as PyTorch does."""
    return {f"{name}_initializer": torch_uniform(fan_in, derive(seed, name)) for name in ("kernel", "bias")}
