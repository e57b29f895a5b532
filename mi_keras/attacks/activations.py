"""Activations A^L of the last linear layer that explain an output vector under the shadow model (thesis 3.5)."""

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Fitted, Input, Solver
from mi_keras.data.preprocess import as_unit
from mi_keras.models.cnn import activations_of, last_linear_layer
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import ActivationSettings
from mi_keras.types import Floats, Observation


@dataclass(frozen=True)
class Activations(Input):
    """A^L, the activations before the last linear layer, as an input of an attack."""

    settings: ActivationSettings = ActivationSettings()

    kind: ClassVar[str] = "activations"
    array: ClassVar[str] = "activations"
    label: ClassVar[str] = "A^L"
    needs: ClassVar[Access] = Access(surrogates=1)

    @property
    def identity(self) -> dict[str, Any]:
        settings = asdict(self.settings)
        del settings["known"]  # says what stands in its place for own images
        return {"settings": settings}

    @property
    def for_own(self) -> Input:
        return ExtractedActivations() if self.settings.known == "extracted" else self

    def seed_names(self, images: str) -> list[tuple[object, ...]]:
        return [("activations", images)]

    def derive(self, observation: Observation, held: Holdings, run: Run) -> Fitted:
        return recover_activations(held.surrogate, observation, self.settings, seed=run.seed)

    def in_graph(self, held: Holdings, run: Run) -> Solver:
        return recovery_in_graph(held.surrogate, self.settings, seed=run.seed)


@dataclass(frozen=True)
class ExtractedActivations(Input):
    """A^L of the adversary's own images by a forward pass of its surrogate; no answers are looked at (thesis 1, 3.5)."""

    kind: ClassVar[str] = "extracted_activations"
    array: ClassVar[str] = "activations"
    label: ClassVar[str] = "A^L"
    needs: ClassVar[Access] = Access(surrogates=1, images=True)

    def seed_names(self, images: str) -> list[tuple[object, ...]]:
        return []  # it draws nothing

    def derive(self, observation: Observation, held: Holdings, run: Run) -> Fitted:
        return {self.array: activations_of(held.surrogate, as_unit(held.own_images.images))}, {}


def recover_activations(
    shadow: keras.Model, observation: Observation, settings: ActivationSettings, *, seed: int
) -> Fitted:
    """Solve A^L W + b = O for A^L, with W and b of the shadow's last linear layer.

    "gradient_descent" moves each vector by -eta * grad MSE(A W + b, O) while its own MSE is above the threshold,
    at most `max_steps` times. "minimum_norm" is the solution of smallest norm, in closed form.

    # Deviates: the text checks the threshold on a batch; per vector the result does not depend on the batch.

    Returns:
        `activations`, `(count, units)`, A^L; `losses`, `(count,)`, the mean squared error of A^L W + b against the output
        vector; `steps`, `(count,)`, updates that each took. Info: how many there are, and how many end above the threshold.

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
        problem = [tf.constant(each) for each in (start, weights, bias, targets)]
        activations, steps = (found.numpy() for found in _descent_of(settings)(*problem))
    losses = np.mean((activations @ weights + bias - targets) ** 2, axis=1)
    if not np.isfinite(losses).all():
        too_large = f"`learning_rate` {settings.learning_rate} is too large"
        why = too_large if settings.method == "gradient_descent" else f"`method` {settings.method}"
        raise FloatingPointError(f"activation recovery: a loss is not finite; {why}.")
    above = losses > settings.threshold * (1 + 1e-5)  # float rounding
    info = {"not_converged": int(above.sum()), "count": len(losses)}
    return {"activations": activations, "losses": losses, "steps": steps}, info


def recovery_in_graph(shadow: keras.Model, settings: ActivationSettings, *, seed: int) -> Solver:
    """Return `recover_activations` as a function of tensors, from output vectors `(batch, classes)` to A^L, to be exported.

    W and b are constants of it. Each row is answered as it would be alone, so that it does not matter which others are in
    the batch: a random start is the same for all rows. Divergence is not checked.
    """
    weights, bias = last_linear_layer(shadow)
    if settings.method == "minimum_norm":
        return lambda output_vector: _smallest(output_vector, weights, bias)
    start, descend = _start((1, len(weights)), settings, seed), _descent_of(settings)

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


@functools.lru_cache(maxsize=4)  # traced once, not at every call
def _descent_of(settings: ActivationSettings) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
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
            moving = losses > settings.threshold
            moved = activations - settings.learning_rate * gradient
            activations = tf.where(moving[:, None], moved, activations)
            return step + 1, activations, moving, steps + tf.cast(moving, tf.int64)

        count = tf.shape(activations)[0]
        loop = (tf.constant(0), activations, tf.fill([count], True), tf.zeros([count], tf.int64))

        def unfinished(step: tf.Tensor, _: tf.Tensor, moving: tf.Tensor, __: tf.Tensor) -> tf.Tensor:
            return (step < settings.max_steps) & tf.reduce_any(moving)

        _, activations, _, steps = tf.while_loop(unfinished, body, loop, parallel_iterations=1)
        return activations, steps

    return descend
