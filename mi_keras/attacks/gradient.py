"""Gradient reconstruction X~: optimise an image until the shadow model answers as the target did (thesis 3.4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Fitted, Input, Solver
from mi_keras.attacks.class_images import class_average, class_instance
from mi_keras.metrics.image import total_variation
from mi_keras.models import cnn  # noqa: F401  # its fast path
from mi_keras.models.target import differentiable
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import GRADIENT_TERMS, OBJECTIVES, GradientSettings
from mi_keras.training.optimizer import adam_direction
from mi_keras.training.precision import computed_in
from mi_keras.types import Floats, Observation

MEMORY = 2**30  # bytes that one batch may take
Step = Callable[..., tuple[tf.Tensor, ...]]


@dataclass(frozen=True)
class GradientImage(Input):
    """X~ as an input of an attack: the image for which the adversary's surrogate gives the target's answer.

    Attributes:
        objective: which loss is minimised, "logit_mse" or "cross_entropy" (see `reconstruct`).
    """

    settings: GradientSettings = GradientSettings()
    objective: str = "logit_mse"

    kind: ClassVar[str] = "gradient_reconstruction"
    array: ClassVar[str] = "images"
    label: ClassVar[str] = "X~"
    gains_in_half: ClassVar[bool] = True
    tolerance: ClassVar[float] = 0.2  # signs in the gradient turn rounding into steps

    def __post_init__(self) -> None:
        _check_objective(self.objective)

    @property
    def needs(self) -> Access:
        return Access(surrogates=1, images=self.settings.start != "random")

    def seed_names(self, images: str) -> list[tuple[object, ...]]:
        start = [("start",)] if self.settings.start == "class_instance" else []
        return [("gradient", self.objective, images), *start]

    def derive(self, observation: Observation, held: Holdings, run: Run) -> Fitted:
        start = start_images(self.settings.start, held, run)
        return reconstruct(
            held.surrogate, observation, start, self.settings, objective=self.objective, run=run
        )

    def in_graph(self, held: Holdings, run: Run) -> Solver:
        start = start_images(self.settings.start, held, run)
        return reconstruction_in_graph(
            held.surrogate, start, self.settings, objective=self.objective, seed=run.seed, point=held.point
        )


def start_images(start: str, held: Holdings, run: Run) -> Floats | None:
    """Return I_0 of each class for a start of `GradientSettings`, `(classes, height, width, channels)`; None: noise."""
    if start == "class_average":
        return class_average(held.own_images, held.classes)
    if start == "class_instance":
        return class_instance(held.own_images, held.classes, seed=run.named("start"))
    return None


def reconstruct(
    shadow: keras.Model,
    observation: Observation,
    start_images: Floats | None,
    settings: GradientSettings,
    *,
    objective: str,
    run: Run,
) -> Fitted:
    """Return I_N of I_t = clamp(I_{t-1} - eta * grad L_total(I_{t-1}), 0, 1) for each output vector (formula 1).

    L_total of an image is the objective + l2_weight * sum of squares + tv_weight * sum of absolute neighbour
    differences. The objective is "cross_entropy" (formula 2, y one-hot at the predicted class) or "logit_mse"
    (the mean squared difference of the shadow's logits to the whole output vector). Losses are summed over the
    batch, so that an image's path does not depend on its neighbours.

    # Deviates: the text's y is a true label, which no adversary has; here it is the class the target predicts.
    # "logit_mse" is not in the text, but only it shows the text's drop from validation to test (Table 3).

    Args:
        shadow: M_S; it is used through a frozen copy and stays bit-identical.
        observation: the target's output vectors.
        start_images: `(classes, height, width, channels)` I_0 of each predicted class, from shadow training data;
            None: each image starts as uniform noise.
        run: gives the seed of a random start, the workspace that keeps finished batches, and the precision of M_S.

    Returns:
        `images`, `(count, height, width, channels)` in [0, 1], X~ of each output vector; `losses`, `(steps, 4)`, the mean
        over the problems solved of each of `GRADIENT_TERMS`, before each update. Info: `problems`, how many optimisations
        were run; equal problems are solved once.

    Raises:
        FloatingPointError: a loss term is not finite; the message names the step and the term.
    """
    predicted = observation.predicted_class
    targets = observation.vectors if objective == "logit_mse" else predicted
    if start_images is None:  # every start is different, and so is every problem
        first = inverse = np.arange(len(targets))
        starts = _uniform_noise((len(targets), *shadow.input_shape[1:]), run.seed)
    else:
        _, first, inverse = np.unique(targets, axis=0, return_index=True, return_inverse=True)
        starts = start_images[predicted[first]]
    problems = targets[first]
    advance = _make_step(
        differentiable(computed_in(shadow, run.precision), observation.point), objective, settings
    )
    images, losses = np.empty_like(starts), np.zeros((settings.steps, len(GRADIENT_TERMS)))
    size = min(settings.batch_size, images_that_fit(shadow))
    batches = [slice(i, i + size) for i in range(0, len(problems), size)]
    with run.progress.bar(run.label, settings.steps * len(problems), "img-step") as bar:
        for number, batch in enumerate(batches):
            name = f"batch_{number:04d}"
            part = run.workspace.load(name) if run.workspace else None
            if part is not None:
                bar.advance(settings.steps * len(part["images"]))
            else:
                part = _descend(advance, starts[batch], problems[batch], settings.steps, bar.advance)
                if run.workspace:
                    run.workspace.save(name, part)
            images[batch] = part["images"]
            losses += part["losses"] / len(problems)
    found = {"images": images[inverse.reshape(-1)], "losses": losses.astype(np.float32)}
    return found, {"problems": len(problems)}


def reconstruction_in_graph(
    shadow: keras.Model,
    start_images: Floats | None,
    settings: GradientSettings,
    *,
    objective: str,
    seed: int,
    point: str = "logits",
) -> Solver:
    """Return `reconstruct` as a function of tensors, from output vectors `(batch, classes)` at a point to X~, to be exported.

    Shadow model, start images and number of steps are constants of it; the updates are those of `reconstruct`, in a
    loop of the graph. Rows are solved one after another, each as `reconstruct` solves it alone, to the bit: the signs
    in the gradient of the total variation turn differences of rounding into others of images (up to 0.28 after 60
    steps), and rounding depends on how many rows a product has. So no row depends on which others came with it, for
    three to four times the time on 2 CPU cores. Where `start_images` is None, all rows start at the same noise. No term
    is checked: what is not finite stays so, in its own row.
    """
    advance = _update(differentiable(shadow, point), objective, settings)
    by_class = start_images is not None
    starts = tf.constant(start_images if by_class else _uniform_noise((1, *shadow.input_shape[1:]), seed))

    def solve(row: tf.Tensor) -> tf.Tensor:
        output_vector = row[None]
        predicted = tf.argmax(output_vector, axis=1)
        targets = output_vector if objective == "logit_mse" else predicted
        images = tf.gather(starts, predicted if by_class else tf.zeros_like(predicted))

        def body(
            step: tf.Tensor, images: tf.Tensor, first: tf.Tensor, second: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            return step + 1, *advance(images, first, second, tf.cast(step, tf.float32), targets)[:3]

        loop = (tf.constant(1), images, tf.zeros_like(images), tf.zeros_like(images))
        finished = tf.while_loop(lambda step, *_: step <= settings.steps, body, loop, parallel_iterations=1)
        return finished[1][0]

    image = tf.TensorSpec(starts.shape[1:], tf.float32)
    return lambda output_vector: tf.map_fn(
        solve, output_vector, fn_output_signature=image, parallel_iterations=1
    )


def images_that_fit(model: keras.Model, memory: int = MEMORY) -> int:
    """Return how many images may be optimised together, at least one: every map is held about three times."""
    outputs = [output for layer in model.layers for output in keras.tree.flatten(layer.output)]
    values = sum(int(np.prod([size or 1 for size in output.shape[1:]])) for output in outputs)
    return max(1, memory // (3 * 4 * values))


def _descend(
    advance: Step, starts: Floats, targets: NDArray[Any], steps: int, report: Callable[[float], None]
) -> dict[str, NDArray[Any]]:
    images = tf.constant(starts)
    first = second = tf.zeros_like(images)  # Adam's moments, one pair per pixel
    goals, losses = tf.constant(targets), np.empty((steps, len(GRADIENT_TERMS)))
    for step in range(steps):
        images, first, second, terms = advance(images, first, second, tf.constant(float(step + 1)), goals)
        losses[step] = terms.numpy()
        if not np.isfinite(losses[step]).all():
            term = GRADIENT_TERMS[int(np.flatnonzero(~np.isfinite(losses[step]))[-1])]
            raise FloatingPointError(
                f"gradient reconstruction: the term `{term}` is not finite at step {step + 1}."
            )
        report(len(starts))
    if not np.isfinite(images.numpy()).all():
        raise FloatingPointError(f"gradient reconstruction: an image is not finite after step {steps}.")
    return {"images": images.numpy(), "losses": losses}


def _make_step(logits: Solver, objective: str, settings: GradientSettings) -> Step:
    return tf.function(_update(logits, objective, settings), autograph=False, reduce_retracing=True)


def _update(logits: Solver, objective: str, settings: GradientSettings) -> Step:
    """Return one step of formula 1 as a function of tensors; state goes in and comes out."""
    _check_objective(objective)

    def advance(
        images: tf.Tensor, first: tf.Tensor, second: tf.Tensor, step: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape() as tape:
            tape.watch(images)
            answers = tf.cast(logits(images), tf.float32)
            if objective == "logit_mse":
                distance = tf.reduce_mean(tf.math.squared_difference(answers, targets), axis=1)
            else:
                distance = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, answers)
            l2 = settings.l2_weight * tf.reduce_sum(images**2, axis=(1, 2, 3))
            tv = settings.tv_weight * total_variation(images)
            total = distance + l2 + tv
        gradient = tape.gradient(total, images)  # of the sum: one independent gradient per image
        if settings.optimizer == "adam":
            gradient, first, second = adam_direction(gradient, first, second, step)
        images = tf.clip_by_value(images - settings.learning_rate * gradient, 0.0, 1.0)
        return images, first, second, tf.reduce_sum(tf.stack([total, distance, l2, tv], axis=1), axis=0)

    return advance


def _uniform_noise(shape: tuple[int, ...], seed: int) -> Floats:
    return np.random.default_rng(derive(seed, "random_start")).random(shape, np.float32)


def _check_objective(objective: str) -> None:
    if objective not in OBJECTIVES:
        raise ValueError(f"`objective` must be one of {', '.join(OBJECTIVES)}; got {objective!r}.")
