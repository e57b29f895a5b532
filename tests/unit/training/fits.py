"""Small models, problems and losses whose fits the tests of the loop compare."""

import functools

import keras
import numpy as np
import tensorflow as tf

from mi_keras.models.layers import BitDropout, FusedBatchNormalization
from mi_keras.progress import Run
from mi_keras.training.loop import Examples, FitSettings, Fitter

Fit = tuple[keras.Model, dict[str, list[float]]]


def cross_entropy(labels: tf.Tensor, outputs: dict[str, tf.Tensor]) -> tf.Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs["logits"])


def squared_error(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum((targets - outputs) ** 2, axis=1)


def linear_model(inputs: int = 3, outputs: int = 2) -> keras.Model:
    start = keras.initializers.GlorotUniform(seed=1)
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(outputs, kernel_initializer=start)])


def linear_problem(count: int = 40) -> Examples:
    draw = np.random.default_rng(8)
    return Examples(
        draw.standard_normal((count, 3), np.float32), draw.standard_normal((count, 2), np.float32)
    )


class Recorder:
    """A loss that notes, each time it is traced, so, and each time it runs, the targets it gets."""

    def __init__(self) -> None:
        self.traces, self.batches = 0, []

    def __call__(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        self.traces += 1
        tf.numpy_function(lambda batch: self.batches.append(batch[:, 0].tolist()), [targets], [])
        return squared_error(targets, outputs)


def numbered(count: int) -> Examples:
    return Examples(
        np.zeros((count, 3), np.float32), np.arange(2 * count, dtype=np.float32).reshape(count, 2) // 2
    )


def small_model(seed: int) -> keras.Model:
    """Of everything that a fit has to keep: weights, running statistics, the state of dropout."""
    images = keras.Input((8, 8, 1))
    initial = keras.initializers.GlorotUniform
    maps = keras.layers.Conv2D(3, 3, strides=3, kernel_initializer=initial(seed))(images)
    flat = keras.layers.Flatten()(FusedBatchNormalization()(maps))
    dropped = BitDropout(0.5, seed=seed)(flat)
    return keras.Model(
        images, {"logits": keras.layers.Dense(3, kernel_initializer=initial(seed + 1))(dropped)}
    )


def small_examples(count: int) -> Examples:
    draw = np.random.default_rng(count)
    return Examples(draw.random((count, 8, 8, 1), np.float32), draw.integers(0, 3, count))


@functools.cache
def alone(seed: int, count: int, settings: FitSettings) -> Fit:
    """What a fit gives that shares nothing with another and is not interrupted; not to be changed."""
    model, examples = small_model(seed), small_examples(count)
    return model, Fitter(model, cross_entropy).fit(examples, settings, run=Run(seed), validation=examples)


def assert_same_fit(first: tuple, second: tuple) -> None:
    assert first[1] == second[1]
    # 6 are trained, 2 are statistics, one is the state of dropout; of the CNN 16, 6 and one
    assert len(first[0].variables) == len(second[0].variables)
    assert len(first[0].variables) in (9, 23)
    for left, right in zip(first[0].variables, second[0].variables, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy(), err_msg=left.path)
