"""The learned attack on vectors, M_I: its input, what it learns, exact resume, and fits that follow each other."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from mi_keras.attacks import learned
from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.activations import Activations
from mi_keras.attacks.attack import Answers, all_needs
from mi_keras.attacks.gradient import GradientImage
from mi_keras.attacks.learned import First, Learned, assemble
from mi_keras.errors import InputError
from mi_keras.experiments.thesis.sizes import QUICK
from mi_keras.models.tcnn import build_tcnn
from mi_keras.models.variables import weights_of
from mi_keras.progress import Run
from mi_keras.settings import COMBINATIONS, DecoderSettings, InverterSettings
from mi_keras.training.loop import FitterPool
from tests.unit.attacks.drawing import assert_same_fit, drawn, evidence, held

WIDTHS = {"o": 10, "a": 50, "x": 1024, "o+a": 60, "o+x": 1034, "a+x": 1074, "o+a+x": 1084}
SMALL = InverterSettings(channels=(16, 12, 8), epochs=3, batch_size=8, learning_rate=3e-3)
SHAPE = (32, 32, 1)


def test_all_combinations_of_preset_quick_keep_their_traced_steps() -> None:
    channels = QUICK["inverter"].channels
    weights = [build_tcnn(width, SHAPE, channels=channels).count_params() for width in WIDTHS.values()]
    assert len(weights) <= learned.KEPT
    assert 3 * 4 * sum(weights) <= learned.MEMORY  # of float32, with Adam's two values of each


def _numbered(combination: str, count: int = 3) -> list[np.ndarray]:
    """Every number says where it comes from: 1000s for O, 2000s for A^L, 3000s for X~."""
    parts = {
        "o": 1000 + np.arange(count * 10, dtype=np.float32).reshape(count, 10),
        "a": 2000 + np.arange(count * 50, dtype=np.float32).reshape(count, 50),
        "x": 3000 + np.arange(count * 1024, dtype=np.float32).reshape(count, 32, 32, 1),
    }
    return [parts[letter] for letter in combination.split("+")]


def _two_kinds_of_stripes(count: int, shape: tuple[int, int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and images: half of the vectors stand for horizontal stripes and half for vertical ones."""
    rows, columns = np.indices(shape[:2])
    kinds = np.arange(count) % 2
    images = np.where(kinds[:, None, None] == 0, rows, columns)[..., None] * np.ones(shape[2])
    noise = 0.1 * np.random.default_rng(4).standard_normal((count, 10))
    vectors = (np.eye(10)[kinds] * 4 + noise).astype(np.float32)
    return vectors, (np.sin(images * np.pi / 4) * 0.5 + 0.5).astype(np.float32)


def _fit(settings: InverterSettings = SMALL, count: int = 20, run: Run | None = None):
    vectors, images = _two_kinds_of_stripes(count)
    return Learned(settings=settings).fit(evidence(vectors), held(images), run or Run())


# The input


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_parts_are_joined_in_the_order_of_the_name(combination: str) -> None:
    inputs = assemble(_numbered(combination), flat=True)
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


def test_a_network_of_maps_takes_its_only_part_as_it_is() -> None:
    [maps] = _numbered("x")
    assert assemble([maps], flat=False) is maps


@pytest.mark.parametrize(("combination", "flat", "count"), [("", True, 0), ("", False, 0), ("o+a", False, 2)])
def test_no_part_or_too_many_are_refused(combination: str, flat: bool, count: int) -> None:
    with pytest.raises(
        ValueError,
        match=rf"^`parts` must be one for a network of feature maps, one or more else; got {count}\.$",
    ):
        assemble(_numbered(combination) if combination else [], flat=flat)


# What it learns


@pytest.mark.parametrize(
    "shape", [SHAPE, *(pytest.param(each, marks=pytest.mark.slow) for each in ((24, 40, 3), (64, 48, 1)))]
)
def test_it_learns_to_draw_what_the_vector_tells(shape: tuple[int, int, int]) -> None:
    vectors, images = _two_kinds_of_stripes(64, shape)
    attack = Learned(settings=replace(SMALL, epochs=25))
    fitted = attack.fit(evidence(vectors), held(images), Run())
    unseen, truth = _two_kinds_of_stripes(10, shape)
    found = drawn(attack, fitted, evidence(unseen), shape)
    assert (found.shape, found.dtype) == (truth.shape, np.float32)
    assert 0 <= found.min() < found.max() <= 1
    similarity = tf.image.ssim(found, truth, max_val=1.0).numpy()
    mean_image = tf.image.ssim(np.broadcast_to(images.mean(axis=0), truth.shape), truth, max_val=1.0).numpy()
    assert similarity.min() > mean_image.max() + 0.3
    assert len(fitted[1]["history"]["loss"]) == 25


