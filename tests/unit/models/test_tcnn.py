"""The inversion model against PyTorch's TCNN of Figure 26 with the same weights (tests/oracles)."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import torch_weights
from torch_checks import (
    assert_different_numbers,
    assert_fills_bounds,
    assert_gradients,
    assert_running_statistics,
    assert_seed_decides,
)

from mi_keras.errors import InputError
from mi_keras.metrics.image import ssim
from mi_keras.models.layers import DoublingTransposedConv
from mi_keras.models.tcnn import build_tcnn

WEIGHTED = {0: "up_0", 4: "up_1", 8: "up_2", 12: "up_3"}  # PyTorch index in Figure 26 -> Keras layer


def _vectors(count: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, width)).astype(np.float32)


@pytest.fixture(scope="module")
def oracle() -> torch_weights.Arrays:
    stored = torch_weights.load("tcnn")
    for name in ("inputs", "eval/input_gradient", "train/input_gradient"):
        stored[name] = stored[name].reshape(5, 10)  # stored as 1x1 maps
    return stored


@pytest.fixture
def tcnn() -> keras.Model:
    """A narrow TCNN with the oracle's weights and, as in the oracle, without dropout."""
    return torch_weights.as_in("tcnn", torch_weights.without_dropout(build_tcnn(10, channels=(8, 6, 4))))


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_images_and_ssim_gradients_equal_pytorch(
    tcnn: keras.Model, oracle: torch_weights.Arrays, mode: str
) -> None:
    vectors, weights = tf.constant(oracle["inputs"]), tcnn.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        images = tcnn(vectors, training=mode == "train")
        loss = tf.reduce_mean(1 - ssim(images, oracle["truth"]))
    input_gradient, gradients = tape.gradient(loss, [vectors, [w.value for w in weights]])
    torch_weights.assert_close(images, oracle[f"{mode}/outputs"], 1e-5)
    torch_weights.assert_close(input_gradient, oracle[f"{mode}/input_gradient"], 1e-4)
    assert_gradients(
        "tcnn",
        tcnn,
        gradients,
        oracle,
        mode,
        relative=5e-4,
        vanishing=("up_0/bias", "up_1/bias", "up_2/bias"),
    )


def test_running_statistics_after_a_training_pass_equal_pytorch(
    tcnn: keras.Model, oracle: torch_weights.Arrays
) -> None:
    assert_running_statistics("tcnn", tcnn, oracle)


@pytest.mark.parametrize("rates", [None, (0.1, 0.6, 0.25)])
def test_dropout_follows_each_tanh_by_default_at_the_rates_of_figure_26(rates: tuple | None) -> None:
    tcnn = build_tcnn(10, channels=(8, 6, 4), seed=2, **({"dropout": rates} if rates else {}))
    names = [f"{kind}_{step}" for step in range(3) for kind in ("tanh", "dropout")]
    inner = keras.Model(tcnn.input, [tcnn.get_layer(name).output for name in names])
    outputs = [o.numpy() for o in inner(_vectors(32, 10), training=True)]
    for tanh, dropped, rate in zip(outputs[::2], outputs[1::2], rates or (0.3, 0.5, 0.5), strict=True):
        kept = dropped != 0
        np.testing.assert_allclose(dropped[kept], tanh[kept] / (1 - rate), rtol=1e-5)
        assert abs(kept.mean() - (1 - rate)) < 4 * np.sqrt(rate * (1 - rate) / kept.size)


@pytest.mark.parametrize("width", [10, 50, 1024, 1084])
def test_full_width_has_the_parameters_of_figure_26(width: int) -> None:
    count = sum(int(np.prod(w.shape)) for w in build_tcnn(width).trainable_variables)
    assert (
        count == width * 512 * 16 + 512 + 2_625_665 == torch_weights.load("facts")[f"parameters/tcnn_{width}"]
    )


