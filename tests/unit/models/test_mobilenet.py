"""The two parts of MobileNetV3-Large against the whole model of Keras, and against photographs with real weights."""

import functools
from pathlib import Path

import keras
import numpy as np
import pytest
from skimage import data, transform
from split_refusals import message_of

from mi_keras.errors import InputError
from mi_keras.models.graph import bypass, find, trace
from mi_keras.models.mobilenet import (
    CUTS,
    SplitModel,
    _imagenet_weights,
    build_embedding,
    build_split_mobilenet,
)
from mi_keras.models.weights import read_weights

SMALL = (32, 64, 3)
VARIANTS = [True, pytest.param(False, marks=pytest.mark.slow)]  # minimalistic or not
REAL = Path(__file__).parents[4] / "shared/data/mnv3_large_minimalistic.weights.h5"


@functools.cache
def _built(cut: str = "C4", minimalistic: bool = False) -> SplitModel:
    """A small one with random weights, not to be changed."""
    return build_split_mobilenet(cut, input_shape=SMALL, minimalistic=minimalistic)


def _images(count: int = 2, shape: tuple[int, int, int] = SMALL) -> np.ndarray:
    return np.random.default_rng(0).random((count, *shape), np.float32)


@pytest.fixture(scope="module")
def real_weights() -> Path:
    if not REAL.is_file():
        pytest.skip(
            f"the ImageNet weights are not there: {REAL.name} in the folder shared/data beside the repository"
        )
    return REAL


# The cut


@pytest.mark.parametrize("minimalistic", VARIANTS)
def test_c4_of_320_pixels_is_20_by_20_by_672(minimalistic: bool) -> None:
    split = build_split_mobilenet(minimalistic=minimalistic)
    assert split.head.output_shape == (None, 20, 20, 672)
    assert split.stride == 16


@pytest.mark.parametrize("minimalistic", [True, False])
def test_c4_is_the_activation_of_the_expansion_of_block_12(minimalistic: bool) -> None:
    split = _built(minimalistic=minimalistic)
    assert split.head.output_shape == (None, 2, 4, 672)
    assert split.cut == "expanded_conv_12_expand_bn:activation"
    before = split.head.layers[-1]._inbound_nodes[0].parent_nodes[0].operation
    assert before.name == "expanded_conv_12_expand_bn"
    images = _images()
    function = keras.activations.relu if minimalistic else keras.activations.hard_swish
    normalised = keras.Model(split.head.input, before.output)(images)
    np.testing.assert_allclose(split.head(images), function(normalised), atol=1e-5)


@pytest.mark.parametrize(
    ("cut", "minimalistic"),
    [
        ("C4", False),
        ("conv_2", True),
        *(pytest.param(cut, False, marks=pytest.mark.slow) for cut in CUTS if cut != "C4"),
        *(pytest.param(cut, True, marks=pytest.mark.slow) for cut in ("C4", "expanded_conv_2_add")),
    ],
)
def test_head_and_tail_together_are_the_model(cut: str, minimalistic: bool) -> None:
    split = _built(cut, minimalistic)
    images = _images()
    answer = split.whole(images).numpy()
    assert np.ptp(answer, axis=0).max() > 1e-3 * np.abs(answer).max()  # the images tell the answers apart
    np.testing.assert_allclose(split.tail(split.head(images)), answer, atol=1e-4 * np.abs(answer).max())
    if cut in CUTS:
        stride = 2 ** int(cut[1:])
        assert split.stride == stride
        assert split.head.output_shape[1:3] == (SMALL[0] // stride, SMALL[1] // stride)


@pytest.mark.parametrize("minimalistic", VARIANTS)
def test_the_head_sees_what_keras_own_model_sees_in_0_to_255(minimalistic: bool) -> None:
    """Keras' model without our rescaling, given the same weights; images in [0, 1] fed to it would give other answers."""
    split = _built(minimalistic=minimalistic)
    own = keras.applications.MobileNetV3Large(
        input_shape=SMALL, minimalistic=minimalistic, weights=None, classifier_activation=None
    )
    own.set_weights(split.whole.get_weights())
    images = _images()
    answer = split.whole(images).numpy()
    np.testing.assert_allclose(own(255 * images), answer, atol=1e-5 * np.abs(answer).max())
    assert np.abs(own(images).numpy() - answer).max() > 0.01 * np.abs(answer).max()


def test_the_embedding_is_what_the_last_layer_sees(split: SplitModel) -> None:
    images, last = _images(), split.whole.get_layer("logits")
    kernel, bias = (weight.numpy() for weight in last.weights)
    embedding = build_embedding(split)(images).numpy()
    answer = split.whole(images).numpy()
    assert embedding.shape == (len(images), 1280)
    np.testing.assert_allclose(embedding @ kernel[0, 0] + bias, answer, atol=1e-4 * np.abs(answer).max())


@pytest.mark.parametrize("cut", ["expanded_conv_4_expand_bn:activation", "expanded_conv_4_project"])
def test_a_cut_beside_a_skip_connection_is_refused(cut: str) -> None:
    text = message_of(cut=cut)
    assert text.startswith("`cut` must be a layer that no connection bypasses; layer 'expanded_conv_4_add'")


def test_a_cut_beside_a_gate_is_refused() -> None:
    text = message_of(cut="expanded_conv_12_squeeze_excite_conv", minimalistic=False)
    assert "layer 'expanded_conv_12_squeeze_excite_mul' takes what" in text


def test_every_cut_that_is_not_refused_is_one() -> None:
    """Keras' own graph is the judge: what `cut` alone does not decide cannot be built from it."""
    whole = _built().whole
    graph, real = trace(whole), 0
    for layer in whole.layers[1:-1:4]:
        try:
            keras.Model(layer.output, whole.output)
        except ValueError:
            assert bypass(graph, find(graph, layer.name)), layer.name
        else:
            assert bypass(graph, find(graph, layer.name)) is None, layer.name
            real += 1
    assert 10 < real < 35


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"cut": "C6"}, "`cut` must be one of C1, C2, C3, C4, C5, the name of a layer, or NAME:activation; got 'C6'."),
        ({"cut": "conv:activation"}, "`cut` must name a layer before an activation; none follows 'conv'."),
        ({"cut": "image"}, "`cut` must leave a head and a tail; 'image' is an end of the model."),
        ({"cut": "predictions"}, "`cut` must leave a head and a tail; 'predictions' is an end of the model."),
        ({"input_shape": (64, 65, 3)}, "`input_shape` must be (height, width, 3) in multiples of 32; got (64, 65, 3)."),
        ({"input_shape": (64, 64, 1)}, "`input_shape` must have 3 channels; got 1."),
        ({"classes": 0}, "`classes` must be >= 1, and 1000 with the weights of imagenet; got 0."),
        ({"weights": "imagenet", "classes": 5}, "`classes` must be >= 1, and 1000 with the weights of imagenet; got 5."),
    ],
)  # fmt: skip
def test_settings_that_break_a_rule(settings: dict[str, object], text: str) -> None:
    assert message_of(**settings) == text


