"""What the model expects: against keras.applications, and chosen or refused by the accuracy of a model."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mi_keras.auditing.model_input import (
    accuracies,
    candidates,
    check_model_input,
    choose_model_input,
    expected_input,
    model_input,
)
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
    assert "`model_input=caffe` must have images of 3 channels; got 1" in message_of(
        model_input, "caffe", channels=1
    )


# Chosen by accuracy


def answering(expected: str) -> tuple[Callable[[Any], Any], Any]:
    """Return a model that answers by thresholds on what it expects, and the labels it is right about."""
    right = candidates(3)[expected]
    weights = GENERATOR.normal(size=(60, 10))
    centre = right(IMAGES).reshape(len(IMAGES), -1).mean(axis=0)
    scale = right(IMAGES).reshape(len(IMAGES), -1).std()

    def answer(values: Any) -> Any:
        # saturating, as a network is: out of its range all images look alike to it
        inner = np.tanh(((values.reshape(len(values), -1) - centre) / scale) / 4)
        return np.argmax(inner @ weights, axis=1)

    return answer, answer(right(IMAGES))


@pytest.mark.parametrize("expected", ["0..255", "caffe"])
def test_the_one_that_fits_is_found(expected: str) -> None:
    answer, labels = answering(expected)
    measured = accuracies(answer, IMAGES, labels, candidates(3))
    assert measured[expected] == 1
    assert choose_model_input(measured, count=512) == expected
    assert check_model_input(expected, measured, count=512) == ""
    text = message_of(check_model_input, "0..1", measured, count=512)
    assert f"`model_input={expected}` fits it" in text


def test_one_that_is_near_to_another_must_be_declared_and_the_better_one_is_said() -> None:
    """torch is about -1..1 twice as wide: a model for one is half right with the other."""
    answer, labels = answering("torch")
    measured = accuracies(answer, IMAGES, labels, candidates(3))
    assert measured["torch"] == 1 > measured["-1..1"] > 0.5
    assert "torch 1.000, -1..1 0." in message_of(choose_model_input, measured, count=512)
    assert check_model_input("torch", measured, count=512) == ""
    assert "torch is more accurate" in check_model_input("-1..1", measured, count=512)


def test_at_most_512_images_are_asked() -> None:
    asked: list[int] = []

    def answer(values: Any) -> Any:
        asked.append(len(values))
        return np.zeros((len(values), 1))  # answers may come as a column

    measured = accuracies(answer, IMAGES, np.zeros(600, np.int64), candidates(1))
    assert asked == [512] * 3
    assert set(measured.values()) == {1.0}


def test_labels_in_another_order_choose_nothing() -> None:
    answer, labels = answering("0..255")
    turned = (labels + 1) % 10
    measured = accuracies(answer, IMAGES, turned, candidates(3))
    text = message_of(choose_model_input, measured, count=512)
    assert "class number k for the model's output k" in text


@pytest.mark.parametrize(
    ("measured", "chosen"),
    [
        ({"0..1": 0.9, "0..255": 0.45}, "0..1"),
        ({"0..1": 0.9, "0..255": 0.46}, None),
        ({"0..1": 0.9, "0..255": 0.1, "-1..1": 0.88}, None),
        ({"0..1": 2 / 512, "0..255": 1 / 512}, None),  # one image more is chance
        ({"0..1": 0.0, "0..255": 0.0}, None),
    ],
)
def test_twice_the_next_and_not_by_chance(measured: dict[str, float], chosen: str | None) -> None:
    if chosen:
        assert choose_model_input(measured, count=512) == chosen
        return
    text = message_of(choose_model_input, measured, count=512)
    assert (
        "`model_input` must be declared where no accuracy is twice the next; accuracy on 512 images: " in text
    )
    assert all(f"{name} {accuracy:.3f}" in text for name, accuracy in measured.items())


@pytest.mark.parametrize(("moved", "asked"), [(False, False), (True, True)])
def test_outputs_in_another_order_than_the_classes_are_asked_after(moved: bool, asked: bool) -> None:
    """Four of ten classes stand where they should."""
    answer, labels = answering("0..255")
    order = np.array([0, 1, 2, 3, 5, 6, 7, 8, 9, 4])

    def answers(given: Any, prepare: Any) -> Any:
        return np.eye(10)[answer(prepare(given))]

    _, said = expected_input(
        "0..255", answers, IMAGES, order[labels] if moved else labels, channels=3, dtype="float32", tells_class=True
    )  # fmt: skip
    assert ("See `class_names`." in said) is asked


def test_a_declared_one_is_refused_only_where_another_is_twice_as_good() -> None:
    measured = {"0..1": 0.4, "0..255": 0.81, "caffe": 0.1}
    text = message_of(check_model_input, "0..1", measured, count=512)
    assert "`model_input=0..1` must be what the model expects; `model_input=0..255` fits it" in text
    assert "0..255 0.810, 0..1 0.400, caffe 0.100" in text
    assert "0..255 is more accurate" in check_model_input("0..1", {**measured, "0..255": 0.79}, count=512)
    assert check_model_input("0..1", {**measured, "0..255": 0.41}, count=512) == ""
    assert check_model_input("0..1", {"0..1": 1 / 512, "0..255": 3 / 512}, count=512) == ""


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
    assert text.startswith("`model_input=own_input_of_a_test:function` must ")
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
