"""The one training loop: mini-batch fitting with exact resume, for every model that is trained (thesis 4.2, 5.2)."""

import gc
import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.models.replicas import mean_over_batch, own_rows, total
from mi_keras.progress import Arrays, Run
from mi_keras.seeds import derive
from mi_keras.training.devices import can_be_shared, mirrored
from mi_keras.training.optimizer import FusedAdam
from mi_keras.training.precision import twin
from mi_keras.training.schedules import Schedule, constant
from mi_keras.types import Rows, redrawn


@dataclass(frozen=True)
class FitSettings:
    """What the loop needs to know of a fit; see the settings of each model for the texts' values.

    Attributes:
        schedule: the share of `learning_rate` that is in use after so many epochs, of which the last is broken.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: Schedule = constant


@dataclass(frozen=True)
class Examples:
    """Pairs to learn from: `inputs` and `targets` with the same first axis, in memory or mapped from the disk.

    Inputs of half precision are computed with in single precision. Inputs that are `Redrawn` are another draw in each
    epoch: what a defence adds anew to every answer cannot be learned by heart.

    Attributes:
        weights: `(count,)` >= 0, in proportion to which an epoch visits the examples; None: each once.
    """

    inputs: Rows
    targets: Rows
    weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.targets):
            raise ValueError(
                f"`inputs` and `targets` must be equally many; got {len(self.inputs)}, {len(self.targets)}."
            )


_PART = "fit"  # the one part a fit keeps in its workspace
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # (targets, outputs) -> one value per example


class Fitter:
    """Trains a model with Adam, in one fit after another; the training step is traced once for all of them.

    Args:
        model: what is trained, in place. Each fit starts from the weights that the model has then.
        loss: maps a batch of targets and the model's outputs to one value per example.
        devices: that share each batch, where they are several; the model was made in their scope.
    """

    def __init__(self, model: keras.Model, loss: Loss, devices: tf.distribute.Strategy | None = None) -> None:
        self.model, self._loss = model, loss
        self._devices = devices or tf.distribute.get_strategy()
        with self._devices.scope():
            self._optimizer = FusedAdam()
            self._optimizer.build(model.trainable_variables)
        self._train_step = tf.function(self._everywhere if devices else self._descend, autograph=False)
        self._sum_of_losses = tf.function(self._infer, autograph=False)

    def fit(
        self,
        training: Examples,
        settings: FitSettings,
        *,
        run: Run,
        validation: Examples | None = None,
    ) -> dict[str, list[float]]:
        """Train the model with a new optimizer and return the loss curves.

        Each epoch visits the examples in an order drawn from the run's seed and the epoch's number, so that a run resumed from
        its checkpoint goes on exactly as if it had not been interrupted: weights, optimizer, batch normalisation,
        dropout state and order are all restored. A last batch of a single example is left out: it has no batch
        statistics. So is one of fewer examples than devices.

        Returns:
            `loss` and, with `validation`, `validation_loss`: the mean per example of every epoch.

        Raises:
            FloatingPointError: a loss is not finite; the message names the epoch and the batch's first image.
            ValueError: fewer than two training examples.
        """
        if len(training.inputs) < 2:
            raise ValueError(f"`training` must hold at least 2 examples; got {len(training.inputs)}.")
        self._reset_optimizer()
        names = ("loss", "validation_loss") if validation else ("loss",)
        history: dict[str, list[float]] = {name: [] for name in names}
        state = [*self.model.variables, *self._optimizer.variables]
        if run.workspace and (saved := run.workspace.load(_PART)):
            _restore(state, history, saved)
        train_step = self._train_step.get_concrete_function(*_any_number_of(training))
        done, fewest = len(history["loss"]), max(2, self._devices.num_replicas_in_sync)
        with run.progress.bar(
            run.label, settings.epochs * len(training.inputs), "img", done * len(training.inputs)
        ) as bar:
            for epoch in range(done, settings.epochs):
                order = _order(training, np.random.default_rng(derive(run.seed, "order", epoch)))
                examples = Examples(redrawn(training.inputs, epoch), redrawn(training.targets, epoch))
                total, seen = 0.0, 0
                for start in range(0, len(order), settings.batch_size):
                    rows = order[start : start + settings.batch_size]
                    if len(rows) >= fewest:
                        share = settings.schedule(epoch + start / len(order))
                        self._optimizer.learning_rate.assign(settings.learning_rate * share)
                        value = float(train_step(*_tensors(examples, rows)))
                        if not np.isfinite(value):
                            raise FloatingPointError(
                                f"{run.label}: the loss is {value} at epoch {epoch + 1}, image {start}."
                            )
                        total, seen = total + value, seen + len(rows)
                    bar.advance(len(rows))
                history["loss"].append(total / seen)
                if validation:
                    history["validation_loss"].append(self._evaluate(validation))
                    if not np.isfinite(history["validation_loss"][-1]):
                        raise FloatingPointError(
                            f"{run.label}: the validation loss is not finite after epoch {epoch + 1}."
                        )
                if run.workspace and epoch + 1 < settings.epochs:
                    run.workspace.save(_PART, _snapshot(state, history))
        return history

    def _descend(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = self._loss(
                own_rows(targets), self.model(_single_precision(own_rows(inputs)), training=True)
            )
            mean = mean_over_batch(losses)
        weights = self.model.trainable_variables
        self._optimizer.apply(total(tape.gradient(mean, weights)), weights)
        return total(tf.reduce_sum(losses))

    def _everywhere(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        sums = self._devices.run(self._descend, (inputs, targets))
        return self._devices.experimental_local_results(sums)[0]  # all are the same

    def _infer(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(self._loss(targets, self.model(_single_precision(inputs), training=False)))

    def _evaluate(self, examples: Examples, batch_size: int = 256) -> float:
        losses = self._sum_of_losses.get_concrete_function(*_any_number_of(examples))
        slices = [slice(i, i + batch_size) for i in range(0, len(examples.inputs), batch_size)]
        return sum(float(losses(*_tensors(examples, s))) for s in slices) / len(examples.inputs)

    def _reset_optimizer(self) -> None:
        for variable in self._optimizer.variables:
            variable.assign(tf.zeros_like(variable.value))


class FitterPool:
    """Keeps unused fitters, so that models of one architecture that are fitted one after another share a traced step.

    A fit takes its fitter out of the pool and brings it back at the end, in whatever way it ends: fits that overlap never
    share one, and each sets all that it finds in one anew.

    Args:
        size: fitters kept at most, those used last; each holds a model and twice its size for Adam.
        memory: bytes that the kept ones and the next may hold together; one alone may hold more.
    """

    def __init__(self, *, size: int, memory: float = math.inf) -> None:
        self._size, self._memory = size, memory
        self._unused: dict[Hashable, Fitter] = {}  # oldest first

    def fit(
        self,
        model: keras.Model,
        architecture: Hashable,
        training: Examples,
        settings: FitSettings,
        *,
        loss: Loss,
        run: Run,
        validation: Examples | None = None,
        another: Callable[[], keras.Model] | None = None,
    ) -> dict[str, list[float]]:
        """Train `model` in place through a twin of it, which computes in the run's precision, as the model never does.

        The run's devices share each batch where `devices.can_be_shared`; of other models the first device has all of it.

        Arguments, result and errors are those of `Fitter.fit`.

        Args:
            architecture: equal for two fits only if their models differ in nothing but the values of their variables,
                and their losses not at all.
            another: makes another model of the architecture, where Keras cannot clone it; it computes as it is.
        """
        devices = mirrored(run.devices) if can_be_shared(model) else None
        kind = (architecture, run.precision, devices)
        fitter = self._unused.pop(kind, None)
        if fitter is None:
            while self._unused and not self._has_room_for(model):
                del self._unused[next(iter(self._unused))]
                gc.collect()  # optimizer and traced step refer to themselves in circles: else 100 MB wait, fit after fit
            with (devices or tf.distribute.get_strategy()).scope():
                copy = another() if another else twin(model, run.precision)
            fitter = Fitter(copy, loss, devices)
        _copy_variables(model, fitter.model)
        try:
            history = fitter.fit(training, settings, run=run, validation=validation)
            _copy_variables(fitter.model, model)
        finally:
            self._unused[kind] = fitter
        return history

    def _has_room_for(self, model: keras.Model) -> bool:
        held = sum(_bytes(kept.model) for kept in list(self._unused.values()))
        return len(self._unused) < self._size and held + _bytes(model) <= self._memory


def _bytes(model: keras.Model) -> int:
    """Return what a model's variables and Adam's two values of each take; a traced step, 10 MB or so, is not counted."""
    return 3 * 4 * int(model.count_params())


def _order(training: Examples, draw: np.random.Generator) -> NDArray[np.int64]:
    """Return which examples an epoch visits, in which order: by their weights, rounded up or down at random."""
    count = len(training.inputs)
    if training.weights is None:
        return draw.permutation(count)
    shares = np.cumsum(training.weights) / training.weights.sum()
    rows = np.searchsorted(shares[:-1], (np.arange(count) + draw.random()) / count, side="right")
    return draw.permutation(rows)


def _any_number_of(examples: Examples) -> tuple[tf.TensorSpec, tf.TensorSpec]:
    inputs, targets = examples.inputs, examples.targets
    return tuple(tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in (inputs, targets))


def _tensors(examples: Examples, rows: NDArray[np.int64] | slice) -> tuple[tf.Tensor, tf.Tensor]:
    """Read some examples, and only these: all of them may not fit into memory."""
    return tf.constant(examples.inputs[rows]), tf.constant(examples.targets[rows])


def _single_precision(inputs: tf.Tensor) -> tf.Tensor:
    return tf.cast(inputs, tf.float32) if inputs.dtype == tf.float16 else inputs


def _copy_variables(source: keras.Model, destination: keras.Model) -> None:
    for old, new in zip(source.variables, destination.variables, strict=True):
        new.assign(old.value)


def _snapshot(state: list[keras.Variable], history: dict[str, list[float]]) -> Arrays:
    values = {f"state_{i:03d}": np.asarray(variable) for i, variable in enumerate(state)}
    return values | {f"history_{name}": np.asarray(curve, np.float64) for name, curve in history.items()}


def _restore(state: list[keras.Variable], history: dict[str, list[float]], saved: Arrays) -> None:
    for i, variable in enumerate(state):
        variable.assign(saved[f"state_{i:03d}"])
    for name in history:
        history[name] = [float(value) for value in saved[f"history_{name}"]]
