"""Defences that train another model to answer instead of the protected one: distillation (thesis 7), label
smoothing."""

from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from mi_keras.data.preprocess import as_unit
from mi_keras.defenses.defense import MOST_DECIMALS, Defense
from mi_keras.errors import InputError
from mi_keras.models.copies import drawn_anew
from mi_keras.models.target import output_of
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import check_positive, check_whole
from mi_keras.training.loop import Examples, FitSettings, Fitter
from mi_keras.types import Floats, Images

BATCH = 256  # images answered together
POINT = "logits"  # of several outputs


@dataclass(frozen=True)
class Distillation(Defense):
    """Answers with a student: a new model of the teacher's size that learned the teacher's rounded probabilities.

    It is trained with cross-entropy on the teacher's probabilities at a temperature, rounded to some decimals (Hinton et al.
    2015). The student never sees what the teacher's logits hold beyond the rounded probabilities.

    Attributes:
        decimals: decimals of the probabilities that are kept, 0 to 7.
        temperature: number that the logits of both models are divided by before the softmax, > 0.
        epochs, batch_size, learning_rate: of the student's training.
    """

    decimals: int = 1
    temperature: float = 1.0
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3

    hardens: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("decimals", self.decimals, 0, MOST_DECIMALS)
        check_positive("temperature", self.temperature)
        _check_training(self.epochs, self.batch_size, self.learning_rate)

    @property
    def words(self) -> str:
        return f"distillation to {self.decimals} decimal{'' if self.decimals == 1 else 's'}"

    def harden(self, model: keras.Model, images: Images, run: Run) -> keras.Model:
        """Return the student, trained on images `(count, height, width, channels)` in [0, 1].

        Raises:
            FloatingPointError: a loss is not finite.
        """
        student = drawn_anew(model, derive(run.seed, "student"))
        Fitter(student, self._loss).fit(
            Examples(as_unit(images.images), self._answers(model, images)),
            FitSettings(self.epochs, self.batch_size, self.learning_rate),
            run=run,
        )
        return student

    def _answers(self, teacher: keras.Model, images: Images) -> Floats:
        """Return the teacher's probabilities, rounded; where all become 0, the largest is 1."""
        batches = [as_unit(images.images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        logits = np.concatenate([output_of(teacher(each, training=False), POINT) for each in batches])
        rounded = np.round(tf.nn.softmax(logits / self.temperature).numpy(), self.decimals)
        lost = rounded.sum(axis=1) == 0
        rounded[lost, logits[lost].argmax(axis=1)] = 1
        return np.asarray(rounded / rounded.sum(axis=1, keepdims=True), np.float32)

    def _loss(self, probabilities: tf.Tensor, answers: Any) -> tf.Tensor:
        return tf.nn.softmax_cross_entropy_with_logits(
            probabilities, output_of(answers, POINT) / self.temperature
        )


@dataclass(frozen=True)
class LabelSmoothing(Defense):
    """Answers with a new model of the same size, trained on labels that are mixed with the uniform distribution.

    Cross-entropy to (1 - share) * one-hot + share / classes (Struppek et al. 2024, who report that in class inversion a
    positive share helps the attack and a negative one hinders it). Below 0 the loss is unbounded: the model grows surer
    as long as it is trained.

    Attributes:
        share: weight of the uniform distribution, -1 <= share < 1, not 0; below 0 other classes have negative weights.
        epochs, batch_size, learning_rate: of its training.
    """

    share: float = 0.1
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3

    hardens: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.share, Real) and -1 <= self.share < 1 and self.share):
            raise InputError(f"`share` must be >= -1 and < 1, and not 0; got {self.share!r}.")
        _check_training(self.epochs, self.batch_size, self.learning_rate)

    @property
    def words(self) -> str:
        return f"label smoothing of {self.share:g}"

    def harden(self, model: keras.Model, images: Images, run: Run) -> keras.Model:
        """Return the model, trained on images `(count, height, width, channels)` in [0, 1] with their labels.

        Raises:
            FloatingPointError: a loss is not finite.
        """
        smooth = drawn_anew(model, derive(run.seed, "smooth"))
        classes = output_of(model(as_unit(images.images[:1]), training=False), POINT).shape[1]
        labels = (1 - self.share) * np.eye(classes)[images.labels] + self.share / classes
        Fitter(smooth, _cross_entropy).fit(
            Examples(as_unit(images.images), labels.astype(np.float32)),
            FitSettings(self.epochs, self.batch_size, self.learning_rate),
            run=run,
        )
        return smooth


def _cross_entropy(targets: tf.Tensor, answers: Any) -> tf.Tensor:
    return tf.nn.softmax_cross_entropy_with_logits(targets, output_of(answers, POINT))


def _check_training(epochs: int, batch_size: int, learning_rate: float) -> None:
    check_positive("learning_rate", learning_rate)
    if epochs < 1 or batch_size < 2:
        raise InputError(f"`epochs` must be >= 1 and `batch_size` >= 2; got {epochs!r} and {batch_size!r}.")
