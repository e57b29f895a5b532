"""Configurations that name what Keras would run or load: refused by one line, and nothing of them is run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from model_files import changed, changed_h5, function, layer, refusal, replaced, saved, with_argument

from mi_keras.auditing.allowed import Names
from mi_keras.auditing.loading import load_model
from mi_keras.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[3]


def test_what_keras_runs_is_refused_in_both_formats(tmp_path: Path, canary: Path, monkeypatch) -> None:
    """CVE-2024-3660 and, of HDF5, CVE-2025-9905; that Keras runs the same files shows that the attack is real."""
    monkeypatch.setenv("CANARY", str(canary))
    image = keras.Input((1,))
    code = "lambda x: (__import__('pathlib').Path(__import__('os').environ['CANARY']).touch(), x)[1]"
    touch = keras.layers.Lambda(eval(code))
    model = keras.Model(image, touch(image))
    monkeypatch.setattr("inspect.getsource", lambda _: code)  # which Keras prints in its warning
    for name in ("lambda.keras", "lambda.h5"):
        path = saved(model, tmp_path / name)
        canary.unlink(missing_ok=True)
        assert "class 'Lambda'" in refusal(path)
        assert not canary.exists()
        keras.saving.load_model(path, compile=False, safe_mode=False)
        assert canary.exists()


NOT_KERAS = [
    ("get_file", replaced(class_name="get_file", module="keras.utils", config={"origin": "http://x"})),  # 2025-8747
    ("system", replaced(class_name="system", module="os", config={"command": "touch canary"})),  # 2025-1550
    ("run", replaced(class_name="run", module="subprocess", config={"args": ["touch", "canary"]})),
    ("eval", replaced(class_name="eval", module="builtins", config={})),
    ("enable_unsafe_deserialization", replaced(**function("enable_unsafe_deserialization", "keras.config"))),  # -9906
    ("MobileNet", replaced(class_name="MobileNet", module="keras.applications", config={"weights": "http://x"})),
    ("load_model", replaced(class_name="load_model", module="keras.saving", config={"filepath": "evil.h5"})),
    ("Dense", replaced(class_name="Dense", module="keras_hub.layers", config={"units": 2})),
    ("Input", replaced(class_name="Input", module="keras.layers", config={"shape": [1]})),
    ("deserialize", replaced(class_name="deserialize", module="keras.layers", config={"config": {}})),
    ("Operation", replaced(class_name="Operation", module="keras.src.ops.numpy", config={})),
    ("__typespec__", replaced(class_name="__typespec__", module="tensorflow", config=[], spec_name="TensorSpec")),
    ("__bytes__", with_argument(name_of={"class_name": "__bytes__", "config": {"value": "x"}})),
    ("get_file", with_argument(activation=function("get_file", "keras.utils"))),
    ("get_file", with_argument(activation={"class_name": "get_file", "module": "keras.utils", "config": {}})),
    ("system", with_argument(activation=function("system", "os"))),
    ("system", with_argument(activation=function("system", "builtins"))),
    ("os.system", with_argument(activation="os.system")),
    ("keras.utils.get_file", with_argument(kernel_initializer="keras.utils.get_file")),
    ("deserialize", with_argument(activation="deserialize")),
    ("eval", with_argument(kernel_constraint={"class_name": "eval", "config": {}})),
    ("Popen", with_argument(bias_regularizer={"class_name": "Popen", "module": "subprocess", "config": {}})),
    ("exec", with_argument(dtype={"class_name": "exec", "module": "builtins", "config": {"name": "float32"}})),
    ("system", with_argument(anything={"deep": [[{"deeper": [function("system", "os")]}]]})),
    ("V4000000000", with_argument(x={"class_name": "__numpy__", "config": {"value": [], "dtype": "V4000000000"}})),
    ("system", lambda config: layer(config)["inbound_nodes"][0]["kwargs"].update(mask=function("system", "os"))),
    ("__lambda__", lambda config: layer(config)["inbound_nodes"][0]["args"].append(
        {"class_name": "__lambda__", "config": {"value": ["4wAA", None, None]}})),
    ("Adam", lambda config: layer(config)["build_config"].update(
        x={"class_name": "Adam", "module": "keras.optimizers", "config": {}})),
    ("evil>Evil", lambda config: layer(config).update(registered_name="evil>Evil")),
    ("evil>Evil", lambda config: layer(config)["config"].update(x={"registered_name": "evil>Evil"})),
    ("__tuple__", with_argument(x={"class_name": "__tuple__", "module": "keras.src.utils", "config": {}})),
    ("['Dense']", lambda config: layer(config).update(class_name=["Dense"])),
    ("TFOpLambda", lambda config: layer(config).update(class_name="TFOpLambda")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), NOT_KERAS)
def test_what_is_not_keras_own_is_refused_wherever_it_stands(
    name, change, good, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("Keras was asked"))
    message = refusal(changed(good, tmp_path / "bad.keras", change))
    assert name in message
    assert "layer 'first'" in message


HOSTILE_COMPILE = {
    "loss": function("system", "os"),
    "optimizer": {"class_name": "Evil", "module": "evil", "config": {}},
}


def test_how_to_compile_is_never_read_from_an_archive(good, tmp_path) -> None:
    def change(config):
        config.update(compile_config=HOSTILE_COMPILE)
        layer(config).update(compile_config=HOSTILE_COMPILE)

    loaded = load_model(changed(good, tmp_path / "own.keras", change))
    assert not loaded.compiled


def test_how_to_compile_is_checked_where_keras_reads_the_file_itself() -> None:
    config = {"class_name": "Sequential", "config": {"layers": []}, "compile_config": HOSTILE_COMPILE}
    with pytest.raises(InputError, match="the `compile_config` of the model"):
        Names("model.h5", {}).check(config)


LOADING = {
    "TFSMLayer": {"filepath": "evil", "call_endpoint": "serve"},  # CVE-2026-1462
    "TorchModuleWrapper": {"module": "gASVaA=="},  # CVE-2025-49655
    "StringLookup": {"vocabulary": "/etc/passwd"},  # CVE-2025-12058
    "IntegerLookup": {"vocabulary": "http://169.254.169.254/"},
    "TextVectorization": {"vocabulary": "/etc/passwd"},
    "JaxLayer": {"call_fn": None},
    "FlaxLayer": {"module": None},
}


@pytest.mark.parametrize("name", LOADING)
@pytest.mark.parametrize("module", ["keras.layers", None, "missing", "defining"])
def test_layers_that_load_are_refused_under_each_name_of_their_module(name, module, good, tmp_path) -> None:
    bad = replaced(class_name=name, config=LOADING[name], module=module)
    if module == "defining":
        bad = replaced(class_name=name, config=LOADING[name], module=getattr(keras.layers, name).__module__)
    path = changed(good, tmp_path / "bad.keras", bad)
    if module == "missing":
        path = changed(path, tmp_path / "legacy.keras", lambda config: layer(config).pop("module") and None)
    assert f"class {name!r}" in refusal(path)


def test_no_class_of_keras_is_allowed_that_opens_a_file_or_calls_what_it_is_given() -> None:
    """Against Keras' own source: whoever adds a layer that reads has to be looked at."""
    from inspect import getsource, unwrap

    from mi_keras.auditing.keras_names import REFUSED, classes

    names = {name for _, name in classes(False)}
    assert {"Dense", "Rescaling", "Bidirectional", "GlorotUniform", "L2", "MaxNorm", "DTypePolicy"} <= names
    assert not names & REFUSED.keys()
    assert not {"get", "deserialize", "Input"} & names
    for name in sorted(names & set(dir(keras.layers))):
        source = getsource(unwrap(getattr(keras.layers, name)))
        for word in ("open(", "gfile", "load_asset", "func_load", "pickle", "get_file", "saved_model.load"):
            assert word not in source, (name, word)


