"""The classifier against PyTorch's CNN of Figure 25 with the same weights (tests/oracles), and its other heads."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import torch_weights
from small_models import random_images, twice, two_outputs
from torch_checks import (
    assert_different_numbers,
    assert_fills_bounds,
    assert_gradients,
    assert_running_statistics,
    assert_seed_decides,
)

from mi_keras.errors import InputError
from mi_keras.models.cnn import build_cnn, frozen_logits, last_linear_layer, observe
from mi_keras.settings import ACTIVATIONS, HEADS, HeadSettings

# PyTorch index in Figure 25 -> Keras layer
WEIGHTED = {0: "conv_0", 4: "conv_1", 8: "conv_2", 13: "activations", 15: "logits"}


@pytest.fixture(scope="module")
def oracle() -> torch_weights.Arrays:
    return torch_weights.load("cnn")


@pytest.fixture
def cnn() -> keras.Model:
    """A narrow CNN with the oracle's weights and, as in the oracle, without dropout."""
    return torch_weights.as_in("cnn", torch_weights.without_dropout(build_cnn(channels=(4, 6, 8))))


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_logits_and_gradients_equal_pytorch(
    cnn: keras.Model, oracle: torch_weights.Arrays, mode: str
) -> None:
    images, weights = tf.constant(oracle["inputs"]), cnn.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = cnn(images, training=mode == "train")["logits"]
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(oracle["labels"], logits))
    image_gradient, gradients = tape.gradient(loss, [images, [w.value for w in weights]])
    torch_weights.assert_close(logits, oracle[f"{mode}/outputs"], 1e-5)
    torch_weights.assert_close(image_gradient, oracle[f"{mode}/input_gradient"], 1e-4)
    assert_gradients(
        "cnn",
        cnn,
        gradients,
        oracle,
        mode,
        relative=1e-4,
        vanishing=[f"conv_{block}/bias" for block in range(3)],
    )


def test_running_statistics_after_a_training_pass_equal_pytorch(
    cnn: keras.Model, oracle: torch_weights.Arrays
) -> None:
    assert_running_statistics("cnn", cnn, oracle)


def test_frozen_logits_and_their_gradient_equal_pytorch(
    cnn: keras.Model, oracle: torch_weights.Arrays
) -> None:
    images = tf.constant(oracle["inputs"])
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = frozen_logits(cnn)(images)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(oracle["labels"], logits))
    torch_weights.assert_close(logits, oracle["eval/outputs"], 1e-5)
    torch_weights.assert_close(tape.gradient(loss, images), oracle["eval/input_gradient"], 1e-4)


@pytest.mark.parametrize("frozen", [True, False])
def test_gradient_at_flat_images_equals_pytorch(
    cnn: keras.Model, oracle: torch_weights.Arrays, frozen: bool
) -> None:
    """Zero background gives ties in every max-pooling: both must break them as PyTorch does."""
    logits = frozen_logits(cnn) if frozen else lambda images: cnn(images, training=False)["logits"]
    images = tf.constant(oracle["ties/images"])
    with tf.GradientTape() as tape:
        tape.watch(images)
        answer = tf.reduce_sum(logits(images)[:, 7])
    torch_weights.assert_close(tape.gradient(answer, images), oracle["ties/gradient"], 1e-4)


def test_logits_are_the_last_linear_layer_of_the_activations(
    cnn: keras.Model, oracle: torch_weights.Arrays
) -> None:
    weights, bias = last_linear_layer(cnn)
    outputs = cnn(oracle["inputs"], training=False)
    assert outputs["activations"].shape == (5, 50)
    torch_weights.assert_close(outputs["activations"].numpy() @ weights + bias, oracle["eval/outputs"], 1e-5)


@pytest.mark.parametrize(
    "head",
    [HeadSettings(), HeadSettings("sigmoid", 0.25), HeadSettings("relu", 0.5), HeadSettings("silu", 0)],
)
def test_dropout_acts_on_what_the_activation_function_gives(head: HeadSettings) -> None:
    """With more classes than activations the last linear layer can be undone: each activation is lost or doubled."""
    cnn = build_cnn((8, 8, 1), classes=120, channels=(2, 3, 4), head=head, seed=2)
    outputs = cnn(np.random.default_rng(0).random((40, 8, 8, 1), np.float32), training=True)
    weights, bias = last_linear_layer(cnn)
    seen = (outputs["logits"].numpy() - bias) @ np.linalg.pinv(weights.astype(np.float64))
    large = np.abs(outputs["activations"].numpy()) > 1e-3  # ReLU's zeros tell nothing
    ratio = seen[large] / outputs["activations"].numpy()[large]
    kept = np.abs(ratio - 1 / (1 - head.dropout)) < 0.01
    assert large.mean() > 0.3
    assert np.all(kept | (np.abs(ratio) < 0.01))
    assert abs(kept.mean() - (1 - head.dropout)) <= 4 * 0.5 / np.sqrt(kept.size) * (head.dropout > 0)


