"""The search over the training of a decoder: what a trial stands for, and what it is scored on."""

import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.settings import DecoderSettings
from tuning.decoder_search import DecoderSearchSettings, evaluator, tuned

VALUES = {"learning_rate": 2e-3, "batch_size": 8.0, "mse_weight": 3.0}
BASE = DecoderSettings("compact", epochs=1, batch_size=4, l1=0.5)


def test_the_trials_values_become_settings_of_the_decoder():
    assert tuned(BASE, VALUES) == DecoderSettings("compact", 1, 8, 2e-3, mse=3.0, l1=0.0, ms_ssim=1.0)


def test_a_trial_is_scored_on_images_that_it_has_not_trained_on():
    """Changing the last tenth of the images changes the score, and the trial's training does not see it."""
    draw = np.random.default_rng(0)
    maps = draw.standard_normal((20, 2, 2, 6)).astype(np.float16)
    images = draw.integers(256, size=(20, 32, 32, 3), dtype=np.uint8)
    settings = {"decoder": vars(BASE), "seed": 1}
    changed = images.copy()
    changed[18:] = 255 - changed[18:]
    first, second = (
        evaluator({"maps": maps, "images": array}, settings)(VALUES) for array in (images, changed)
    )
    assert set(first) >= {"ssim", "mse"}
    assert not set(first) & set(VALUES)  # a score of the name of a setting would hide it
    truth = (images[18:] / 255.0, changed[18:] / 255.0)
    # the same answers: their mean squared errors against x and 1 - x differ as those of one image can
    assert first["mse"] != second["mse"]
    assert 0 <= min(first["mse"], second["mse"]) <= np.max(truth[0] ** 2)


def test_too_few_images_are_refused():
    with pytest.raises(InputError) as caught:
        DecoderSearchSettings(images=5)
    assert str(caught.value) == "`images` must be >= 20; got 5."
