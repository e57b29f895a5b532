"""Head and tail of all kinds of models against the model itself, which no cut may change."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import SHAPE, random_images, residual, stirred, twice, two_outputs

from mi_keras.errors import InputError
from mi_keras.models.cnn import build_cnn, frozen_logits
from mi_keras.models.target import observed_at, points


def _error(model: keras.Model, name: str) -> float:
    """Return the largest error of tail(head(images)) over the largest answer."""
    target = observed_at(model, name)
    images = 255 * random_images(tuple(model.inputs[0].shape[1:]))
    expected, answer = model(images, training=False), target.head(images)
    if target.tail is not None:
        answer = target.tail(answer)
    elif isinstance(expected, dict):
        expected = expected[name]
    keras.tree.assert_same_structure(expected, answer)
    pairs = list(zip(keras.tree.flatten(expected), keras.tree.flatten(answer), strict=True))
    assert all(np.ptp(theirs, axis=0).max() > 1e-3 * np.abs(theirs).max() for theirs, _ in pairs)
    errors = [np.abs(ours - theirs).max() / np.abs(theirs).max() for theirs, ours in pairs]
    assert np.isfinite(errors).all()
    return max(errors)


def _message(model: keras.Model, name: str) -> str:
    with pytest.raises(InputError) as caught:
        observed_at(model, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _names(model: keras.Model) -> list[str]:
    return [point.name for point in points(model)]


@pytest.fixture(scope="module")
def mobilenet() -> keras.Model:
    model = keras.applications.MobileNetV2(
        (32, 32, 3), alpha=0.35, weights=None, classes=5, classifier_activation=None
    )
    return stirred(model)


class Opaque(keras.Model):
    """A model without a graph."""

    def __init__(self, units: int = 3, **settings: object) -> None:
        super().__init__(**settings)
        self.units, self.flat = units, keras.layers.Flatten()
        self.norm, self.dense = keras.layers.BatchNormalization(), keras.layers.Dense(units)

    def call(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = self.dense(self.norm(self.flat(images)))
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}


class Forgetful(keras.layers.Layer):
    """A layer that does not come back as it was."""

    def __init__(self, factor: float = 1.0, **settings: object) -> None:
        super().__init__(**settings)
        self.factor = factor

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.factor * inputs

    def get_config(self) -> dict[str, object]:
        return super().get_config()


# Head and tail


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("Conv1_relu", marks=pytest.mark.slow),
        "block_6_expand_relu",
        pytest.param("block_13_project_BN", marks=pytest.mark.slow),
        "predictions",
    ],
)
def test_head_and_tail_together_are_mobilenet(mobilenet: keras.Model, name: str) -> None:
    assert _error(mobilenet, name) <= 1e-5


@pytest.mark.parametrize("build", [residual, twice, two_outputs])
def test_every_point_cuts_the_model_in_two(build: Callable[[], keras.Model]) -> None:
    model = stirred(build())
    names = [point.name for point in points(model) if "right" not in point.name]
    assert len(names) >= 3
    assert max(_error(model, name) for name in names) <= 1e-5


def test_points_are_those_that_no_connection_bypasses_with_their_shapes() -> None:
    found = {point.name: (point.shape, point.is_output) for point in points(residual())}
    names = list(found)
    assert names[:2] == ["first", "sum"]
    assert names[-2:] == ["flat", "answer"]  # between them a product and a sum that Keras names
    assert len(names) == 6
    assert found["sum"] == ((8, 8, 4), False)
    assert found["answer"] == ((3,), True)


def test_points_inside_nested_models_have_paths(mobilenet: keras.Model) -> None:
    body = keras.Model(mobilenet.input, mobilenet.get_layer("block_3_expand").output, name="backbone")
    inner = keras.Sequential(
        [keras.Input(body.output_shape[1:]), keras.layers.ReLU(name="relu")], name="inner"
    )
    outer = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(2.0),
            body,
            inner,
            keras.layers.Flatten(name="flat"),
        ]
    )
    assert _names(outer)[-4:] == ["backbone/block_2_add", "backbone/block_3_expand", "inner/relu", "flat"]
    for name in ("backbone/block_2_add", "backbone", "inner/relu"):
        assert _error(outer, name) <= 1e-5
    assert observed_at(outer, "backbone").identity == observed_at(outer, "backbone/block_3_expand").identity


def test_each_call_of_a_layer_is_a_point_of_its_own() -> None:
    """By hand: the maps after one and after two convolutions with the same kernel."""
    model = stirred(twice())
    assert _names(model) == ["shared#1", "between", "shared#2", "pooled"]
    kernel, bias = model.get_layer("shared").get_weights()
    once = tf.nn.conv2d(random_images(), kernel, 1, "SAME") + bias
    again = tf.nn.conv2d(tf.nn.relu(once), kernel, 1, "SAME") + bias
    np.testing.assert_allclose(observed_at(model, "shared#1").head(random_images()), once, atol=1e-5)
    np.testing.assert_allclose(observed_at(model, "shared#2").head(random_images()), again, atol=1e-5)
    assert _message(model, "shared") == (
        "`point` must name one call of a layer that is called more than once: shared#1, shared#2; got 'shared'."
    )


def test_outputs_are_points_by_name_and_a_branch_gives_its_own_output_alone() -> None:
    model = two_outputs()
    expected = {name: answer.numpy() for name, answer in model(random_images()).items()}
    for name in ("a", "b", "left"):
        target = observed_at(model, name)
        assert target.tail is None
        np.testing.assert_allclose(
            target.head(random_images()), expected["b" if name == "left" else name], rtol=1e-6
        )
    branch = observed_at(model, "only_right")
    np.testing.assert_allclose(branch.tail(branch.head(random_images())), expected["a"], rtol=1e-6)


def test_a_subclassed_model_offers_its_outputs_only() -> None:
    model = Opaque()
    assert _message(model, "logits").startswith(
        "`model` must have one input and have been called once; Opaque"
    )
    expected = model(random_images())
    stirred(model)
    assert _names(model) == ["logits", "probabilities"]
    for name in _names(model):
        target = observed_at(model, name)
        expected = model(random_images(), training=False)[name]
        np.testing.assert_allclose(target.head(random_images(), training=True), expected, rtol=1e-5)
    assert _message(model, "dense") == (
        "`point` must be an output (logits, probabilities) of a subclassed model, which has no graph to cut; "
        "got 'dense'."
    )


def test_layers_that_hold_more_than_a_configuration() -> None:
    """Statistics of `Normalization`, a function of `Lambda`, a policy of 16 bits, and what is random by default."""
    normalization = keras.layers.Normalization(name="normalization")
    normalization.adapt(3 * random_images(count=9) - 1)
    image = keras.Input(SHAPE)
    flipped = keras.layers.RandomFlip(name="flip")(image)
    maps = keras.layers.Lambda(lambda x: tf.tanh(x), name="squashed")(normalization(flipped))
    half = keras.layers.Conv2D(2, 3, dtype="mixed_float16", name="half")(maps)
    model = keras.Model(image, keras.layers.Flatten(name="flat", dtype="float32")(half))
    assert max(_error(model, name) for name in _names(model)) <= 1e-5
    assert next(point for point in points(model) if point.name == "half").dtype == "float16"


# What is refused


def test_a_bypassed_cut_is_refused_with_the_nearest_points() -> None:
    assert _message(residual(), "inside") == (
        "`point` must be a layer that no connection bypasses; layer 'sum' takes what 'inside' gives and also what "
        "comes from before it (nearest: first before it, sum behind it)."
    )


def test_unknown_points_are_refused() -> None:
    assert _message(residual(), "insid") == (
        "`point` must be an output (answer) or the path of a layer (alike: inside, first); got 'insid'."
    )


def test_a_layer_that_comes_back_as_another_is_refused() -> None:
    model = keras.Sequential(
        [keras.Input(SHAPE), Forgetful(2.0, name="double"), keras.layers.ReLU(name="relu")]
    )
    assert "the copy that is cut at 'double' answers otherwise than the model" in _message(model, "double")


# The model stays, the parts are frozen


def test_the_model_is_left_as_it_is(mobilenet: keras.Model) -> None:
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, keras.layers.Dropout(0.5)(keras.layers.Dense(4)(mobilenet(image))))
    mobilenet.get_layer("Conv1").trainable = False
    layers = [layer for layer in model._flatten_layers() if layer is not model]
    variables = [variable.numpy() for variable in model.variables]

    def state() -> list[object]:
        counts = [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in layers]
        return [counts, [layer.trainable for layer in layers], model.get_config(), mobilenet.get_config()]

    before = state()
    target = observed_at(model, f"{mobilenet.name}/block_6_expand_relu")
    target.head(random_images((32, 32, 3)), training=True)
    assert state() == before
    for variable, value in zip(model.variables, variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    mobilenet.get_layer("Conv1").trainable = True


def test_the_parts_are_frozen_and_own_their_weights(mobilenet: keras.Model) -> None:
    target = observed_at(mobilenet, "block_6_expand_relu")
    images = random_images((32, 32, 3))
    sent = target.head(images, training=False).numpy()
    np.testing.assert_array_equal(target.head(images, training=True), sent)
    np.testing.assert_array_equal(target.head(images, training=False), sent)
    assert target.head.trainable_variables == target.tail.trainable_variables == []
    theirs = {id(variable) for variable in mobilenet.variables}
    assert not any(id(v) in theirs for v in (*target.head.variables, *target.tail.variables))


# Identity and the differentiable map


def test_identity_is_of_weights_graph_and_point_and_of_no_name() -> None:
    def model(units: int = 4, activation: str = "relu", seed: int = 1) -> keras.Model:
        dense = keras.layers.Dense(units, activation, kernel_initializer=keras.initializers.HeNormal(seed=3))
        drop = keras.layers.Dropout(0.5)
        built = keras.Sequential([keras.Input((6,)), dense, drop, keras.layers.Dense(2, name="last")])
        built.layers[-1].set_weights([np.full((units, 2), seed, np.float32), np.zeros(2, np.float32)])
        return built

    first = model()
    identity = observed_at(first, "last").identity
    first(np.ones((1, 6), np.float32), training=True)  # moves the random state of dropout
    assert observed_at(first, "last").identity == observed_at(model(), "last").identity == identity
    others = [observed_at(first, first.layers[0].name), *(observed_at(m, "last") for m in (model(5), model(activation="tanh"), model(seed=2)))]  # fmt: skip
    assert len({identity, *(other.identity for other in others)}) == 5


@pytest.mark.parametrize("point", ["logits", "relu_1"])
def test_the_thesis_cnn_keeps_its_folded_path_at_its_logits(point: str) -> None:
    cnn = stirred(build_cnn((16, 16, 1), channels=(4, 6, 8)))
    images = random_images((16, 16, 1))
    expected = frozen_logits(cnn)(images) if point == "logits" else keras.Model(cnn.input, cnn.get_layer(point).output)(images)  # fmt: skip
    answer = observed_at(cnn, point).differentiable()(tf.constant(images))
    np.testing.assert_array_equal(answer, expected)


def test_gradients_flow_through_the_head_in_inference_mode(mobilenet: keras.Model) -> None:
    images = tf.constant(random_images((32, 32, 3)))
    found = []
    for function in (
        observed_at(mobilenet, "predictions").differentiable(),
        lambda x: mobilenet(x, training=False),
    ):
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = tf.reduce_sum(function(images)[:, 0])
        found.append(tape.gradient(total, images).numpy())
    np.testing.assert_allclose(found[0], found[1], atol=1e-5 * np.abs(found[1]).max())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "cuts"),
    [("ResNet50", 6), ("MobileNetV2", 8), ("MobileNetV3Large", 8), ("EfficientNetB0", 8), ("DenseNet121", 8), ("VGG16", 8)],
)  # fmt: skip
def test_head_and_tail_together_are_the_published_models(architecture: str, cuts: int) -> None:
    build = getattr(keras.applications, architecture)
    model = stirred(build(input_shape=(64, 64, 3), weights=None, classes=7, classifier_activation=None))
    names = _names(model)
    worst = max(_error(model, name) for name in [*names[:: max(1, len(names) // cuts)], names[-1]])
    assert worst <= 1e-5
