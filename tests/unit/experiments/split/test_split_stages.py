"""The stages of the split attack: what is shared, what is resumed, and what never changes."""

from dataclasses import replace

import numpy as np
import pytest

from mi_keras.defenses.feature_maps import KeptMaps, NoisyMaps, QuantizedMaps
from mi_keras.errors import InputError
from mi_keras.experiments.split.encoder import Encoder
from mi_keras.experiments.split.map_rows import DefendedMaps
from mi_keras.experiments.split.rows import picture_notes
from mi_keras.experiments.split.stages import HELD_OUT, TRAINING
from mi_keras.settings import EncoderSettings


def test_images_and_maps_are_stored_once_for_all_runs(tmp_path, make_pipeline, recording_progress):
    first = make_pipeline(tmp_path)
    maps = first.maps(HELD_OUT).large("maps")
    assert maps.shape == (6, 12, 12, 672)
    assert maps.dtype == np.float16
    assert first.pictures(TRAINING).shape == (18, 192, 192, 3)
    silent = recording_progress()
    second = make_pipeline(tmp_path, run=2, progress=silent)
    np.testing.assert_array_equal(second.maps(HELD_OUT).large("maps"), maps)
    assert silent.bars == []
    assert first.decoder(first_settings(first)).key != second.decoder(first_settings(second)).key


def first_settings(pipeline):
    from mi_keras.settings import DecoderSettings

    return DecoderSettings("compact", epochs=1, batch_size=4)


def test_sizes_are_said_before_the_work_begins(tmp_path, make_pipeline, recording_progress):
    progress = recording_progress(stop_at=1)
    with pytest.raises(KeyboardInterrupt):
        make_pipeline(tmp_path, progress=progress).maps(HELD_OUT).computed()
    assert progress.said[0].startswith("images: 24 on 0.00 GB of disk in ")


def test_maps_are_what_the_head_gives_with_or_without_noise(stored, make_pipeline):
    pipeline = make_pipeline(stored)
    images = pipeline.pictures(HELD_OUT) / np.float32(255)
    expected = pipeline.encoder.model.head(images, training=False).numpy()
    np.testing.assert_allclose(pipeline.maps(HELD_OUT).large("maps"), expected, rtol=2e-3, atol=1e-3)
    clean = pipeline.encoder.model.head(pipeline.pictures(TRAINING) / np.float32(255), training=False).numpy()
    np.testing.assert_allclose(pipeline.maps(TRAINING).large("maps"), clean, rtol=2e-3, atol=1e-3)
    noisy = pipeline.maps(TRAINING, noise=(0.02, 0.02)).large("maps")
    assert np.abs(noisy - clean).mean() > 10 * np.abs(pipeline.maps(TRAINING).large("maps") - clean).mean()


def test_interrupted_maps_go_on_where_they_were(tmp_path, make_pipeline, recording_progress, monkeypatch):
    monkeypatch.setattr("mi_keras.experiments.split.stages.BATCH", 4)
    monkeypatch.setattr("mi_keras.experiments.split.stages.SAVE_EVERY", 1)
    whole = np.array(make_pipeline(tmp_path / "a").maps(TRAINING).large("maps"))
    pipeline = make_pipeline(tmp_path / "b")
    pipeline.images().computed()
    stopped = recording_progress(stop_at=3)
    with pytest.raises(KeyboardInterrupt):
        make_pipeline(tmp_path / "b", progress=stopped).maps(TRAINING).computed()
    again = recording_progress()
    resumed = make_pipeline(tmp_path / "b", progress=again).maps(TRAINING).large("maps")
    assert again.bars[0][3] == 8  # images done before
    np.testing.assert_array_equal(resumed, whole)


def test_what_is_no_image_is_listed(tmp_path, make_pipeline, config):
    everything = replace(config, faces=replace(config.faces, faces=1000))
    pipeline = make_pipeline(tmp_path, config=everything)
    info = pipeline.images().info
    assert info[TRAINING] + info[HELD_OUT] == 40
    assert [key for key, _ in info["skipped"]] == ["broken.png"]
    notes = picture_notes(everything, pipeline)
    assert any(
        note.startswith("1,000 pictures were asked for; ") and note.endswith(" gave 40.") for note in notes
    )
    assert not any("asked for" in note for note in picture_notes(config, make_pipeline(tmp_path)))


