"""Shadow models of an audited model: how they are built, trained on labels and queried."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.auditing.bench import Answer
from mi_keras.auditing.permuted import Permuted
from mi_keras.auditing.subject import Subject, prepared
from mi_keras.models.shadow import Shadow
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.training.loop import Examples, FitSettings, FitterPool
from mi_keras.training.schedules import cosine
from mi_keras.types import Ints, Rows

BATCH_SIZE, LEARNING_RATE = 32, 1e-3
PROBED = 8  # images
ANSWERED = 256  # images answered together


class Prepared:
    """Images as a model takes them in, prepared on the way (see `types.Rows`)."""

    def __init__(self, subject: Subject, images: NDArray[Any]) -> None:
        self._subject, self._images = subject, images
        first = self[:1]
        self.shape, self.dtype = (len(images), *first.shape[1:]), first.dtype

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        image = self._subject.image
        return prepared(self._images[rows], image.shape[1:3], self._subject.prepare, image.dtype)


def fresh(subject: Subject, seed: int) -> Shadow:
    """Return an untrained model of the same architecture, behind what is public of it."""
    return Shadow(subject.model, subject.output_name, public=subject.public, fix=subject.fix, seed=seed)


def trained(
    subject: Subject, given: Rows, labels: Ints, part: NDArray[np.int64], epochs: int, run: Run
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Return a shadow model that was trained on some rows, and its loss curve.

    Args:
        given: what a shadow takes in; `labels`: of all rows.
        part: the rows.
        run: its seed says where training starts, and in which order it goes.
    """
    seed = derive(run.seed, "initial")
    model = fresh(subject, seed).whole
    history = _fitters.fit(
        model, (subject.target(subject.output_name).identity, subject.public), Examples(Permuted(given, part), labels[part]),
        FitSettings(epochs, BATCH_SIZE, LEARNING_RATE, cosine(epochs)), loss=LOSSES[subject.output.kind], run=run,
        another=lambda: fresh(subject, seed).whole,
    )  # fmt: skip
    return model, history


def obstacle(subject: Subject, given: Rows, labels: Ints) -> str:
    """Return why an architecture cannot be trained anew, in a few words; "" where nothing is known. It is tried."""
    model, other = (fresh(subject, seed).whole for seed in (1, 2))
    weights = model.trainable_variables
    if not weights:
        return "it has no weights to train"
    random = [
        np.array_equal(one, another)
        for one, another in zip(weights, other.trainable_variables, strict=True)
        if np.ptp(one) > 0
    ]
    if random and all(random):
        return "its code fixes its initial weights"
    with tf.GradientTape() as tape:
        answers = model(_single(tf.constant(given[:PROBED])), training=True)
        loss = tf.reduce_sum(LOSSES[subject.output.kind](tf.constant(labels[:PROBED]), answers))
    gradients = tape.gradient(loss, [each.value for each in weights])
    return "weights of it have no gradient" if any(each is None for each in gradients) else ""


def answer_of(model: keras.Model, given: Rows) -> Answer:
    """Return a model in inference mode as a function of such rows to float32."""
    seen = tf.TensorSpec([None, *given.shape[1:]], given.dtype)
    call = tf.function(lambda batch: model(_single(batch), training=False), [seen], autograph=False)
    return lambda batch: np.asarray(call(tf.constant(batch)), np.float32)


def accuracy(model: keras.Model, subject: Subject, given: Rows, labels: Ints) -> float:
    """Return how often a model is right."""
    answer = answer_of(model, given)
    parts = [answer(given[start : start + ANSWERED]) for start in range(0, len(given), ANSWERED)]
    return float(np.mean(subject.output.classes_of(np.concatenate(parts)) == labels))


def _single(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.float32) if values.dtype == tf.float16 else values


def _of_logits(labels: tf.Tensor, answers: tf.Tensor) -> tf.Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, answers)


def _of_probabilities(labels: tf.Tensor, answers: tf.Tensor) -> tf.Tensor:
    return keras.losses.sparse_categorical_crossentropy(labels, answers)


def _of_one_unit(labels: tf.Tensor, answers: tf.Tensor) -> tf.Tensor:
    return keras.losses.binary_crossentropy(tf.cast(labels, tf.float32)[:, None], answers)


LOSSES = {"logits": _of_logits, "probabilities": _of_probabilities, "one sigmoid unit": _of_one_unit}
_fitters = FitterPool(size=1)
