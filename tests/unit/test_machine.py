"""TensorFlow uses oneDNN on any x86 processor in a command, but where the user or a loaded TensorFlow has it otherwise."""

import os
import sys

import pytest

from mi_keras import cli
from mi_keras import machine as machines
from mi_keras.command import guarded
from mi_keras.machine import ONEDNN, machine, use_onednn


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
