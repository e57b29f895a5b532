"""Defences that change the output vector before the adversary sees it: rounding and truncation (thesis 5.3, 5.4)."""

from dataclasses import dataclass

import numpy as np

from mi_keras.errors import InputError
from mi_keras.types import Floats, Observation

MOST_DECIMALS = 7  # float32 holds no more


@dataclass(frozen=True)
class Rounding:
    """Rounds every value of the output vector (thesis 5.3, which rounds to one decimal).

    Attributes:
        decimals: digits kept after the point, in 0..7.
    """

    decimals: int

    def __post_init__(self) -> None:
        if not 0 <= self.decimals <= MOST_DECIMALS:
            raise InputError(f"`decimals` must be between 0 and {MOST_DECIMALS}; got {self.decimals!r}.")

    def apply(self, output_vector: Floats) -> Floats:
        """Return the nearest numbers of `decimals` decimals, of two equally near ones the even; never -0.

        Args:
            output_vector: `(count, classes)` float32.
        """
        # in float64 the product with the power of ten is exact, so that only true ties count as ties
        rounded = np.round(output_vector.astype(np.float64), self.decimals)
        return (rounded + 0.0).astype(np.float32)  # -0.0 + 0.0 is 0.0: a sign of zero would leak the logit's


@dataclass(frozen=True)
class Truncation:
    """Keeps the largest values of the output vector and sets the rest to 0 (thesis 5.4).

    The text leaves open whether its vector holds logits or probabilities. Among logits a 0 is not "nothing": it is
    above every negative value that is kept, so that the predicted class can change. That happens only where fewer
    than all values are kept and none of them is positive.

    Attributes:
        top: k, how many values are kept, at least 1; of equal values those of the lower classes.
    """

    top: int

    def __post_init__(self) -> None:
        if not self.top >= 1:
            raise InputError(f"`top` must be >= 1; got {self.top!r}.")

    def apply(self, output_vector: Floats) -> Floats:
        """Return the vectors with all but their `top` largest values set to 0.

        Args:
            output_vector: `(count, classes)` float32.

        Raises:
            InputError: `top` is larger than the number of classes.
        """
        classes = output_vector.shape[1]
        if self.top > classes:
            raise InputError(f"`top` must be <= {classes}, the number of classes; got {self.top!r}.")
        kept = np.argsort(-output_vector, axis=1, kind="stable")[:, : self.top]
        truncated = np.zeros_like(output_vector)
        np.put_along_axis(truncated, kept, np.take_along_axis(output_vector, kept, axis=1), axis=1)
        return truncated


Defense = Rounding | Truncation


def defend(observation: Observation, defense: Defense) -> Observation:
    """Return what the adversary sees of an observation once its output vectors are defended."""
    return Observation(defense.apply(observation.output_vector))