SIZES = [(16, 16, 1), (28, 28, 1), (32, 32, 3), (48, 31, 1), (17, 100, 3), (96, 96, 3), (320, 320, 3)]


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_images_of_any_size(shape: tuple[int, int, int]) -> None:
    """The first maps have 4 to 8 positions on the longer side; what is cut off is less than one of them."""
    tcnn = build_tcnn(3, shape, channels=(5, 4, 3), dropout=(0.5, 0.3, 0.1), seed=2)
    images = tcnn(_vectors(3, 3), training=True).numpy()
    assert images.shape == (3, *shape)
    assert 0 <= images.min() < images.max() <= 1
    assert np.ptp(images, axis=0).min() > 0  # every pixel depends on the vector
    start = tcnn.get_layer("up_0").output.shape[1:3]
    doubled = len([layer for layer in tcnn.layers if isinstance(layer, DoublingTransposedConv)])
    assert 4 <= max(start) <= 8
    assert all(0 <= (first << doubled) - side < 2**doubled for first, side in zip(start, shape, strict=False))


def test_widths_and_rates_go_on_where_the_image_is_larger_and_begin_later_where_it_is_smaller() -> None:
    def widths(size: int) -> list[tuple[int, float]]:
        tcnn = build_tcnn(3, (size, size, 1), channels=(128, 64, 32), dropout=(0.3, 0.5, 0.4))
        drops = [layer for layer in tcnn.layers if layer.name.startswith("dropout")]
        return [(layer.output.shape[-1], layer.rate) for layer in drops]

    assert widths(32) == [(128, 0.3), (64, 0.5), (32, 0.4)]
    assert widths(16) == [(64, 0.5), (32, 0.4)]
    assert widths(128) == [(128, 0.3), (64, 0.5), (32, 0.4), (16, 0.4), (16, 0.4)]


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: build_tcnn(0), "`width` must be >= 1 and `image_shape` at least 8 by 8; got 0 and (32, 32)."),
        (lambda: build_tcnn(3, (7, 9, 1)), "`width` must be >= 1 and `image_shape` at least 8 by 8; got 3 and (7, 9)."),
        (lambda: build_tcnn(3, (9, 9)), "`image_shape` must be (height, width, channels), each >= 1; got (9, 9)."),
        (
            lambda: build_tcnn(3, channels=(4, 3)),
            "`channels` must be numbers >= 1, as many as rates of `dropout`; got (4, 3) and (0.3, 0.5, 0.5).",
        ),
    ],
)  # fmt: skip
def test_settings_that_break_a_rule(build, text: str) -> None:
    with pytest.raises(InputError) as caught:
        build()
    assert str(caught.value) == text


def test_initial_weights_fill_pytorchs_bounds() -> None:
    assert_fills_bounds("tcnn", build_tcnn(10, seed=4), WEIGHTED, spread=0.05, bias_share=0)


def test_initial_weights_are_different_numbers_everywhere() -> None:
    tcnn = build_tcnn(8, image_channels=8, channels=(8, 8, 8), seed=4)
    assert_different_numbers(tcnn, [*WEIGHTED.values()])


def test_seed_decides_the_initial_weights() -> None:
    assert_seed_decides(lambda seed: build_tcnn(10, channels=(4, 3, 2), seed=seed), drawn=8)


def test_without_dropout_and_noise_training_draws_no_random_numbers() -> None:
    tcnn = build_tcnn(10, channels=(4, 3, 2), dropout=(0, 0.0, 0), seed=2)
    assert not [layer.name for layer in tcnn.layers if "dropout" in layer.name or "noise" in layer.name]
    assert not [variable.path for variable in tcnn.variables if "seed" in variable.path]
    vectors = _vectors(4, 10)
    np.testing.assert_array_equal(tcnn(vectors, training=True), tcnn(vectors, training=True))


def test_noise_falls_on_the_input_in_training_only() -> None:
    """The first layer is linear: what it gives, less what it gives without noise, is the noise through its kernel."""
    quiet = build_tcnn(10, channels=(4, 3, 2), dropout=(0, 0, 0), seed=2)
    noisy = build_tcnn(10, channels=(4, 3, 2), dropout=(0, 0, 0), input_noise=3.0, seed=2)
    for left, right in zip(quiet.get_weights(), noisy.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    vectors = _vectors(2000, 10)
    np.testing.assert_array_equal(noisy(vectors, training=False), quiet(vectors, training=False))
    first = keras.Model(noisy.input, noisy.get_layer("up_0").output)
    kernel = noisy.get_layer("up_0").get_weights()[0].reshape(10, -1).astype(np.float64)
    change = (first(vectors, training=True) - first(vectors, training=False)).numpy().reshape(2000, -1)
    noise = change @ np.linalg.pinv(kernel)
    assert abs(noise.std() / 3 - 1) < 4 / np.sqrt(2 * noise.size)
