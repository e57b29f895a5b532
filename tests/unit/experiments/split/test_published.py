"""What the published code does beside its text: where the noise goes, what normalises, which images are scored."""

import numpy as np
import pytest
import tensorflow as tf

from mi_keras.attacks.baselines import MeanImage
from mi_keras.attacks.learned import Learned
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.split.bench import HELD_OUT, TRAINING
from mi_keras.experiments.split.published import TRAINED_ON, Published, PublishedBench, clip_normalised
from mi_keras.experiments.split.sec_6_published import PRESETS, Config, _rows_of, batch_psnr
from mi_keras.metrics.image import imagenet_normalise
from mi_keras.models.decoders import unit_range
from mi_keras.models.unfrozen import UnfrozenHead
from mi_keras.settings import DecoderSettings

SETTINGS = DecoderSettings("bicubic", epochs=1, batch_size=8)
BY_SIX = {"statistics_batch": 6}


@pytest.fixture
def behaving(stored, make_bench):
    def make(root=stored, **chosen):
        return PublishedBench.of(make_bench(root), Published(**chosen), SETTINGS)

    return make


def test_noise_in_place_is_in_the_target_and_the_input_is_that_target_clipped(behaving):
    bench = behaving(in_place=True)
    for side in (TRAINING, HELD_OUT):
        target = bench.compared(side)[:]
        noise = imagenet_normalise(target) - imagenet_normalise(bench.pictures(side) / np.float32(255))
        assert np.mean(noise) == pytest.approx(0.02, abs=1e-3)
        assert np.var(noise) == pytest.approx(0.02, rel=0.02)
        clipped = np.clip(imagenet_normalise(target), 0, 1)
        np.testing.assert_allclose(imagenet_normalise(clip_normalised(target)), clipped, atol=1e-5)
        expected = bench.encoder.head(clip_normalised(target), training=False).numpy()
        np.testing.assert_allclose(bench.maps(side).large("maps"), expected, rtol=2e-3, atol=1e-3)
    np.testing.assert_array_equal(bench.own_images().images[:], bench.compared(TRAINING)[:])
    np.testing.assert_array_equal(bench.compared(TRAINING)[[3, 1]], bench.compared(TRAINING)[1:4][[2, 0]])
    known = bench.compared(TRAINED_ON)[:]  # scored with another draw than it was trained on
    assert np.abs(known - bench.compared(TRAINING)[: len(known)]).max() > 0.01


@pytest.mark.slow
def test_an_unfrozen_encoder_sends_maps_normalised_by_the_batch_and_then_by_what_is_left(behaving):
    bench = behaving(batch_statistics=True, **BY_SIX)
    head = UnfrozenHead(bench.encoder)
    assert not head.is_folded
    noisy = bench.maps(TRAINING, noise=bench.noise)
    statistics = noisy.large("statistics")
    assert statistics.shape == (3, head.width)
    # Keras itself on a model of its own that trains, which is what "unfrozen" is
    whole = tf.keras.models.clone_model(bench.encoder.whole)
    whole.set_weights(bench.encoder.whole.get_weights())
    for layer in whole.layers:
        layer.trainable = True
    cut = tf.keras.Model(whole.input, whole.get_layer("expanded_conv_12_expand_bn").output)
    seen = bench.pictures(TRAINING)[:6] / np.float32(255)
    by_keras = np.maximum(cut(seen, training=True).numpy(), 0)
    np.testing.assert_allclose(head.by_batch(seen)[0], by_keras, rtol=1e-3, atol=1e-3)
    head.remember(statistics.mean(axis=0))
    held = bench.pictures(HELD_OUT) / np.float32(255)
    maps = bench.maps(HELD_OUT).large("maps")
    np.testing.assert_allclose(maps, head.by_running(held), rtol=2e-3, atol=1e-3)
    assert np.abs(maps - bench.encoder.head(held, training=False).numpy()).mean() > 0.05


def test_folded_normalisation_takes_the_statistics_of_given_images_and_answers_as_before(behaving):
    bench = behaving()
    head, images = UnfrozenHead(bench.encoder), bench.pictures(TRAINING)[:8] / np.float32(255)
    before = head.by_running(images)
    head.unfold([images])
    np.testing.assert_allclose(head.by_running(images), before, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(head.by_batch(images)[0], before, rtol=1e-2, atol=1e-2)


def test_known_images_are_those_the_decoder_was_trained_on(behaving):
    bench = behaving(trained_on=True)
    np.testing.assert_array_equal(bench.pictures(TRAINED_ON), bench.pictures(TRAINING)[:6])
    assert bench.published.scored == TRAINED_ON


def test_what_no_behaviour_concerns_is_shared_and_all_else_has_a_key_of_its_own(behaving, make_bench, stored):
    attack, plain = Learned(settings=SETTINGS), make_bench(stored)

    def learned(**chosen):
        return plan(Case(attack), behaving(**chosen)).learned.key

    assert plan(Case(attack), plain).learned.key == learned() == learned(trained_on=True)
    changed = {"in_place": True}, {"batch_statistics": True}, {"batch_statistics": True, **BY_SIX}
    assert len({learned(), *(learned(**each) for each in changed)}) == 4
    mean, clean = plan(Case(MeanImage()), behaving(in_place=True)), plan(Case(MeanImage()), plain)
    assert mean.learned.key != clean.learned.key
    scored = {plan(Case(attack), behaving(**each), scores=("psnr",)).scored.key for each in ({}, *changed)}
    assert len(scored) == 4


@pytest.mark.slow
def test_a_decoder_is_trained_and_scored_with_all_of_it_and_the_encoder_stays_as_it_was(tmp_path, behaving):
    bench = behaving(tmp_path, in_place=True, batch_statistics=True, trained_on=True, **BY_SIX)
    before = [weight.numpy().copy() for weight in bench.encoder.whole.weights]
    done = plan(Case(Learned(settings=SETTINGS), images=TRAINED_ON), bench, scores=("psnr",))
    arrays = done.scored.arrays
    assert set(arrays) == {"psnr"}
    sent = tf.cast(done.observed.read().values[:], tf.float32)
    drawn = unit_range(bench.load(done)(sent, training=False)).numpy()
    errors = np.mean((drawn - bench.compared(TRAINED_ON)[:]) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(arrays["psnr"], -10 * np.log10(errors), atol=1e-3)
    for weight, value in zip(bench.encoder.whole.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_psnr_of_a_batch_is_that_of_its_mean_error():
    errors = np.array([1.0, 4.0, 2.0])
    psnr = 20 * np.log10(255) - 10 * np.log10(errors)
    assert batch_psnr(psnr, 3) == pytest.approx(20 * np.log10(255) - 10 * np.log10(errors.mean()))
    assert batch_psnr(psnr, 1) == pytest.approx(psnr.mean())


def test_each_behaviour_has_a_row_and_layers_are_those_of_the_transposed_decoder():
    config = Config()
    assert _rows_of(config, "transposed") == ["", *config.behaviours, "all"]
    assert _rows_of(config, "bicubic") == ["", "in_place", "batch_statistics", "trained_on", "all"]
    assert _rows_of(Config(behaviours=("in_place",)), "bicubic") == ["", "in_place"]
    assert set(PRESETS) == {"smoke", "quick", "paper"}
