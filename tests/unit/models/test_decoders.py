"""The decoders: the published parameter counts, shapes, ranges, and what each can and cannot draw."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mi_keras.errors import InputError
from mi_keras.models.decoders import (
    build_bicubic_decoder,
    build_decoder,
    build_transposed_decoder,
    unit_range,
)
from mi_keras.models.residual_decoder import PARAMETERS, Folding, build_residual_decoder
from mi_keras.models.upsampling import Doubling, PixelShuffle
from mi_keras.settings import DECODERS

C4 = (20, 20, 672)


def _maps(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "count"), [("transposed", 143_663), ("released", 143_663), ("bicubic", 172_207)]
)
def test_published_decoders_have_the_published_parameter_counts(name: str, count: int) -> None:
    assert build_decoder(name, C4).count_params() == count


def test_ours_is_no_larger_than_two_hundred_thousand_parameters() -> None:
    small, large = (build_decoder(name, C4).count_params() for name in ("compact", "large"))
    assert small <= 200_000 < large


@pytest.mark.parametrize(
    "map_shape", [(160, 160, 64), (80, 80, 72), (40, 40, 240), (20, 20, 672), (10, 10, 960)]
)
def test_the_even_decoder_is_as_large_for_maps_of_any_layer(map_shape: tuple[int, int, int]) -> None:
    model = build_decoder("even", map_shape, (320, 320, 3))
    assert model.output_shape == (None, 320, 320, 3)
    assert 0.9 * PARAMETERS < model.count_params() <= PARAMETERS
    assert (model.count_params() == PARAMETERS) == (map_shape == C4)


def test_the_even_decoder_is_the_compact_one_at_the_cut_of_the_text() -> None:
    even, compact = (build_decoder(name, C4, seed=3) for name in ("even", "compact"))
    for one, other in zip(even.get_weights(), compact.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_folding_lays_places_out_as_channels_and_loses_none() -> None:
    maps = _maps(2, 4, 6, 3)
    folded = Folding(2)(maps).numpy()
    assert folded.shape == (2, 2, 3, 12)
    np.testing.assert_array_equal(folded[1, 1, 2].reshape(2, 2, 3), maps[1, 2:4, 4:6])
    with pytest.raises(InputError, match=r"`map_shape` must be \(height, width, channels\); got \(10,\)"):
        build_decoder("even", (10,), (32, 32, 1))


@pytest.mark.parametrize("name", DECODERS)
def test_images_are_sixteen_times_as_large_as_any_maps(name: str) -> None:
    assert build_decoder(name, C4).output_shape == (None, 320, 320, 3)
    model = build_decoder(name, (2, 3, 5), image_channels=1)
    images = model(
        _maps(2, 2, 3, 5), training=True
    ).numpy()  # with untrained statistics ReLU may leave nothing
    assert images.shape == (2, 32, 48, 1)
    assert images.min() >= 0
    assert name in ("transposed", "bicubic") or images.max() <= 1
    assert images.std() > 0


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16, 32])
def test_maps_of_a_stride_are_doubled_that_often_and_neither_cut_nor_resized(name: str, stride: int) -> None:
    model = build_decoder(name, (2, 3, 5), (2 * stride, 3 * stride, 1))
    assert model.output_shape == (None, 2 * stride, 3 * stride, 1)
    kinds = (Doubling, PixelShuffle, keras.layers.Conv2DTranspose)
    assert 2 ** sum(isinstance(layer, kinds) for layer in model.layers) == stride
    assert not {"crop", "resize"} & {layer.name for layer in model.layers}


def test_the_stride_of_the_text_gives_the_models_of_the_text() -> None:
    for name in DECODERS:
        given, default = build_decoder(name, (2, 3, 5), (32, 48, 3)), build_decoder(name, (2, 3, 5))
        assert given.get_config()["layers"] == default.get_config()["layers"]
        for left, right in zip(given.get_weights(), default.get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize(
    ("input_shape", "image_shape", "last"),
    [
        ((7, 7, 5), (100, 100, 3), "crop"),  # stride 16 of an image that padding made 112
        ((5, 4, 3), (9, 7, 1), "crop"),
        ((13, 13, 4), (32, 32, 1), "resize"),  # what convolutions without padding leave
        ((6, 6, 4), (17, 40, 3), "resize"),
        ((20, 20, 4), (16, 16, 1), "resize"),  # maps larger than the image
        ((9,), (16, 16, 1), None),
        ((9,), (160, 160, 3), None),
        ((9,), (50, 33, 3), "crop"),
    ],
)
def test_any_input_and_any_image(name: str, input_shape: tuple, image_shape: tuple, last: str | None) -> None:
    model = build_decoder(name, input_shape, image_shape)
    assert [n for n in ("crop", "resize") if n in [layer.name for layer in model.layers]] == [last] * bool(
        last
    )
    inputs = tf.constant(_maps(2, *input_shape))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        images = model(inputs, training=True)
    assert images.shape == (2, *image_shape)
    assert np.isfinite(images).all()
    assert np.abs(tape.gradient(images, inputs)).max() > 0


@pytest.mark.parametrize("shape", [None, (2, 2, 3), (4, 4, 3), (9, 8, 1)])
@pytest.mark.parametrize("name", DECODERS)
def test_every_weight_is_trained(name: str, shape: tuple[int, int, int] | None) -> None:
    """Every weight sees a gradient, and all of them are finite: nothing is cut off, as it is where ReLU dies."""
    model, maps = build_decoder(name, (2, 2, 8), shape), tf.constant(_maps(4, 2, 2, 8))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(maps, training=True) - 0.5) ** 2)
    gradients = tape.gradient(loss, [w.value for w in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert np.isfinite(gradient).all(), variable.path
        assert np.abs(gradient).max() > 0, variable.path


@pytest.mark.parametrize("name", DECODERS)
def test_initial_weights_come_from_the_seed_alone(name: str) -> None:
    first, same, other = (build_decoder(name, (2, 2, 8), seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    drawn = [a for a in first if a.std() > 0]
    assert len(drawn) >= 5
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True) if a.std() > 0)


def test_the_transposed_decoder_draws_each_position_alone_and_ours_does_not() -> None:
    """Kernel equal to stride: a changed position of the maps changes its own 16x16 pixels only."""
    before = _maps(1, 4, 4, 6)
    after = before.copy()
    after[0, 1, 2] += 1
    for name, alone in (("transposed", True), ("compact", False)):
        model = build_decoder(name, (4, 4, 6))
        changed = np.abs(model(after) - model(before)).max(axis=(0, 3)) > 1e-6
        own = np.zeros((64, 64), bool)
        own[16:32, 32:48] = True
        assert changed[own].any()
        assert changed[~own].any() != alone


def test_the_released_decoder_ends_in_blocks_of_4x4_pixels_for_maps_of_stride_16_only() -> None:
    model = build_decoder("released", (2, 3, 5), (32, 48, 3))
    assert model.output_shape == (None, 32, 48, 3)
    kernels = [layer.kernel_size for layer in model.layers if isinstance(layer, keras.layers.Conv2DTranspose)]
    assert kernels == [(2, 2), (2, 2), (4, 4)]
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 6
    with pytest.raises(
        InputError, match=r"^`image_shape` must be 16 times the maps' height and width; got \(16"
    ):
        build_decoder("released", (2, 3, 5), (16, 24, 3))


def test_ladders_decide_widths_and_doublings() -> None:
    assert build_transposed_decoder((3, 3, 4), channels=(8, 6)).output_shape == (None, 6, 6, 3)
    bicubic = build_bicubic_decoder((3, 3, 4), channels=(8, 6))
    assert bicubic.output_shape == (None, 12, 12, 3)
    doublings = [layer for layer in bicubic.layers if isinstance(layer, Doubling)]
    assert [layer.output.shape[-1] for layer in doublings] == [8, 6]
    ours = build_residual_decoder((3, 3, 4), channels=(8, 6), residuals=1, convolutions=2)
    assert ours.output_shape == (None, 24, 24, 3)
    # pointwise c * d, depth-wise 9c, 3x3 9 * c * d, batch normalisation 4d; 12 pixel channels with a bias
    entry, residual, narrow = 4 * 8 + 4 * 8, 9 * 8 + 8 * 8 + 4 * 8, 8 * 6 + 4 * 6
    assert ours.count_params() == entry + residual + narrow + 2 * (9 * 6 * 6 + 4 * 6) + 9 * 6 * 12 + 12


def test_unit_range_undoes_imagenets_normalisation_and_clips() -> None:
    """Zero is ImageNet's mean colour; the published decoders answer nothing below it."""
    normalised = np.array([[[[0, 0, 0], [1, 1, 1], [99, 99, -99]]]], np.float32)
    expected = [[[[0.485, 0.456, 0.406], [0.714, 0.680, 0.631], [1, 1, 0]]]]
    np.testing.assert_allclose(unit_range(normalised), expected, atol=1e-6)
    gray = np.array([[[[0.0], [1.0], [-99.0]]]], np.float32)
    np.testing.assert_allclose(unit_range(gray), [[[[0.449], [0.675], [0]]]], atol=1e-6)


