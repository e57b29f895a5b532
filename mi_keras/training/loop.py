"""The one training loop: mini-batch fitting with exact resume, for every model that is trained (thesis 4.2, 5.2)."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.seeds import derive
from mi_keras.training.optimizer import FusedAdam
from mi_keras.work import Arrays, Progress, SilentProgress, Workspace


@dataclass(frozen=True)
class FitSettings:
    """What the loop needs to know of a fit; see the settings of each model for the texts' values."""

    epochs: int
    batch_size: int
    learning_rate: float


@dataclass(frozen=True)
class Examples:
    """Pairs to learn from: `inputs` and `targets` with the same first axis."""

    inputs: NDArray[np.generic]
    targets: NDArray[np.generic]

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise ValueError(
                f"`inputs` and `targets` must be equally many; got {len(self.inputs)}, {len(self.targets)}."
            )


_PART = "fit"  # the one part a fit keeps in its workspace
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # (targets, outputs) -> one value per example


def fit(
    model: keras.Model,
    training: Examples,
    settings: FitSettings,
    *,
    loss: Loss,
    seed: int,
    validation: Examples | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
    label: str = "training",
) -> dict[str, list[float]]:
    """Train `model` in place with Adam and return the loss curves.

    Each epoch visits the examples in an order drawn from `seed` and the epoch's number, so that a run resumed from
    its checkpoint goes on exactly as if it had not been interrupted: weights, optimizer, batch normalisation, dropout
    state and order are all restored. A last batch of a single example is left out: it has no batch statistics.

    Returns:
        `loss` and, with `validation`, `validation_loss`: the mean per example of every epoch.

    Raises:
        FloatingPointError: a loss is not finite; the message names the epoch and the batch's first image.
        ValueError: fewer than two training examples.
    """
    if len(training.inputs) < 2:
        raise ValueError(f"`training` must hold at least 2 examples; got {len(training.inputs)}.")
    optimizer = FusedAdam(settings.learning_rate)
    optimizer.build(model.trainable_variables)
    names = ("loss", "validation_loss") if validation else ("loss",)
    history: dict[str, list[float]] = {name: [] for name in names}
    state = [*model.variables, *optimizer.variables]
    if workspace and (saved := workspace.load(_PART)):
        _restore(state, history, saved)
    inputs, targets = tf.constant(training.inputs), tf.constant(training.targets)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.int64)])
    def train_step(rows: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            outputs = model(tf.gather(inputs, rows), training=True)
            losses = loss(tf.gather(targets, rows), outputs)
            mean = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(mean, model.trainable_variables), model.trainable_variables)
        return tf.reduce_sum(losses)

    evaluate = _evaluator(model, loss)
    done = len(history["loss"])
    with (progress or SilentProgress()).bar(
        label, settings.epochs * len(training.inputs), "img", done * len(training.inputs)
    ) as bar:
        for epoch in range(done, settings.epochs):
            order = np.random.default_rng(derive(seed, "order", epoch)).permutation(len(training.inputs))
            total, seen = 0.0, 0
            for start in range(0, len(order), settings.batch_size):
                rows = order[start : start + settings.batch_size]
                if len(rows) > 1:
                    value = float(train_step(tf.constant(rows)))
                    if not np.isfinite(value):
                        raise FloatingPointError(
                            f"{label}: the loss is {value} at epoch {epoch + 1}, image {start}."
                        )
                    total, seen = total + value, seen + len(rows)
                bar.advance(len(rows))
            history["loss"].append(total / seen)
            if validation:
                history["validation_loss"].append(evaluate(validation))
                if not np.isfinite(history["validation_loss"][-1]):
                    raise FloatingPointError(
                        f"{label}: the validation loss is not finite after epoch {epoch + 1}."
                    )
            if workspace and epoch + 1 < settings.epochs:
                workspace.save(_PART, _snapshot(state, history))
    return history


def _evaluator(model: keras.Model, loss: Loss) -> Callable[[Examples], float]:
    @tf.function(autograph=False, reduce_retracing=True)
    def losses(inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(loss(targets, model(inputs, training=False)))

    def evaluate(examples: Examples, batch_size: int = 256) -> float:
        slices = [slice(i, i + batch_size) for i in range(0, len(examples.inputs), batch_size)]
        return sum(float(losses(examples.inputs[s], examples.targets[s])) for s in slices) / len(
            examples.inputs
        )

    return evaluate


def _snapshot(state: list[keras.Variable], history: dict[str, list[float]]) -> Arrays:
    values = {f"state_{i:03d}": np.asarray(variable) for i, variable in enumerate(state)}
    return values | {f"history_{name}": np.asarray(curve, np.float64) for name, curve in history.items()}


def _restore(state: list[keras.Variable], history: dict[str, list[float]], saved: Arrays) -> None:
    for i, variable in enumerate(state):
        variable.assign(saved[f"state_{i:03d}"])
    for name in history:
        history[name] = [float(value) for value in saved[f"history_{name}"]]
