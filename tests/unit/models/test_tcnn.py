"""The inversion model against PyTorch's TCNN of Figure 26 with the same weights (tests/oracles)."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import torch_weights

from mi_keras.metrics.image import ssim
from mi_keras.models.tcnn import build_tcnn

WEIGHTED = {0: "up_0", 4: "up_1", 8: "up_2", 12: "up_3"}  # PyTorch index in Figure 26 -> Keras layer


@pytest.fixture(scope="module")
def oracle() -> torch_weights.Arrays:
    stored = torch_weights.load("tcnn")
    for name in ("inputs", "eval/input_gradient", "train/input_gradient"):
        stored[name] = stored[name].reshape(5, 10)  # stored as 1x1 maps
    return stored


@pytest.fixture
def tcnn(oracle: torch_weights.Arrays) -> keras.Model:
    """A narrow TCNN with the oracle's weights and, as in the oracle, without dropout."""
    model = torch_weights.without_dropout(build_tcnn(10, channels=(8, 6, 4)))
    torch_weights.assign(model, torch_weights.keras_layout("tcnn", torch_weights.part(oracle, "weights")))
    return model


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
    expected = torch_weights.keras_layout("tcnn", torch_weights.part(oracle, f"{mode}/gradient"))
    names = [f"{w.path.split('/')[-2]}/{w.name}" for w in weights]
    assert sorted(names) == sorted(expected)
    for name, gradient in zip(names, gradients, strict=True):
        if mode == "train" and name in ("up_0/bias", "up_1/bias", "up_2/bias"):
            assert np.abs(gradient).max() < 1e-5, name  # batch normalisation takes the bias away again
        else:
            torch_weights.assert_close(gradient, expected[name], 5e-4, name)


def test_running_statistics_after_a_training_pass_equal_pytorch(
    tcnn: keras.Model, oracle: torch_weights.Arrays
) -> None:
    tcnn(oracle["inputs"], training=True)
    weights = torch_weights.by_name(tcnn)
    expected = torch_weights.keras_layout("tcnn", torch_weights.part(oracle, "running"))
    assert len(expected) == 6
    for name, value in expected.items():
        torch_weights.assert_close(weights[name], value, 1e-5, name)


@pytest.mark.parametrize("rates", [None, (0.1, 0.6, 0.25)])
def test_dropout_follows_each_tanh_by_default_at_the_rates_of_figure_26(rates: tuple | None) -> None:
    tcnn = build_tcnn(10, channels=(8, 6, 4), seed=2, **({"dropout": rates} if rates else {}))
    names = [f"{kind}_{step}" for step in range(3) for kind in ("tanh", "dropout")]
    inner = keras.Model(tcnn.input, [tcnn.get_layer(name).output for name in names])
    outputs = [o.numpy() for o in inner(np.random.default_rng(0).standard_normal((32, 10)), training=True)]
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


def test_images_of_three_channels() -> None:
    images = build_tcnn(10, image_channels=3, channels=(2, 2, 2))(np.ones((2, 10), np.float32))
    assert images.shape == (2, 32, 32, 3)


def test_initial_weights_fill_pytorchs_bounds() -> None:
    bounds, tcnn = torch_weights.part(torch_weights.load("facts"), "bound/tcnn"), build_tcnn(10, seed=4)
    assert sorted(bounds) == sorted(f"layers.{index}" for index in WEIGHTED)
    for index, name in WEIGHTED.items():
        kernel, bias = tcnn.get_layer(name).get_weights()
        bound = float(bounds[f"layers.{index}"])
        assert 0 < np.abs(bias).max() <= bound * (1 + 1e-6)
        assert 0.98 * bound < np.abs(kernel).max() <= bound * (1 + 1e-6)
        assert abs(kernel.std() / (bound / np.sqrt(3)) - 1) < 0.05
        assert abs(kernel.mean()) < 4 * bound / np.sqrt(3 * kernel.size)


def test_initial_weights_are_different_numbers_everywhere() -> None:
    """The bias repeats no part of the kernel, and no two layers begin alike, once the bounds are divided out."""
    tcnn = build_tcnn(8, image_channels=8, channels=(8, 8, 8), seed=4)
    arrays = [w for name in WEIGHTED.values() for w in tcnn.get_layer(name).get_weights()]
    begins = [np.ravel(a)[:8] / np.abs(np.ravel(a)[:8]).max() for a in arrays]
    for i, left in enumerate(begins):
        for right in begins[:i]:
            assert np.abs(left - right).max() > 0.05


def test_seed_decides_the_initial_weights() -> None:
    first, same, other = (build_tcnn(10, channels=(4, 3, 2), seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    drawn = [np.std(a) > 0 or a.shape == (1,) for a in first]  # batch normalisation starts at zeros and ones
    assert sum(drawn) == 8
    assert not any(np.array_equal(a, b) for a, b, d in zip(first, other, drawn, strict=True) if d)


def test_without_dropout_and_noise_training_draws_no_random_numbers() -> None:
    tcnn = build_tcnn(10, channels=(4, 3, 2), dropout=(0, 0.0, 0), seed=2)
    assert not [layer.name for layer in tcnn.layers if "dropout" in layer.name or "noise" in layer.name]
    assert not [variable.path for variable in tcnn.variables if "seed" in variable.path]
    vectors = np.random.default_rng(0).standard_normal((4, 10)).astype(np.float32)
    np.testing.assert_array_equal(tcnn(vectors, training=True), tcnn(vectors, training=True))


def test_noise_falls_on_the_input_in_training_only() -> None:
    """The first layer is linear: what it gives, less what it gives without noise, is the noise through its kernel."""
    quiet = build_tcnn(10, channels=(4, 3, 2), dropout=(0, 0, 0), seed=2)
    noisy = build_tcnn(10, channels=(4, 3, 2), dropout=(0, 0, 0), input_noise=3.0, seed=2)
    for left, right in zip(quiet.get_weights(), noisy.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    vectors = np.random.default_rng(0).standard_normal((2000, 10)).astype(np.float32)
    np.testing.assert_array_equal(noisy(vectors, training=False), quiet(vectors, training=False))
    first = keras.Model(noisy.input, noisy.get_layer("up_0").output)
    kernel = noisy.get_layer("up_0").get_weights()[0].reshape(10, -1).astype(np.float64)
    change = (first(vectors, training=True) - first(vectors, training=False)).numpy().reshape(2000, -1)
    noise = change @ np.linalg.pinv(kernel)
    assert abs(noise.std() / 3 - 1) < 4 / np.sqrt(2 * noise.size)
