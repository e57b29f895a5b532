"""Training a decoder: losses against NumPy and scikit-image, what can be learned is learned, exact resume."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from mi_keras.attacks.feature_inversion import (
    decoder_fitters,
    reconstruct_images,
    reconstruction_loss,
    train_decoder,
)
from mi_keras.errors import InputError
from mi_keras.models.decoders import build_decoder
from mi_keras.settings import DECODERS, PUBLISHED_DECODERS, DecoderSettings
from mi_keras.work import MemoryWorkspace

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SMALL = DecoderSettings("compact", epochs=2, batch_size=4, learning_rate=5e-3, schedule="cosine")


def examples(count: int = 12, channels: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Images of one colour each, which the maps hold."""
    draw = np.random.default_rng(0)
    colours = draw.random((count, 3), np.float32)
    maps = np.tile(colours, (1, channels // 3))[:, None, None] * np.ones((1, 2, 2, 1), np.float32)
    images = np.broadcast_to(np.rint(255 * colours)[:, None, None], (count, 32, 32, 3)).astype(np.uint8)
    return maps.astype(np.float16), images


def fit(settings: DecoderSettings = SMALL, **options):
    maps, images = examples()
    return train_decoder(maps, images, settings, decoder_fitters(settings), seed=1, **options)


def test_the_losses_are_those_of_numpy_on_the_scale_that_the_decoder_answers():
    draw = np.random.default_rng(1)
    images, answers = draw.integers(256, size=(3, 48, 48, 3), dtype=np.uint8), draw.random((3, 48, 48, 3))
    unit = images / 255.0
    for decoder, truth in (("compact", unit), ("bicubic", (unit - MEAN) / DEVIATION)):
        squared, absolute = (np.mean(f(truth - answers), axis=(1, 2, 3)) for f in (np.square, np.abs))
        settings = DecoderSettings(decoder, mse=2.0, l1=0.5)
        loss = reconstruction_loss(settings)(tf.constant(images), tf.constant(answers, tf.float32))
        np.testing.assert_allclose(loss, 2 * squared + 0.5 * absolute, rtol=1e-5)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_decoder_learns_colours_that_the_maps_hold(decoder: str):
    # the running statistics of the published ones, of momentum 0.99, need more steps
    epochs = 250 if decoder in PUBLISHED_DECODERS else 60
    settings = DecoderSettings(decoder, epochs=epochs, batch_size=4, learning_rate=1e-2, schedule="cosine")
    maps, images = examples()
    if decoder in PUBLISHED_DECODERS:  # which can draw nothing below ImageNet's mean
        images = np.maximum(images, 128)
    trained, history = train_decoder(maps, images, settings, decoder_fitters(settings), seed=1)
    answers = np.concatenate(list(reconstruct_images(trained, settings, maps, batch_size=5)))
    assert answers.shape == images.shape
    assert answers.min() >= 0
    assert answers.max() <= 1
    error = np.abs(answers - images / 255.0).mean()
    assert error < 0.4 * np.abs(images / 255.0 - images.mean(axis=0) / 255.0).mean()
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_nothing_darker_than_the_mean_comes_out_of_a_published_decoder():
    settings = DecoderSettings("bicubic", epochs=1, batch_size=4)
    maps, images = examples()
    trained, _ = train_decoder(maps, np.zeros_like(images), settings, decoder_fitters(settings), seed=1)
    answers = np.concatenate(list(reconstruct_images(trained, settings, maps)))
    assert answers.min() >= 0.406 - 1e-6


def test_an_interrupted_fit_goes_on_exactly(stopping_workspace):
    whole, history = fit(replace(SMALL, epochs=3))
    workspace = stopping_workspace(1)
    with pytest.raises(KeyboardInterrupt):
        fit(replace(SMALL, epochs=3), workspace=workspace)
    again = MemoryWorkspace()
    again.parts = workspace.parts
    resumed, resumed_history = fit(replace(SMALL, epochs=3), workspace=again)
    assert resumed_history == history
    for left, right in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_start_is_gone_on_from_and_left_as_it_was():
    trained, _ = fit(replace(SMALL, epochs=60))
    before = trained.get_weights()
    _, anew = fit()
    _, further = fit(start=trained)
    assert further["loss"][0] < 0.5 * anew["loss"][0]
    for left, right in zip(before, trained.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_rows_are_read_a_batch_at_a_time():
    class Recording:
        def __init__(self, maps):
            self.maps, self.shape, self.dtype, self.read = maps, maps.shape, maps.dtype, []

        def __len__(self):
            return len(self.maps)

        def __getitem__(self, rows):
            self.read.append(len(self.maps[rows]))
            return self.maps[rows]

    maps, images = examples()
    recording = Recording(maps)
    trained, history = train_decoder(recording, images, SMALL, decoder_fitters(SMALL), seed=1)
    assert recording.read == [4] * 6
    plain, plain_history = fit()
    assert history == plain_history
    np.testing.assert_array_equal(trained.get_weights()[0], plain.get_weights()[0])


def test_images_of_another_size_are_refused():
    maps, images = examples()
    with pytest.raises(ValueError, match=r"`images` must be 16 times as large as `maps`"):
        train_decoder(maps, images[:, :16], SMALL, decoder_fitters(SMALL), seed=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder": "z"}, "`decoder` must be one of transposed, bicubic, compact, large; got 'z'."),
        ({"schedule": "z"}, "`schedule` must be one of step, cosine; got 'z'."),
        ({"mse": 0.0}, "`mse`, `l1` and `ms_ssim` must not all be 0."),
        ({"l1": -1.0}, "`l1` must be >= 0; got -1.0."),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change, message):
    with pytest.raises(InputError) as caught:
        replace(DecoderSettings("compact"), **change)
    assert str(caught.value) == message


def test_the_decoder_is_the_one_asked_for():
    trained, _ = fit()
    assert trained.count_params() == build_decoder("compact", (2, 2, 6)).count_params()


def test_a_decoder_that_goes_on_with_other_maps_is_judged_by_their_statistics():
    """After two short epochs running statistics are those of the new maps, here a hundredth of the old."""
    maps, images = examples(240)
    base, _ = train_decoder(maps, images, SMALL, decoder_fitters(SMALL), seed=1)
    faint = (maps * np.float16(0.01)).astype(np.float16)
    adapted, _ = train_decoder(faint, images, SMALL, decoder_fitters(SMALL), seed=1, start=base)
    entry = adapted.get_layer("entry_conv").output
    outputs = keras.Model(adapted.input, entry)(faint.astype(np.float32)).numpy()
    norm = adapted.get_layer("entry_norm")
    variance = outputs.var(axis=(0, 1, 2))
    np.testing.assert_allclose(norm.moving_variance.numpy(), variance, rtol=0.7, atol=1e-5)
    assert base.get_layer("entry_norm").moving_variance.numpy().mean() > 100 * variance.mean()
