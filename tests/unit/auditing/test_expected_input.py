"""What a model expects, found or checked by its accuracy: an exact test on the images on which two conversions differ."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from mi_keras.auditing.expected_input import (
    Expected,
    check_model_input,
    choose_model_input,
    expected_input,
    is_above,
    right_answers,
)
from mi_keras.auditing.model_input import candidates
from tests.unit.auditing.pictures import message_of

GENERATOR = np.random.default_rng(4)
IMAGES = GENERATOR.random((600, 4, 5, 3), np.float32)
NAMES = ("ant", "bee", "cat", "dog", "eel")


def answering(expected: str, classes: int = 10) -> tuple[Callable[[Any], Any], Any]:
    """Return a model that answers by thresholds on what it expects, and the labels it is right about."""
    right = candidates(3)[expected]
    weights = GENERATOR.normal(size=(60, classes))
    centre = right(IMAGES).reshape(len(IMAGES), -1).mean(axis=0)
    scale = right(IMAGES).reshape(len(IMAGES), -1).std()

    def answer(values: Any) -> Any:
        # saturating, as a network is: out of its range all images look alike to it
        inner = np.tanh(((values.reshape(len(values), -1) - centre) / scale) / 4)
        return np.argmax(inner @ weights, axis=1)

    return answer, answer(right(IMAGES))


def measured(**shares: float) -> dict[str, Any]:
    """Return right answers on 512 images, of which the most accurate conversion is right on the first and so on."""
    return {name: np.arange(512) < round(512 * share) for name, share in shares.items()}


def rare(count: int = 512) -> Any:
    """Return which images are of the most frequent class, where classes are many."""
    return np.arange(count) >= count - 5


def expected(answer: Any, labels: Any, declared: str | None = None, names: tuple[str, ...] = ()) -> Expected:
    classes = labels.max() + 1
    return expected_input(
        declared, lambda given, prepare: np.eye(classes)[answer(prepare(given))], IMAGES, labels, names=names,
        channels=3, dtype="float32", tells_class=True,
    )  # fmt: skip


@pytest.mark.parametrize("expects", ["0..255", "caffe"])
@pytest.mark.parametrize("classes", [2, 5, 10])
def test_the_one_that_fits_is_found_whatever_the_number_of_classes(expects: str, classes: int) -> None:
    answer, labels = answering(expects, classes)
    right = right_answers(answer, IMAGES, labels, candidates(3))
    most_frequent = labels[:512] == np.bincount(labels).argmax()
    assert right[expects].all()
    assert expected(answer, labels).given == expects
    assert check_model_input(expects, right, most_frequent) == ""
    if classes > 2:  # of two classes half are right by chance, and nothing is twice as good
        assert f"`model_input='{expects}'` fits it" in message_of(
            check_model_input, "0..1", right, most_frequent
        )


def test_the_better_of_two_that_are_near_is_found_where_they_differ_by_more_than_chance() -> None:
    """torch is about -1..1 twice as wide: a model for one is half right with the other."""
    answer, labels = answering("torch")
    right = right_answers(answer, IMAGES, labels, candidates(3))
    assert right["torch"].all()
    assert 0.5 < right["-1..1"].mean() < 1
    assert expected(answer, labels).given == "torch"
    (doubt,) = expected(answer, labels, "-1..1").warnings
    assert doubt.startswith(
        "torch is more accurate than the declared -1..1: accuracy on 512 images: torch 1.000, "
    )


def test_at_most_512_images_are_asked() -> None:
    asked: list[int] = []

    def answer(values: Any) -> Any:
        asked.append(len(values))
        return np.zeros((len(values), 1))  # answers may come as a column

    right = right_answers(answer, IMAGES, np.zeros(600, np.int64), candidates(1))
    assert asked == [512] * 3
    assert all(each.all() for each in right.values())


@pytest.mark.parametrize(
    ("more", "less"), [(10, 0), (9, 0), (20, 4), (20, 3), (3, 3), (0, 0), (0, 9), (300, 220)]
)
def test_two_are_held_to_the_exact_sign_test(more: int, less: int) -> None:
    first = np.arange(512) < more
    second = (np.arange(512) >= more) & (np.arange(512) < more + less)
    both = np.arange(512) >= 505 - 100 * (more + less < 400)  # right under both: of no account
    p = binomtest(more, more + less, alternative="greater").pvalue if more + less else 1.0
    assert is_above(first | both, second | both) is bool(p < 0.001)


@pytest.mark.parametrize(
    ("shares", "chosen"),
    [
        ({"0..1": 0.953, "0..255": 0.55, "-1..1": 0.60}, "0..1"),  # five classes, and none is twice the next
        ({"0..1": 0.9, "0..255": 0.1, "-1..1": 0.895}, None),
        ({"0..1": 2 / 512, "0..255": 1 / 512}, None),  # one image more is chance
        ({"0..1": 0.0, "0..255": 0.0}, None),
    ],
)
def test_what_is_clearly_more_accurate_than_the_next_is_chosen(
    shares: dict[str, float], chosen: str | None
) -> None:
    right = measured(**shares)
    if chosen:
        assert choose_model_input(right, rare()) == chosen
        return
    text = message_of(choose_model_input, right, rare(), NAMES)
    assert "`model_input` must be declared where no conversion is clearly " in text
    assert "accuracy on 512 images: " in text
    assert all(f"{name} {share:.3f}" in text for name, share in shares.items())
    assert text.endswith("in the order ant, bee, cat, dog, ...: `class_names` gives another one.")


def test_a_class_that_most_images_have_is_no_accuracy() -> None:
    right = measured(**{"0..1": 0.81, "0..255": 0.3})
    text = message_of(choose_model_input, right, np.arange(512) < 410)
    assert "no conversion is clearly right more often than always the most frequent class, 0.801" in text
    assert text.endswith("renumber the labels if it is another.")
    assert choose_model_input(right, np.arange(512) < 200) == "0..1"


def test_classes_in_another_order_than_the_outputs_choose_nothing_and_the_way_out_is_said() -> None:
    answer, labels = answering("0..255", 5)
    turned = (labels + 1) % 5
    with pytest.raises(ValueError, match="`class_names` gives another one"):
        expected(answer, turned, names=NAMES)
    (warning,) = expected(answer, turned, "0..255", NAMES).warnings
    assert warning.startswith(
        "The model is right on 0 % of 512 labelled images, and the most frequent class is "
    )
    assert "in the order ant, bee, cat, dog, ...: `class_names` gives another one." in warning
    assert expected(answer, labels, "0..255", NAMES).warnings == ()


def test_a_model_that_is_right_too_seldom_is_warned_of_where_it_was_found_too() -> None:
    """Four of ten classes stand where they should."""
    answer, labels = answering("0..255")
    order = np.array([0, 1, 2, 3, 5, 6, 7, 8, 9, 4])
    found = expected(answer, order[labels])
    assert found.given == "0..255"
    assert "labelled images" in found.warnings[0]
    assert expected(answer, labels).warnings == ()


def test_a_declared_one_is_refused_only_where_another_is_twice_as_good() -> None:
    shares = {"0..1": 0.4, "0..255": 0.81, "caffe": 0.1}
    text = message_of(check_model_input, "0..1", measured(**shares), rare())
    assert "`model_input='0..1'` must be what the model expects; `model_input='0..255'` fits it" in text
    assert "0..255 0.811, 0..1 0.400, caffe 0.100" in text
    assert "0..255 is more accurate" in check_model_input(
        "0..1", measured(**{**shares, "0..255": 0.79}), rare()
    )
    assert check_model_input("0..1", measured(**{**shares, "0..255": 0.41}), rare()) == ""
    assert check_model_input("0..1", measured(**{"0..1": 1 / 512, "0..255": 3 / 512}), rare()) == ""
