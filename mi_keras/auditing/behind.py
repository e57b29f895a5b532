"""Applies a defence to the kind of values that it is for, such as logits, whatever kind the model sends."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import softmax

from mi_keras.auditing.views import SMALLEST
from mi_keras.defenses.defense import Defense
from mi_keras.progress import Arrays
from mi_keras.types import Rows

PAIRS = 8  # of draws of noise, each with its opposite


@dataclass(frozen=True)
class Behind(Defense):
    """A defence in the numbers that it is for: of probabilities in their logarithm, of maps map by map.

    Attributes:
        inner: the defence.
        answers: what they are, of `views.KINDS`; "" for what a layer sends.
        maps: what is sent has four axes; else the last axis counts as maps of what a layer sends.
    """

    inner: Defense
    answers: str = ""
    maps: bool = False

    @property
    def draws(self) -> bool:  # type: ignore[override]
        return self.inner.draws

    @property
    def measures(self) -> str:  # type: ignore[override]
        return self.inner.measures

    @property
    def of_maps(self) -> bool:  # type: ignore[override]
        return self.maps

    @property
    def differentiable(self) -> bool:  # type: ignore[override]
        return self.inner.differentiable

    @property
    def words(self) -> str:
        return self.inner.words

    @property
    def identity(self) -> dict[str, Any]:
        return {**asdict(self), "inner": self.inner.identity, "name": type(self).__name__}

    def measure(self, values: Rows) -> Arrays:
        return self.inner.measure(values if len(values.shape) == 4 else as_maps(np.asarray(values[:])))

    def apply(self, values: NDArray[Any], measured: Arrays, *, seed: int) -> NDArray[Any]:
        sent = np.asarray(self.inner.apply(self.plain(values), measured, seed=seed), np.float32)
        return self._back(sent).reshape(values.shape).astype(values.dtype)

    def in_graph(self, values: tf.Tensor, measured: Arrays) -> tf.Tensor:
        """Return `Defense.in_graph` of what a layer sends."""
        maps = values if self.maps else tf.reshape(values, (tf.shape(values)[0], -1, 1, values.shape[-1]))
        return tf.reshape(self.inner.in_graph(maps, measured), tf.shape(values))

    def draws_in_graph(self, answers: tf.Tensor) -> tf.Tensor:
        """Return `(draws, batch, width)` of what is sent in place of an output, one where nothing is drawn.

        Their mean over any function of answers is what is to be expected of that function: noise on logits moves all
        log-probabilities on average. A draw and its opposite go together, so that their mean is 0.
        """
        plain, width = answers, answers.shape[1]
        if self.answers not in ("logits", "embedding"):
            plain = tf.math.log(tf.maximum(answers, SMALLEST))
        if self.answers in ("one sigmoid unit", "several labels"):
            plain -= tf.math.log(tf.maximum(1 - answers, SMALLEST))
        sent = self.inner.in_graph(plain, {})[None]
        if self.draws:
            noise = self.inner.apply(np.zeros((PAIRS, width), np.float32), {}, seed=1)
            sent += np.concatenate([noise, -noise])[:, None]
        if self.answers == "probabilities":
            return tf.nn.softmax(sent)
        return tf.sigmoid(sent) if self.answers in ("one sigmoid unit", "several labels") else sent

    def bytes_per_image(self, shape: tuple[int, ...]) -> int:
        return self.inner.bytes_per_image(shape)

    def plain(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return answers in the numbers that the defence is for."""
        if not self.answers:
            return values if values.ndim == 4 else as_maps(values)
        if self.answers in ("logits", "embedding"):
            return values
        shares = np.log(np.maximum(values, SMALLEST))
        return (
            shares if self.answers == "probabilities" else shares - np.log(np.maximum(1 - values, SMALLEST))
        )

    def _back(self, sent: NDArray[Any]) -> NDArray[Any]:
        if self.answers == "probabilities":
            return np.asarray(softmax(sent, axis=1))
        if self.answers in ("one sigmoid unit", "several labels"):
            return 0.5 * (1 + np.tanh(sent / 2))  # the logistic function, without overflow
        return sent


def as_maps(values: NDArray[Any]) -> NDArray[Any]:
    """Return what a layer sends as maps: of the last axis each number is one."""
    return values if values.ndim == 4 else values.reshape(len(values), -1, 1, values.shape[-1])
