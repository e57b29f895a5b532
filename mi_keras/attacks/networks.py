"""The networks of the learned attack with their losses: M_I for vectors (thesis 3.6), decoders for feature maps (split 4.1)."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from mi_keras.metrics.image import imagenet_normalise, ms_ssim_loss, mse, ssim
from mi_keras.models.decoders import build_decoder, unit_range
from mi_keras.models.tcnn import build_tcnn
from mi_keras.settings import PUBLISHED_DECODERS, RELEASED, DecoderSettings, InverterSettings
from mi_keras.training.loop import Loss
from mi_keras.training.schedules import Schedule, constant, cosine, step_decay
from mi_keras.types import Rows

STEP_FACTOR, STEP_EPOCHS = 0.93, 3  # split 4.1
ImageShape = tuple[int, int, int]
Build = Callable[[tuple[int, ...], ImageShape, float, int], keras.Model]


@dataclass(frozen=True)
class Network:
    """A network as `Learned` uses it.

    Attributes:
        kinds: of the attack's stages in the store.
        flat: it takes one vector per image, and not maps.
        name: of the decoder; "" for M_I.
        batch: images drawn together.
        loss: of images in [0, 1] or 0..255 and what the network answers.
        schedule: of the learning rate.
        make: from the shapes of an input and an image, the deviation of noise on the input, and a seed to a model.
        noise: the deviation of noise on the input in training, as a share of the input's own.
        image_noise: mean and variance of noise on the images before they are answered.
        gains_in_half: it is trained faster with products in bfloat16.
        normalised: its answers are normalised as ImageNet's are, and not in [0, 1].
    """

    kinds: tuple[str, str]
    flat: bool
    name: str
    batch: int
    loss: Loss
    schedule: Schedule
    make: Build
    noise: float = 0.0
    image_noise: tuple[float, float] = (0.0, 0.0)
    gains_in_half: bool = True
    normalised: bool = False

    def noise_on(self, inputs: Rows) -> float:
        """Return the deviation of the noise on such inputs in training, in their own units."""
        noise = self.noise and self.noise * float(np.std(inputs[:], dtype=np.float64))
        if self.noise and not noise:
            raise ValueError(
                f"`settings.input_noise` must be 0 where all inputs are equal; got {self.noise}."
            )
        return noise

    def build(self, inputs: Rows, image_shape: ImageShape, seed: int) -> keras.Model:
        """Build it with new weights for inputs and images `(height, width, channels)`."""
        return self.make(inputs.shape[1:], image_shape, self.noise_on(inputs), seed)

    def rebuild(self, input_shape: tuple[int, ...], image_shape: ImageShape) -> keras.Model:
        """Build it with the number, order and shapes of the variables of a trained one, to be assigned from that."""
        return self.make(input_shape, image_shape, self.noise, 1)

    def decode(self, model: keras.Model, inputs: tf.Tensor) -> tf.Tensor:
        """Return images in [0, 1], float32, also as part of a graph."""
        answers = model(tf.cast(inputs, tf.float32), training=False)
        return unit_range(answers) if self.normalised else answers


def network_of(settings: InverterSettings | DecoderSettings) -> Network:
    """Return the network that settings are of."""
    return _inverter(settings) if isinstance(settings, InverterSettings) else _decoder(settings)


def _inverter(settings: InverterSettings) -> Network:
    """Return M_I: a transposed CNN trained with 1 - SSIM on images in [0, 1]."""

    def make(input_shape: tuple[int, ...], image_shape: ImageShape, noise: float, seed: int) -> keras.Model:
        return build_tcnn(
            input_shape[0], image_shape, channels=settings.channels, dropout=settings.dropout,
            input_noise=noise, seed=seed,
        )  # fmt: skip

    def loss(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        return 1.0 - ssim(_unit(targets), outputs)

    return Network(("inverter", "inversion"), True, "", 256, loss, constant, make, noise=settings.input_noise)


def _decoder(settings: DecoderSettings) -> Network:
    """Return a decoder of feature maps, trained with a weighted sum of losses.

    The published decoders answer normalised images and are compared with such (split 4.1), ours answer in [0, 1].
    """
    normalised = settings.decoder in PUBLISHED_DECODERS
    terms = [(settings.mse, mse), (settings.l1, _mean_absolute_error), (settings.ms_ssim, ms_ssim_loss)]

    def loss(targets: tf.Tensor, answers: tf.Tensor) -> tf.Tensor:
        images = imagenet_normalise(_unit(targets)) if normalised else _unit(targets)
        return tf.add_n([weight * term(images, answers) for weight, term in terms if weight])

    def make(map_shape: tuple[int, ...], image_shape: ImageShape, _: float, seed: int) -> keras.Model:
        return build_decoder(settings.decoder, tuple(map_shape), image_shape, seed=seed)

    is_cosine = settings.schedule == "cosine"
    schedule = cosine(settings.epochs) if is_cosine else step_decay(STEP_FACTOR, STEP_EPOCHS)
    return Network(
        ("decoder", "scored"), False, settings.decoder, 50, loss, schedule, make,
        image_noise=(settings.noise_mean, settings.noise_variance), normalised=normalised,
        # Transposed ones spend most of their time on maps of few channels, which are moved and not multiplied
        gains_in_half=settings.decoder not in ("transposed", RELEASED),
    )  # fmt: skip


def _unit(images: tf.Tensor) -> tf.Tensor:
    """Return images in [0, 1], from uint8 in 0..255 or as they are."""
    return tf.cast(images, tf.float32) / 255.0 if images.dtype == tf.uint8 else images


def _mean_absolute_error(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.abs(first - second), axis=(1, 2, 3))