# Frozen


def test_training_around_the_head_leaves_every_weight_as_it_was(split: SplitModel) -> None:
    before = [v.numpy().copy() for v in split.whole.variables]
    images = _images(4)
    inference = split.head(images, training=False).numpy()
    inputs = keras.Input(SMALL)
    pooled = keras.layers.GlobalAveragePooling2D()(split.head(inputs))
    attack = keras.Model(inputs, keras.layers.Dense(3)(pooled))
    attack.compile("sgd", "mse")
    attack.fit(images, np.ones((4, 3), np.float32), epochs=2, verbose=0)
    np.testing.assert_array_equal(split.head(images, training=True), inference)
    for variable, value in zip(split.whole.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert (
        split.whole.trainable_variables
        == split.head.trainable_variables
        == split.tail.trainable_variables
        == []
    )


# Weights


def test_random_weights_come_from_the_seed_alone_and_let_the_image_through(split: SplitModel) -> None:
    images = _images()
    first = split.head(images).numpy()
    keras.utils.set_random_seed(5)
    same = build_split_mobilenet(input_shape=SMALL, minimalistic=True).head(images).numpy()
    other = build_split_mobilenet(input_shape=SMALL, minimalistic=True, seed=4).head(images).numpy()
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-3
    assert 0.01 < first.std() < 100
    assert np.abs(first[0] - first[1]).max() > 1e-3


def test_a_saved_file_gives_the_same_model_at_another_size(weights_file: Path, split: SplitModel) -> None:
    loaded = build_split_mobilenet(input_shape=(32, 32, 3), minimalistic=True, weights=weights_file, seed=9)
    for left, right in zip(loaded.whole.get_weights(), split.whole.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_imagenet_weights_without_a_network_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", refuse)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: "/nonexistent/keras")
    said = message_of(weights="imagenet")
    assert said.startswith(
        "`weights` must be at hand for imagenet: Keras could not download them, or what is kept"
    )
    assert said.endswith(", give the path of a weights file, or `random` to see the wiring.")


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError("cut"), True),
        (ValueError("Layer count mismatch"), True),
        (Exception("URL fetch failure on https://x"), True),
        (TypeError("unexpected keyword"), False),
        (MemoryError(), False),
    ],
)
def test_only_weights_that_are_not_to_be_had_are_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, error: Exception, expected: bool, offline: bool
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr("mi_keras.models.mobilenet.require_imagenet", lambda _: None)
    monkeypatch.setattr("keras.applications.MobileNetV3Large", fail)
    with pytest.raises(InputError if expected else type(error)) as caught:
        _imagenet_weights(True, offline=offline)
    assert isinstance(caught.value, InputError) == expected


# With real weights


@pytest.mark.parametrize("size", [224, pytest.param(320, marks=pytest.mark.slow)])
def test_the_model_sees(real_weights: Path, size: int) -> None:
    """Photographs that scikit-image ships; class numbers of ImageNet: 281 to 285 cats, 967 espresso, 968 cup."""
    split = build_split_mobilenet(input_shape=(size, size, 3), minimalistic=True, weights=real_weights)
    for photograph, legal in ((data.chelsea(), range(281, 286)), (data.coffee(), (967, 968))):
        side = min(photograph.shape[:2])
        top, left = ((n - side) // 2 for n in photograph.shape[:2])
        square = photograph[top : top + side, left : left + side] / 255.0
        image = transform.resize(square, (size, size), anti_aliasing=True)[None].astype(np.float32)
        assert int(np.argmax(split.tail(split.head(image)))) in legal


def test_the_real_file_holds_the_named_layers(real_weights: Path) -> None:
    arrays = read_weights(real_weights).arrays
    assert arrays["expanded_conv_12_expand"][0].shape == (1, 1, 112, 672)
