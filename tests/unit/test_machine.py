"""TensorFlow uses oneDNN on any x86 processor in a command, but where the user or a loaded TensorFlow has it otherwise."""

import os
import subprocess
import sys

import pytest

from mi_keras import cli
from mi_keras import machine as machines
from mi_keras.command import guarded
from mi_keras.machine import ONEDNN, computed_otherwise, machine, use_onednn, versions


@pytest.fixture
def nothing_set(monkeypatch):
    monkeypatch.setenv(ONEDNN, "")  # so that what a test sets is taken back
    monkeypatch.delenv(ONEDNN)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)


@pytest.mark.parametrize(
    ("processor", "expected"), [("x86_64", "on"), ("AMD64", "on"), ("aarch64", "as TensorFlow has it")]
)
def test_it_is_used_on_x86(nothing_set, monkeypatch, processor, expected):
    monkeypatch.setattr(machines.platform, "machine", lambda: processor)
    use_onednn()
    assert machine()["oneDNN"] == expected


@pytest.mark.parametrize(("said", "expected"), [("0", "off"), ("False", "off"), ("true", "on"), ("", "on")])
def test_what_the_user_says_holds(nothing_set, monkeypatch, said, expected):
    monkeypatch.setattr(machines.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv(ONEDNN, said)
    use_onednn()
    assert machine()["oneDNN"] == expected


def test_a_tensorflow_that_is_loaded_is_left_as_it_is(nothing_set, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", machines)
    use_onednn()
    assert ONEDNN not in os.environ


@pytest.mark.parametrize("command", [lambda: cli.main(["--list"]), lambda: guarded(lambda: None)])
def test_every_command_uses_it(nothing_set, monkeypatch, command):
    monkeypatch.setattr(machines.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert command() == 0
    assert os.environ[ONEDNN] == "1"
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


@pytest.mark.skipif(machines.platform.machine() != "x86_64", reason="commands leave it as it is but on x86")
def test_tensorflow_does_as_it_is_told_in_these_tests():
    from tensorflow.python.util._pywrap_util_port import IsMklEnabled

    assert machine()["oneDNN"] == {True: "on", False: "off"}[IsMklEnabled()]


@pytest.mark.skipif(
    (sys.platform, machines.platform.machine()) != ("linux", "x86_64"), reason="elsewhere nothing tells it"
)
def test_what_tensorflow_does_untold_is_known():
    environment = {name: value for name, value in os.environ.items() if name != ONEDNN}
    code = (
        "from mi_keras.machine import machine; said = machine()['oneDNN']\n"
        "from tensorflow.python.util._pywrap_util_port import IsMklEnabled\n"
        "assert said == ('on' if IsMklEnabled() else 'off'), said"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_was_computed_otherwise_is_said_once():
    here = versions() | machine()
    assert computed_otherwise([here, {"keras": here["keras"]}, {}]) == []  # an earlier version wrote no more
    others = [here | {"keras": "2.0", "threads": "96"}, here | {"threads": "96"}]
    (note,) = computed_otherwise(others)
    assert f": keras: 2.0 (now {here['keras']}); threads: 96 (now {here['threads']}). " in note
