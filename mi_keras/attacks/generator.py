"""Class inversion with a generator: the image that a model takes for most typical of a class, among plausible images.

This reconstructs no particular image: it uses only the predicted class. The generator learns from the adversary's own
images what images look like; then an input is searched whose image the model is sure of (compare Zhang et al. 2020,
whose generator is a GAN; this one is a network that draws an image from its principal components, standardised and with
noise on them).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import tensorflow as tf

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Attack, Evidence, Fitted
from mi_keras.attacks.drawers import finite
from mi_keras.attacks.drawing import Pairs, loaded, named, networks_of, train
from mi_keras.attacks.ridge import principal_axes
from mi_keras.data.preprocess import as_unit
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import (
    LARGEST,
    InverterSettings,
    check_not_negative,
    check_positive,
    check_whole,
)
from mi_keras.training.optimizer import adam_direction
from mi_keras.types import Floats

Step = Callable[..., tuple[tf.Tensor, ...]]


@dataclass(frozen=True)
class ClassGenerator(Attack):
    """The image of a generator for which the attacked model is most sure of the predicted class.

    Adam minimises cross-entropy to the class + weight / 2 * sum of squares of the generator's input (a standard normal
    prior) from several random inputs; the one with the smallest loss gives the image. All answers of one class give the
    same image.

    Attributes:
        units: length of the generator's input: principal components of the adversary's images.
        noise: standard deviation of the Gaussian noise on the components in training.
        steps, learning_rate: of the search.
        starts: number of random inputs to start from.
        weight: of the prior.
        searches: True: search for an input that the model is sure of, which needs the weights of the target. False:
            return the image of the zero input.
        settings: of the generator and its training.
    """

    units: int = 32
    noise: float = 0.3
    steps: int = 200
    learning_rate: float = 0.1
    starts: int = 8
    weight: float = 0.05
    searches: bool = True
    settings: InverterSettings = InverterSettings(dropout=(0.0, 0.0, 0.0))

    label: ClassVar[str] = "generator"
    gains_in_half: ClassVar[bool] = True
    tolerance: ClassVar[float] = 0.02  # what rounding grows to where a unit of the model switches on or off

    def __post_init__(self) -> None:
        for name in ("units", "steps", "starts"):
            check_whole(name, getattr(self, name), 1, LARGEST)
        check_positive("learning_rate", self.learning_rate)
        for name in ("noise", "weight"):
            check_not_negative(name, getattr(self, name))

    @property
    def needs(self) -> Access:
        return Access(images=True, weights=self.searches)

    @property
    def start(self) -> "ClassGenerator | None":
        """The generator alone, which is trained once for all attacked models."""
        return replace(self, searches=False) if self.searches else None

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Train the generator, as of `drawing.train`, on 1 - SSIM and MSE. Info: `history` of the loss."""
        if before is not None:
            return before
        images = as_unit(held.own_images.images)
        rest = (images - images.mean(axis=0)).reshape(len(images), -1)
        codes = rest @ principal_axes(rest, self.units).T
        codes /= np.maximum(codes.std(axis=0), np.finfo(np.float32).tiny)

        def pairs(epoch: int) -> Pairs:
            draw = np.random.default_rng(derive(run.seed, "pairs", epoch))
            noise = self.noise * draw.standard_normal(codes.shape, np.float32)
            return (codes + noise).astype(np.float32), images

        network, info = train(pairs, self.settings, run=run, mse_weight=1.0)
        return {**named(network, 0), "units": np.array(codes.shape[1])}, info

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        (network,), units = networks_of(fitted[0]), int(fitted[0]["units"])
        generator = loaded(network, units, held.image_shape)
        classes, places = np.unique(observed.observation.predicted_class, return_inverse=True)
        if not self.searches:
            image = finite(generator(tf.zeros((1, units)), training=False).numpy(), self.label)
            yield np.repeat(image, len(places), axis=0)
            return
        assert held.target is not None  # as `needs` asks for the weights
        answer, weight = held.target.differentiable(), self.weight

        def step(
            codes: tf.Tensor, first: tf.Tensor, second: tf.Tensor, number: tf.Tensor, rate: tf.Tensor, label: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:  # fmt: skip
            with tf.GradientTape() as tape:
                tape.watch(codes)
                images = generator(codes, training=False)
                labels = tf.repeat(label, tf.shape(codes)[0])
                missed = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, answer(images))
                loss = missed + 0.5 * weight * tf.reduce_sum(codes**2, axis=1)
            direction, first, second = adam_direction(tape.gradient(loss, codes), first, second, number)
            return images, loss, codes - rate * direction, first, second

        traced = tf.function(step, autograph=False, reduce_retracing=True)
        drawn = [self._searched(traced, units, int(each), run) for each in classes]
        yield np.stack(drawn)[places]

    def _searched(self, step: Step, units: int, label: int, run: Run) -> Floats:
        """Return the image of a class; starts are the same for all classes, so that each is found alone as among others."""
        starts = np.random.default_rng(derive(run.seed, "start")).standard_normal((self.starts, units))
        codes = tf.constant(starts, tf.float32)
        first, second = tf.zeros_like(codes), tf.zeros_like(codes)
        for number in range(self.steps + 1):  # the last one only looks
            rate = 0.5 * self.learning_rate * (1 + math.cos(math.pi * number / self.steps))
            told = [tf.constant(value, tf.float32) for value in (number + 1, rate)]
            images, losses, codes, first, second = step(codes, first, second, *told, tf.constant(label))
            if not np.isfinite(losses.numpy()).all():
                raise FloatingPointError(f"{self.label}: the loss is not finite at step {number + 1}.")
        return finite(images.numpy()[int(np.argmin(losses))], self.label)
