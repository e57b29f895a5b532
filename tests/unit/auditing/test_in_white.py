"""What an adversary with the weights differentiates is what the model sends, whatever size and numbers it expects."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mi_keras.auditing.bench import AuditBench, Sent
from mi_keras.auditing.in_white import obstacle, probe, sends, shown
from mi_keras.auditing.model_input import CONVERSIONS
from mi_keras.auditing.subject import ATTACKED, OWN, Side, Subject, truth_of
from mi_keras.auditing.views import Output, View
from mi_keras.experiments.store import Store
from mi_keras.progress import SilentProgress


def model(channels=3, size=24, activation="linear", **given) -> keras.Model:
    keras.utils.set_random_seed(1)
    image = keras.Input((size, size, channels), name="image", **given)
    cast = keras.layers.Rescaling(1 / 32)(image)
    maps = keras.layers.Conv2D(4, 5, strides=2, activation="relu", name="maps")(cast)
    vector = keras.layers.Dense(6, name="vector")(keras.layers.Flatten()(maps))
    answer = keras.layers.Dense(4, activation=activation, name="answer")(keras.layers.ReLU()(vector))
    return keras.Model(image, answer)


def subject(of: keras.Model, *, prepare="0..255", kind="logits", attacked=24, count=6) -> Subject:
    height, width, channels = of.inputs[0].shape[1:]
    pixels = np.random.default_rng(2).integers(256, size=(count, height, width, channels), dtype=np.uint8)
    truth = truth_of(pixels, np.arange(count, dtype=np.uint64), (attacked, attacked))
    side = Side(pixels, truth, np.arange(count), None)
    convert = CONVERSIONS.get(prepare, lambda images: np.sqrt(images))
    return Subject(
        of, "m", "answer", Output(kind, 4), convert, {OWN: side, ATTACKED: side}, {"data": prepare}
    )


def bench(of: Subject, sent: Sent, tmp_path) -> AuditBench:
    return AuditBench(of, sent, Store(tmp_path), SilentProgress(), seed=1, fold=1)


SENT = {
    "logits": ("linear", "logits", Sent("answer", View("logits"))),
    "log-probabilities of logits": ("linear", "logits", Sent("answer", View("probabilities"))),
    "probabilities": ("softmax", "probabilities", Sent("answer", View("probabilities"))),
    "the largest": ("softmax", "probabilities", Sent("answer", View("probabilities", top=2))),
    "several labels": ("sigmoid", "several labels", Sent("answer", View("probabilities"))),
    "a vector": ("linear", "logits", Sent("vector", View("raw"), with_class=False)),
    "maps": ("linear", "logits", Sent("maps", View("raw"), with_class=False)),
}


@pytest.mark.parametrize(
    ("name", "prepare"),
    [(name, "0..255") for name in SENT] + [("logits", prepare) for prepare in CONVERSIONS],
)
def test_it_is_what_the_adversary_sees_but_for_the_class(name, prepare, tmp_path) -> None:
    activation, kind, sent = SENT[name]
    at = bench(subject(model(activation=activation), prepare=prepare, kind=kind), sent, tmp_path)
    observed = np.asarray(at.asked("target", ATTACKED, None).read().values[:], np.float32)
    found = at.target(None).differentiable()(tf.constant(at.truth(ATTACKED))).numpy()
    assert found.shape == observed.shape
    columns = at.subject.classes if sent.with_class else 0
    kept = observed.shape[-1] - columns
    # maps are seen in half precision
    np.testing.assert_allclose(found[..., :kept], observed[..., :kept], rtol=2e-3, atol=2e-3)


def test_images_of_another_size_are_brought_to_the_models(tmp_path) -> None:
    """Of a ramp, what is rebuilt at half the size says nearly the same when it is enlarged."""
    given = subject(model(channels=1), attacked=24)
    ramp = np.broadcast_to(np.linspace(0, 1, 24)[None, :, None, None], (2, 24, 24, 1)).astype(np.float32)
    small = ramp.reshape(2, 12, 2, 12, 2, 1).mean(axis=(2, 4))
    answer = sends(given, "answer", View("logits"), with_class=True).differentiable()
    whole, half = answer(tf.constant(ramp)).numpy(), answer(tf.constant(small)).numpy()
    assert half.shape == whole.shape
    np.testing.assert_allclose(half, whole, atol=0.1 * np.ptp(whole[:, :4]))


def test_what_is_not_shown_has_no_gradient() -> None:
    values = tf.constant([[0.1, 0.2, 0.7]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        seen = shown(View("probabilities", decimals=0, top=1), values, Output("probabilities", 3))
    np.testing.assert_allclose(seen, np.log([[0.7, 0.7, 0.7]]), rtol=1e-6)
    assert tape.gradient(seen, values).numpy()[0, :2].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: subject(model(dtype="uint8")), "whole numbers"),
        (lambda: subject(model(), prepare="a function"), "NumPy"),
        (lambda: subject(model()), ""),
    ],
)
def test_why_it_is_not_possible_is_said(made, words) -> None:
    found = obstacle(made())
    assert words in found
    assert bool(words) == bool(found)


def test_half_precision_and_random_answers_are_obstacles() -> None:
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        assert "half precision" in obstacle(subject(model()))
    finally:
        keras.config.set_dtype_policy(policy)
    given = subject(model())
    given.random = True
    assert "random" in obstacle(given)


def test_gradients_are_held_against_differences() -> None:
    smooth = sends(subject(model()), "vector", View("raw"), with_class=False)
    images = np.random.default_rng(1).random((8, 24, 24, 3), np.float32)
    assert probe(smooth, images)["share"] == 1

    @keras.saving.register_keras_serializable()
    class Misleading(keras.layers.Layer):
        def call(self, inputs):
            @tf.custom_gradient
            def lies(values):
                return values, lambda upstream: -upstream

            return lies(inputs)

    image = keras.Input((24, 24, 3))
    answer = keras.layers.Dense(4, name="answer")(keras.layers.Flatten()(Misleading()(image)))
    false = sends(subject(keras.Model(image, answer)), "answer", View("raw"), with_class=False)
    assert probe(false, images)["share"] == 0
