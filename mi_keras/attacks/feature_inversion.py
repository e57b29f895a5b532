"""Reconstruction from feature maps: train a decoder on images of the adversary's own, apply it to others (split 4)."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.metrics.image import imagenet_normalise, ms_ssim_loss, mse
from mi_keras.models.decoders import build_decoder, unit_range
from mi_keras.seeds import derive
from mi_keras.settings import PUBLISHED_DECODERS, DecoderSettings
from mi_keras.training.loop import Examples, FitSettings, FitterPool, Loss
from mi_keras.training.schedules import Schedule, cosine, step_decay
from mi_keras.types import Floats, Rows
from mi_keras.work import Progress, Workspace

STEP_FACTOR, STEP_EPOCHS = 0.93, 3  # split 4.1
BATCH = 50  # images encoded or decoded together


def train_decoder(
    maps: Rows,
    images: NDArray[np.uint8],
    settings: DecoderSettings,
    pool: FitterPool,
    *,
    seed: int,
    start: keras.Model | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
    label: str = "decoder",
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train a decoder to map feature maps back to the images that they are of.

    The adversary can compute both sides itself where it can query the head (split 4: the encoder is frozen).

    Args:
        maps: what the head sends of each image; a defence that the adversary knows of has been applied.
        images: `(count, 16 * height, 16 * width, 3)` in 0..255.
        pool: of `decoder_fitters` with the same settings; fits of one pool share a traced step.
        start: a decoder of the same settings to go on from; None: new weights, drawn from `seed`.

    Returns:
        The decoder and its loss curve (see `training.loop.Fitter.fit`).

    Raises:
        ValueError: the images are not 16 times as large as the maps.
    """
    _, height, width, channels = maps.shape
    if images.shape[1:] != (16 * height, 16 * width, 3):
        raise ValueError(f"`images` must be 16 times as large as `maps`; got {images.shape}, {maps.shape}.")
    decoder = build_decoder(settings.decoder, (height, width, channels), seed=derive(seed, "initial"))
    if start is not None:
        decoder.set_weights(start.get_weights())
    schedule = _schedule(settings)
    history = pool.fit(
        decoder,
        (settings.decoder, maps.shape[1:]),
        Examples(maps, images),
        FitSettings(settings.epochs, settings.batch_size, settings.learning_rate, schedule),
        seed=seed,
        workspace=workspace,
        progress=progress,
        label=label,
    )
    return decoder, history


def decoder_fitters(settings: DecoderSettings) -> FitterPool:
    """Return a pool for fits with these settings' loss (see `train_decoder`)."""
    return FitterPool(reconstruction_loss(settings), size=1)


def reconstruction_loss(settings: DecoderSettings) -> Loss:
    """Return the loss of `(batch, height, width, 3)` images in 0..255 and what the decoder answers, `(batch,)`.

    The published decoders answer normalised images and are compared with such (split 4.1), ours in [0, 1].
    """
    terms: list[tuple[float, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]]] = [
        (settings.mse, mse),
        (settings.l1, _mean_absolute_error),
        (settings.ms_ssim, ms_ssim_loss),
    ]
    normalised = settings.decoder in PUBLISHED_DECODERS

    def loss(targets: tf.Tensor, answers: tf.Tensor) -> tf.Tensor:
        images = tf.cast(targets, tf.float32) / 255.0
        images = imagenet_normalise(images) if normalised else images
        return tf.add_n([weight * term(images, answers) for weight, term in terms if weight])

    return loss


def reconstruct_images(
    decoder: keras.Model, settings: DecoderSettings, maps: Rows, *, batch_size: int = BATCH
) -> Iterator[Floats]:
    """Yield the images of feature maps in order, `(batch, height, width, 3)` in [0, 1]."""
    traced = tf.function(lambda batch: decode_tensors(decoder, settings, batch), autograph=False)
    decode = traced.get_concrete_function(tf.TensorSpec([None, *maps.shape[1:]], maps.dtype))
    for start in range(0, len(maps), batch_size):
        yield decode(tf.constant(maps[start : start + batch_size])).numpy()


def decode_tensors(decoder: keras.Model, settings: DecoderSettings, maps: tf.Tensor) -> tf.Tensor:
    """Return the images of feature maps, of any float type, as float32 in [0, 1]; also as part of a graph."""
    answers = decoder(tf.cast(maps, tf.float32), training=False)
    return unit_range(answers) if settings.decoder in PUBLISHED_DECODERS else answers


def _schedule(settings: DecoderSettings) -> Schedule:
    if settings.schedule == "cosine":
        return cosine(settings.epochs)
    return step_decay(STEP_FACTOR, STEP_EPOCHS)


def _mean_absolute_error(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.abs(first - second), axis=(1, 2, 3))
