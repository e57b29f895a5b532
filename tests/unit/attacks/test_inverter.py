"""The inverter: its input, what it learns, exact resume; and what the types let an attack see."""

import dataclasses
import inspect

import numpy as np
import pytest
import tensorflow as tf

from mi_keras.attacks.activation_recovery import recover_activations
from mi_keras.attacks.gradient_inversion import reconstruct
from mi_keras.attacks.inverter import assemble_input, invert, rebuild_inverter, train_inverter
from mi_keras.models.tcnn import build_tcnn
from mi_keras.settings import COMBINATIONS, InverterSettings
from mi_keras.types import Observation, ShadowEvidence

WIDTHS = {"o": 10, "a": 50, "x": 1024, "o+a": 60, "o+x": 1034, "a+x": 1074, "o+a+x": 1084}
SMALL = InverterSettings(channels=(16, 12, 8), epochs=3, batch_size=8, learning_rate=3e-3)


def _evidence(count: int = 3) -> ShadowEvidence:
    """Every number says where it comes from: 1000s for O, 2000s for A^L, 3000s for X~."""
    return ShadowEvidence(
        output_vector=1000 + np.arange(count * 10, dtype=np.float32).reshape(count, 10),
        activations=2000 + np.arange(count * 50, dtype=np.float32).reshape(count, 50),
        gradient_reconstruction=3000 + np.arange(count * 1024, dtype=np.float32).reshape(count, 32, 32, 1),
    )


# The input


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_parts_are_joined_in_the_order_of_the_name(combination: str) -> None:
    inputs = assemble_input(_evidence(), combination)
    assert inputs.shape == (3, WIDTHS[combination])
    assert inputs.dtype == np.float32
    pieces = {
        "o": lambda i: np.arange(10) + 1000 + 10 * i,
        "a": lambda i: np.arange(50) + 2000 + 50 * i,
        "x": lambda i: np.arange(1024) + 3000 + 1024 * i,  # rows of the image one after the other
    }
    for i in range(3):
        expected = np.concatenate([pieces[letter](i) for letter in combination.split("+")])
        np.testing.assert_array_equal(inputs[i], expected)


def test_every_combination_of_the_thesis_is_there() -> None:
    assert sorted(COMBINATIONS) == sorted(WIDTHS)


@pytest.mark.parametrize("combination", ["", "x+o", "o+o", "O"])
def test_an_unknown_combination_is_refused(combination: str) -> None:
    with pytest.raises(
        ValueError, match=r"`combination` must be one of o, a, x, o\+a, o\+x, a\+x, o\+a\+x; got '"
    ):
        assemble_input(_evidence(), combination)


@pytest.mark.parametrize(("combination", "part"), [("a", "a"), ("o+x", "x"), ("o+a+x", "a")])
def test_a_missing_part_is_named(combination: str, part: str) -> None:
    evidence = ShadowEvidence(np.zeros((2, 10), np.float32))
    with pytest.raises(
        ValueError, match=rf"`evidence` must hold the part '{part}' of combination .*; it is missing\."
    ):
        assemble_input(evidence, combination)


# The model


def _two_kinds_of_stripes(count: int) -> tuple[ShadowEvidence, np.ndarray]:
    """Half of the vectors stand for horizontal stripes and half for vertical ones."""
    stripes = np.sin(np.arange(32) * np.pi / 4)[:, None] * np.ones(32) * 0.5 + 0.5
    kinds = np.arange(count) % 2
    images = np.where(kinds[:, None, None] == 0, stripes, stripes.T)[..., None].astype(np.float32)
    noise = 0.1 * np.random.default_rng(4).standard_normal((count, 10))
    vectors = (np.eye(10)[kinds] * 4 + noise).astype(np.float32)
    return ShadowEvidence(vectors), images


def test_it_learns_to_draw_what_the_vector_tells() -> None:
    evidence, images = _two_kinds_of_stripes(64)
    tcnn, history = train_inverter(evidence, images, "o", dataclasses.replace(SMALL, epochs=25), seed=1)
    unseen, truth = _two_kinds_of_stripes(10)
    similarity = tf.image.ssim(invert(tcnn, unseen, "o"), truth, max_val=1.0).numpy()
    mean_image = tf.image.ssim(np.broadcast_to(images.mean(axis=0), truth.shape), truth, max_val=1.0).numpy()
    assert similarity.min() > mean_image.max() + 0.3
    assert len(history["loss"]) == 25


def test_the_loss_is_one_minus_ssim() -> None:
    """At a learning rate too small to matter: the mean over the images with dropout and batch statistics is near it."""
    evidence, images = _two_kinds_of_stripes(64)
    settings = InverterSettings(channels=(4, 4, 4), epochs=1, batch_size=64, learning_rate=1e-12)
    tcnn, history = train_inverter(evidence, images, "o", settings, seed=1)
    similarity = tf.image.ssim(tcnn(evidence.output_vector, training=True), images, max_val=1.0).numpy()
    assert history["loss"][0] == pytest.approx(1 - similarity.mean(), abs=0.02)
    assert abs(similarity.mean()) < 0.2


