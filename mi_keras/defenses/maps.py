"""Defences that change the feature maps before they travel: fewer maps (split 7), fewer bits, noise."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mi_keras.defenses.defense import AddedNoise, Defense, bytes_of, straight_through
from mi_keras.errors import InputError
from mi_keras.progress import Arrays
from mi_keras.settings import check_whole
from mi_keras.types import Floats, Rows

if TYPE_CHECKING:
    import tensorflow as tf

MOST_BITS = 8
# Standard deviations from a map's mean to the ends of the range that b bits share out: 0.5 + 0.8 b. For a Laplace
# distribution, heavy-tailed as activations are, no other ends have a squared error smaller by more than 5 % (Banner et
# al. 2019 have such ends). With the extremes as ends, one bright position of millions sets the step of all others.
SPAN, SPAN_PER_BIT = 0.5, 0.8


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


def map_statistics(maps: Rows, batch: int = 64) -> MapStatistics:
    """Measure each map's range, mean and deviation over all images and positions.

    Args:
        maps: `(count, height, width, channels)` of float16 or float32, also a memory map; read in order, once.
        batch: images in memory at a time.

    Raises:
        InputError: there are no maps, or they have not four axes.
        ValueError: a value is not finite.
    """
    if len(maps.shape) != 4 or not np.prod(maps.shape):
        raise InputError(f"`maps` must be (count, height, width, channels), none 0; got {maps.shape}.")
    channels, count = maps.shape[-1], int(np.prod(maps.shape[:-1]))
    low, high, total, squares = np.repeat([[np.inf], [-np.inf], [0.0], [0.0]], channels, axis=1)
    for start in range(0, len(maps), batch):
        values = np.asarray(maps[start : start + batch], np.float64).reshape(-1, channels)
        low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
        total += values.sum(axis=0)
        squares += np.einsum("ic,ic->c", values, values)
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    return MapStatistics(*(array.astype(np.float32) for array in (low, high, mean, deviation)))


@dataclass(frozen=True)
class KeptMaps(Defense):
    """Sends some of the maps. For the tail and the adversary, who both know which, the others are 0 (split 7).

    Attributes:
        kept: numbers of the maps that are sent, from 0; at least one, each once, in any order.
    """

    kept: tuple[int, ...] = (0,)

    of_maps: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        kept = self.kept if isinstance(self.kept, tuple | list) else ()
        negative = any(isinstance(number, int) and number < 0 for number in kept)
        if negative or not 0 < len(kept) == len(set(kept)):
            raise InputError(f"`kept` must be one or more different numbers >= 0; got {self.kept!r}.")
        for number in kept:
            check_whole("kept", number, 0)

    @property
    def words(self) -> str:
        return f"{len(self.kept)} map{'s' if len(self.kept) > 1 else ''}"

    def apply(self, values: NDArray[Any], measured: Arrays, *, seed: int) -> NDArray[Any]:
        _check_maps(values)
        self._check_kept(values.shape[-1])
        sent = np.zeros(values.shape, values.dtype)
        sent[..., self.kept] = values[..., self.kept]
        return sent

    def in_graph(self, values: "tf.Tensor", measured: Arrays) -> "tf.Tensor":
        return values * np.isin(np.arange(values.shape[-1]), self.kept).astype(np.float32)

    def bytes_per_image(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of the maps that are sent; which ones is agreed beforehand. Raises `InputError` where a
        number is too high."""
        self._check_kept(shape[-1])
        return bytes_of((*shape[:-1], len(self.kept)))

    def _check_kept(self, channels: int) -> None:
        if max(self.kept) >= channels:
            raise InputError(
                f"`kept` must be numbers < {channels}, the number of maps; got {max(self.kept)}."
            )


class _Measuring(Defense):
    """Looks at each map of the defender's own before the first is sent."""

    measures: ClassVar[str] = "map_statistics"
    of_maps: ClassVar[bool] = True

    def measure(self, values: Rows) -> Arrays:
        return asdict(map_statistics(values))


