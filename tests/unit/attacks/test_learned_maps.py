"""The learned attack on feature maps: losses against NumPy, what can be learned is learned, any stride, exact resume."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from mi_keras.attacks import learned
from mi_keras.attacks.attack import Answers, Evidence, Fitted
from mi_keras.attacks.learned import Learned
from mi_keras.attacks.networks import network_of
from mi_keras.errors import InputError
from mi_keras.models.decoders import build_decoder
from mi_keras.progress import MemoryWorkspace, Run
from mi_keras.settings import DECODERS, PUBLISHED_DECODERS, DecoderSettings
from mi_keras.training.loop import FitterPool
from tests.unit.attacks.drawing import assert_same_fit, drawn, evidence, held

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SMALL = DecoderSettings("compact", epochs=2, batch_size=4, learning_rate=5e-3, schedule="cosine")


def examples(
    count: int = 12, shape: tuple[int, ...] = (2, 2, 6), image_shape: tuple[int, int, int] = (32, 32, 3)
) -> tuple[np.ndarray, np.ndarray]:
    """Images of one colour each, which the maps, or vectors, hold."""
    colours = np.random.default_rng(0).random((count, image_shape[2]), np.float32)
    maps = np.tile(colours, (1, shape[-1] // image_shape[2])).reshape(count, *[1] * (len(shape) - 1), -1)
    maps = np.broadcast_to(maps, (count, *shape)).astype(np.float16)
    pixels = np.rint(255 * colours).astype(np.uint8)[:, None, None]
    return maps, np.broadcast_to(pixels, (count, *image_shape)).copy()


def fit(settings: DecoderSettings = SMALL, run: Run | None = None, before: Fitted | None = None) -> Fitted:
    maps, images = examples()
    return Learned(settings=settings).fit(evidence(maps), held(images), run or Run(), before)


def model_of(fitted: Fitted, settings: DecoderSettings = SMALL) -> keras.Model:
    return Learned(settings=settings).load(fitted, (2, 2, 6), (32, 32, 3))


# Losses


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_losses_are_those_of_numpy_on_the_scale_that_the_decoder_answers(dtype: type, channels: int):
    """Gray images are normalised by the averages over the three colours, as a decoder's are unnormalised."""
    draw = np.random.default_rng(1)
    images = draw.integers(256, size=(3, 48, 48, channels), dtype=np.uint8)
    answers, unit = draw.random((3, 48, 48, channels)), images / 255.0
    mean, deviation = (MEAN, DEVIATION) if channels == 3 else (MEAN.mean(), DEVIATION.mean())
    targets = images if dtype == np.uint8 else unit.astype(np.float32)
    for decoder, truth in (("compact", unit), ("bicubic", (unit - mean) / deviation)):
        squared, absolute = (np.mean(f(truth - answers), axis=(1, 2, 3)) for f in (np.square, np.abs))
        network = network_of(DecoderSettings(decoder, mse=2.0, l1=0.5))
        loss = network.loss(tf.constant(targets), tf.constant(answers, tf.float32))
        np.testing.assert_allclose(loss, 2 * squared + 0.5 * absolute, rtol=1e-5)


# What it learns


def assert_learned(decoder: str, maps: np.ndarray, images: np.ndarray) -> None:
    """The colours are drawn far better than by the mean of all images."""
    # the running statistics of the published ones, of momentum 0.99, need more steps
    epochs = 250 if decoder in PUBLISHED_DECODERS else 60
    settings = DecoderSettings(decoder, epochs=epochs, batch_size=4, learning_rate=1e-2, schedule="cosine")
    if decoder in PUBLISHED_DECODERS:  # which can draw nothing below ImageNet's mean
        images = np.maximum(images, 128)
    attack = Learned(settings=settings)
    fitted = attack.fit(evidence(maps), held(images), Run())
    answers = drawn(attack, fitted, evidence(maps), images.shape[1:])
    assert (answers.shape, answers.dtype) == (images.shape, np.float32)
    assert answers.min() >= 0
    assert answers.max() <= 1
    error = np.abs(answers - images / 255.0).mean()
    assert error < 0.4 * np.abs(images / 255.0 - images.mean(axis=0) / 255.0).mean()
    losses = fitted[1]["history"]["loss"]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    "decoder",
    ["compact", *(pytest.param(name, marks=pytest.mark.slow) for name in ("transposed", "bicubic", "large"))],
)
def test_a_decoder_learns_colours_that_the_maps_hold(decoder: str):
    assert_learned(decoder, *examples())


@pytest.mark.parametrize(
    ("decoder", "shape", "image_shape"),
    [
        pytest.param("compact", (4, 4, 6), (32, 32, 3), marks=pytest.mark.slow),  # stride 8
        pytest.param("compact", (1, 2, 6), (32, 64, 1), marks=pytest.mark.slow),  # stride 32
        pytest.param(
            "compact", (3, 4, 6), (20, 30, 3), marks=pytest.mark.slow
        ),  # a ratio that is no power of two
        ("compact", (10,), (24, 32, 1)),  # a vector
        # in colour: of a single channel behind the ReLU of a published decoder nothing is left once it has died
        pytest.param("bicubic", (4, 4, 6), (32, 32, 3), marks=pytest.mark.slow),
        pytest.param("transposed", (4, 4, 6), (32, 32, 3), marks=pytest.mark.slow),
        pytest.param("bicubic", (9,), (16, 24, 3), marks=pytest.mark.slow),
    ],
)
def test_maps_of_any_stride_and_vectors_give_images_of_any_size(
    decoder: str, shape: tuple[int, ...], image_shape: tuple[int, int, int]
):
    assert_learned(decoder, *examples(12, shape, image_shape))


