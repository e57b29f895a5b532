"""Sends less than the logits: probabilities, perhaps rounded or only the largest, or nothing but the label.

Attacks get the values in the form that tells an adversary most: probabilities as their logarithms.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from mi_keras.defenses.defense import MOST_DECIMALS, Defense
from mi_keras.errors import InputError
from mi_keras.progress import Arrays
from mi_keras.settings import check_whole

SMALLEST = 1e-38  # a probability that float32 cannot hold is one below this


@dataclass(frozen=True)
class Probabilities(Defense):
    """Sends probabilities instead of logits.

    Attributes:
        decimals: decimals that they are rounded to, 0 to 7; -1: not rounded. A probability that becomes 0 counts as
            half of the last decimal.
        top: number of largest probabilities that are sent; 0: all. Each other one counts as half of the smallest that
            is sent.
    """

    decimals: int = -1
    top: int = 0

    def __post_init__(self) -> None:
        check_whole("decimals", self.decimals, -1, MOST_DECIMALS)
        check_whole("top", self.top, 0)

    @property
    def words(self) -> str:
        said = "probabilities"
        if self.decimals >= 0:
            said += f", {self.decimals} decimal{'' if self.decimals == 1 else 's'}"
        return f"{said}, largest {self.top} alone" if self.top else said

    def apply(self, values: NDArray[Any], measured: Arrays, *, seed: int) -> NDArray[Any]:
        """Return the logarithms of the probabilities that are sent, `(count, classes)`.

        Raises:
            InputError: `top` is larger than the number of classes.
        """
        if self.top > values.shape[1]:
            raise InputError(f"`top` must be <= {values.shape[1]}, the number of classes; got {self.top!r}.")
        shares = softmax(values.astype(np.float64), axis=1)
        if self.decimals >= 0:
            shares = np.round(shares, self.decimals)
        shown = np.maximum(shares, 0.5 * 10.0**-self.decimals if self.decimals >= 0 else SMALLEST)
        if self.top:
            kept = np.argsort(-shown, axis=1, kind="stable")[:, : self.top]
            hidden = np.repeat(0.5 * np.take_along_axis(shown, kept[:, -1:], axis=1), shown.shape[1], axis=1)
            np.put_along_axis(hidden, kept, np.take_along_axis(shown, kept, axis=1), axis=1)
            shown = hidden
        return np.log(shown).astype(values.dtype)


@dataclass(frozen=True)
class LabelOnly(Defense):
    """Sends nothing but the predicted class, as one-hot."""

    @property
    def words(self) -> str:
        return "label alone"

    def apply(self, values: NDArray[Any], measured: Arrays, *, seed: int) -> NDArray[Any]:
        return np.eye(values.shape[1], dtype=values.dtype)[np.argmax(values, axis=1)]