def test_invert_is_the_models_inference_whatever_the_batch_size() -> None:
    tcnn, evidence = build_tcnn(60, channels=(4, 4, 4), seed=1), _evidence(5)
    expected = tcnn.predict(np.concatenate([evidence.output_vector, evidence.activations], axis=1), verbose=0)
    before = [v.numpy().tobytes() for v in tcnn.variables]
    for batch_size in (2, 256):
        images = invert(tcnn, evidence, "o+a", batch_size=batch_size)
        np.testing.assert_allclose(images, expected, atol=1e-6)
    assert [v.numpy().tobytes() for v in tcnn.variables] == before


def test_interrupted_and_resumed_equals_uninterrupted(stopping_workspace) -> None:
    settings = dataclasses.replace(SMALL, input_noise=0.5)
    evidence, images = _two_kinds_of_stripes(20)
    workspace = stopping_workspace(2)
    with pytest.raises(KeyboardInterrupt):
        train_inverter(evidence, images, "o", settings, seed=1, workspace=workspace)
    resumed, resumed_history = train_inverter(evidence, images, "o", settings, seed=1, workspace=workspace)
    uninterrupted, history = train_inverter(evidence, images, "o", settings, seed=1)
    assert len(history["loss"]) == 3
    assert resumed_history == history
    for left, right in zip(resumed.variables, uninterrupted.variables, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy(), err_msg=left.path)


def test_noise_without_a_scale_is_refused() -> None:
    evidence = ShadowEvidence(np.ones((4, 10), np.float32))
    with pytest.raises(
        ValueError, match=r"`settings.input_noise` must be 0 where all inputs are equal; got 0\.1\."
    ):
        train_inverter(
            evidence, np.zeros((4, 32, 32, 1), np.float32), "o", InverterSettings(input_noise=0.1), seed=1
        )


def test_dropout_and_noise_of_the_settings_reach_the_model_and_its_rebuilt_twin() -> None:
    """The noise is a fraction of the spread of all inputs; variables of the twin match by position."""
    evidence, images = _two_kinds_of_stripes(20)
    settings = dataclasses.replace(SMALL, epochs=1, dropout=(0.1, 0.0, 0.6), input_noise=0.5)
    trained, _ = train_inverter(evidence, images, "o", settings, seed=1)
    rates = {layer.name: layer.rate for layer in trained.layers if "dropout" in layer.name}
    assert rates == {"dropout_0": 0.1, "dropout_2": 0.6}
    deviation = trained.get_layer("input_noise").standard_deviation
    assert deviation == pytest.approx(0.5 * evidence.output_vector.std())
    rebuilt = rebuild_inverter(10, 1, settings)
    for old, new in zip(trained.variables, rebuilt.variables, strict=True):
        new.assign(old.value)
    np.testing.assert_array_equal(invert(rebuilt, evidence, "o"), invert(trained, evidence, "o"))


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_rebuilt_inverter_without_noise_has_no_layer_for_it(noise: float) -> None:
    names = [
        layer.name for layer in rebuild_inverter(10, 1, dataclasses.replace(SMALL, input_noise=noise)).layers
    ]
    assert ("input_noise" in names) == (noise > 0)


# What an attack can see


def test_observation_and_evidence_have_no_field_for_the_truth() -> None:
    assert [f.name for f in dataclasses.fields(Observation)] == ["output_vector"]
    assert [f.name for f in dataclasses.fields(ShadowEvidence)] == [
        "output_vector",
        "activations",
        "gradient_reconstruction",
    ]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Observation(np.zeros((1, 10), np.float32)).label = 3


@pytest.mark.parametrize(
    ("attack", "arrays"), [(reconstruct, {"start_images"}), (recover_activations, set()), (invert, set())]
)
def test_attacks_take_no_labels_and_no_true_images(attack, arrays: set[str]) -> None:
    """What an attack knows of its victim comes as an observation or evidence; start images are per class."""
    annotations = {p.name: p.annotation for p in inspect.signature(attack).parameters.values()}
    assert {name for name, kind in annotations.items() if "ndarray" in str(kind)} == arrays
    assert {Observation, ShadowEvidence} & set(annotations.values())
    assert not [name for name, kind in annotations.items() if "ImageSet" in str(kind)]
    assert not {"labels", "truth", "images", "target", "target_model"} & set(annotations)


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.zeros((2, 10)), r"must be float32 \(count, classes\); got float64 \(2, 10\)"),
        (np.zeros(10, np.float32), r"must be float32 \(count, classes\); got float32 \(10,\)"),
        (np.full((1, 10), np.nan, np.float32), "must be finite; got NaN or infinity"),
        (np.full((1, 10), np.inf, np.float32), "must be finite; got NaN or infinity"),
    ],
)
def test_an_output_vector_that_is_none_is_refused(vector: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=f"`output_vector` {message}"):
        Observation(vector)


def test_the_predicted_class_is_the_largest_logit() -> None:
    vectors = np.array([[-3, -1, -2], [5, 0, 4]], np.float32)
    np.testing.assert_array_equal(Observation(vectors).predicted_class, [1, 0])


@pytest.mark.parametrize("part", ["activations", "gradient_reconstruction"])
def test_parts_of_different_length_are_refused(part: str) -> None:
    with pytest.raises(ValueError, match=rf"`{part}` must be as many as `output_vector`, 10; got 20"):
        ShadowEvidence(np.zeros((10, 10), np.float32), **{part: np.zeros((20, 50), np.float32)})
