"""Classifiers beside the thesis's CNN: sizes of their sources, seeds, and that they are attacked as the CNN is."""

import keras
import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.models.architectures import EfficientNetSettings, ResidualSettings, architecture
from mi_keras.models.classifiers import build_classifier
from mi_keras.models.cnn import activations_of, last_linear_layer, observe
from mi_keras.models.efficientnet import build_efficientnet
from mi_keras.models.residual import build_residual
from mi_keras.models.target import differentiable
from mi_keras.settings import ClassifierSettings

IMAGES = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)
NARROW = (3, 4, 5)


def same_weights(first, second):
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(("blocks", "millions"), [(3, 0.27), (5, 0.46)])
def test_the_residual_network_has_the_layers_and_parameters_of_its_source(blocks, millions):
    """He et al. 2016, Table 6: 20 layers have 0.27 million parameters, 32 have 0.46."""
    model = build_residual((32, 32, 3), blocks=blocks)
    weighted = [
        layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
    ]
    shortcuts = [layer for layer in weighted if "shortcut" in layer.name]
    assert len(weighted) - len(shortcuts) == 6 * blocks + 2
    assert len(shortcuts) == 2
    assert model.count_params() / 1e6 == pytest.approx(millions, abs=0.01)


def test_a_block_adds_what_came_in_and_halves_where_a_stage_begins():
    model = build_residual((16, 24, 1), 4, channels=NARROW, blocks=2, seed=5)
    shapes = [model.get_layer(f"stage_{stage}_block_1_relu").output.shape[1:] for stage in range(3)]
    assert shapes == [(16, 24, 3), (8, 12, 4), (4, 6, 5)]
    inner = keras.Model(
        model.input,
        [model.get_layer(name).output for name in ("stage_0_block_0_relu", "stage_0_block_1_second_norm", "stage_0_block_1_relu")],
    )  # fmt: skip
    came, added, out = (np.asarray(part) for part in inner(IMAGES[:, :16, :24, :1], training=False))
    np.testing.assert_allclose(out, np.maximum(came + added, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "name"), [(ClassifierSettings(NARROW), ""), (ResidualSettings(NARROW, blocks=1), "residual network")]
)  # fmt: skip
def test_settings_decide_the_network_and_seeds_its_weights(settings, name):
    assert architecture(settings) == name
    models = [build_classifier(settings, (32, 32, 3), 7, seed=seed) for seed in (1, 1, 2)]
    assert same_weights(models[0], models[1])
    assert not same_weights(models[0], models[2])
    vectors = observe(models[0], IMAGES).vectors
    weights, bias = last_linear_layer(models[0])
    np.testing.assert_allclose(activations_of(models[0], IMAGES) @ weights + bias, vectors, atol=1e-5)
    np.testing.assert_allclose(differentiable(models[0], "logits")(IMAGES), vectors, atol=1e-4)


@pytest.mark.slow  # builds the network five times
def test_efficientnet_is_that_of_keras_and_its_seed_decides_weights_and_dropout():
    model, again, other = (build_efficientnet((32, 32, 3), 10, seed=seed) for seed in (1, 1, 2))
    official = keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=10)
    assert model.count_params() == official.count_params()
    norms = [each for each in model.layers if isinstance(each, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in norms} == {0.9}
    assert model.get_layer("top_activation").output.shape[1:] == (1, 1, 1280)
    assert same_weights(model, again)
    assert not same_weights(model, other)
    trained = [np.asarray(each(IMAGES, training=True)["logits"]) for each in (model, again)]
    np.testing.assert_allclose(*trained, atol=1e-5)
    as_bytes = keras.Model(official.input, official.get_layer("top_activation").output)
    as_unit = keras.Model(model.input, model.get_layer("top_activation").output)
    kept = {layer.name: layer for layer in as_unit.layers if layer.get_weights()}
    for layer in as_bytes.layers:
        if layer.name in kept and not isinstance(layer, keras.layers.Normalization):
            layer.set_weights(kept[layer.name].get_weights())
    np.testing.assert_allclose(as_unit(IMAGES), as_bytes(255 * IMAGES), rtol=1e-3, atol=1e-5)


def test_what_cannot_be_built_is_refused():
    with pytest.raises(InputError, match=r"`input_shape` must be .* 32 pixels at least; got"):
        build_classifier(EfficientNetSettings(), (28, 28, 1), 10)
    with pytest.raises(InputError, match=r"`input_shape` must be .* of 8 pixels at least"):
        build_residual((7, 8, 1))
    with pytest.raises(InputError, match="`blocks` must be between 1 and 18; got 0"):
        ResidualSettings(blocks=0)
    with pytest.raises(InputError, match="`channels` must be three numbers >= 1"):
        ResidualSettings((16, 32))
    with pytest.raises(InputError, match="`epochs` must be between 1 and 1000; got 0"):
        EfficientNetSettings(epochs=0)
    with pytest.raises(InputError, match="`batch_size` must be >= 2; got 1"):
        EfficientNetSettings(batch_size=1)
