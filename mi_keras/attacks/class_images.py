"""One image per class, made from the adversary's own images: the start of a search, and a baseline that knows the class
alone."""

import numpy as np
import tensorflow as tf

from mi_keras.data.preprocess import as_unit
from mi_keras.metrics.image import ssim
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import PrototypeSettings
from mi_keras.training.optimizer import adam_direction
from mi_keras.types import Floats, Images


def class_average(images: Images, classes: int) -> Floats:
    """Return the mean image of each class, `(classes, height, width, channels)` (thesis Figure 4c)."""
    _check_classes(images, classes)
    pixels = [as_unit(images.images[images.labels == c]) for c in range(classes)]
    return np.stack([of_class.mean(axis=0) for of_class in pixels]).astype(np.float32)


def class_instance(images: Images, classes: int, *, seed: int) -> Floats:
    """Return one image of each class, drawn by `seed`, `(classes, height, width, channels)` (thesis Figure 4b)."""
    _check_classes(images, classes)
    draw = np.random.default_rng(derive(seed, "class_instance"))
    drawn = [draw.choice(np.flatnonzero(images.labels == c)) for c in range(classes)]
    return as_unit(images.images[drawn])


def class_prototype(images: Images, classes: int, settings: PrototypeSettings, *, run: Run) -> Floats:
    """Return the image of each class with the highest mean SSIM to that class, `(classes, height, width, channels)`.

    Stochastic gradient ascent (Adam) from the class average on the shadow training set, clamped to [0, 1]. It knows the
    class and nothing of the image, so an attack that scores no higher has recovered only the class. All groups of
    images are drawn equally often.
    """
    prototypes = tf.Variable(class_average(images, classes))
    schedule = 0.5 * settings.learning_rate * (1 + np.cos(np.pi * np.arange(settings.steps) / settings.steps))
    pixels, labels = tf.constant(as_unit(images.images)), tf.constant(images.labels)
    first, second = tf.Variable(tf.zeros_like(prototypes)), tf.Variable(tf.zeros_like(prototypes))

    @tf.function(autograph=False)
    def ascend(rows: tf.Tensor, step: tf.Tensor, rate: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            of_class = tf.gather(prototypes, tf.gather(labels, rows))
            total = tf.reduce_sum(ssim(of_class, tf.gather(pixels, rows)))
        gradient = tf.convert_to_tensor(tape.gradient(total, prototypes))
        update, new_first, new_second = adam_direction(gradient, first, second, step)
        first.assign(new_first)
        second.assign(new_second)
        prototypes.assign(tf.clip_by_value(prototypes + rate * update, 0.0, 1.0))

    draw = np.random.default_rng(derive(run.seed, "class_prototype"))
    shares = None if images.weights is None else images.weights / len(images)
    with run.progress.bar("class prototypes", settings.steps, "step") as bar:
        for step, rate in enumerate(schedule, start=1):
            rows = (
                draw.integers(len(images), size=settings.batch_size)
                if shares is None
                else draw.choice(len(images), settings.batch_size, p=shares)
            )
            ascend(tf.constant(rows), tf.constant(float(step)), tf.constant(float(rate)))
            bar.advance()
    return prototypes.numpy()


def _check_classes(images: Images, classes: int) -> None:
    if missing := np.setdiff1d(np.arange(classes), images.labels).tolist():
        raise ValueError(f"`images` must hold every class below {classes}; missing: {missing}.")