def test_the_attack_leaves_every_weight_of_the_model_as_it_was(tmp_path, make_pipeline):
    pipeline = make_pipeline(tmp_path)
    before = [v.numpy().copy() for v in pipeline.encoder.model.whole.variables]
    settings = first_settings(pipeline)
    pipeline.scored(pipeline.decoder(settings), settings).computed()
    pipeline.answers(QuantizedMaps(4))
    for variable, value in zip(pipeline.encoder.model.whole.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize("defense", [None, NoisyMaps(3.0)])
def test_scores_are_those_of_the_reconstructions(stored, make_pipeline, defense):
    """PSNR from the images that are shown, by its definition; both are of the same decoder and the same noise."""
    pipeline = make_pipeline(stored)
    settings = first_settings(pipeline)
    decoder = pipeline.decoder(settings)
    scores = pipeline.scored(decoder, settings, defense).arrays
    shown = pipeline.shown(decoder, settings, [4, 1], defense) / 255.0
    truth = pipeline.pictures(HELD_OUT)[[4, 1]] / 255.0
    expected = -10 * np.log10(np.mean((shown - truth) ** 2, axis=(1, 2, 3)))
    np.testing.assert_allclose(scores["psnr"][[4, 1]], expected, atol=0.05)  # shown ones are rounded to bytes
    assert scores["features"].shape == (6, 1280)


def test_the_mean_face_is_the_mean_of_the_training_images(stored, make_pipeline):
    pipeline = make_pipeline(stored)
    expected = pipeline.pictures(TRAINING).mean(axis=0) / 255
    np.testing.assert_allclose(pipeline.mean_face().arrays["image"], expected, atol=1e-6)
    assert pipeline.scored_mean_face().arrays["ssim"].shape == (6,)


def test_the_gallery_holds_held_out_images_first_and_training_images_behind(stored, make_pipeline):
    pipeline = make_pipeline(stored)
    gallery = pipeline.gallery().arrays
    assert gallery["features"].shape == (24, 1280)
    scores = pipeline.encoder.embed(pipeline.pictures(HELD_OUT)[:2] / np.float32(255)).numpy()
    np.testing.assert_allclose(gallery["features"][:2], scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("defense", [KeptMaps((3, 5)), QuantizedMaps(1), NoisyMaps(1.0)])
def test_defended_maps_are_read_like_any_others(stored, make_pipeline, defense):
    pipeline = make_pipeline(stored)
    plain, sent = pipeline.maps(HELD_OUT).large("maps"), pipeline.defended(HELD_OUT, defense)
    assert isinstance(sent, DefendedMaps)
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
        deviation = pipeline.statistics().arrays["deviation"]
        ratio = noise.std(axis=(0, 1, 2))[deviation > 0.1] / deviation[deviation > 0.1]
        np.testing.assert_allclose(np.median(ratio), 1.0, atol=0.1)
        assert np.abs(noise[0] - noise[1]).max() > 0


def test_a_defence_changes_the_key_of_the_decoder(stored, make_pipeline):
    pipeline = make_pipeline(stored)
    settings = first_settings(pipeline)
    base = pipeline.decoder(settings)
    keys = {
        base.key,
        pipeline.decoder(settings, defense=KeptMaps((1,))).key,
        pipeline.decoder(settings, defense=KeptMaps((2,))).key,
        pipeline.decoder(settings, defense=QuantizedMaps(2)).key,
        pipeline.decoder(settings, start=base).key,
        pipeline.decoder(settings, images=10).key,
    }
    assert len(keys) == 6


def test_a_cut_that_the_decoders_do_not_fit_is_refused():
    with pytest.raises(InputError) as caught:
        Encoder(EncoderSettings(weights="random", variant="minimalistic", cut="C3"), 192)
    assert str(caught.value) == (
        "`encoder.cut` must give maps of stride 16, which the decoders are for; got 'C3' of stride 8."
    )


def test_equal_cuts_have_equal_keys(stored, make_pipeline, config):
    named = replace(config, encoder=replace(config.encoder, cut="expanded_conv_12_expand_bn:activation"))
    same = make_pipeline(stored, config=named).maps(HELD_OUT).key
    assert make_pipeline(stored).maps(HELD_OUT).key == same


def test_only_the_scores_asked_for_are_taken(stored, make_pipeline):
    pipeline = make_pipeline(stored)
    settings = first_settings(pipeline)
    arrays = pipeline.scored(pipeline.decoder(settings), settings, scores=("psnr",)).arrays
    assert set(arrays) == {"psnr", "features", "pixels"}
