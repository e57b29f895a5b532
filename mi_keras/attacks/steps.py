"""Gradient steps that change plausible images until a model gives the observed answers."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.fft import dct, dctn

from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.training.optimizer import adam_direction
from mi_keras.types import Floats, Rows

RINGS = 4  # of frequencies in an octave, whose deviation is one
SMALLEST = 1e-4  # deviation of a wave: below it nothing is to be seen
TERMS = ("answer", "prior")
AT_A_TIME = 64  # answers

Step = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """How images differ from those that the steps begin at: waves of any frequency and colour, each with its deviation.

    Images differ less the finer the detail. A deviation that is one for all pixels would let steps fill an image with fine
    noise that the model, and nobody else, sees.

    Attributes:
        spread: `(height, width, channels)` deviation of each wave of the cosine transform (DCT-II, orthonormal).
        colours: `(channels, channels)` orthonormal; the columns are what waves differ in.
    """

    spread: Floats
    colours: Floats


@dataclass(frozen=True)
class Pace:
    """How many steps are taken, how large the first of them is, from how many starts, and of how many images together."""

    steps: int
    learning_rate: float
    starts: int
    batch_size: int


def make_step(answer: Callable[[tf.Tensor], tf.Tensor], spectrum: Spectrum, deviations: Floats) -> Step:
    """Return a step of `walk` as a function of tensors: images and terms `(2, batch)` before it, and the state after it.

    Args:
        answer: from images to answers, in a graph.
        deviations: that answers are measured in, infinite for those without weight.
    """
    scale, spread = tf.constant(deviations), tf.constant(spectrum.spread)
    colours = tf.constant(spectrum.colours)
    rows, columns = (tf.constant(_waves(n)) for n in spectrum.spread.shape[:2])

    def look(drawn: tf.Tensor, observed: tf.Tensor, u: tf.Tensor, weight: tf.Tensor) -> Any:
        waves = tf.einsum("bklj,ij->bkli", spread * u, colours)
        change = tf.einsum("lw,bhlc->bhwc", columns, tf.einsum("kh,bklc->bhlc", rows, waves))
        free = drawn + change
        # What left [0, 1] must find back: the gradient passes the border
        images = free + tf.stop_gradient(tf.clip_by_value(free, 0.0, 1.0) - free)
        answers = tf.cast(answer(tf.ensure_shape(images, drawn.shape)), tf.float32)
        missed = tf.reshape(((answers - observed) / scale) ** 2, (tf.shape(drawn)[0], -1))
        return images, tf.stack([tf.reduce_sum(missed, axis=1), weight * tf.reduce_sum(u**2, axis=(1, 2, 3))])

    def step(
        drawn: tf.Tensor, observed: tf.Tensor, weight: tf.Tensor, u: tf.Tensor, first: tf.Tensor,
        second: tf.Tensor, number: tf.Tensor, rate: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:  # fmt: skip
        with tf.GradientTape() as tape:
            tape.watch(u)
            images, terms = look(drawn, observed, u, weight)
        direction, first, second = adam_direction(tape.gradient(terms, u), first, second, number)
        return tf.clip_by_value(images, 0.0, 1.0), terms, u - rate * direction, first, second

    return tf.function(step, autograph=False)


def walk(
    step: Step,
    drawn: Floats,
    observed: Rows,
    weight: float,
    pace: Pace,
    *,
    run: Run,
    label: str,
) -> tuple[Floats, Floats]:
    """Minimise, with u the waves of the difference from the drawn image in units of `Spectrum.spread`,

        sum(((answer(image) - observed) / deviations)^2) + weight * sum(u^2)

    by Adam, whose step falls to 0 as half a cosine, in units of u. The first start is the drawn image, others have u drawn
    from the prior. Finished batches are kept in the run's workspace; draws depend on the position of a row only.

    Args:
        step: as of `make_step`.
        drawn: `(count, height, width, channels)` in [0, 1].
        observed: `(count, ...)`, as `answer` gives them.

    Returns:
        Images in [0, 1] `(starts, count, height, width, channels)`, and losses `(starts, count)`.

    Raises:
        FloatingPointError: a term is not finite; the message names it and the step.
    """
    batches = range(0, len(drawn), pace.batch_size)
    found = []
    with run.progress.bar(run.label, pace.steps * pace.starts * len(drawn), "img-step") as bar:
        for start, first in itertools.product(range(pace.starts), batches):
            rows, name = slice(first, first + pace.batch_size), f"{weight:g}_{start}_{first:06d}"
            part = run.workspace.load(name) if run.workspace else None
            if part is None:
                u = _noise(drawn, rows, start, run.seed)
                seen = np.asarray(observed[rows], np.float32)
                part = _descend(step, drawn[rows], seen, weight, u, pace, bar.advance, label)
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


def deviations_of(values: Rows, rows: range | None = None) -> Floats:
    """Return the deviation of each unit, of maps of each channel; infinite where nothing varies, so that it has no weight.

    Args:
        rows: that count, one after the other; None: all.
    """
    rows = range(len(values)) if rows is None else rows
    over = tuple(range(len(values.shape) - 1)) if len(values.shape) == 4 else (0,)

    def parts() -> Iterator[NDArray[np.float64]]:
        """Yield few at a time: a layer may send megabytes of an image."""
        for start in range(rows.start, rows.stop, AT_A_TIME):
            yield np.asarray(values[start : min(start + AT_A_TIME, rows.stop)], np.float64)

    count = len(rows) * math.prod(values.shape[1:-1] if len(over) > 1 else ())
    mean = sum(part.sum(axis=over) for part in parts()) / count
    square = sum(np.square(part - mean).sum(axis=over) for part in parts()) / count
    largest = np.max([np.abs(part).max(axis=over) for part in parts()], axis=0)
    return np.where(np.sqrt(square) > 1e-6 * largest, np.sqrt(square), np.inf).astype(np.float32)


def spectrum_of(missed: Floats) -> Spectrum:
    """Return the law of differences between images `(count, height, width, channels)`.

    Colours are those in which they differ independently; waves of nearly equal frequency have one deviation, whatever
    their direction.
    """
    missed = np.asarray(missed, np.float64)
    colours = np.linalg.eigh(np.einsum("nhwi,nhwj->ij", missed, missed))[1]
    power = np.square(dctn(missed @ colours, axes=(1, 2), norm="ortho")).mean(axis=0)
    height, width = power.shape[:2]
    frequency = np.hypot(np.arange(height)[:, None] / height, np.arange(width) / width) * max(height, width)
    ring = np.rint(RINGS * np.log2(1 + frequency)).astype(np.int64)
    size = np.bincount(ring.ravel())
    for channel in range(power.shape[2]):
        whole = np.bincount(ring.ravel(), power[..., channel].ravel())
        power[..., channel] = (whole / np.maximum(size, 1))[ring]
    return Spectrum(np.maximum(np.sqrt(power), SMALLEST).astype(np.float32), colours.astype(np.float32))


def _waves(count: int) -> Floats:
    """Return the cosine transform as a matrix: `(frequencies, positions)`, orthonormal."""
    return np.asarray(dct(np.eye(count), axis=0, norm="ortho"), np.float32)


def _descend(
    step: Step,
    drawn: Floats,
    observed: Floats,
    weight: float,
    u: Floats,
    pace: Pace,
    report: Callable[[float], None],
    label: str,
) -> dict[str, NDArray[Any]]:
    image, seen = (tf.TensorSpec([None, *rows.shape[1:]], tf.float32) for rows in (drawn, observed))
    scalar = tf.TensorSpec([], tf.float32)
    # For any number of images: nothing is traced again for the last batch, which may be smaller
    take = step.get_concrete_function(image, seen, scalar, image, image, image, scalar, scalar)  # type: ignore[attr-defined]
    place, first, second = tf.constant(u), tf.zeros_like(u), tf.zeros_like(u)  # and Adam's moments
    given = [tf.constant(drawn), tf.constant(observed), tf.constant(weight, tf.float32)]
    for number in range(pace.steps + 1):  # the last one only looks
        rate = 0.5 * pace.learning_rate * (1 + math.cos(math.pi * number / pace.steps))
        told = [tf.constant(n, tf.float32) for n in (number + 1, rate)]
        images, terms, place, first, second = take(*given, place, first, second, *told)
        finite = np.isfinite(terms).all(axis=1)
        if not finite.all():
            term = TERMS[int(np.argmin(finite))]
            raise FloatingPointError(f"{label}: the term `{term}` is not finite at step {number + 1}.")
        if number < pace.steps:
            report(len(drawn))
    return {"images": images.numpy(), "losses": terms.numpy().sum(axis=0)}


def _noise(drawn: Floats, rows: slice, start: int, seed: int) -> Floats:
    """Return where a start begins, of the shape of the images: the first of them at the drawn image."""
    if not start:
        return np.zeros_like(drawn[rows])
    draws = [np.random.default_rng(derive(seed, "start", start, place)) for place in range(len(drawn))[rows]]
    return np.stack([draw.standard_normal(drawn.shape[1:], np.float32) for draw in draws])