@pytest.mark.parametrize(
    "decoder", [each if each != "large" else pytest.param(each, marks=pytest.mark.slow) for each in DECODERS]
)
@pytest.mark.parametrize(("stride", "channels"), [(8, 1), pytest.param(32, 3, marks=pytest.mark.slow)])
def test_every_decoder_draws_maps_that_are_not_square_at_another_stride(
    decoder: str, stride: int, channels: int
):
    """A row is drawn alone as in any batch, in a graph too, and there are more than are drawn at a time."""
    image_shape = (stride, 2 * stride, channels)
    maps, images = examples(60, (1, 2, 6), image_shape)
    attack = Learned(settings=DecoderSettings(decoder, epochs=1, batch_size=20))
    fitted = attack.fit(evidence(maps), held(images), Run())
    answers = drawn(attack, fitted, evidence(maps), image_shape)
    assert answers.shape == (60, *image_shape)
    assert answers.min() >= 0
    assert answers.max() <= 1
    model = attack.load(fitted, maps.shape[1:], image_shape)
    for alone in (
        drawn(attack, fitted, evidence(maps[55:56]), image_shape),
        attack.draw(model, [maps[55:56]]),
    ):
        np.testing.assert_allclose(alone, answers[55:56], atol=1e-5)


def test_images_of_bytes_are_learned_as_the_numbers_from_0_to_1_that_they_are():
    maps, images = examples()
    attack, unit = Learned(settings=SMALL), images.astype(np.float32) / 255
    fits = [attack.fit(evidence(maps), held(each), Run()) for each in (images, unit)]
    np.testing.assert_allclose(*(fitted[1]["history"]["loss"] for fitted in fits), rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_darker_than_the_mean_comes_out_of_a_published_decoder(channels: int):
    attack = Learned(settings=DecoderSettings("bicubic", epochs=1, batch_size=4))
    maps, images = examples(image_shape=(32, 32, channels))
    fitted = attack.fit(evidence(maps), held(np.zeros_like(images)), Run())
    answers = drawn(attack, fitted, evidence(maps), images.shape[1:])
    assert answers.min() >= (0.406 if channels == 3 else MEAN.mean()) - 1e-6


# Fits


def test_an_interrupted_fit_goes_on_exactly(stopping_workspace):
    settings = replace(SMALL, epochs=3)
    workspace = stopping_workspace(1)
    with pytest.raises(KeyboardInterrupt):
        fit(settings, Run(workspace=workspace))
    again = MemoryWorkspace()
    again.parts = workspace.parts
    assert_same_fit(fit(settings, Run(workspace=again)), fit(settings))


def test_a_start_is_gone_on_from_and_left_as_it_was():
    trained = fit(replace(SMALL, epochs=60))
    before = {name: array.copy() for name, array in trained[0].items()}
    further = fit(before=trained)
    assert further[1]["history"]["loss"][0] < 0.5 * fit()[1]["history"]["loss"][0]
    assert_same_fit((before, {}), (trained[0], {}))


@pytest.mark.slow
def test_losses_that_follow_each_other_are_each_as_if_alone(monkeypatch: pytest.MonkeyPatch):
    other = replace(SMALL, mse=0.0, l1=1.0)
    monkeypatch.setattr(learned, "_fitters", FitterPool(size=1))
    fit()
    after = [fit(other), fit()]
    monkeypatch.setattr(learned, "_fitters", FitterPool(size=1))
    assert_same_fit(after[0], fit(other))
    monkeypatch.setattr(learned, "_fitters", FitterPool(size=1))
    assert_same_fit(after[1], fit())


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
    fitted = Learned(settings=SMALL).fit(evidence(recording), held(images), Run())
    assert recording.read == [4] * 6
    assert_same_fit(fitted, fit())


# Settings


def test_one_part_is_asked_for():
    maps, images = examples()
    attack = Learned((Answers(), Answers()), SMALL)
    with pytest.raises(ValueError, match=r"^`parts` must be one for a network of feature maps, .*; got 2\.$"):
        attack.fit(Evidence(evidence(maps).observation, [maps, maps]), held(images), Run())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"decoder": "z"},
            "`decoder` must be one of transposed, bicubic, compact, large, released, even; got 'z'.",
        ),
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
    fitted, expected = fit(), build_decoder("compact", (2, 2, 6)).count_params()
    assert fitted[1]["parameters"] == model_of(fitted).count_params() == expected


def test_a_decoder_that_goes_on_with_other_maps_is_judged_by_their_statistics():
    """After two short epochs running statistics are those of the new maps, here a hundredth of the old."""
    maps, images = examples(240)
    faint = (maps * np.float16(0.01)).astype(np.float16)
    attack = Learned(settings=SMALL)
    base = attack.fit(evidence(maps), held(images), Run())
    adapted = model_of(attack.fit(evidence(faint), held(images), Run(), base))
    entry = adapted.get_layer("entry_conv").output
    outputs = keras.Model(adapted.input, entry)(faint.astype(np.float32)).numpy()
    norm = adapted.get_layer("entry_norm")
    variance = outputs.var(axis=(0, 1, 2))
    np.testing.assert_allclose(norm.moving_variance.numpy(), variance, rtol=0.7, atol=1e-5)
    assert model_of(base).get_layer("entry_norm").moving_variance.numpy().mean() > 100 * variance.mean()
