"""What an adversary with the weights differentiates is what the model sends, whatever size and numbers it expects."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mi_keras.auditing.behind import Behind
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.in_white import obstacle, probe, sends, shown
from mi_keras.auditing.model_input import CONVERSIONS
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.subject import ATTACKED, OWN, Side, Subject, truth_of
from mi_keras.auditing.views import Output, View
from mi_keras.defenses.answers import Noise, Temperature
from mi_keras.defenses.maps import KeptMaps, NoisyMaps, QuantizedMaps
from mi_keras.experiments.store import Store
from mi_keras.progress import SilentProgress


def model(channels=3, size=24, activation="linear", **given) -> keras.Model:
    start = {"kernel_initializer": keras.initializers.GlorotUniform(1)}
    image = keras.Input((size, size, channels), name="image", **given)
    cast = keras.layers.Rescaling(1 / 32)(image)
    maps = keras.layers.Conv2D(4, 5, strides=2, activation="relu", name="maps", **start)(cast)
    vector = keras.layers.Dense(6, name="vector", **start)(keras.layers.Flatten()(maps))
    answer = keras.layers.Dense(4, activation=activation, name="answer", **start)(keras.layers.ReLU()(vector))
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


HIDING = {
    "rounded logits": (View("logits", decimals=1), "logits"),
    "rounded probabilities of logits": (View("probabilities", decimals=2), "logits"),
    "the largest, rounded": (View("probabilities", decimals=2, top=2), "probabilities"),
    "rounded labels": (View("probabilities", decimals=1), "several labels"),
    "nothing": (View("probabilities"), "logits"),
}


@pytest.mark.parametrize("name", HIDING)
def test_values_are_those_that_are_shown_and_gradients_those_of_what_is_not_hidden(name) -> None:
    (view, kind), draw = HIDING[name], np.random.default_rng(1)
    values = (
        draw.normal(0, 2, (5, 4)).astype(np.float32) if kind == "logits" else draw.dirichlet(np.ones(4), 5)
    )
    output, given = Output(kind, 4), tf.constant(values, tf.float32)
    plain = View(view.form)
    weights = draw.standard_normal((5, 4))
    gradients = []
    for each in (view, plain):
        with tf.GradientTape() as tape:
            tape.watch(given)
            seen = shown(each, given, output)
            total = tf.reduce_sum(weights * tf.cast(seen, tf.float64))
        np.testing.assert_allclose(seen, each.features(given.numpy(), output), rtol=1e-5, atol=1e-5)
        gradients.append(tape.gradient(total, given).numpy())
    np.testing.assert_array_equal(*gradients)
    assert np.abs(gradients[0]).min() > 0


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: subject(model(dtype="uint8")), "whole numbers"),
        (lambda: subject(model(), prepare="a function"), "NumPy"),
        (lambda: subject(model()), ""),
    ],
)
def test_why_it_is_not_possible_is_said(made, words) -> None:
    found = obstacle(made(), "answer")
    assert words in found
    assert bool(words) == bool(found)


def test_random_answers_are_an_obstacle() -> None:
    given = subject(model())
    given.random = True
    assert "random" in obstacle(given, "answer")


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "mixed_bfloat16"])
def test_half_precision_has_the_gradients_of_a_copy_in_float32(policy, tmp_path) -> None:
    """The copy is that of a float32 model with the same weights; what is attacked are the model's own answers."""
    half, single = in_policy(policy), in_policy("float32")
    single.set_weights(
        [keras.ops.convert_to_numpy(keras.ops.cast(array, "float32")) for array in half.weights]
    )
    sent = Sent("vector", View("raw"), with_class=False)
    benches = [bench(subject(of), sent, tmp_path / str(n)) for n, of in enumerate((half, single))]
    assert obstacle(benches[0].subject, "vector") == ""
    images = tf.constant(benches[0].truth(ATTACKED))
    answers = [each.target(None).differentiable()(images).numpy() for each in benches]
    assert answers[0].dtype == np.float32
    np.testing.assert_array_equal(*answers)
    observed = [each.asked("target", ATTACKED, None).read().values[:] for each in benches]
    np.testing.assert_allclose(observed[0], answers[0], atol=0.05 * np.abs(answers[0]).max())
    assert np.abs(observed[0] - observed[1]).max() > 0
    assert {weight.dtype for weight in half.weights} == {weight.dtype for weight in in_policy(policy).weights}


