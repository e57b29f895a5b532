"""A shadow model has the architecture of another and nothing of its weights, and leaves everything as it was."""

import random

import keras
import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.models.cnn import build_cnn
from mi_keras.models.shadow import ELSEWHERE, PRIVATE, PUBLIC, Shadow, check_public, side
from mi_keras.models.variables import weights_of

IMAGES = np.random.default_rng(1).random((4, 32, 32, 1), np.float32)


@pytest.fixture(scope="module")
def cnn() -> keras.Model:
    """Return the CNN of the thesis with weights that are not its initial ones."""
    model = build_cnn((32, 32, 1), 3, channels=(3, 4, 5), seed=7)
    draw = np.random.default_rng(7)
    for variable in model.variables:
        if "generator" not in variable.path:
            variable.assign(draw.uniform(0.5, 1, variable.shape))
    return model


def kernels(shadow: Shadow) -> list[np.ndarray]:
    return [np.asarray(v) for v in shadow.whole.trainable_variables if v.path.endswith("kernel")]


def test_weights_are_those_of_a_seed_and_none_of_the_models(cnn: keras.Model) -> None:
    one, same, other = (Shadow(cnn, "logits", seed=seed) for seed in (1, 1, 2))
    targets = [np.asarray(v) for v in cnn.variables if v.path.endswith("kernel")]
    assert len(kernels(one)) == len(targets) == 5
    for first, again, second, target in zip(
        kernels(one), kernels(same), kernels(other), targets, strict=True
    ):
        np.testing.assert_array_equal(first, again)
        assert not np.equal(first, second).any()
        assert not np.equal(first, target).any()
    fresh = build_cnn((32, 32, 1), 3, channels=(3, 4, 5), seed=7)  # as the model itself once began
    assert not np.array_equal(kernels(one)[0], np.asarray(fresh.get_layer("conv_0").kernel))
    np.testing.assert_array_equal(one.whole(IMAGES, training=True), same.whole(IMAGES, training=True))


def test_other_weights_make_no_other_shadow(cnn: keras.Model) -> None:
    other = build_cnn((32, 32, 1), 3, channels=(3, 4, 5), seed=7)
    for first, second in zip(
        weights_of(Shadow(cnn, "logits", seed=3).whole).values(),
        weights_of(Shadow(other, "logits", seed=3).whole).values(),
        strict=True,
    ):
        np.testing.assert_array_equal(first, second)


def test_the_model_and_random_states_stay_as_they_were(cnn: keras.Model) -> None:
    before, state = weights_of(cnn), random.getstate()
    Shadow(cnn, "logits", seed=1).at("relu_1")
    assert random.getstate() == state
    for name, array in weights_of(cnn).items():
        np.testing.assert_array_equal(array, before[name])


def test_a_point_shares_what_was_learned(cnn: keras.Model) -> None:
    shadow = Shadow(cnn, "logits", seed=1)
    for variable in shadow.whole.trainable_variables:
        variable.assign(variable + 0.01)
    at = shadow.at("activations")(IMAGES, training=False)
    last = shadow.whole.get_layer("logits")
    np.testing.assert_allclose(at @ last.kernel + last.bias, shadow.at("logits")(IMAGES), rtol=1e-5)
    assert not shadow.at("activations").trainable


def test_behind_a_public_layer_the_rest_is_left(cnn: keras.Model) -> None:
    shadow = Shadow(cnn, "logits", public="relu_1", seed=1)
    assert shadow.whole.input_shape == (None, 8, 8, 4)
    names = {layer.name for layer in shadow.whole.layers if layer.trainable_variables}
    assert names == {"conv_2", "norm_2", "activations", "logits"}
    sides = [
        side(cnn, point, "relu_1", "logits")
        for point in ("conv_0", "relu_1", "norm_2", "activations", "logits")
    ]
    assert sides == [PUBLIC, PUBLIC, PRIVATE, PRIVATE, PRIVATE]


def test_another_output_is_neither_public_nor_learned() -> None:
    image = keras.Input((8, 8, 1))
    shared = keras.layers.Dense(4, name="shared")(keras.layers.Flatten(name="flat")(image))
    kind, age = keras.layers.Dense(3, name="kind")(shared), keras.layers.Dense(1, name="age")(shared)
    model = keras.Model(image, [kind, age])
    assert side(model, "age", "flat", "kind") == ELSEWHERE
    assert {layer.name for layer in Shadow(model, "kind", seed=1).whole.layers if layer.weights} == {
        "shared",
        "kind",
    }
    with pytest.raises(
        InputError, match="`public_backbone` must be a layer before the output kind; got 'age'"
    ):
        check_public(model, "age", "kind")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("logits", "must be a layer before the output logits; got 'logits'"),
        ("relu_9", r"must be an output \(activations, logits\) or the path of a layer \(alike: relu_2"),
    ],
)
def test_a_layer_that_cannot_be_public_is_refused(cnn: keras.Model, path: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^`public_backbone` {message}"):
        check_public(cnn, path, "logits")


def test_what_was_frozen_is_free_in_a_shadow_and_follows_the_mode() -> None:
    image = keras.Input((8, 8, 1))
    norm = keras.layers.BatchNormalization(name="norm", trainable=False)
    hidden = keras.layers.Dense(5, name="hidden", trainable=False)(
        keras.layers.Flatten()(norm(image, training=False))
    )
    model = keras.Model(image, keras.layers.Dense(3, name="out")(keras.layers.Dropout(0.5)(hidden)))
    shadow = Shadow(model, "out", seed=1)
    assert len(shadow.whole.trainable_variables) == 6
    images = IMAGES[:, :8, :8]
    shadow.whole(images, training=True)
    assert not np.array_equal(shadow.whole.get_layer("norm").moving_mean, [0])
    np.testing.assert_array_equal(shadow.at("out")(images), shadow.at("out")(images))


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.flat, self.last = keras.layers.Flatten(), keras.layers.Dense(3)

    def call(self, images):
        return self.last(self.flat(images))


def test_a_subclassed_model_draws_anew_too() -> None:
    model = Subclassed()
    model(IMAGES)
    one, same, other = (Shadow(model, "output", seed=seed).whole.trainable_variables for seed in (1, 1, 2))
    np.testing.assert_array_equal(one[0], same[0])
    assert not np.equal(one[0], other[0]).any()
    assert not np.equal(one[0], np.asarray(model.last.kernel)).any()
