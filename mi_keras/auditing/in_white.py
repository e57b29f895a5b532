"""The attacked model as a differentiable function for the white box: from a reconstruction to what is sent, in one
graph."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mi_keras.auditing.behind import Behind
from mi_keras.auditing.model_input import CONVERSIONS
from mi_keras.auditing.subject import ATTACKED, Subject
from mi_keras.auditing.views import SMALLEST, Output, View
from mi_keras.defenses.defense import straight_through
from mi_keras.errors import InputError
from mi_keras.models.copies import computes_in_half
from mi_keras.models.target import Target
from mi_keras.progress import Arrays

PROBED = 8  # images
REACH = 0.05  # of a finite difference, the length of all changes of pixels together
FAR = 0.5  # of the larger of both: gradients that differ by more are none


class Sends(keras.Model):
    """Images as they are reconstructed, in [0, 1], to what the adversary sees of them.

    They are brought to the size of what the model takes in and prepared as it expects. Gradients go straight through what is
    rounded or hidden; the columns that tell the class have none and are 0. Of what is drawn the mean is taken.
    """

    def __init__(
        self, subject: Subject, point: str, view: View, *, with_class: bool, defense: Behind | None = None,
        measured: Arrays | None = None,
    ) -> None:  # fmt: skip
        super().__init__(dtype="float32")  # whatever the user's own policy is
        self.subject, self.view, self.with_class = subject, view, with_class
        self.defense, self.measured = defense, dict(measured or {})
        self.head = subject.in_float32(point).head
        given = subject.sides[ATTACKED].images.shape[1:3]
        self.size = [wanted or found for wanted, found in zip(subject.image.shape[1:3], given, strict=True)]

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        if self.size != list(images.shape[1:3]):
            images = tf.image.resize(images, self.size, method="bilinear", antialias=True)
        sent = tf.cast(self.head(self.subject.prepare(images), training=False), tf.float32)
        rows = tf.shape(sent)[0]
        if self.with_class:
            draws = self.defense.draws_in_graph(sent) if self.defense else sent[None]
            features = shown(self.view, tf.reshape(draws, (-1, sent.shape[1])), self.subject.output)
            features = tf.reshape(features, (draws.shape[0], -1, features.shape[1]))
            told = tf.zeros((rows, self.subject.classes))
            return tf.concat([tf.reduce_mean(features, axis=0), told], axis=1)
        if self.defense:
            sent = self.defense.in_graph(sent, self.measured)
        if len(sent.shape) == 4:
            return sent
        return tf.concat([tf.reshape(sent, (rows, -1)), tf.ones((rows, 1))], axis=1)


def sends(
    subject: Subject, point: str, view: View, *, with_class: bool, defense: Behind | None = None,
    measured: Arrays | None = None,
) -> Target:  # fmt: skip
    """Return what an adversary with the weights holds: a target without tail, whose head is a `Sends`.

    Args:
        defense: that it knows and steps through; `measured`: as of `Defense.apply`.
    """
    target = subject.target(point)
    head = Sends(subject, point, view, with_class=with_class, defense=defense, measured=measured)
    head.trainable = False
    return Target(head, None, target.point, target.identity)


def shown(view: View, values: tf.Tensor, output: Output) -> tf.Tensor:
    """Return `View.features` of a batch of answers, with gradients that go straight through rounding and hiding."""
    return straight_through(_features(View(view.form), values, output), _features(view, values, output))


def _features(view: View, values: tf.Tensor, output: Output) -> tf.Tensor:
    if view.form in ("raw", "logits"):
        return _largest(view, _rounded(view, values))
    if output.kind == "logits" and view.decimals < 0:
        return _largest(view, tf.nn.log_softmax(values))
    shares = _rounded(view, tf.nn.softmax(values) if output.kind == "logits" else values)
    least = SMALLEST if view.decimals < 0 else np.float32(0.5 * 10.0**-view.decimals)
    logs = _largest(view, tf.math.log(tf.maximum(shares, least)))
    if output.kind in ("logits", "probabilities"):
        return logs
    return logs - tf.math.log(tf.maximum(1 - shares, least))


def _rounded(view: View, values: tf.Tensor) -> tf.Tensor:
    return values if view.decimals < 0 else tf.round(values * 10.0**view.decimals) / 10.0**view.decimals


def obstacle(subject: Subject, point: str) -> str:
    """Return why nobody can differentiate a model, as it is prepared for, in a few words; "" where nothing is known."""
    if np.dtype(subject.image.dtype).kind in "iu":
        return "the model takes in whole numbers"
    if subject.prepare not in CONVERSIONS.values():
        return "what prepares its input is a function of NumPy, which has no gradients"
    if subject.random:
        return "the model answers at random"
    try:
        head = subject.in_float32(point).head
    except InputError:
        return "a copy in single precision answers otherwise"
    return "parts of the model compute in half precision only" if computes_in_half(head) else ""


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
