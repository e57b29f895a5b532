"""Defences that change the feature maps before they travel: fewer maps (split 7), fewer bits, noise."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.seeds import derive
from mi_keras.types import Floats

MOST_BITS = 8
BYTES_OF_FLOAT = 2  # undefended values travel as float16
# Standard deviations from a map's mean to the ends of the range that b bits share out: 0.5 + 0.8 b. For a Laplace
# distribution, heavy-tailed as activations are, no other ends have a squared error smaller by more than 5 % (Banner et
# al. 2019 have such ends). With the extremes as ends, one bright position of millions sets the step of all others.
SPAN, SPAN_PER_BIT = 0.5, 0.8


@dataclass(frozen=True)
class KeptMaps:
    """Sends some of the maps; the others are 0 for the tail and for the adversary, who both know which (split 7).

    Attributes:
        kept: numbers of the maps that are sent, at least one, each once, in any order.
    """

    kept: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.kept or min(self.kept) < 0 or len(set(self.kept)) < len(self.kept):
            raise InputError(f"`kept` must be one or more different numbers >= 0; got {self.kept!r}.")


@dataclass(frozen=True)
class QuantizedMaps:
    """Rounds every value to the nearest of 2**bits levels that share out the range of its map evenly.

    The levels are the middles of 2**bits equal parts of the range, those of one bit at a quarter and three quarters of
    it: of values spread evenly no other levels have a smaller squared error. The range goes from the map's lowest to its
    highest value, but no further than 0.5 + 0.8 bits deviations from its mean. A value outside takes the end level.

    Attributes:
        bits: of one value, in 1..8.
    """

    bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MOST_BITS:
            raise InputError(f"`bits` must be between 1 and {MOST_BITS}; got {self.bits!r}.")


@dataclass(frozen=True)
class NoisyMaps:
    """Adds independent Gaussian noise to every value, in each map in proportion to the map's own deviation.

    The first layers of the tail and of a decoder scale maps as they like, so that only the ratio of noise to signal
    counts. Noise of one size for all maps would drown the quiet ones alone: a choice of maps, which `KeptMaps` is for.

    Attributes:
        deviation: standard deviation of the noise over that of the map, > 0.
    """

    deviation: float

    def __post_init__(self) -> None:
        if not 0 < self.deviation < float("inf"):
            raise InputError(f"`deviation` must be a positive finite number; got {self.deviation!r}.")


Defense = KeptMaps | QuantizedMaps | NoisyMaps


@dataclass(frozen=True)
class MapStatistics:
    """What a defender knows of each map from images of its own; fixed before the first map is sent.

    Attributes:
        low, high: `(channels,)` lowest and highest value.
        mean, deviation: `(channels,)` mean and standard deviation over images and positions.
    """

    low: Floats
    high: Floats
    mean: Floats
    deviation: Floats

    def __post_init__(self) -> None:
        arrays = (self.low, self.high, self.mean, self.deviation)
        shapes = [array.shape for array in arrays]
        if len(shapes[0]) != 1 or len(set(shapes)) != 1:
            raise ValueError(f"`low`, `high`, `mean` and `deviation` must be (channels,) each; got {shapes}.")
        if not np.isfinite(np.stack(arrays)).all():
            raise ValueError("`low`, `high`, `mean` and `deviation` must be finite; got NaN or infinity.")
        if not ((self.low <= self.mean) & (self.mean <= self.high) & (self.deviation >= 0)).all():
            raise ValueError("`low` <= `mean` <= `high` and `deviation` >= 0 must hold; one map breaks that.")


def map_statistics(maps: NDArray[Any], batch: int = 64) -> MapStatistics:
    """Measure each map's range, mean and deviation over all images and positions.

    Args:
        maps: `(count, height, width, channels)` of float16 or float32, also a memory map; read in order, once.
        batch: images in memory at a time.

    Raises:
        InputError: there are no maps, or they have not four axes.
        ValueError: a value is not finite.
    """
    if maps.ndim != 4 or not maps.size:
        raise InputError(f"`maps` must be (count, height, width, channels), none 0; got {maps.shape}.")
    channels, count = maps.shape[-1], maps.size // maps.shape[-1]
    low, high = np.full(channels, np.inf), np.full(channels, -np.inf)
    total, squares = np.zeros(channels), np.zeros(channels)
    for start in range(0, len(maps), batch):
        values = np.asarray(maps[start : start + batch], np.float64).reshape(-1, channels)
        low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
        total += values.sum(axis=0)
        squares += np.einsum("ic,ic->c", values, values)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    return MapStatistics(*(array.astype(np.float32) for array in (low, high, mean, deviation)))


def defend_maps(
    maps: NDArray[Any], defense: Defense, statistics: MapStatistics | None, *, seed: int
) -> NDArray[Any]:
    """Return what travels in place of the maps, as the tail and the adversary see it.

    Args:
        maps: `(batch, height, width, channels)` of float16 or float32; left as they are.
        defense: what is done to them.
        statistics: of the defender's own maps; `KeptMaps` needs none.
        seed: of the noise. One seed is one draw: two batches need two seeds, or their noise is the same.

    Returns:
        A new array of the shape and type of `maps`. Levels and noise are computed in float32 and then rounded to it.

    Raises:
        InputError: `maps` are not floats of four axes, have other channels than `statistics` or fewer than `kept`
            names, or `statistics` is missing.
    """
    if maps.ndim != 4 or maps.dtype not in (np.float16, np.float32):
        raise InputError(
            f"`maps` must be float16 or float32 (batch, height, width, channels); got {maps.dtype} {maps.shape}."
        )
    if isinstance(defense, KeptMaps):
        return _keep(maps, defense)
    if statistics is None or statistics.low.shape != maps.shape[-1:]:
        got = None if statistics is None else len(statistics.low)
        raise InputError(f"`statistics` must be of {maps.shape[-1]} maps; got {got}.")
    if isinstance(defense, QuantizedMaps):
        return _quantize(maps, defense, statistics)
    noise = np.random.default_rng(derive(seed, "map noise")).standard_normal(maps.shape, np.float32)
    noise *= np.float32(defense.deviation) * statistics.deviation
    noise += maps
    return noise.astype(maps.dtype, copy=False)


def bytes_per_image(map_shape: tuple[int, int, int], defense: Defense | None) -> int:
    """Return how many bytes travel for one image; None is no defence.

    Values travel as float16, quantised ones as their bits, packed and rounded up to whole bytes per image. Which maps
    are sent and what their ranges are is agreed beforehand. Coding and compression are not counted: noise, which
    changes nothing here, makes maps harder to compress.

    Args:
        map_shape: `(height, width, channels)`.

    Raises:
        InputError: `defense` keeps a map that is none.
    """
    height, width, channels = map_shape
    if isinstance(defense, QuantizedMaps):
        return -(-height * width * channels * defense.bits // 8)
    if isinstance(defense, KeptMaps):
        _check_kept(defense, channels)
        channels = len(defense.kept)
    return BYTES_OF_FLOAT * height * width * channels


def _keep(maps: NDArray[Any], defense: KeptMaps) -> NDArray[Any]:
    _check_kept(defense, maps.shape[-1])
    kept = list(defense.kept)
    sent = np.zeros(maps.shape, maps.dtype)
    sent[..., kept] = maps[..., kept]
    return sent


def _quantize(maps: NDArray[Any], defense: QuantizedMaps, statistics: MapStatistics) -> NDArray[Any]:
    levels = 2**defense.bits
    span = np.float32(SPAN + SPAN_PER_BIT * defense.bits) * statistics.deviation
    low = np.maximum(statistics.low, statistics.mean - span)
    step = (np.minimum(statistics.high, statistics.mean + span) - low) / levels
    divisor = np.where(step > 0, step, 1)  # a map that never changes has the one level that it has
    number = np.clip(np.floor((maps - low) / divisor), 0, levels - 1)
    return (low + (number + np.float32(0.5)) * step).astype(maps.dtype)


def _check_kept(defense: KeptMaps, channels: int) -> None:
    if max(defense.kept) >= channels:
        raise InputError(f"`kept` must be numbers < {channels}, the number of maps; got {max(defense.kept)}.")
