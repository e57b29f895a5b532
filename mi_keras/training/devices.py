"""Several devices for one training: the GPUs of a host, by TensorFlow's mirrored strategy."""

import functools

import keras
import tensorflow as tf

from mi_keras.errors import InputError
from mi_keras.models.layers import BitDropout, FusedBatchNormalization, InputNoise

OURS = (
    BitDropout,
    FusedBatchNormalization,
    InputNoise,
)  # they look at the whole batch, see `models.replicas`


@functools.cache
def mirrored(count: int) -> tf.distribute.Strategy | None:
    """Return what lets `count` devices train one model together; None for one.

    Raises:
        InputError: TensorFlow sees fewer GPUs; where it sees none, fewer logical devices of the CPU.
    """
    if count == 1:
        return None
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    seen = [device.name for device in tf.config.list_logical_devices(kind)]
    if count > len(seen):
        raise InputError(
            f"`devices` must be at most {len(seen)}, as many as TensorFlow sees of kind {kind}; got {count}."
        )
    return tf.distribute.MirroredStrategy(seen[:count])


def can_be_shared(model: keras.Model) -> bool:
    """Return whether several devices would train a model as one does: its layers normalise and draw over the whole batch."""
    others = (layer for layer in model._flatten_layers() if not isinstance(layer, OURS))
    return not any(
        hasattr(layer, "seed_generator")
        or (isinstance(layer, keras.layers.BatchNormalization) and layer.trainable)
        for layer in others
    )
