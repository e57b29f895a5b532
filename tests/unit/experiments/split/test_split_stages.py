"""The stages of the split attack: what is shared, what is resumed, and what never changes."""

from dataclasses import replace

import numpy as np
import pytest

from mi_keras.attacks.attack import Answers
from mi_keras.attacks.baselines import MeanImage
from mi_keras.attacks.learned import Learned
from mi_keras.defenses.defense import Defended
from mi_keras.defenses.maps import KeptMaps, NoisyMaps, QuantizedMaps
from mi_keras.errors import InputError
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.split.bench import HELD_OUT, TRAINING
from mi_keras.experiments.split.rows import picture_notes
from mi_keras.experiments.stage_words import describe
from mi_keras.models.mobilenet import encoder_of
from mi_keras.settings import DecoderSettings, EncoderSettings

COMPACT = Learned((Answers(),), DecoderSettings("compact", epochs=1, batch_size=4))


def test_images_and_maps_are_stored_once_for_all_runs(tmp_path, make_bench, recording_progress):
    first = make_bench(tmp_path)
    maps = first.maps(HELD_OUT).large("maps")
    assert maps.shape == (6, 12, 12, 672)
    assert maps.dtype == np.float16
    assert first.pictures(TRAINING).shape == (18, 192, 192, 3)
    silent = recording_progress()
    second = make_bench(tmp_path, run=2, progress=silent)
    np.testing.assert_array_equal(second.maps(HELD_OUT).large("maps"), maps)
    assert silent.bars == []
    assert plan(Case(COMPACT), first).learned.key != plan(Case(COMPACT), second).learned.key


def test_sizes_are_said_before_the_work_begins(tmp_path, make_bench, recording_progress):
    progress = recording_progress(stop_at=1)
    with pytest.raises(KeyboardInterrupt):
        make_bench(tmp_path, progress=progress).maps(HELD_OUT).computed()
    assert progress.said[0].startswith("images: 24 on 0.00 GB of disk in ")


def test_maps_are_what_the_head_gives_with_or_without_noise(stored, make_bench):
    bench = make_bench(stored)
    images = bench.pictures(HELD_OUT) / np.float32(255)
    expected = bench.encoder.head(images, training=False).numpy()
    np.testing.assert_allclose(bench.maps(HELD_OUT).large("maps"), expected, rtol=2e-3, atol=1e-3)
    clean = bench.encoder.head(bench.pictures(TRAINING) / np.float32(255), training=False).numpy()
    np.testing.assert_allclose(bench.maps(TRAINING).large("maps"), clean, rtol=2e-3, atol=1e-3)
    noisy = bench.maps(TRAINING, noise=(0.02, 0.02)).large("maps")
    assert np.abs(noisy - clean).mean() > 10 * np.abs(bench.maps(TRAINING).large("maps") - clean).mean()


def test_interrupted_maps_go_on_where_they_were(tmp_path, make_bench, recording_progress, monkeypatch):
    monkeypatch.setattr("mi_keras.experiments.split.bench.BATCH", 4)
    monkeypatch.setattr("mi_keras.progress.SAVE_EVERY", 1)
    whole = np.array(make_bench(tmp_path / "a").maps(TRAINING).large("maps"))
    bench = make_bench(tmp_path / "b")
    bench.images().computed()
    stopped = recording_progress(stop_at=3)
    with pytest.raises(KeyboardInterrupt):
        make_bench(tmp_path / "b", progress=stopped).maps(TRAINING).computed()
    again = recording_progress()
    resumed = make_bench(tmp_path / "b", progress=again).maps(TRAINING).large("maps")
    assert again.bars[0][3] == 8  # images done before
    np.testing.assert_array_equal(resumed, whole)


def test_what_is_no_image_is_listed(tmp_path, make_bench, config):
    everything = replace(config, faces=replace(config.faces, faces=1000))
    bench = make_bench(tmp_path, config=everything)
    info = bench.images().info
    assert info[TRAINING] + info[HELD_OUT] == 40
    assert [key for key, _ in info["skipped"]] == ["broken.png"]
    notes = picture_notes(everything, bench)
    assert any(
        note.startswith("1,000 pictures were asked for; ") and note.endswith(" gave 40.") for note in notes
    )
    assert not any("asked for" in note for note in picture_notes(config, make_bench(tmp_path)))


def test_the_attack_leaves_every_weight_of_the_model_as_it_was(stored, make_bench):
    """Maps, decoder and scores are of this test alone: what is read from the store changes nothing."""
    bench, attack = make_bench(stored), replace(COMPACT, images=7)
    encoder = bench.encoder
    variables = [v for model in (encoder.head, encoder.tail, encoder.whole) for v in model.variables]
    before = [v.numpy().copy() for v in variables]
    bench.maps(HELD_OUT, noise=(0.25, 0.5)).computed()
    plan(Case(attack), bench).scored.computed()
    bench.answers(QuantizedMaps(4))
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize("defense", [None, NoisyMaps(3.0)])
def test_scores_are_those_of_the_reconstructions(stored, make_bench, defense):
    """PSNR from the images that are shown, by its definition; both are of the same decoder and the same noise."""
    bench = make_bench(stored)
    attacked = plan(Case(COMPACT, defense), bench)
    scores = attacked.scored.arrays
    shown = bench.shown(attacked, [4, 1]) / 255.0
    truth = bench.pictures(HELD_OUT)[[4, 1]] / 255.0
    expected = -10 * np.log10(np.mean((shown - truth) ** 2, axis=(1, 2, 3)))
    np.testing.assert_allclose(scores["psnr"][[4, 1]], expected, atol=0.05)  # shown ones are rounded to bytes
    assert scores["features"].shape == (6, 1280)