def test_a_decoder_comes_back_from_its_configuration() -> None:
    model = build_decoder("bicubic", (2, 2, 8))
    custom = {layer.__class__.__name__: layer.__class__ for layer in model.layers}
    again = keras.Model.from_config(model.get_config(), custom_objects=custom)
    again.set_weights(model.get_weights())
    maps = _maps(1, 2, 2, 8)
    np.testing.assert_allclose(again(maps), model(maps), atol=1e-6)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: build_decoder("other", C4), "`name` must be one of transposed, bicubic, compact, large, released, even; got 'other'."),
        (lambda: build_decoder("large", (20, 20)), "`map_shape` must be (height, width, channels) or (width,), each >= 1; got (20, 20)."),
        (lambda: build_decoder("large", (9,)), "`image_shape` must be given for a vector; got None for (9,)."),
        (lambda: build_decoder("large", C4, (0, 9, 1)), "`image_shape` must be (height, width, channels), each >= 1; got (0, 9, 1)."),
        (lambda: build_bicubic_decoder(C4, channels=()), "`channels` must be one or more numbers >= 1; got ()."),
        (lambda: build_transposed_decoder(C4, channels=(8, 0)), "`channels` must be one or more numbers >= 1; got (8, 0)."),
        (
            lambda: build_residual_decoder(C4, convolutions=0),
            "`residuals` must be >= 0 and `convolutions` >= 1; got 2 and 0.",
        ),
        (lambda: build_residual_decoder(C4, image_channels=0), "`image_channels` must be >= 1; got 0."),
    ],
)  # fmt: skip
def test_settings_that_break_a_rule(build, text: str) -> None:
    with pytest.raises(InputError) as caught:
        build()
    assert str(caught.value) == text