def test_observe_returns_pytorchs_logits_whatever_the_batch_size(
    cnn: keras.Model, oracle: torch_weights.Arrays
) -> None:
    before = [v.numpy() for v in cnn.variables]
    for batch_size in (2, 5, 64):
        observation = observe(cnn, oracle["inputs"], batch_size=batch_size)
        torch_weights.assert_close(observation.vectors, oracle["eval/outputs"], 1e-5)
    for variable, value in zip(cnn.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_full_width_has_the_parameters_of_figure_25() -> None:
    count = sum(int(np.prod(w.shape)) for w in build_cnn().trainable_variables)
    assert count == 1_888_560 == torch_weights.load("facts")["parameters/cnn"]


def test_initial_weights_fill_pytorchs_bounds() -> None:
    # Ten biases stay below half their bound once in a thousand seeds, and the seed is fixed
    assert_fills_bounds("cnn", build_cnn(seed=4), WEIGHTED, spread=0.1, bias_share=0.5)


def test_initial_weights_are_different_numbers_everywhere() -> None:
    cnn = build_cnn((8, 8, 1), channels=(8, 8, 8), seed=4)
    assert_different_numbers(cnn, [*WEIGHTED.values()])


def test_seed_decides_the_initial_weights() -> None:
    assert_seed_decides(lambda seed: build_cnn((8, 8, 1), channels=(2, 3, 4), seed=seed), drawn=10)


def test_the_last_linear_layer_is_the_dense_layer_that_makes_the_output() -> None:
    dense = keras.layers.Dense(3, name="dense", use_bias=False)
    model = keras.Sequential([keras.Input((5,)), dense, keras.layers.Dropout(0.1), keras.layers.Softmax()])
    weights, bias = last_linear_layer(model)
    np.testing.assert_array_equal(weights, dense.kernel)
    np.testing.assert_array_equal(bias, np.zeros(3))
    np.testing.assert_array_equal(last_linear_layer(two_outputs(), "b")[0].shape, (192, 4))
    with pytest.raises(InputError, match="`output` must be one of a, b; got 'logits'"):
        last_linear_layer(two_outputs())
    with pytest.raises(
        InputError, match="by a dense layer; 'pooled' of class GlobalAveragePooling2D makes it"
    ):
        last_linear_layer(twice())


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (17, 50, 3)])
def test_any_image_of_which_three_poolings_leave_something(shape: tuple[int, int, int]) -> None:
    cnn, images = build_cnn(shape, channels=(2, 3, 4), seed=2), random_images(shape)
    logits = cnn(images, training=False)["logits"]
    torch_weights.assert_close(frozen_logits(cnn)(images), logits.numpy(), 1e-5)
    with pytest.raises(InputError) as caught:
        build_cnn((7, *shape[1:]))
    assert str(caught.value) == (
        "`input_shape` must be (height, width, channels) with height and width >= 8, of which three poolings leave "
        f"something; got {(7, *shape[1:])}."
    )


# Other heads

_FUNCTIONS = {
    "none": lambda x: x,
    "relu": lambda x: max(x, 0.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "gelu": lambda x: (
        x * (1 + math.erf(x / math.sqrt(2))) / 2
    ),  # PyTorch's default, not its tanh approximation
    "silu": lambda x: x / (1 + math.exp(-x)),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_activation_function_stands_between_the_dense_layers(
    oracle: torch_weights.Arrays, activation: str
) -> None:
    """From the oracle's weights the two dense layers are worked out by hand in float64."""
    cnn = torch_weights.as_in("cnn", build_cnn(channels=(4, 6, 8), head=HeadSettings(activation)))
    flat = keras.Model(cnn.input, cnn.get_layer("flatten").output)(oracle["inputs"]).numpy()
    (first, first_bias), (last, last_bias) = (
        [w.astype(np.float64) for w in cnn.get_layer(name).get_weights()]
        for name in ("activations", "logits")
    )
    linear = flat @ first + first_bias
    assert linear.min() < -1
    assert linear.max() > 1
    expected = np.vectorize(_FUNCTIONS[activation])(linear)
    outputs = cnn(oracle["inputs"], training=False)
    torch_weights.assert_close(outputs["activations"], expected, 1e-5)
    torch_weights.assert_close(outputs["logits"], expected @ last + last_bias, 1e-5)


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_frozen_logits_and_their_gradient_equal_the_models(
    oracle: torch_weights.Arrays, head: HeadSettings
) -> None:
    cnn = torch_weights.as_in("cnn", build_cnn(channels=(4, 6, 8), head=head))
    images, found = tf.constant(oracle["inputs"]), []
    for logits in (frozen_logits(cnn), lambda images: cnn(images, training=False)["logits"]):
        with tf.GradientTape() as tape:
            tape.watch(images)
            answers = logits(images)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(oracle["labels"], answers))
        found.append((answers, tape.gradient(loss, images).numpy()))
    torch_weights.assert_close(found[0][0], found[1][0].numpy(), 1e-5)
    torch_weights.assert_close(found[0][1], found[1][1], 1e-4)


def test_heads_differ_in_nothing_that_is_trained() -> None:
    """Same initial weights from the same seed; without dropout its random state is missing and nothing else."""
    default = build_cnn((8, 8, 1), channels=(2, 3, 4), seed=5)
    for head in HEADS:
        cnn = build_cnn((8, 8, 1), channels=(2, 3, 4), head=head, seed=5)
        for left, right in zip(cnn.get_weights(), default.get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)
        assert len(default.variables) - len(cnn.variables) == (head.dropout == 0)
