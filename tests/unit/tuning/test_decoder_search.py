"""The search over the training of a decoder: what a trial stands for, and what it is scored on."""

import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.settings import DecoderSettings
from mi_keras.tuning.decoder_search import DecoderSearchSettings, evaluator, tuned

VALUES = {"learning_rate": 2e-3, "batch_size": 8.0, "mse_weight": 3.0}
BASE = DecoderSettings("compact", epochs=1, batch_size=4, l1=0.5)


def test_the_trials_values_become_settings_of_the_decoder():
    assert tuned(BASE, VALUES) == DecoderSettings("compact", 1, 8, 2e-3, mse=3.0, l1=0.0, ms_ssim=1.0)


def test_a_trial_is_scored_on_images_that_it_has_not_trained_on():
    """Whatever the last tenth of the images is, the same answers a are scored: their errors fit together.

    Of x and 1 - x, mean (a - x)^2 + mean (a - 1 + x)^2 = mean a^2 + mean (a - 1)^2 + 2 mean x^2 - 2 mean x.
    """
    draw = np.random.default_rng(0)
    maps = draw.standard_normal((20, 2, 2, 6)).astype(np.float16)
    images = draw.integers(256, size=(20, 32, 32, 3), dtype=np.uint8)
    settings = {"decoder": vars(BASE), "seed": 1, "precision": "float32"}
    scores = []
    for unseen in (
        images[18:],
        255 - images[18:],
        np.zeros_like(images[18:]),
        np.full_like(images[18:], 255),
    ):
        given = {"maps": maps, "images": np.concatenate([images[:18], unseen])}
        scores.append(evaluator(given, settings)(VALUES))
    assert set(scores[0]) >= {"ssim", "mse"}
    assert not set(scores[0]) & set(VALUES)  # a score of the name of a setting would hide it
    x = images[18:] / 255.0
    first, second, dark, bright = (each["mse"] for each in scores)
    assert first + second == pytest.approx(dark + bright + 2 * np.mean(x**2) - 2 * np.mean(x), abs=1e-5)
    assert abs(dark - bright) > 1e-3


def test_too_few_images_are_refused():
    with pytest.raises(InputError) as caught:
        DecoderSearchSettings(images=5)
    assert str(caught.value) == "`images` must be >= 20; got 5."
