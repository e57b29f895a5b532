"""Inversion model M_I: train it on the shadow's answers, apply it to the target's (thesis 3.6, 3.7)."""

import gc
import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from mi_keras.metrics.image import ssim
from mi_keras.models.tcnn import build_tcnn
from mi_keras.seeds import derive
from mi_keras.settings import COMBINATIONS, InverterSettings
from mi_keras.training.loop import Examples, FitSettings, Fitter
from mi_keras.types import Floats, ShadowEvidence
from mi_keras.work import Progress, Workspace


def assemble_input(evidence: ShadowEvidence, combination: str) -> Floats:
    """Concatenate the parts of a combination in the order O, A^L, flattened X~, to `(count, width)`.

    Raises:
        ValueError: the combination is unknown, or the evidence lacks a part it needs.
    """
    if combination not in COMBINATIONS:
        raise ValueError(f"`combination` must be one of {', '.join(COMBINATIONS)}; got {combination!r}.")
    parts = {"o": evidence.output_vector, "a": evidence.activations, "x": evidence.gradient_reconstruction}
    chosen = []
    for letter in combination.split("+"):
        part = parts[letter]
        if part is None:
            raise ValueError(
                f"`evidence` must hold the part {letter!r} of combination {combination!r}; it is missing."
            )
        chosen.append(part.reshape(len(evidence), -1))
    return np.concatenate(chosen, axis=1)


def train_inverter(
    evidence: ShadowEvidence,
    images: Floats,
    combination: str,
    settings: InverterSettings,
    *,
    seed: int,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
    label: str = "inverter",
) -> tuple[keras.Model, dict[str, list[float]]]:
    """Train M_I with 1 - SSIM to map the shadow's evidence of its own training images back to those images.

    Args:
        evidence: from the shadow model's output vectors on `images`.
        images: `(count, 32, 32, channels)` in [0, 1].

    Returns:
        The model and its loss curve (see `training.loop.Fitter.fit`).

    Raises:
        ValueError: `settings.input_noise` is above 0 and all inputs are equal: there is no scale for the noise.
    """
    inputs = assemble_input(evidence, combination)
    noise = settings.input_noise * float(inputs.std(dtype=np.float64))
    if settings.input_noise and not noise:
        raise ValueError(
            f"`settings.input_noise` must be 0 where all inputs are equal; got {settings.input_noise}."
        )
    tcnn = _build(inputs.shape[1], images.shape[3], settings, noise, derive(seed, "initial"))
    history = Fitter(tcnn, _dissimilarity).fit(
        Examples(inputs, images),
        FitSettings(settings.epochs, settings.batch_size, settings.learning_rate),
        seed=seed,
        workspace=workspace,
        progress=progress,
        label=label,
    )
    gc.collect()  # optimizer and traced step refer to themselves in circles: else 100 MB wait, fit after fit
    return tcnn, history


def rebuild_inverter(width: int, image_channels: int, settings: InverterSettings) -> keras.Model:
    """Build an M_I whose variables have the number, order and shapes of a trained one's, to be assigned from those.

    Args:
        width: length of the input vector.
        image_channels: channels of the image.
        settings: those the stored one was trained with.
    """
    return _build(width, image_channels, settings, settings.input_noise, seed=1)


def invert(tcnn: keras.Model, evidence: ShadowEvidence, combination: str, *, batch_size: int = 256) -> Floats:
    """Reconstruct the images behind the evidence: `(count, 32, 32, channels)` in [0, 1]."""
    inputs = assemble_input(evidence, combination)
    batches = [inputs[i : i + batch_size] for i in range(0, len(inputs), batch_size)]
    return np.concatenate([tcnn(batch, training=False).numpy() for batch in batches])


def invert_tensors(tcnn: keras.Model, parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Apply M_I to tensors, as part of a graph: what `invert` does with the arrays of evidence.

    Args:
        parts: those of the combination, in its order, each `(batch, ...)` with all but the first dimension known.
    """
    flat = [tf.reshape(part, (-1, math.prod(part.shape[1:]))) for part in parts]
    return tcnn(tf.concat(flat, axis=1), training=False)


def _build(
    width: int, image_channels: int, settings: InverterSettings, noise: float, seed: int
) -> keras.Model:
    return build_tcnn(
        width,
        image_channels=image_channels,
        channels=settings.channels,
        dropout=settings.dropout,
        input_noise=noise,
        seed=seed,
    )


def _dissimilarity(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    return 1.0 - ssim(targets, outputs)