def test_a_layer_that_is_another_in_float32_is_an_obstacle() -> None:
    @keras.saving.register_keras_serializable()
    class Half(keras.layers.Layer):
        def call(self, inputs):
            return inputs * (1.0 if self.compute_dtype == "float16" else 0.5)

    image = keras.Input((24, 24, 3))
    maps = Half(dtype="float16")(keras.layers.Conv2D(2, 3)(image))
    of = keras.Model(image, keras.layers.Dense(4, name="answer")(keras.layers.Flatten()(maps)))
    assert obstacle(subject(of), "answer") == "a copy in single precision answers otherwise"


def in_policy(policy: str) -> keras.Model:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return model()
    finally:
        keras.config.set_dtype_policy(before)


# What is sent at a point, and a defence there in the numbers that it is for
BEHIND = {
    "noise on logits": ("logits", Behind(Noise(0.7), "logits")),
    "noise on shown logits": ("log-probabilities of logits", Behind(Noise(2.0), "logits")),
    "noise on probabilities": ("probabilities", Behind(Noise(2.0), "probabilities")),
    "noise on labels": ("several labels", Behind(Noise(2.0), "several labels")),
    "temperature": ("probabilities", Behind(Temperature(3.0), "probabilities")),
    "noise on maps": ("maps", Behind(NoisyMaps(1.0), maps=True)),
    "bits": ("maps", Behind(QuantizedMaps(2), maps=True)),
    "kept maps": ("maps", Behind(KeptMaps((0, 3)), maps=True)),
    "bits of a vector": ("a vector", Behind(QuantizedMaps(1))),
    "kept numbers": ("a vector", Behind(KeptMaps((1, 2)))),
}


@pytest.mark.parametrize("name", BEHIND)
def test_behind_a_defence_it_is_what_the_adversary_sees_on_average(name, tmp_path) -> None:
    of, defense = BEHIND[name]
    activation, kind, sent = SENT[of]
    at = bench(subject(model(activation=activation), kind=kind), sent, tmp_path)
    images = tf.constant(at.truth(ATTACKED))
    with tf.GradientTape() as tape:
        tape.watch(images)
        found = at.target(defense).differentiable()(images)
    assert np.abs(tape.gradient(found, images).numpy()).max() > 0
    draws = 2_000 if defense.draws and not at.of_maps else 200 if defense.draws else 1
    raw, measured = np.asarray(at.raw(sent.point, ATTACKED).large("values")), at.measured(defense)
    seen = np.zeros(found.shape)
    for seed in range(draws):
        seen += at._shown(defense.apply(raw, measured, seed=seed)) / draws
    kept = seen.shape[-1] - (at.subject.classes if sent.with_class else 0)
    spread = {"noise on maps": np.std(raw), "noise on logits": 0.7}.get(name, 2.0) if defense.draws else 0
    np.testing.assert_allclose(
        found.numpy()[..., :kept], seen[..., :kept], rtol=2e-3, atol=2e-3 + 6 * spread / np.sqrt(draws)
    )


def test_noise_on_logits_lowers_log_probabilities_on_average(tmp_path) -> None:
    """By Jensen's inequality the mean of their logarithm falls; that of the logits themselves is theirs."""
    activation, kind, sent = SENT["log-probabilities of logits"]
    at = bench(subject(model(activation=activation), kind=kind), sent, tmp_path)
    images = tf.constant(at.truth(ATTACKED))
    plain, noisy = (
        at.target(defense).differentiable()(images).numpy()[:, :4]
        for defense in (None, Behind(Noise(2.0), "logits"))
    )
    assert (noisy < plain).all()
    np.testing.assert_allclose(np.ptp(noisy - plain, axis=1), 0, atol=1e-4)  # all of an image by the same


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
