"""The presets' smaller sizes of the split attack, in one place, so that its sections share their stages."""

from dataclasses import replace
from typing import Any

from mi_keras.errors import InputError
from mi_keras.settings import DecoderSettings, FaceSettings

# The text's own (split 4.1)
TRANSPOSED, BICUBIC = DecoderSettings("transposed"), DecoderSettings("bicubic")
# Ours: docs/results.md tells how they were chosen, and what the text's noise does
COMPACT = DecoderSettings(
    "compact", 25, 16, 2e-3, "cosine", mse=5.0, ms_ssim=1.0, noise_mean=0.0, noise_variance=0.0
)
LARGE = replace(COMPACT, decoder="large")

EPOCHS = 6  # of every decoder in `quick`
_FEWER: dict[str, Any] = {"epochs": EPOCHS, "batch_size": 16, "learning_rate": 1e-3}
QUICK: dict[str, Any] = {
    "faces": FaceSettings(faces=3300, size=192),
    "transposed": replace(TRANSPOSED, **_FEWER),
    "bicubic": replace(BICUBIC, **_FEWER),
    "compact": replace(COMPACT, epochs=EPOCHS),
    "large": replace(LARGE, epochs=EPOCHS),
}
SMOKE: dict[str, Any] = {
    "faces": FaceSettings(faces=88, size=192),
    **{each.decoder: replace(each, epochs=1, batch_size=8) for each in (TRANSPOSED, BICUBIC, COMPACT, LARGE)},
}


def check_decoders(**settings: DecoderSettings) -> None:
    """Raise `InputError` where the settings of one decoder are another's."""
    for name, given in settings.items():
        if given.decoder != name:
            raise InputError(f"`{name}.decoder` must be {name}; got {given.decoder!r}.")
