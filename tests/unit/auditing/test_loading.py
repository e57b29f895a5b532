"""Models from files come back as they were, with classes of the user's own, from the bytes that were checked."""

import keras
import numpy as np
import pytest
from model_files import answers, changed, function, layer, refusal, replaced, saved, with_argument

from mi_keras.auditing import allowed, loading
from mi_keras.auditing.loading import load_model


def test_what_keras_cannot_build_is_one_line_and_steers_no_terminal(good, tmp_path) -> None:
    for change in (
        with_argument(units=-1),
        with_argument(surprise="\x1b[2J\n" * 1000),
        lambda config: config["config"].pop("input_layers") and None,
        lambda config: config.update(class_name="Sequential", module="keras"),
        lambda config: layer(config)["inbound_nodes"][0].update(args=[]),
        lambda config: layer(config),
    ):
        message = refusal(changed(good, tmp_path / "bad.keras", change))
        assert message.isprintable()
        assert len(message) < 600


def test_what_was_checked_is_what_is_loaded(good, tmp_path, monkeypatch) -> None:
    path = changed(good, tmp_path / "a.keras", lambda config: None)
    check = allowed.Names.check

    def exchanging(self, config) -> None:
        check(self, config)
        changed(good, path, replaced(class_name="Lambda", module="keras.layers", config={}))

    monkeypatch.setattr(loading.Names, "check", exchanging)
    np.testing.assert_array_equal(answers(load_model(str(path))), answers(keras.saving.load_model(good)))
    monkeypatch.undo()
    refusal(path)


def nested() -> keras.Model:
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, activation="relu"), keras.layers.Flatten()]
    )
    inner.compile("adam", "mse")
    image = keras.Input((8, 8, 3))
    normalised = keras.layers.Normalization(mean=[0.5] * 3, variance=[0.1] * 3)(
        keras.layers.Rescaling(1 / 255)(image)
    )
    hidden = inner(normalised) * 2 + 1
    model = keras.Model(image, keras.layers.Dense(3, "softmax", kernel_regularizer="l2", name="last")(hidden))
    model.compile(keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(1.0, 2, 0.5)), keras.losses.CategoricalCrossentropy(),
                  ["accuracy", keras.metrics.AUC()])  # fmt: skip
    return model


def wrapped() -> keras.Model:
    layers = keras.layers
    rows = keras.Sequential(
        [layers.Dense(2, keras.activations.gelu, bias_constraint="max_norm"), layers.PReLU()]
    )
    return keras.Sequential(
        [
            keras.Input((4, 5)), layers.TimeDistributed(rows), layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
            layers.Dropout(0.5, seed=1), layers.Activation("hard_swish"),
            layers.LayerNormalization(), layers.Dense(2, kernel_initializer=keras.initializers.HeNormal(seed=1)),
        ]
    )  # fmt: skip


def of_type(policy: str) -> keras.Model:
    image = keras.Input((4,))
    return keras.Model(image, keras.layers.Dense(2, dtype=policy)(keras.layers.Dense(3, dtype=policy)(image)))


GOOD = {
    "nested": nested,
    "wrapped": wrapped,
    "float16": lambda: of_type("float16"),
    "mixed": lambda: of_type("mixed_bfloat16"),
    "bfloat16": lambda: of_type("bfloat16"),
    "mobile": lambda: keras.applications.MobileNetV3Small((32, 32, 3), weights=None, classes=3),
}


LEGACY = ["wrapped", "float16"]  # Keras itself does not read the others back from its legacy format


@pytest.mark.parametrize(("name", "suffix"), [(n, ".keras") for n in GOOD] + [(n, ".h5") for n in LEGACY])
def test_good_models_come_back_as_they_were(name, suffix, tmp_path) -> None:
    model = GOOD[name]()
    loaded = load_model(str(saved(model, tmp_path / f"model{suffix}")))
    assert not loaded.compiled
    assert not any(isinstance(part, keras.Model) and part.compiled for part in loaded.layers)
    np.testing.assert_array_equal(answers(loaded), answers(model))


@pytest.mark.slow
def test_an_efficientnet_comes_back(tmp_path) -> None:
    model = keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3), classes=3)
    np.testing.assert_array_equal(
        answers(load_model(str(saved(model, tmp_path / "e.keras")))), answers(model)
    )


OWN = """
import keras
from subprocess import run

@keras.saving.register_keras_serializable("shop")
class Registered(keras.layers.Dense):
    pass

class Plain(keras.layers.Layer):
    def __init__(self, norm_fn="by mean", **settings):
        super().__init__(**settings)
        self.norm_fn = norm_fn

    def call(self, inputs):
        return inputs * 2

    def get_config(self):
        return super().get_config() | {"norm_fn": self.norm_fn}

def doubled(x):
    return x * 2
"""


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_classes_and_functions_of_imports_are_allowed(suffix, tmp_path, monkeypatch) -> None:
    name = f"own_layers_{suffix[1:]}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    own = __import__(name)
    image = keras.Input((2,))
    hidden = own.Registered(3, activation=own.doubled)(image)
    model = keras.Model(image, own.Plain(name="plain")(hidden))
    path = saved(model, tmp_path / f"own{suffix}")
    assert "class 'Plain'" in (message := refusal(path)) or "Registered" in message
    loaded = load_model(str(path), imports=[name])
    assert isinstance(loaded.get_layer("plain"), own.Plain)
    np.testing.assert_array_equal(answers(loaded), answers(model))
    if suffix == ".keras":  # what a module uses is not its own
        bad = changed(
            path,
            tmp_path / "bad.keras",
            lambda config: layer(config, "plain")["config"].update(x=function("run", "builtins")),
        )
        assert "'run'" in refusal(bad, imports=[name])
        evil = {"class_name": "Lambda", "module": "keras.layers", "config": {}}
        bad = changed(
            path, tmp_path / "bad.keras", lambda config: layer(config, "plain")["config"].update(x=evil)
        )
        assert "'Lambda'" in refusal(bad, imports=[name])


@pytest.mark.parametrize("with_module", [True, False])
def test_own_functions_are_not_called_with_what_the_file_says(
    with_module, good, tmp_path, canary, monkeypatch
) -> None:
    (tmp_path / "own_tools.py").write_text("def touch(path, name=None):\n    open(path, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    bad = replaced(
        class_name="touch", config={"path": str(canary)}, **({"module": "own_tools"} if with_module else {})
    )
    path = changed(good, tmp_path / "bad.keras", bad)
    if not with_module:
        path = changed(
            path,
            tmp_path / "legacy.keras",
            lambda config: [layer(config).pop(key) for key in ("module", "registered_name")] and None,
        )
    assert "class 'touch'" in refusal(path, imports=["own_tools"])
    assert not canary.exists()


def test_modules_that_cannot_be_imported_are_named(good, tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_layers.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    assert "`imports`" in (message := refusal(good, imports=["missing_layers"]))
    assert "missing_layers" in message
    assert "division by zero" in refusal(good, imports=["broken_layers"])
    (tmp_path / "script.py").write_text(
        "raise SystemExit(0)"
    )  # with which an audit would seem to have passed
    assert "script (SystemExit: 0)" in refusal(good, imports=["script"])
    for name in ("", ".relative", "a/b.py", "keras.layers"):
        assert f"got {name!r}" in refusal(good, imports=[name])
