"""Inference of trained networks: from inputs to images, in one graph for all networks of an architecture."""

from collections.abc import Callable, Hashable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mi_keras.models.variables import with_weights
from mi_keras.progress import Arrays
from mi_keras.types import Floats, Rows

Decode = Callable[[keras.Model, tf.Tensor], tf.Tensor]  # a network and its inputs to images in [0, 1]


class Drawer:
    """A network that draws images; it is traced once.

    Args:
        model: may be given other weights between two drawings.
        like: rows of the shape and type that it takes.
    """

    def __init__(self, model: keras.Model, decode: Decode, like: Rows) -> None:
        self.model = model
        traced = tf.function(lambda batch: decode(model, batch), autograph=False)
        self._decode = traced.get_concrete_function(tf.TensorSpec([None, *like.shape[1:]], like.dtype))

    def draw(self, inputs: Rows, *, batch: int, label: str, epochs: int) -> Iterator[Floats]:
        """Yield images `(batch, height, width, channels)` in [0, 1].

        Raises:
            FloatingPointError: as of `finite`.
        """
        for start in range(0, len(inputs), batch):
            images = self._decode(tf.constant(inputs[start : start + batch])).numpy()
            yield finite(images, label, f"epoch {epochs}, the last")


def finite(images: Floats, label: str, after: str = "the last epoch") -> Floats:
    """Return images that a network drew.

    Raises:
        FloatingPointError: one is not finite, as after a last update that no loss was taken of.
    """
    if not np.isfinite(images).all():
        raise FloatingPointError(f"{label}: an image is not finite after {after}.")
    return images


class DrawerPool:
    """Keeps unused drawers, so that networks of one architecture that draw one after another share a graph.

    Who draws takes the drawer out of the pool, and it comes back at the end: drawings that overlap never share one, and one
    that is not finished loses it.

    Args:
        size: drawers kept at most, those used last.
    """

    def __init__(self, *, size: int) -> None:
        self._size = size
        self._unused: dict[Hashable, Drawer] = {}  # oldest first

    def draw(
        self,
        architecture: Hashable,
        build: Callable[[], keras.Model],
        decode: Decode,
        weights: Arrays,
        inputs: Rows,
        **how: Any,
    ) -> Iterator[Floats]:
        """Yield what a network with these weights draws; `how` and errors as of `Drawer.draw`.

        Args:
            architecture: equal for two only if networks, inputs and `decode` differ in nothing but values.
            build: makes the network, whose weights are then those given.
            weights: as of `variables.weights_of`.
        """
        drawer = self._unused.pop(architecture, None) or Drawer(build(), decode, inputs)
        with_weights(drawer.model, weights)
        yield from drawer.draw(inputs, **how)
        self._unused[architecture] = drawer
        while len(self._unused) > self._size:
            del self._unused[next(iter(self._unused))]
