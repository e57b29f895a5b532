"""Trains a model to give another model's answers, without labels: a tail behind a defence, or a smaller network."""

from collections.abc import Callable

import keras
import tensorflow as tf

from mi_keras.progress import Run
from mi_keras.training.loop import Examples, FitSettings, FitterPool
from mi_keras.training.schedules import cosine
from mi_keras.training.settings import ImitationSettings
from mi_keras.types import Floats, Rows


def trainable_copy(tail: keras.Model) -> keras.Model:
    """Return a copy of a frozen tail whose weights, but for batch normalisation, can be trained."""
    copy = keras.models.clone_model(tail)
    copy.set_weights(tail.get_weights())
    copy.trainable = True
    for layer in copy.layers:  # one by one: what was frozen by itself does not follow the model
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    if not copy.trainable_weights:
        raise ValueError("a tail must have weights that can be trained; this one has none.")
    return copy


def tune_tail(
    tail: keras.Model, sent: Rows, answers: Floats, settings: ImitationSettings, *, run: Run
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train a copy of a tail until it answers what is sent behind a defence as it would answer without one.

    Args:
        tail: maps to logits; it stays as it is.
        sent: `(count, height, width, channels)` of the defender's own images behind the defence.
        answers: `(count, classes)` logits of the tail without a defence.

    Returns:
        The trained copy, and the curve of its mean KL divergence as `loss`.

    Raises:
        FloatingPointError: a loss is not finite.
    """
    model = trainable_copy(tail)
    return model, imitate(model, sent, answers, settings, run=run, another=lambda: trainable_copy(tail))


def imitate(
    model: keras.Model,
    inputs: Rows,
    answers: Floats,
    settings: ImitationSettings,
    *,
    run: Run,
    another: Callable[[], keras.Model] | None = None,
) -> dict[str, list[float]]:
    """Train a model in place towards given logits `(count, classes)`; return the curve of the mean KL divergence as `loss`.

    Args:
        another: as of `FitterPool.fit`.

    Raises:
        FloatingPointError: a loss is not finite.
    """
    how = FitSettings(settings.epochs, settings.batch_size, settings.learning_rate, cosine(settings.epochs))
    kind = (model.input_shape[1:], model.output_shape[1:], model.count_params())
    return _fitters.fit(
        model, kind, Examples(inputs, answers), how, loss=_divergence, run=run, another=another
    )


def _divergence(answers: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the KL divergence of answers from what is wanted, `(batch,)`."""
    wanted = tf.nn.log_softmax(answers)
    return tf.reduce_sum(tf.exp(wanted) * (wanted - tf.nn.log_softmax(logits)), axis=1)


_fitters = FitterPool(size=1)