@dataclass(frozen=True)
class QuantizedMaps(_Measuring):
    """Rounds every value to the nearest of 2**bits levels, evenly spaced over the range of its map.

    The levels are the middles of 2**bits equal parts of the range (with one bit at a quarter and three quarters), which
    minimises the squared error of uniform values. The range goes from the map's lowest to its highest value, but at
    most 0.5 + 0.8 * bits standard deviations from its mean. Values outside take the nearest level.

    Attributes:
        bits: bits per value, 1 to 8.
    """

    bits: int = 4

    differentiable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("bits", self.bits, 1, MOST_BITS)

    @property
    def words(self) -> str:
        return f"{self.bits} bit{'s' if self.bits != 1 else ''} a value"

    def apply(self, values: NDArray[Any], measured: Arrays, *, seed: int) -> NDArray[Any]:
        """Return the levels, computed in float32."""
        low, step, divisor = self._levels(_statistics(values, measured))
        number = np.clip(np.floor((values - low) / divisor), 0, 2**self.bits - 1)
        return (low + (number + np.float32(0.5)) * step).astype(values.dtype)

    def in_graph(self, values: "tf.Tensor", measured: Arrays) -> "tf.Tensor":
        import tensorflow as tf

        low, step, divisor = self._levels(MapStatistics(**measured))
        number = tf.clip_by_value(tf.floor((values - low) / divisor), 0.0, 2.0**self.bits - 1)
        return straight_through(values, low + (number + 0.5) * step)

    def _levels(self, statistics: MapStatistics) -> tuple[Floats, Floats, Floats]:
        """Return `(channels,)` where the range of each map begins, the distance of its levels, and what to divide by."""
        span = np.float32(SPAN + SPAN_PER_BIT * self.bits) * statistics.deviation
        low = np.maximum(statistics.low, statistics.mean - span)
        step = (np.minimum(statistics.high, statistics.mean + span) - low) / 2**self.bits
        return (
            low,
            step,
            np.where(step > 0, step, 1),
        )  # a map that never changes has the one level that it has

    def bytes_per_image(self, shape: tuple[int, ...]) -> int:
        """Return the bytes of all values packed, rounded up per image."""
        return -(-int(np.prod(shape)) * self.bits // 8)


@dataclass(frozen=True)
class NoisyMaps(_Measuring, AddedNoise):
    """Adds independent Gaussian noise to every value, in proportion to the standard deviation of its map.

    The tail and a decoder can rescale maps in their first layer, so only the noise-to-signal ratio of each map matters.
    The same noise on all maps would hide only those with small values, which is a choice of maps as in `KeptMaps`.
    Noise makes maps harder to compress; `bytes_per_image` does not count that.

    Attributes:
        deviation: standard deviation of the noise, divided by that of the map, > 0.
    """

    seed_name: ClassVar[str] = "map noise"

    @property
    def words(self) -> str:
        return f"noise of {self.deviation:g} deviation{'s' if self.deviation != 1 else ''}"

    def unit(self, values: NDArray[Any], measured: Arrays) -> Floats:
        return _statistics(values, measured).deviation


def _check_maps(values: NDArray[Any]) -> None:
    if values.ndim != 4 or values.dtype not in (np.float16, np.float32):
        raise InputError(
            f"`values` must be float16 or float32 (batch, height, width, channels); got {values.dtype} {values.shape}."
        )


def _statistics(values: NDArray[Any], measured: Arrays) -> MapStatistics:
    """Return what was measured of the maps, checked against those that are to be sent."""
    _check_maps(values)
    found = len(measured["low"]) if measured else None
    if found != values.shape[-1]:
        raise InputError(f"`measured` must be of {values.shape[-1]} maps; got {found}.")
    return MapStatistics(**measured)
