"""Training of the target and shadow classifiers with cross-entropy (thesis 4.2, formula 16)."""

from dataclasses import replace

import keras
import tensorflow as tf

from mi_keras.models.architectures import AnyClassifier
from mi_keras.models.classifiers import build_classifier
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import DEFAULT_HEAD, HeadSettings
from mi_keras.training.loop import Examples, FitSettings, FitterPool
from mi_keras.types import Images


def train_classifier(
    training: Images,
    validation: Images,
    settings: AnyClassifier,
    *,
    classes: int,
    head: HeadSettings = DEFAULT_HEAD,
    run: Run,
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train a classifier from its initial weights; `settings` choose the architecture, by default the CNN of Figure 25.

    Args:
        training, validation: labelled images in [0, 1].
        classes: number of classes.
        head: activation and dropout before the last layer of the CNN.
        run: gives seed, workspace and progress.

    Returns:
        The model and its loss curves (see `loop.Fitter.fit`).
    """
    shape = training.images.shape[1:]
    traced = repr(
        replace(settings, epochs=1, batch_size=2, learning_rate=1.0)
    )  # on these three no graph depends
    model = build_classifier(settings, shape, classes, head=head, seed=derive(run.seed, "initial"))
    history = _fitters.fit(
        model,
        (traced, shape, classes, head),
        Examples(training.images, training.labels),
        FitSettings(settings.epochs, settings.batch_size, settings.learning_rate),
        loss=_cross_entropy,
        run=run,
        validation=Examples(validation.images, validation.labels),
    )
    return model, history


def _cross_entropy(labels: tf.Tensor, outputs: dict[str, tf.Tensor]) -> tf.Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs["logits"])


_fitters = FitterPool(size=2)  # two, for experiments that alternate between two architectures
