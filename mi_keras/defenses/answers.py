"""Defences that change the output vector before the adversary sees it: rounding and truncation (thesis 5.3, 5.4).

Noise and temperature are not in the thesis.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mi_keras.defenses.defense import MOST_DECIMALS, AddedNoise, Defense, straight_through
from mi_keras.errors import InputError
from mi_keras.progress import Arrays
from mi_keras.settings import check_positive, check_whole

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True)
class Rounding(Defense):
    """Rounds every value of the output vector (thesis 5.3, which rounds to one decimal).

    Attributes:
        decimals: digits kept after the point, in 0..7.
    """

    decimals: int = 1

    differentiable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("decimals", self.decimals, 0, MOST_DECIMALS)

    @property
    def words(self) -> str:
        return f"rounding to {self.decimals} decimal{'' if self.decimals == 1 else 's'}"

    def apply(self, values: NDArray[Any], measured: Arrays, *, seed: int) -> NDArray[Any]:
        """Return the values rounded to `decimals` decimals, ties to the even digit; -0 becomes 0."""
        # in float64 the product with the power of ten is exact, so that only true ties count as ties
        rounded = np.round(values.astype(np.float64), self.decimals)
        rounded += 0.0  # -0.0 + 0.0 is 0.0: a sign of zero would leak the logit's
        return rounded.astype(values.dtype)

    def in_graph(self, values: "tf.Tensor", measured: Arrays) -> "tf.Tensor":
        import tensorflow as tf

        return straight_through(values, tf.round(values * 10.0**self.decimals) / 10.0**self.decimals)


@dataclass(frozen=True)
class Truncation(Defense):
    """Keeps the largest values of the output vector and sets the rest to 0 (thesis 5.4).

    The thesis leaves open whether its vector holds logits or probabilities. A logit of 0 is above every negative logit
    that is kept, so the predicted class can change. That happens only where some values are dropped and no kept one is
    positive.

    Attributes:
        top: k, the number of values that are kept, >= 1; of equal values those with lower class numbers.
    """

    top: int = 1

    def __post_init__(self) -> None:
        check_whole("top", self.top, 1)

    @property
    def words(self) -> str:
        return f"truncation to the largest {self.top}"

    def apply(self, values: NDArray[Any], measured: Arrays, *, seed: int) -> NDArray[Any]:
        """Return the vectors `(count, classes)` with all but their `top` largest values set to 0.

        Raises:
            InputError: `top` is larger than the number of classes, or `values` are no vectors.
        """
        if values.ndim != 2:
            raise InputError(f"`values` must be output vectors (count, classes); got {values.shape}.")
        if self.top > values.shape[1]:
            raise InputError(f"`top` must be <= {values.shape[1]}, the number of classes; got {self.top!r}.")
        kept = np.argsort(-values, axis=1, kind="stable")[:, : self.top]
        truncated = np.zeros_like(values)
        np.put_along_axis(truncated, kept, np.take_along_axis(values, kept, axis=1), axis=1)
        return truncated


@dataclass(frozen=True)
class Noise(AddedNoise):
    """Adds independent Gaussian noise to every value of the output vector; not evaluated in the thesis.

    Attributes:
        deviation: standard deviation of the noise, in the units of the values, > 0.
    """

    @property
    def words(self) -> str:
        return f"noise of deviation {self.deviation:g}"


@dataclass(frozen=True)
class Temperature(Defense):
    """Divides the logits by a temperature, which makes the probabilities more equal; not in the thesis.

    The predicted class stays the same. Nothing is lost but float32 precision: the logarithms of the probabilities are
    the old logits on another scale, up to a constant.

    Attributes:
        temperature: number that the logits are divided by, > 0; above 1 the model seems less sure.
    """

    temperature: float = 2.0

    differentiable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive("temperature", self.temperature)

    @property
    def words(self) -> str:
        return f"temperature {self.temperature:g}"

    def apply(self, values: NDArray[Any], measured: Arrays, *, seed: int) -> NDArray[Any]:
        return (values / np.float32(self.temperature)).astype(values.dtype)

    def in_graph(self, values: "tf.Tensor", measured: Arrays) -> "tf.Tensor":
        return values / self.temperature
