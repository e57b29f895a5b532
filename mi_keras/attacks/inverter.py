"""Inversion model M_I: train it on the shadow's answers, apply it to the target's (thesis 3.6, 3.7)."""

import keras
import numpy as np

from mi_keras.metrics.image import ssim
from mi_keras.models.tcnn import build_tcnn
from mi_keras.seeds import derive
from mi_keras.settings import COMBINATIONS, InverterSettings
from mi_keras.training.loop import Examples, FitSettings, fit
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
        The model and its loss curve (see `training.loop.fit`).
    """
    inputs = assemble_input(evidence, combination)
    tcnn = build_tcnn(
        inputs.shape[1],
        image_channels=images.shape[3],
        channels=settings.channels,
        seed=derive(seed, "initial"),
    )
    history = fit(
        tcnn,
        Examples(inputs, images),
        FitSettings(settings.epochs, settings.batch_size, settings.learning_rate),
        loss=lambda targets, outputs: 1.0 - ssim(targets, outputs),
        seed=seed,
        workspace=workspace,
        progress=progress,
        label=label,
    )
    return tcnn, history


def invert(tcnn: keras.Model, evidence: ShadowEvidence, combination: str, *, batch_size: int = 256) -> Floats:
    """Reconstruct the images behind the evidence: `(count, 32, 32, channels)` in [0, 1]."""
    inputs = assemble_input(evidence, combination)
    batches = [inputs[i : i + batch_size] for i in range(0, len(inputs), batch_size)]
    return np.concatenate([tcnn(batch, training=False).numpy() for batch in batches])
