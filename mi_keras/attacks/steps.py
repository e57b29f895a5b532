"""Steps on images until a model answers as was observed, around images that are likely already."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.attacks.ridge import principal_axes
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.training.optimizer import adam_direction
from mi_keras.types import Floats, Rows

MOST_AXES = 256  # principal axes of how images differ
SMALLEST = 1e-4  # deviation of a pixel: below it nothing is to be seen
TERMS = ("answer", "prior")


@dataclass(frozen=True, eq=False)
class Prior:
    """How images differ from those that the steps begin at.

    Attributes:
        axes: `(axes, pixels)`, at right angles and of length 1.
        spread: `(axes + 1,)` deviation along each of them, and along any direction beside them.
        weight: against the answer, see `walk`.
    """

    axes: Floats
    spread: Floats
    weight: float


@dataclass(frozen=True)
class Pace:
    """How many steps are taken, how large the first of them is, from how many starts, and of how many images together."""

    steps: int
    learning_rate: float
    starts: int
    batch_size: int


def walk(
    answer: Callable[[tf.Tensor], tf.Tensor],
    drawn: Floats,
    observed: Rows,
    deviations: Floats,
    prior: Prior,
    pace: Pace,
    *,
    run: Run,
    label: str,
) -> tuple[Floats, Floats]:
    """Minimise, with u the difference from the drawn image in units of `prior.spread`,

        pixels * mean(((answer(image) - observed) / deviations)^2) + prior.weight * sum(u^2)

    by Adam, whose step falls to 0 as half a cosine, in units of u. The first start is the drawn image, others have u drawn
    from the prior. Finished batches are kept in the run's workspace; draws depend on the position of a row only.

    Args:
        answer: from images to answers, in a graph.
        drawn: `(count, height, width, channels)` in [0, 1].
        observed: `(count, ...)`, as `answer` gives them.
        deviations: that answers are measured in, infinite for those without weight.

    Returns:
        Images in [0, 1] `(starts, count, height, width, channels)`, and losses `(starts, count)`.

    Raises:
        FloatingPointError: a term is not finite; the message names it and the step.
    """
    step = _make_step(answer, prior, deviations)
    batches = range(0, len(drawn), pace.batch_size)
    found = []
    with run.progress.bar(run.label, pace.steps * pace.starts * len(drawn), "img-step") as bar:
        for start, first in itertools.product(range(pace.starts), batches):
            rows, name = slice(first, first + pace.batch_size), f"{prior.weight:g}_{start}_{first:06d}"
            part = run.workspace.load(name) if run.workspace else None
            if part is None:
                u = _noise(drawn, rows, start, run.seed)
                part = _descend(
                    step, drawn[rows], np.asarray(observed[rows], np.float32), u, pace, bar.advance, label
                )
                if run.workspace:
                    run.workspace.save(name, part)
            else:
                bar.advance(pace.steps * len(part["losses"]))
            found.append(part)
    images = np.concatenate([part["images"] for part in found]).reshape(pace.starts, *drawn.shape)
    return images, np.concatenate([part["losses"] for part in found]).reshape(pace.starts, len(drawn))


def best(images: Floats, losses: Floats) -> Floats:
    """Return of each row the start whose loss is the smallest."""
    found: Floats = images[np.argmin(losses, axis=0), np.arange(images.shape[1])]
    return found


def deviations_of(values: NDArray[Any]) -> Floats:
    """Return the deviation of each unit, of maps of each channel; infinite where nothing varies, so that it has no weight."""
    values = np.asarray(values, np.float64)
    over = tuple(range(values.ndim - 1)) if values.ndim == 4 else (0,)
    deviation = values.std(axis=over)
    varies = deviation > 1e-6 * np.abs(values).max(axis=over)
    return np.where(varies, deviation, np.inf).astype(np.float32)


def axes_of(images: Floats) -> Floats:
    """Return the directions in which images differ most, `(axes, pixels)`."""
    rows = images.reshape(len(images), -1)
    return principal_axes(rows - rows.mean(axis=0), min(MOST_AXES, len(rows) - 1))


def spread_of(axes: Floats, missed: Floats) -> Floats:
    """Return the deviations of differences `(count, pixels)` along each axis, and last along any direction beside them."""
    along = missed @ axes.T
    beside = missed - along @ axes
    rest = max(missed.shape[1] - len(axes), 1)
    squares = [*np.square(along).mean(axis=0), np.square(beside).sum(axis=1).mean() / rest]
    return np.maximum(np.sqrt(squares), SMALLEST).astype(np.float32)


def _descend(
    step: Callable[..., Any],
    drawn: Floats,
    observed: Floats,
    u: Floats,
    pace: Pace,
    report: Callable[[float], None],
    label: str,
) -> dict[str, NDArray[Any]]:
    place, first, second = tf.constant(u), tf.zeros_like(u), tf.zeros_like(u)  # and Adam's moments
    for number in range(pace.steps + 1):  # the last one only looks
        rate = 0.5 * pace.learning_rate * (1 + math.cos(math.pi * number / pace.steps))
        given = [tf.constant(n, tf.float32) for n in (number + 1, rate)]
        images, terms, place, first, second = step(
            tf.constant(drawn), tf.constant(observed), place, first, second, *given
        )
        finite = np.isfinite(terms).all(axis=1)
        if not finite.all():
            term = TERMS[int(np.argmin(finite))]
            raise FloatingPointError(f"{label}: the term `{term}` is not finite at step {number + 1}.")
        if number < pace.steps:
            report(len(drawn))
    return {"images": images.numpy(), "losses": terms.numpy().sum(axis=0)}


def _make_step(
    answer: Callable[[tf.Tensor], tf.Tensor], prior: Prior, deviations: Floats
) -> Callable[..., Any]:
    """Return a step as a function of tensors: the images and terms `(2, batch)` before it, and the state after it."""
    axes, scale = tf.constant(prior.axes), tf.constant(deviations)
    along, beside = tf.constant(prior.spread[:-1]), tf.constant(prior.spread[-1])

    def look(drawn: tf.Tensor, observed: tf.Tensor, u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        on_axes = (along - beside) * tf.matmul(u, axes, transpose_b=True)
        free = drawn + tf.reshape(beside * u + tf.matmul(on_axes, axes), tf.shape(drawn))
        # What left [0, 1] must find back: the gradient passes the border
        images = free + tf.stop_gradient(tf.clip_by_value(free, 0.0, 1.0) - free)
        answers = tf.cast(answer(tf.ensure_shape(images, drawn.shape)), tf.float32)
        error = tf.reshape(((answers - observed) / scale) ** 2, (tf.shape(drawn)[0], -1))
        met = tf.cast(tf.shape(u)[1], tf.float32) * tf.reduce_mean(error, axis=1)
        return images, tf.stack([met, prior.weight * tf.reduce_sum(u**2, axis=1)])

    def step(
        drawn: tf.Tensor, observed: tf.Tensor, u: tf.Tensor, first: tf.Tensor, second: tf.Tensor,
        number: tf.Tensor, rate: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:  # fmt: skip
        with tf.GradientTape() as tape:
            tape.watch(u)
            images, terms = look(drawn, observed, u)
        direction, first, second = adam_direction(tape.gradient(terms, u), first, second, number)
        return tf.clip_by_value(images, 0.0, 1.0), terms, u - rate * direction, first, second

    return tf.function(step, autograph=False, reduce_retracing=True)


def _noise(drawn: Floats, rows: slice, start: int, seed: int) -> Floats:
    """Return where a start begins, `(batch, pixels)`: the first of them at the drawn image."""
    places, pixels = range(len(drawn))[rows], math.prod(drawn.shape[1:])
    if not start:
        return np.zeros((len(places), pixels), np.float32)
    draws = [np.random.default_rng(derive(seed, "start", start, place)) for place in places]
    return np.stack([draw.standard_normal(pixels, np.float32) for draw in draws])