def test_the_mean_face_is_the_mean_of_the_training_images(stored, make_bench):
    bench = make_bench(stored)
    expected = bench.pictures(TRAINING).mean(axis=0) / 255
    mean = plan(Case(MeanImage()), bench)
    np.testing.assert_allclose(mean.learned.arrays["image"], expected, atol=1e-6)
    assert mean.scored.arrays["ssim"].shape == (6,)
    again = plan(Case(MeanImage()), make_bench(stored, run=2))  # which all runs share
    assert (again.learned.key, again.scored.key) == (mean.learned.key, mean.scored.key)


def test_the_gallery_holds_held_out_images_first_and_training_images_behind(stored, make_bench):
    bench = make_bench(stored)
    gallery = bench.gallery().arrays
    assert gallery["features"].shape == (24, 1280)
    scores = bench.encoder.embed(bench.pictures(HELD_OUT)[:2] / np.float32(255)).numpy()
    np.testing.assert_allclose(gallery["features"][:2], scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("defense", [KeptMaps((3, 5)), QuantizedMaps(1), NoisyMaps(1.0)])
def test_defended_maps_are_read_like_any_others(stored, make_bench, defense):
    bench = make_bench(stored)
    plain, sent = bench.maps(HELD_OUT).large("maps"), bench.sent(HELD_OUT, defense)
    assert isinstance(sent, Defended)
    assert (sent.shape, sent.dtype, len(sent)) == (plain.shape, plain.dtype, len(plain))
    rows = np.array([4, 0, 2])
    np.testing.assert_array_equal(sent[rows], sent[rows])
    assert np.abs(sent[rows].astype(np.float32) - plain[rows]).max() > 0
    if isinstance(defense, KeptMaps):
        np.testing.assert_array_equal(sent[rows][..., 5], plain[rows][..., 5])
        assert np.count_nonzero(sent[rows]) == np.count_nonzero(plain[rows][..., [3, 5]])
    if isinstance(defense, NoisyMaps):  # one draw per image, and another for the next
        np.testing.assert_array_equal(sent[rows], np.concatenate([sent[4:5], sent[0:1], sent[2:3]]))
        noise = sent[0:2].astype(np.float32) - plain[0:2]
        deviation = bench.measured(NoisyMaps(1.0)).arrays["deviation"]
        ratio = noise.std(axis=(0, 1, 2))[deviation > 0.1] / deviation[deviation > 0.1]
        np.testing.assert_allclose(np.median(ratio), 1.0, atol=0.1)
        assert np.abs(noise[0] - noise[1]).max() > 0


def test_a_defence_changes_the_key_of_the_decoder(stored, make_bench):
    bench = make_bench(stored)

    def learned(attack=COMPACT, defense=None):
        return plan(Case(attack, defense), bench).learned

    keys = {
        learned().key,
        learned(defense=KeptMaps((1,))).key,
        learned(defense=KeptMaps((2,))).key,
        learned(defense=QuantizedMaps(2)).key,
        learned(replace(COMPACT, start=COMPACT)).key,
        learned(replace(COMPACT, images=10)).key,
    }
    assert len(keys) == 6
    going_on = learned(replace(COMPACT, start=COMPACT), KeptMaps((1,)))
    assert learned().key in [stage.key for stage in going_on.upstream]


def test_a_decoder_and_its_defence_are_named_in_words(stored, make_bench, recording_progress):
    progress = recording_progress(stop_at=1)
    bench = make_bench(stored, progress=progress)
    attacked = plan(Case(replace(COMPACT, images=5), QuantizedMaps(3)), bench)
    words = QuantizedMaps(3).words
    assert describe(attacked.learned) == f"decoder compact decoder {words} (run 1)"
    assert describe(attacked.scored) == f"scored compact decoder {words} (run 1)"
    make_bench(stored).maps(TRAINING).computed()
    with pytest.raises(KeyboardInterrupt):
        attacked.learned.computed()
    assert progress.bars[-1][0] == f"run 1: compact decoder, {words}"


@pytest.mark.slow  # the contract has decoders at other strides
@pytest.mark.parametrize(("cut", "side"), [("C3", 24), ("C5", 6)])
def test_a_cut_of_another_stride_is_attacked_too(tmp_path, make_bench, config, cut, side):
    elsewhere = replace(config, encoder=replace(config.encoder, cut=cut))
    bench = make_bench(tmp_path, config=elsewhere)
    assert bench.map_shape[:2] == (side, side)
    attacked = plan(Case(replace(COMPACT, images=4)), bench, scores=("psnr",))
    assert bench.shown(attacked, [5]).shape == (1, 192, 192, 3)
    assert attacked.scored.arrays["psnr"].shape == (6,)


def test_a_cut_that_gives_no_maps_is_refused_by_its_setting():
    with pytest.raises(InputError, match=r"^`encoder.cut` must be one of C1, C2, .*; got 'flatten'.$"):
        encoder_of(EncoderSettings(weights="random", variant="minimalistic", cut="flatten"), 192)


def test_equal_cuts_have_equal_keys(stored, make_bench, config):
    named = replace(config, encoder=replace(config.encoder, cut="expanded_conv_12_expand_bn:activation"))
    same = make_bench(stored, config=named).maps(HELD_OUT).key
    assert make_bench(stored).maps(HELD_OUT).key == same


def test_only_the_scores_asked_for_are_taken(stored, make_bench):
    bench = make_bench(stored)
    arrays = plan(Case(COMPACT), bench, scores=("psnr",)).scored.arrays
    assert set(arrays) == {"psnr", "features", "pixels"}
