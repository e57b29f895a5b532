"""The attacked model of the split attack as its experiments use it: frozen, at one image size, with an identity."""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from mi_keras.errors import InputError
from mi_keras.models.mobilenet import build_embedding, build_split_mobilenet, sent_shape
from mi_keras.settings import EncoderSettings

# Arguments of `build_split_mobilenet` as settings
SETTINGS = {"cut": "encoder.cut", "weights": "encoder.weights", "minimalistic": "encoder.variant"}


class Encoder:
    """The attacked model at one image size, frozen, and what identifies it.

    Raises:
        InputError: its settings break a rule, its weights are not to be had, or the cut gives no feature maps.
    """

    def __init__(self, settings: EncoderSettings, size: int) -> None:
        self.settings = settings
        with _names_of_settings():
            self.model = build_split_mobilenet(
                settings.cut, input_shape=(size, size, 3), minimalistic=settings.variant == "minimalistic",
                weights=settings.weights,
            )  # fmt: skip
        if len(self.model.head.output_shape) != 4:
            raise InputError(
                f"`encoder.cut` must give feature maps; got {settings.cut!r}, which gives a vector."
            )
        digest = hashlib.sha256()
        for variable in self.model.whole.weights:  # `variables` would add the random state of dropout
            digest.update(np.ascontiguousarray(variable.numpy()).data)
        self.identity: dict[str, str | int] = {
            "cut": self.model.cut,
            "size": size,
            "weights": digest.hexdigest(),
        }
        self.map_shape: tuple[int, int, int] = tuple(self.model.head.output_shape[1:])

    @cached_property
    def send(self) -> Callable[[Any], tf.Tensor]:
        """Images `(batch, size, size, 3)` in [0, 1] to the maps that the edge device sends."""
        return tf.function(lambda images: self.model.head(images, training=False), autograph=False)

    @cached_property
    def embed(self) -> Callable[[Any], tf.Tensor]:
        """Images in [0, 1] to the embedding that the tail makes its answer of, `(batch, 1280)`."""
        embedding = build_embedding(self.model)
        return tf.function(lambda images: embedding(images, training=False), autograph=False)

    @cached_property
    def answer(self) -> Callable[[Any], tf.Tensor]:
        """Maps, float16 or float32, to the tail's logits, `(batch, 1000)`."""
        tail = self.model.tail
        return tf.function(lambda maps: tail(tf.cast(maps, tf.float32), training=False), autograph=False)


def map_count(settings: EncoderSettings, size: int) -> int:
    """Return how many feature maps such an encoder sends, without its weights.

    Raises:
        InputError: the cut is none.
    """
    with _names_of_settings():
        return sent_shape(
            settings.cut, input_shape=(size, size, 3), minimalistic=settings.variant == "minimalistic"
        )[-1]


@contextmanager
def _names_of_settings() -> Iterator[None]:
    """Have what is refused named as the user knows it."""
    try:
        yield
    except InputError as error:
        text = re.sub(r"`(cut|weights|minimalistic)`", lambda match: f"`{SETTINGS[match[1]]}`", str(error))
        raise InputError(text) from None
