"""A head whose batch normalisation was left in training mode: the "frozen" encoder of the published split code."""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.models.mobilenet import SplitModel, cut_layer
from mi_keras.types import Floats

TOLERANCE = 1e-4


class UnfrozenHead:
    """A copy of a head that normalises by the batch, or by the statistics that batches have left behind.

    Its kernels, scales and offsets are those of the head, which stays as it was.

    # Deviates: what batches leave behind is the mean of their statistics, which a running mean of momentum 0.99
    # approaches over the thousands of steps of the published training.

    Weights whose normalisation was folded into the kernels have lost the statistics of the images that they were trained
    on; `unfold` puts those of other images in their place, and must be called before anything else where `is_folded`.
    """

    def __init__(self, split: SplitModel) -> None:
        inner = keras.Model(split.whole.input, cut_layer(split.whole, split.cut).output)
        self.model = keras.models.clone_model(inner)
        self.model.set_weights(inner.get_weights())
        kind = keras.layers.BatchNormalization
        self._norms = [layer for layer in self.model.layers if isinstance(layer, kind)]
        for layer in self._norms:
            layer.trainable = True
            layer.momentum = 0.0  # the running statistics are those of the last batch
        self._by_batch = tf.function(lambda images: self.model(images, training=True), autograph=False)
        self._by_running = tf.function(lambda images: self.model(images, training=False), autograph=False)

    @property
    def is_folded(self) -> bool:
        """Whether normalisation does nothing but add an offset."""
        return all(
            np.allclose(layer.moving_mean, 0, atol=TOLERANCE)
            and np.allclose(np.asarray(layer.moving_variance) + layer.epsilon, 1, atol=TOLERANCE)
            and np.allclose(layer.gamma, 1, atol=TOLERANCE)
            for layer in self._norms
        )

    def unfold(self, batches: Iterable[Floats]) -> None:
        """Take the statistics of images `(batch, height, width, 3)` in [0, 1] for those that the head was trained with.

        Scales and offsets become such that the head answers as before.
        """
        taps = keras.Model(self.model.input, [layer.input for layer in self._norms])
        moments = tf.function(
            lambda images: [
                (tf.reduce_mean(maps, (0, 1, 2)), tf.reduce_mean(maps**2, (0, 1, 2)))
                for maps in taps(images, training=False)
            ],
            autograph=False,
        )
        found = [
            [[np.asarray(value, np.float64) for value in pair] for pair in moments(images)]
            for images in batches
        ]
        for layer, pairs in zip(self._norms, zip(*found, strict=True), strict=True):
            mean, square = np.mean([pair[0] for pair in pairs], 0), np.mean([pair[1] for pair in pairs], 0)
            variance = np.maximum(square - mean**2, 0.0)
            before = np.asarray(layer.gamma) / np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)
            layer.beta.assign(np.asarray(layer.beta) + before * (mean - np.asarray(layer.moving_mean)))
            layer.gamma.assign(before * np.sqrt(variance + layer.epsilon))
            layer.moving_mean.assign(mean)
            layer.moving_variance.assign(variance)

    def by_batch(self, images: Floats) -> tuple[Floats, Floats]:
        """Return the maps of images normalised by their own statistics, and these, `(width,)`."""
        maps = self._by_batch(tf.constant(images, tf.float32)).numpy()
        return maps, np.concatenate([np.asarray(value).ravel() for value in self._running()])

    def remember(self, statistics: NDArray[np.floating]) -> None:
        """Take statistics, `(width,)` as `by_batch` returns them, for the running ones."""
        start = 0
        for variable in self._running():
            size = int(np.prod(variable.shape))
            variable.assign(statistics[start : start + size])
            start += size

    @property
    def width(self) -> int:
        """Number of statistics."""
        return sum(int(np.prod(variable.shape)) for variable in self._running())

    def by_running(self, images: Floats) -> Floats:
        """Return the maps of images normalised by what `remember` was given last."""
        maps: Floats = self._by_running(tf.constant(images, tf.float32)).numpy()
        return maps

    def _running(self) -> list[keras.Variable]:
        return [variable for norm in self._norms for variable in (norm.moving_mean, norm.moving_variance)]
