"""The shadow model's last feature map that explains an output vector, as an input of the inversion model (thesis 7)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Fitted, Input
from mi_keras.attacks.class_images import class_average
from mi_keras.data.preprocess import as_unit
from mi_keras.errors import InputError
from mi_keras.models.target import Target, observed_at, output_of, points
from mi_keras.progress import Run
from mi_keras.settings import check_positive, check_whole
from mi_keras.training.optimizer import adam_direction
from mi_keras.types import Floats, Images, Observation

BATCH = 256  # images sent through the head, or maps optimised, together
Descent = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@dataclass(frozen=True)
class LastFeatureMap(Input):
    """The last feature map of the adversary's surrogate for which the surrogate gives the target's answer.

    Adam starts from the mean map of the predicted class over the adversary's own images and brings the answer of the
    surrogate's tail towards the observed vector. Values stay >= 0 where all mean maps are >= 0, as after a ReLU. Many
    maps give the same vector; this one is near the maps of its class.

    # Deviates: the text only names the idea. It leaves open where to start and how to choose among the maps.

    Attributes:
        steps: number of updates, always all of them.
        rate: step size, as a share of the standard deviation of the mean maps.
    """

    steps: int = 200
    rate: float = 0.02

    kind: ClassVar[str] = "last_feature_map"
    array: ClassVar[str] = "maps"
    label: ClassVar[str] = "F"
    needs: ClassVar[Access] = Access(surrogates=1, images=True)

    def __post_init__(self) -> None:
        check_whole("steps", self.steps, 1)
        check_positive("rate", self.rate)

    def seed_names(self, images: str) -> list[tuple[object, ...]]:
        return []  # it draws nothing

    def derive(self, observation: Observation, held: Holdings, run: Run) -> Fitted:
        """Return `maps`, `(count, height, width, channels)`, and `losses`, `(count,)`: the mean squared error of the answer.

        Raises:
            FloatingPointError: a loss is not finite; the message names `rate`.
            InputError: the surrogate has no feature map.
        """
        vectors, predicted = observation.vectors, observation.predicted_class
        cut = last_map(held.surrogate)
        means = _class_means(cut.head, held.own_images, held.classes)
        descend = self._descent(cut, observation.point, vectors.shape[1], means)
        found = []
        with run.progress.bar(run.label, len(vectors), "img") as bar:
            for start in range(0, len(vectors), BATCH):
                rows = slice(start, start + BATCH)
                found.append(descend(tf.constant(means[predicted[rows]]), tf.constant(vectors[rows])))
                bar.advance(len(found[-1][1]))
        maps, losses = (np.concatenate(part) for part in zip(*found, strict=True))
        if not np.isfinite(losses).all():
            raise FloatingPointError(
                f"last feature map: a loss is not finite; `rate` {self.rate} is too large."
            )
        return {"maps": maps, "losses": losses}, {}

    def _descent(self, cut: Target, output: str, classes: int, means: Floats) -> Descent:
        """Return the descent of one batch, from maps and observed vectors to maps and losses."""
        tail, step_size, least = cut.tail, self.rate * float(means.std()), float(means.min())
        assert tail is not None

        def losses(maps: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
            answers = output_of(tail(maps, training=False), output)
            return tf.reduce_mean(tf.math.squared_difference(answers, vectors), axis=1)

        shapes = ([None, *means.shape[1:]], [None, classes])

        @tf.function(autograph=False, input_signature=[tf.TensorSpec(shape, tf.float32) for shape in shapes])
        def descend(maps: tf.Tensor, vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            def body(
                step: tf.Tensor, maps: tf.Tensor, first: tf.Tensor, second: tf.Tensor
            ) -> tuple[tf.Tensor, ...]:
                with tf.GradientTape() as tape:
                    tape.watch(maps)
                    error = losses(maps, vectors)
                direction, first, second = adam_direction(tape.gradient(error, maps), first, second, step)
                maps = maps - step_size * direction
                return step + 1, tf.maximum(maps, 0.0) if least >= 0 else maps, first, second

            state = (tf.constant(1.0), maps, tf.zeros_like(maps), tf.zeros_like(maps))
            loop = tf.while_loop(lambda step, *_: step <= self.steps, body, state, parallel_iterations=1)
            return loop[1], losses(loop[1], vectors)

        return descend


def last_map(model: keras.Model) -> Target:
    """Return a model cut after its last feature map; raises `InputError` where no cut gives `(height, width, channels)`."""
    maps = [point for point in points(model) if len(point.shape) == 3 and not point.is_output]
    if not maps:
        raise InputError(f"`surrogates` must have a feature map to cut after; {model.name!r} has none.")
    return observed_at(model, maps[-1])


def _class_means(head: keras.Model, images: Images, classes: int) -> Floats:
    batches = range(0, len(images), BATCH)
    maps = [head(as_unit(images.images[start : start + BATCH]), training=False).numpy() for start in batches]
    return class_average(Images(np.concatenate(maps), images.labels, images.ids), classes)
