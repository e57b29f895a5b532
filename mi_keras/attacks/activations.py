"""Activations A^L of the last linear layer that explain an output vector under the shadow model (thesis 3.5)."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Fitted, Input, Solver
from mi_keras.models.cnn import last_linear_layer
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import ActivationSettings
from mi_keras.types import Floats, Ints, Observation


@dataclass(frozen=True)
class ActivationRecovery:
    """Result of the attack.

    Attributes:
        activations: `(count, units)`, A^L.
        losses: `(count,)` mean squared error of A^L W + b against the output vector.
        steps: `(count,)` updates each vector took.
        converged: `(count,)` whether the loss is at or below the threshold.
    """

    activations: Floats
    losses: Floats
    steps: Ints
    converged: NDArray[np.bool_]


@dataclass(frozen=True)
class Activations(Input):
    """A^L as an input of an attack."""

    settings: ActivationSettings = ActivationSettings()

    kind: ClassVar[str] = "activations"
    array: ClassVar[str] = "activations"
    label: ClassVar[str] = "A^L"
    needs: ClassVar[Access] = Access(surrogates=1)

    @classmethod
    def example(cls) -> Self:
        return cls(ActivationSettings(max_steps=50))

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        return cls.example(), cls(ActivationSettings("minimum_norm"))

    def seed_names(self, images: str) -> list[tuple[object, ...]]:
        return [("activations", images)]

    def derive(self, observation: Observation, held: Holdings, run: Run) -> Fitted:
        found = recover_activations(held.surrogate, observation, self.settings, seed=run.seed)
        info = {"not_converged": int((~found.converged).sum()), "count": len(found.converged)}
        return {"activations": found.activations, "losses": found.losses, "steps": found.steps}, info

    def in_graph(self, held: Holdings, run: Run) -> Solver:
        return recovery_in_graph(held.surrogate, self.settings, seed=run.seed)


def recover_activations(
    shadow: keras.Model, observation: Observation, settings: ActivationSettings, *, seed: int
) -> ActivationRecovery:
    """Solve A^L W + b = O for A^L, with W and b of the shadow's last linear layer.

    "gradient_descent" moves each vector by -eta * grad MSE(A W + b, O) while its own MSE is above the threshold,
    at most `max_steps` times. "minimum_norm" is the solution of smallest norm, in closed form.

    # Deviates: the text checks the threshold on a batch; per vector the result does not depend on the batch.

    Raises:
        FloatingPointError: the descent diverged; the message names `learning_rate`.
    """
    weights, bias = last_linear_layer(shadow, observation.point)
    targets = observation.vectors
    if settings.method == "minimum_norm":
        activations = _smallest(targets, weights, bias).astype(np.float32)
        steps = np.zeros(len(targets), np.int64)
    else:
        start = _start((len(targets), len(weights)), settings, seed)
        activations, steps = _descend(start, weights, bias, targets, settings)
    losses = np.mean((activations @ weights + bias - targets) ** 2, axis=1)
    if not np.isfinite(losses).all():
        descent = settings.method == "gradient_descent"
        why = (
            f"`learning_rate` {settings.learning_rate} is too large"
            if descent
            else f"`method` {settings.method}"
        )
        raise FloatingPointError(f"activation recovery: a loss is not finite; {why}.")
    return ActivationRecovery(
        activations, losses, steps, losses <= settings.threshold * (1 + 1e-5)
    )  # float rounding


def recovery_in_graph(
    shadow: keras.Model, settings: ActivationSettings, *, seed: int
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the attack as a function of tensors, from output vectors `(batch, classes)` to A^L, to be exported.

    W and b are constants of it. Each row is answered as `recover_activations` answers it alone, so that it does not
    matter which others are in the batch: a random start is the same for all rows. Divergence is not checked.

    Args:
        shadow, settings, seed: as of `recover_activations`.
    """
    weights, bias = last_linear_layer(shadow)
    if settings.method == "minimum_norm":
        return lambda output_vector: _smallest(output_vector, weights, bias)
    start = _start((1, len(weights)), settings, seed)
    descend = _descent(settings.threshold, settings.learning_rate, settings.max_steps)

    def solve(output_vector: tf.Tensor) -> tf.Tensor:
        starts = tf.repeat(start, tf.shape(output_vector)[0], axis=0)
        return descend(starts, tf.constant(weights), tf.constant(bias), output_vector)[0]

    return solve


def _smallest(targets: Any, weights: Floats, bias: Floats) -> Any:
    """Return the solution of smallest norm, of arrays and tensors alike."""
    return (targets - bias) @ np.linalg.pinv(weights)


def _start(shape: tuple[int, int], settings: ActivationSettings, seed: int) -> Floats:
    if settings.start == "zeros":
        return np.zeros(shape, np.float32)
    return np.random.default_rng(derive(seed, "activations")).standard_normal(shape, np.float32)


def _descend(
    start: Floats, weights: Floats, bias: Floats, targets: Floats, settings: ActivationSettings
) -> tuple[Floats, Ints]:
    activations, steps = _descent(settings.threshold, settings.learning_rate, settings.max_steps)(
        *(tf.constant(each) for each in (start, weights, bias, targets))
    )
    return activations.numpy(), steps.numpy()


@functools.lru_cache(maxsize=4)  # traced once, not at every call
def _descent(
    threshold: float, learning_rate: float, max_steps: int
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    @tf.function(autograph=False, reduce_retracing=True)
    def descend(
        activations: tf.Tensor, weights: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def body(
            step: tf.Tensor, activations: tf.Tensor, moving: tf.Tensor, steps: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            with tf.GradientTape() as tape:
                tape.watch(activations)
                losses = tf.reduce_mean((tf.matmul(activations, weights) + bias - targets) ** 2, axis=1)
            gradient = tape.gradient(losses, activations)
            moving = losses > threshold
            activations = tf.where(moving[:, None], activations - learning_rate * gradient, activations)
            return step + 1, activations, moving, steps + tf.cast(moving, tf.int64)

        count = tf.shape(activations)[0]
        loop = (tf.constant(0), activations, tf.fill([count], True), tf.zeros([count], tf.int64))

        def unfinished(step: tf.Tensor, _: tf.Tensor, moving: tf.Tensor, __: tf.Tensor) -> tf.Tensor:
            return (step < max_steps) & tf.reduce_any(moving)

        _, activations, _, steps = tf.while_loop(unfinished, body, loop, parallel_iterations=1)
        return activations, steps

    return descend
