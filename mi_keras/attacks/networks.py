"""The networks of the learned attack with their losses: M_I for vectors (thesis 3.6), decoders for feature maps (split 4.1)."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import keras
import numpy as np
import tensorflow as tf

from mi_keras.attacks.attack import Input
from mi_keras.metrics.image import imagenet_normalise, ms_ssim_loss, mse, ssim
from mi_keras.models.decoders import build_decoder, unit_range
from mi_keras.models.tcnn import build_tcnn
from mi_keras.settings import PUBLISHED_DECODERS, DecoderSettings, InverterSettings
from mi_keras.training.loop import Loss
from mi_keras.training.schedules import Schedule, constant, cosine, step_decay
from mi_keras.types import Rows

STEP_FACTOR, STEP_EPOCHS = 0.93, 3  # split 4.1


class Network(Protocol):
    """A network as `Learned` uses it.

    Attributes:
        kinds: of the attack's stages in the store.
        flat: it takes one vector per image, and not maps.
        batch: images drawn together.
    """

    kinds: ClassVar[tuple[str, str]]
    flat: ClassVar[bool]
    batch: ClassVar[int]

    @property
    def settings(self) -> InverterSettings | DecoderSettings: ...
    @property
    def loss(self) -> Loss: ...
    @property
    def schedule(self) -> Schedule: ...
    def label(self, inputs: Sequence[Input]) -> str:
        """Return how tables call the attack."""

    def seed_name(self, name: str) -> tuple[object, ...]:
        """Return the names that its seed derives from; `name` is that of the inputs."""

    def key(self, inputs: Rows) -> Hashable:
        """Return what tells networks of equal settings apart beside the shape of the image."""

    def build(self, inputs: Rows, image_shape: tuple[int, int, int], seed: int) -> keras.Model:
        """Build it with new weights for inputs and images `(height, width, channels)`."""

    def rebuild(self, input_shape: tuple[int, ...], image_shape: tuple[int, int, int]) -> keras.Model:
        """Build it with the number, order and shapes of the variables of a trained one, to be assigned from that."""

    def decode(self, model: keras.Model, inputs: tf.Tensor) -> tf.Tensor:
        """Return images in [0, 1], float32, also as part of a graph."""


@dataclass(frozen=True)
class VectorNetwork:
    """M_I: a transposed CNN trained with 1 - SSIM on images in [0, 1]."""

    settings: InverterSettings

    kinds: ClassVar[tuple[str, str]] = ("inverter", "inversion")
    flat: ClassVar[bool] = True
    batch: ClassVar[int] = 256

    @property
    def loss(self) -> Loss:
        return _dissimilarity

    @property
    def schedule(self) -> Schedule:
        return constant

    def label(self, inputs: Sequence[Input]) -> str:
        return f"M_I({' + '.join(each.label for each in inputs)})"

    def seed_name(self, name: str) -> tuple[object, ...]:
        return ("inverter", name)

    def key(self, inputs: Rows) -> Hashable:
        return (inputs.shape[1], self._noise(inputs))

    def build(self, inputs: Rows, image_shape: tuple[int, int, int], seed: int) -> keras.Model:
        return self._build(inputs.shape[1], image_shape, self._noise(inputs), seed)

    def rebuild(self, input_shape: tuple[int, ...], image_shape: tuple[int, int, int]) -> keras.Model:
        return self._build(input_shape[0], image_shape, self.settings.input_noise, seed=1)

    def decode(self, model: keras.Model, inputs: tf.Tensor) -> tf.Tensor:
        return model(inputs, training=False)

    def _noise(self, inputs: Rows) -> float:
        """Return the deviation of the noise on the input in training, in the input's own units."""
        if not self.settings.input_noise:
            return 0.0
        noise = self.settings.input_noise * float(np.std(inputs[:], dtype=np.float64))
        if not noise:
            raise ValueError(
                f"`settings.input_noise` must be 0 where all inputs are equal; got {self.settings.input_noise}."
            )
        return noise

    def _build(self, width: int, image_shape: tuple[int, int, int], noise: float, seed: int) -> keras.Model:
        settings = self.settings
        return build_tcnn(
            width, image_shape, channels=settings.channels, dropout=settings.dropout,
            input_noise=noise, seed=seed,
        )  # fmt: skip


@dataclass(frozen=True)
class MapNetwork:
    """A decoder of feature maps, trained with a weighted sum of losses.

    The published decoders answer normalised images and are compared with such (split 4.1), ours answer in [0, 1].
    """

    settings: DecoderSettings

    kinds: ClassVar[tuple[str, str]] = ("decoder", "scored")
    flat: ClassVar[bool] = False
    batch: ClassVar[int] = 50

    @property
    def loss(self) -> Loss:
        settings, normalised = self.settings, self.normalised
        terms: list[tuple[float, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]]] = [
            (settings.mse, mse),
            (settings.l1, _mean_absolute_error),
            (settings.ms_ssim, ms_ssim_loss),
        ]

        def loss(targets: tf.Tensor, answers: tf.Tensor) -> tf.Tensor:
            images = imagenet_normalise(_unit(targets)) if normalised else _unit(targets)
            return tf.add_n([weight * term(images, answers) for weight, term in terms if weight])

        return loss

    @property
    def normalised(self) -> bool:
        """Whether its answers are normalised as ImageNet's are, and not in [0, 1]."""
        return self.settings.decoder in PUBLISHED_DECODERS

    @property
    def schedule(self) -> Schedule:
        if self.settings.schedule == "cosine":
            return cosine(self.settings.epochs)
        return step_decay(STEP_FACTOR, STEP_EPOCHS)

    def label(self, inputs: Sequence[Input]) -> str:
        return f"{self.settings.decoder} decoder"

    def seed_name(self, name: str) -> tuple[object, ...]:
        return ("decoder", self.settings.decoder)

    def key(self, inputs: Rows) -> Hashable:
        return tuple(inputs.shape[1:])

    def build(self, inputs: Rows, image_shape: tuple[int, int, int], seed: int) -> keras.Model:
        return build_decoder(self.settings.decoder, tuple(inputs.shape[1:]), image_shape, seed=seed)

    def rebuild(self, input_shape: tuple[int, ...], image_shape: tuple[int, int, int]) -> keras.Model:
        return build_decoder(self.settings.decoder, input_shape, image_shape)

    def decode(self, model: keras.Model, inputs: tf.Tensor) -> tf.Tensor:
        answers = model(tf.cast(inputs, tf.float32), training=False)
        return unit_range(answers) if self.normalised else answers


def network_of(settings: InverterSettings | DecoderSettings) -> Network:
    """Return the network that settings are of."""
    return VectorNetwork(settings) if isinstance(settings, InverterSettings) else MapNetwork(settings)


def _dissimilarity(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    return 1.0 - ssim(_unit(targets), outputs)


def _unit(images: tf.Tensor) -> tf.Tensor:
    """Return images in [0, 1], from uint8 in 0..255 or as they are."""
    return tf.cast(images, tf.float32) / 255.0 if images.dtype == tf.uint8 else images


def _mean_absolute_error(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.abs(first - second), axis=(1, 2, 3))
