"""One training on several devices: each has a copy of the model and some rows of the batch, and all take the same step.

What a batch has in common is computed over all of its rows: statistics of normalisation, random draws, the mean loss and its gradient. So
the step is that of one device with the whole batch, to float rounding. On one device every function here is the plain operation.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def several() -> Any:
    """Return the context of this replica, None where it is the only one or code runs for all of them."""
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def own_rows(batch: tf.Tensor) -> tf.Tensor:
    """Return this replica's rows of a batch; numbers of rows differ by one at most."""
    context = several()
    if context is None:
        return batch
    count, number = tf.shape(batch)[0], context.replica_id_in_sync_group
    replicas = context.num_replicas_in_sync
    with tf.device("CPU:0"):  # a GPU gets its rows alone
        return batch[count * number // replicas : count * (number + 1) // replicas]


def total(values: Any) -> Any:
    """Return the sum over all replicas of a tensor, or of each of several."""
    context = several()
    return values if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def mean_over_batch(values: tf.Tensor) -> tf.Tensor:
    """Return this replica's part of the mean of `(rows,)` values of a batch: the parts add up to it."""
    if several() is None:
        return tf.reduce_mean(values)
    return tf.reduce_sum(values) / total(tf.cast(tf.size(values), values.dtype))


def drawn(draw: Callable[[tf.Tensor], tf.Tensor], inputs: tf.Tensor) -> tf.Tensor:
    """Return what `draw` makes for inputs of a shape: this replica's rows of the draw for the whole batch."""
    context = several()
    if context is None:
        return draw(tf.shape(inputs))
    rows = tf.one_hot(
        context.replica_id_in_sync_group, context.num_replicas_in_sync, tf.shape(inputs)[0], 0, dtype=tf.int32
    )
    rows = total(rows)
    first = tf.reduce_sum(rows[: context.replica_id_in_sync_group])
    whole = draw(tf.concat([[tf.reduce_sum(rows)], tf.shape(inputs)[1:]], axis=0))
    return whole[first : first + tf.shape(inputs)[0]]


def moments(maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return mean, biased and unbiased variance of each channel, `(channels,)`, over all rows and positions of a batch."""
    axes = list(range(len(maps.shape) - 1))
    count = total(tf.cast(tf.reduce_prod(tf.shape(maps)[:-1]), maps.dtype))
    mean = total(tf.reduce_sum(maps, axis=axes)) / count
    squares = total(tf.reduce_sum(tf.math.squared_difference(maps, mean), axis=axes))
    return mean, squares / count, squares / tf.maximum(count - 1, 1)