WRAPPERS = {
    "TimeDistributed": {"layer": None},
    "Bidirectional": {"layer": {"class_name": "LSTM", "module": "keras.layers", "config": {"units": 1}}, "backward_layer": None},
    "RNN": {"cell": None},
    "Pipeline": {"layers": [None]},
    "Sequential": {"layers": [None], "name": "first"},
}  # fmt: skip


@pytest.mark.parametrize("with_module", [True, False])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_and_models_within_are_looked_into(wrapper, with_module, good, tmp_path) -> None:
    evil = {
        "class_name": "Lambda",
        "config": {"function": {"class_name": "__lambda__", "config": {"value": "x"}}},
    }
    text = json.dumps(WRAPPERS[wrapper]).replace(
        "null", json.dumps(evil | ({"module": "keras.layers"} if with_module else {}))
    )
    bad = replaced(
        class_name=wrapper,
        module="keras.layers" if wrapper != "Sequential" else "keras",
        config=json.loads(text),
    )
    assert "Lambda" in refusal(
        changed(good, tmp_path / "bad.keras", bad)
    )  # or `__lambda__`, whichever comes first


def test_what_the_process_has_registered_does_not_count(good, tmp_path, canary) -> None:
    """Namespace hijacking: Keras asks its registry before its own names."""

    class Evil(keras.layers.Dense):
        def __init__(self, **settings) -> None:
            canary.touch()
            super().__init__(**settings)

    registry = keras.saving.get_custom_objects()
    for name, change in (
        ("evil>Evil", replaced(class_name="Dense", module="keras.layers", config={"units": 2}, registered_name="evil>Evil")),
        ("Evil", replaced(class_name="Evil", module="anywhere", config={"units": 2}, registered_name="Evil")),
        ("Dense", lambda config: None),
        ("relu", with_argument(activation="relu")),
        ("float32", lambda config: None),
    ):  # fmt: skip
        registry[name] = Evil
        try:
            message = refusal(changed(good, tmp_path / "bad.keras", change))
        finally:
            del registry[name]
        assert name in message
        assert not canary.exists()
    load_model(str(changed(good, tmp_path / "good.keras", lambda config: None)))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("deserialize", lambda config: layer(config).update(class_name="deserialize")),  # a function that Keras would call
        ("StringLookup", lambda config: layer(config).update(class_name="StringLookup")),
        ("os.system", with_argument(activation="os.system")),
        ("TypeSpec", with_argument(x={"class_name": "TypeSpec", "type_spec": "x", "serialized": []})),
        ("CompositeTensor", with_argument(x={"class_name": "CompositeTensor", "spec": {}, "tensors": []})),
        ("get_file", with_argument(kernel_regularizer=function("get_file", "keras.utils"))),
        ("evil>Evil", lambda config: {"class_name": "evil>Evil", "config": {}}),
    ],
)  # fmt: skip
def test_the_legacy_format_is_checked_by_the_same_rules(name, change, legacy, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("Keras was asked"))
    assert name in refusal(changed_h5(legacy, tmp_path / "bad.h5", change))


@pytest.mark.slow
def test_a_process_of_its_own_ends_by_one_line_and_runs_nothing(tmp_path, good, canary) -> None:
    command = f"touch {canary}"
    bad = replaced(
        class_name="system",
        module="os",
        config={"command": command},
        inbound_nodes=[{"args": [command], "kwargs": {}}],
    )
    path = changed(good, tmp_path / "bad.keras", bad)
    code = f"from mi_keras.auditing.loading import load_model\ntry: load_model({str(path)!r})\nexcept ValueError as e: print(e)"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)  # fmt: skip
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert "class 'system' of 'os' in layer 'first'" in done.stdout
    assert not canary.exists()
