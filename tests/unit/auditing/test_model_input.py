"""Conversions to what a model expects: against keras.applications, and the user's own."""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mi_keras.auditing.model_input import candidates, model_input
from tests.unit.auditing.pictures import message_of

GENERATOR = np.random.default_rng(4)
IMAGES = GENERATOR.random((600, 4, 5, 3), np.float32)


@pytest.mark.parametrize(("spec", "mode"), [("caffe", "caffe"), ("torch", "torch"), ("-1..1", "tf")])
def test_conversions_are_those_of_keras_applications(spec: str, mode: str) -> None:
    from keras.applications.imagenet_utils import preprocess_input

    before = IMAGES.copy()
    converted = model_input(spec, channels=3)(IMAGES)
    assert converted.dtype == np.float32
    np.testing.assert_allclose(converted, preprocess_input(IMAGES * 255, mode=mode), atol=1e-4)
    np.testing.assert_array_equal(IMAGES, before)


def test_plain_ranges() -> None:
    np.testing.assert_array_equal(model_input("0..1", channels=1)(IMAGES), IMAGES)
    np.testing.assert_array_equal(model_input("0..255", channels=1)(IMAGES), IMAGES * np.float32(255))


def test_imagenet_means_need_colour() -> None:
    assert set(candidates(3)) == {"0..1", "0..255", "-1..1", "caffe", "torch"}
    assert set(candidates(1)) == {"0..1", "0..255", "-1..1"}
    assert "`model_input='caffe'` must have images of 3 channels; got 1" in message_of(
        model_input, "caffe", channels=1
    )


# The user's own function


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("own_input_of_a_test")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_an_own_function_is_imported_and_gets_a_copy(own: ModuleType) -> None:
    def halve(images: Any) -> Any:
        images *= 0.5
        return images.astype(np.float64)

    own.halve = halve  # type: ignore[attr-defined]
    before = IMAGES.copy()
    converted = model_input("own_input_of_a_test:halve", channels=3)(IMAGES)
    np.testing.assert_array_equal(converted, before / 2)
    assert converted.dtype == np.float32
    np.testing.assert_array_equal(IMAGES, before)


def raising(images: Any) -> Any:
    raise KeyError("first line\nsecond line")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda images: sys.exit(0), "it raised SystemExit: "),
        (raising, "must take images in [0, 1], (600, 4, 5, 3) float32; it raised KeyError: "),
        (lambda images: images[:7], "must return one for each of 600 images; got (7, 4, 5, 3)"),
        (lambda images: images.mean(), "must return one for each of 600 images; got ()"),
        (lambda images: images / 0, "must return finite numbers"),
        (lambda images: "text", "it raised ValueError"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_an_own_function_gives_is_checked(own: ModuleType, function: Any, said: str) -> None:
    own.function = function  # type: ignore[attr-defined]
    convert = model_input("own_input_of_a_test:function", channels=3)
    text = message_of(convert, IMAGES)
    assert text.startswith("`model_input='own_input_of_a_test:function'` must ")
    assert said in text


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("0..2", "`model_input` must be 0..1, 0..255, -1..1, caffe, torch or MODULE:FUNCTION; got '0..2'"),
        ("module:", "or MODULE:FUNCTION; got 'module:'"),
        ("no_such_module:f", "must be a function that can be imported; got ModuleNotFoundError: "),
        ("os:no_such_function", "must be a function that can be imported; got AttributeError: "),
        ("os:sep", "must be a function; got a str"),
    ],
)
def test_what_is_no_function_is_refused(spec: str, said: str) -> None:
    assert said in message_of(model_input, spec, channels=3)