def test_it_learns_from_maps_that_are_flattened_and_from_images_of_bytes() -> None:
    """One part of each kind, half precision among them; bytes are learned as the numbers from 0 to 1 that they are."""
    vectors, images = _two_kinds_of_stripes(20)
    maps, whole = vectors[:, None, :, None].astype(np.float16), np.rint(255 * images).astype(np.uint8)
    attack = Learned((Answers(), Activations()), SMALL)
    known = evidence(maps, maps, vectors)
    fits = [attack.fit(known, held(each), Run()) for each in (whole, whole.astype(np.float32) / 255)]
    np.testing.assert_allclose(*(fitted[1]["history"]["loss"] for fitted in fits), rtol=1e-3)
    assert drawn(attack, fits[0], known, SHAPE).shape == images.shape


def test_the_loss_is_one_minus_ssim() -> None:
    """At a learning rate too small to matter: the mean over the images with dropout and batch statistics is near it."""
    vectors, images = _two_kinds_of_stripes(64)
    settings = InverterSettings(channels=(4, 4, 4), epochs=1, batch_size=64, learning_rate=1e-12)
    attack = Learned(settings=settings)
    fitted = attack.fit(evidence(vectors), held(images), Run())
    model = attack.load(fitted, (10,), SHAPE)
    similarity = tf.image.ssim(model(vectors, training=True), images, max_val=1.0).numpy()
    assert fitted[1]["history"]["loss"][0] == pytest.approx(1 - similarity.mean(), abs=0.02)
    assert fitted[1]["parameters"] == model.count_params()
    assert abs(similarity.mean()) < 0.2


def test_it_draws_as_the_model_infers_alone_in_any_batch_and_in_a_graph() -> None:
    parts = [(part / 1000 - 2) for part in _numbered("o+a", 300)]  # more than are drawn at a time
    attack = Learned((Answers(), Activations()), replace(SMALL, epochs=1, batch_size=100))
    images = np.random.default_rng(1).random((300, *SHAPE), np.float32)
    fitted = attack.fit(evidence(parts[0], *parts), held(images), Run())
    model = attack.load(fitted, (60,), SHAPE)
    expected = model.predict(np.concatenate(parts, axis=1), verbose=0)
    found = drawn(attack, fitted, evidence(parts[0], *parts), SHAPE)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    few = [part[7:9] for part in parts]
    np.testing.assert_allclose(drawn(attack, fitted, evidence(few[0], *few), SHAPE), expected[7:9], atol=1e-6)
    draw = tf.function(lambda *inputs: attack.draw(model, inputs), autograph=False)
    np.testing.assert_allclose(draw(*map(tf.constant, few)), expected[7:9], atol=1e-6)
    assert_same_fit((weights_of(model), {}), (fitted[0], {}))  # inference leaves the network as it is


def test_a_start_is_gone_on_from_and_left_as_it_was() -> None:
    long = _fit(replace(SMALL, epochs=25))
    before = {name: array.copy() for name, array in long[0].items()}
    vectors, images = _two_kinds_of_stripes(20)
    further = Learned(settings=SMALL).fit(evidence(vectors), held(images), Run(), before=long)
    assert further[1]["history"]["loss"][0] < 0.5 * _fit()[1]["history"]["loss"][0]
    assert_same_fit((before, {}), (long[0], {}))


def test_interrupted_and_resumed_equals_uninterrupted(stopping_workspace) -> None:
    settings = replace(SMALL, input_noise=0.5)
    workspace = stopping_workspace(2)
    with pytest.raises(KeyboardInterrupt):
        _fit(settings, run=Run(workspace=workspace))
    resumed, uninterrupted = _fit(settings, run=Run(workspace=workspace)), _fit(settings)
    assert len(resumed[1]["history"]["loss"]) == 3
    assert_same_fit(resumed, uninterrupted)


