"""The model as an adversary with its weights differentiates it: from what is reconstructed to what is sent, in one graph."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mi_keras.auditing.model_input import CONVERSIONS
from mi_keras.auditing.subject import ATTACKED, Subject, computes_in_half
from mi_keras.auditing.views import SMALLEST, Output, View
from mi_keras.models.target import Target

PROBED = 8  # images
REACH = 0.05  # of a finite difference, the length of all changes of pixels together
FAR = 0.5  # of the larger of both: gradients that differ by more are none


class Sends(keras.Model):
    """Images as they are reconstructed, in [0, 1], to what the adversary sees of them.

    They are brought to the size of what the model takes in and prepared as it expects. What has no gradient is left as it
    is before: answers are not rounded, and the columns that tell the class are 0.
    """

    def __init__(self, subject: Subject, point: str, view: View, *, with_class: bool) -> None:
        super().__init__()
        self.subject, self.view, self.with_class = subject, view, with_class
        self.head = subject.target(point).head
        given = subject.sides[ATTACKED].images.shape[1:3]
        self.size = [wanted or found for wanted, found in zip(subject.image.shape[1:3], given, strict=True)]

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        if self.size != list(images.shape[1:3]):
            images = tf.image.resize(images, self.size, method="bilinear", antialias=True)
        sent = tf.cast(self.head(self.subject.prepare(images), training=False), tf.float32)
        if len(sent.shape) == 4:
            return sent
        rows = tf.shape(sent)[0]
        if self.with_class:
            told = tf.zeros((rows, self.subject.classes))
            return tf.concat([shown(self.view, sent, self.subject.output), told], axis=1)
        return tf.concat([tf.reshape(sent, (rows, -1)), tf.ones((rows, 1))], axis=1)


def sends(subject: Subject, point: str, view: View, *, with_class: bool) -> Target:
    """Return what an adversary with the weights holds: a target without tail, whose head is a `Sends`."""
    target = subject.target(point)
    head = Sends(subject, point, view, with_class=with_class)
    head.trainable = False
    return Target(head, None, target.point, target.identity)


def shown(view: View, values: tf.Tensor, output: Output) -> tf.Tensor:
    """Return `View.features` of a batch of answers without its rounding, as a function that has gradients."""
    if view.form in ("raw", "logits"):
        return _largest(view, values)
    least = np.log(SMALLEST if view.decimals < 0 else 0.5 * 10.0**-view.decimals)
    if output.kind == "logits":
        return _largest(view, tf.maximum(tf.nn.log_softmax(values), least))
    logs = _largest(view, tf.maximum(tf.math.log(tf.maximum(values, SMALLEST)), least))
    if output.kind == "probabilities":
        return logs
    return logs - tf.maximum(tf.math.log(tf.maximum(1 - values, SMALLEST)), least)


def obstacle(subject: Subject) -> str:
    """Return why nobody can differentiate a model, as it is prepared for, in a few words; "" where nothing is known."""
    if np.dtype(subject.image.dtype).kind in "iu":
        return "the model takes in whole numbers"
    if subject.prepare not in CONVERSIONS.values():
        return "what prepares its input is a function of NumPy, which has no gradients"
    if subject.random:
        return "the model answers at random"
    if computes_in_half(subject.model):
        return "the model computes in half precision"
    return ""


def probe(target: Target, images: np.ndarray[Any, Any]) -> Mapping[str, float]:
    """Return for how large a `share` of images the gradients of a random sum of what is sent agree with differences.

    Quantised models have gradients that are not those of their answers.
    """
    answer, given = target.differentiable(), tf.constant(images[:PROBED])
    weights = np.random.default_rng(1).standard_normal(answer(given).shape[1:]).astype(np.float32)

    def total(batch: tf.Tensor) -> tf.Tensor:
        answers = answer(batch)
        return tf.reduce_sum(weights * answers, axis=list(range(1, len(answers.shape))))

    with tf.GradientTape() as tape:
        tape.watch(given)
        sums = total(given)
    gradients = tape.gradient(sums, given)
    if gradients is None:
        return {"share": 0.0}
    length = tf.sqrt(tf.reduce_sum(gradients**2, axis=(1, 2, 3)))
    way = gradients / tf.maximum(length, 1e-30)[:, None, None, None]
    way = tf.where(length[:, None, None, None] > 0, way, tf.ones_like(way) / np.sqrt(np.prod(way.shape[1:])))
    slope = ((total(given + REACH * way) - total(given - REACH * way)) / (2 * REACH)).numpy()
    agree = np.abs(slope - length) <= FAR * np.maximum(np.abs(slope), length)
    return {"share": float(np.mean(agree & np.isfinite(length)))}


def _largest(view: View, values: tf.Tensor) -> tf.Tensor:
    if not view.top or view.top >= values.shape[1]:
        return values
    return tf.maximum(values, tf.math.top_k(values, view.top).values[:, -1:])
