"""Chooses which feature maps to send: at random, by variance, by their value for the attacker or for the tail (split
7).

How many are to be sent must be in 1..channels; each function raises `InputError` where it is not.
"""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.defenses.maps import MapStatistics, map_statistics
from mi_keras.errors import InputError
from mi_keras.seeds import derive
from mi_keras.types import Floats

DROPPED = 0.1  # largest share of the maps that one round of elimination drops
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # (images, outputs) -> one value per image


def random_maps(channels: int, m: int, seed: int) -> tuple[int, ...]:
    """Return m of the numbers 0..channels-1 in ascending order; for one seed, fewer are among more."""
    _check_count("m", m, channels)
    order = np.random.default_rng(derive(seed, "random maps")).permutation(channels)
    return tuple(sorted(order[:m].tolist()))


def highest_variance(statistics: MapStatistics, m: int) -> tuple[int, ...]:
    """Return the numbers of the m maps that vary most, ascending; of equal ones the lower."""
    return _lowest(-statistics.deviation, m)


def lowest_reconstruction_gradient(
    decoder: keras.Model,
    maps: NDArray[Any],
    images: NDArray[Any],
    m: int,
    *,
    loss: Loss,
    batch_size: int = 64,
) -> tuple[int, ...]:
    """Return the numbers of the m maps that an adversary's decoder relies on least, ascending; of equal ones the lower.

    The score of a map is the mean of |d loss / d value| over images and positions, times the map's standard deviation.

    Args:
        decoder: maps to images; it stays as it is.
        maps: `(count, height, width, channels)` of the defender's own images, also a memory map.
        images: `(count, ...)` the images, as `loss` expects them.
        m: how many maps are sent.
        loss: `(images, outputs)` to one value per image.
        batch_size: images at a time; nothing depends on it beyond float rounding.

    Raises:
        InputError: `maps` and `images` are not equally many.
        FloatingPointError: a score is not finite.
    """
    _check_count("m", m, maps.shape[-1])
    if len(maps) != len(images):
        raise InputError(f"`images` must be as many as `maps`, {len(maps)}; got {len(images)}.")
    some = tf.TensorSpec([None, *images.shape[1:]], images.dtype)

    @tf.function(autograph=False, input_signature=[_batch_of(maps.shape[1:]), some])
    def total_gradient(maps: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(maps)
            losses = loss(images, decoder(maps, training=False))
        return tf.reduce_sum(tf.abs(tape.gradient(losses, maps)), axis=(0, 1, 2))  # (channels,)

    gradient = np.zeros(maps.shape[-1])
    for rows in _slices(len(maps), batch_size):
        gradient += total_gradient(maps[rows].astype(np.float32), tf.constant(images[rows])).numpy()
    # Not gradient * map, the effect of a zero in its place: an adversary learns a decoder for what is sent, and a map
    # that is large but always the same tells it nothing. Absolute at each position, because what a trained decoder
    # still gets wrong does not correlate with its input: a sum over positions would cancel.
    return _lowest(gradient * map_statistics(maps, batch_size).deviation, m)


def greedy_for_tail(
    tail: keras.Model, maps: NDArray[Any], counts: Iterable[int], *, seed: int, batch_size: int = 64
) -> dict[int, tuple[int, ...]]:
    """Drop maps, in rounds of at most a tenth, whose loss changes the tail's answer least (Molchanov et al. 2017).

    The change is that of the mean KL divergence of the answer to the maps that are left from the answer to all, to
    second order. Molchanov et al. stop at the first, which is zero as long as nothing is dropped, and take its size;
    here a map may also go because it makes up for others that are gone. Derivatives are taken anew for each round; in
    it the maps go one by one, each with its effect on the costs of the rest. Sound where a round changes logits by
    little: not for a handful of maps that each decide the answer.

    Args:
        tail: maps `(batch, height, width, channels)` to logits `(batch, classes)`; it stays as it is.
        maps: `(count, height, width, channels)` of the defender's own images, also a memory map; no labels needed.
        counts: how many maps to keep, each in 1..channels.
        seed: of the random signs in the estimate of second order.
        batch_size: images at a time; nothing depends on it beyond float rounding.

    Returns:
        For each count the numbers of the maps kept, ascending; those of a smaller count are among those of a larger.

    Raises:
        FloatingPointError: an estimate is not finite.
    """
    channels, wanted = maps.shape[-1], sorted(set(counts), reverse=True)
    for count in wanted:
        _check_count("counts", count, channels)
    answer, derivatives = _make_derivatives(tail, maps.shape[1:])
    slices = _slices(len(maps), batch_size)
    reference = np.concatenate([answer(maps[rows].astype(np.float32)) for rows in slices])
    draw = np.random.default_rng(derive(seed, "signs"))
    kept, found = np.arange(channels), {}
    for count in wanted:
        while len(kept) > count:
            mask = np.isin(np.arange(channels), kept).astype(np.float32)
            signs = draw.choice(np.array([-1, 1], np.float32), reference.shape)
            parts = [
                derivatives(maps[rows].astype(np.float32), mask, reference[rows], signs[rows])
                for rows in slices
            ]
            slopes, roots = (np.concatenate([part[i].numpy()[:, kept] for part in parts]) for i in (0, 1))
            drop = min(len(kept) - count, max(1, int(DROPPED * len(kept))))
            kept = np.delete(kept, _cheapest(slopes.mean(axis=0), roots.T @ roots / len(roots), drop))
        found[count] = tuple(kept.tolist())
    return found


def _cheapest(slope: Floats, curvature: Floats, count: int) -> list[int]:
    """Return which factors to set from 1 to 0, one after another, to raise -slope'd + d'curvature d / 2 least.

    Of equal ones the lower goes first.
    """
    if not (np.isfinite(slope).all() and np.isfinite(curvature).all()):
        raise FloatingPointError("map selection: a derivative of the tail's answer is not finite.")
    costs = np.diag(curvature) / 2 - slope
    dropped: list[int] = []
    for _ in range(count):
        dropped.append(int(np.argmin(costs)))
        costs = costs + curvature[dropped[-1]]
        costs[dropped] = np.inf
    return dropped


def _make_derivatives(
    tail: keras.Model, map_shape: tuple[int, ...]
) -> tuple[Callable[..., tf.Tensor], Callable[..., tuple[tf.Tensor, ...]]]:
    """Return the tail's logits, and the derivatives of the divergence by a factor on each map, all 1 before.

    With p and q the answers to all maps and to those left, and J the derivative of the logits by the factors, the
    divergence of an image has the slope (q - p)' J and, where the logits are taken as linear, the curvature
    J' (diag q - q q') J. The slope is zero as long as p = q: before the first round the curvature alone, the Fisher
    information of Theis et al. 2018, tells maps apart. With random signs s, u = (diag sqrt(q) - q sqrt(q)') s has the
    mean square diag q - q q'. So one more backward pass gives J'u, whose square has the curvature as its mean and varies
    far less than that of the gradient of the log-probability of a class drawn from q.
    """
    batch, answers = _batch_of(map_shape), _batch_of(tail.output_shape[1:])
    mask_of_maps = tf.TensorSpec([map_shape[-1]], tf.float32)

    @tf.function(autograph=False, input_signature=[batch])
    def answer(maps: tf.Tensor) -> tf.Tensor:
        return tail(maps, training=False)

    @tf.function(autograph=False, input_signature=[batch, mask_of_maps, answers, answers])
    def derivatives(
        maps: tf.Tensor, mask: tf.Tensor, reference: tf.Tensor, signs: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        left = maps * mask
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(left)
            logits = tail(left, training=False)
        q = tf.nn.softmax(logits)  # (batch, classes)
        signed_root = tf.sqrt(q) * signs
        random_direction = signed_root - q * tf.reduce_sum(signed_root, axis=1, keepdims=True)
        return tuple(
            tf.reduce_sum(left * tape.gradient(logits, left, direction), axis=(1, 2))  # (batch, channels)
            for direction in (q - tf.nn.softmax(reference), random_direction)
        )

    return answer, derivatives


def _lowest(scores: NDArray[Any], m: int) -> tuple[int, ...]:
    """Return the numbers of the m lowest scores, ascending; of equal ones the lower."""
    _check_count("m", m, len(scores))
    if not np.isfinite(scores).all():
        raise FloatingPointError("map selection: the score of a map is not finite.")
    return tuple(sorted(np.argsort(scores, kind="stable")[:m].tolist()))


def _check_count(name: str, count: int, channels: int) -> None:
    if not 1 <= count <= channels:
        raise InputError(f"`{name}` must be between 1 and {channels}, the number of maps; got {count!r}.")


def _slices(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]


def _batch_of(shape: tuple[int, ...]) -> tf.TensorSpec:
    return tf.TensorSpec([None, *shape], tf.float32)