def test_fits_that_follow_each_other_are_each_as_if_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scale of the noise is a constant of the step: inputs of another scale need a step of their own."""
    vectors, images = _two_kinds_of_stripes(20)
    attack = Learned(settings=replace(SMALL, input_noise=0.5))
    monkeypatch.setattr(learned, "_fitters", FitterPool(size=1))
    attack.fit(evidence(vectors), held(images), Run())
    shorter = replace(attack, settings=replace(attack.settings, epochs=1, batch_size=5, learning_rate=0.01))
    shorter.fit(evidence(3 * vectors), held(images), Run(2))
    after = [attack.fit(evidence(3 * vectors), held(images), Run(2)) for _ in range(2)]
    monkeypatch.setattr(learned, "_fitters", FitterPool(size=1))
    alone = attack.fit(evidence(3 * vectors), held(images), Run(2))
    for fitted in after:
        assert_same_fit(fitted, alone)


# Settings


def test_noise_without_a_scale_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"`settings.input_noise` must be 0 where all inputs are equal; got 0\.1\."
    ):
        Learned(settings=InverterSettings(input_noise=0.1)).fit(
            evidence(np.ones((4, 10), np.float32)), held(np.zeros((4, *SHAPE), np.float32)), Run()
        )


def test_dropout_and_noise_of_the_settings_reach_the_model_and_its_rebuilt_twin() -> None:
    """The noise is a fraction of the spread of all inputs; variables of the twin match by position."""
    vectors, _ = _two_kinds_of_stripes(20)
    attack = Learned(settings=replace(SMALL, epochs=1, dropout=(0.1, 0.0, 0.6), input_noise=0.5))
    built, fitted = attack.network.build(vectors, SHAPE, 1), _fit(attack.settings)
    loaded = attack.load(fitted, (10,), SHAPE)
    for model in (built, loaded):
        rates = {layer.name: layer.rate for layer in model.layers if "dropout" in layer.name}
        assert rates == {"dropout_0": 0.1, "dropout_2": 0.6}
    deviation = built.get_layer("input_noise").standard_deviation
    assert deviation == pytest.approx(0.5 * vectors.std())
    shapes = [[v.shape for v in model.variables] for model in (built, loaded)]
    assert shapes[0] == shapes[1]
    assert_same_fit((weights_of(loaded), {}), (fitted[0], {}))
    assert fitted[1]["history"] != _fit(replace(attack.settings, input_noise=0.0))[1]["history"]


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_rebuilt_network_without_noise_has_no_layer_for_it(noise: float) -> None:
    model = Learned(settings=replace(SMALL, input_noise=noise)).network.rebuild((10,), SHAPE)
    assert ("input_noise" in [layer.name for layer in model.layers]) == (noise > 0)


def test_the_first_of_its_images_are_used_and_no_others_are_looked_at() -> None:
    """Not even for the scale of the noise; there may be fewer than asked for."""
    vectors, images = _two_kinds_of_stripes(20)
    attack = Learned(settings=replace(SMALL, epochs=1, input_noise=0.5), images=12)
    vectors[12:] *= 100
    some = attack.fit(evidence(vectors), held(images), Run())
    assert_same_fit(some, attack.fit(evidence(vectors[:12]), held(images[:12]), Run()))
    rows = First(vectors, 12)
    assert (len(rows), rows.shape, rows.dtype) == (12, (12, 10), np.float32)
    for wanted in (slice(None), slice(8, 16), slice(-2, None), [11, 0]):
        np.testing.assert_array_equal(rows[wanted], vectors[:12][wanted])
    assert First(vectors, 50).shape == (20, 10)


def test_what_it_needs_of_the_adversary_is_named() -> None:
    vectors, images = _two_kinds_of_stripes(4)
    attack = Learned(settings=SMALL)
    with pytest.raises(ValueError, match=r"^`known` must hold the answers .*; got None\.$"):
        attack.fit(None, held(images), Run())
    with pytest.raises(InputError, match=r"^`images` must be given to an adversary that learns; got None\.$"):
        attack.fit(evidence(vectors), Holdings(), Run())
    with pytest.raises(ValueError, match=r"^`inputs` and `targets` must be equally many; got 3, 4\.$"):
        attack.fit(evidence(vectors[:3]), held(images), Run())
    assert attack.needs == Access(images=True, answers="surrogate")
    with_x = Learned((Answers(), GradientImage()), SMALL)
    assert all_needs(with_x) == Access(images=True, answers="surrogate", surrogates=1)


def test_names_and_settings_tell_learned_attacks_apart() -> None:
    attacks = [
        Learned(settings=SMALL), Learned(settings=SMALL, name="o"), Learned(settings=SMALL, images=5),
        Learned(settings=DecoderSettings("compact")), Learned(settings=DecoderSettings("large")),
    ]  # fmt: skip
    assert len({json.dumps(attack.identity, sort_keys=True) for attack in attacks}) == len(attacks)
    everything = Learned((Answers(), Activations(), GradientImage()), SMALL, "o+a+x")
    assert everything.label == "M_I(O + A^L + X~)"
    assert everything.seed_names == [("inverter", "o+a+x")]
    assert attacks[3].label == "compact decoder"
    assert attacks[3].seed_names == [("decoder", "compact")]
