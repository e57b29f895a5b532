"""Threat models as values: what two need together, what is refused, and questions that are Queries."""

import dataclasses
import itertools
import re

import numpy as np
import pytest

from mi_keras.attacks.access import ANSWERED_BY, UNLIMITED, Access, Holdings, Queries, check_access
from mi_keras.errors import InputError
from mi_keras.settings import LARGEST
from mi_keras.types import Floats, Images, Observation

EVERYTHING = Access(True, "target", 3, UNLIMITED, True, True, True, True)
PARTS = [
    {"images": True}, {"answers": "surrogate"}, {"answers": "target"}, {"surrogates": 2}, {"queries": 10},
    {"population": True}, {"weights": True}, {"pool": True}, {"defense": True},
]  # fmt: skip


# Access


def test_two_needs_together_are_of_each_field_the_larger() -> None:
    first = Access(images=True, answers="surrogate", surrogates=1, queries=50)
    second = Access(answers="target", surrogates=3, queries=20, weights=True)
    both = Access(images=True, answers="target", surrogates=3, queries=50, weights=True)
    assert first | second == second | first == both
    assert first | Access() == first | first == first
    assert EVERYTHING | first == EVERYTHING


def test_fields_are_taken_together_one_by_one() -> None:
    for first, second in itertools.combinations(PARTS, 2):
        if first.keys() != second.keys():
            assert Access(**first) | Access(**second) == Access(**first, **second)


def test_answers_of_the_target_are_worth_more_than_those_of_a_surrogate_and_these_more_than_none() -> None:
    assert ANSWERED_BY == ("nobody", "surrogate", "target")
    for needed, granted in itertools.product(ANSWERED_BY, repeat=2):
        together = Access(answers=needed) | Access(answers=granted)
        assert together.answers == max(needed, granted, key=ANSWERED_BY.index)
        if ANSWERED_BY.index(needed) <= ANSWERED_BY.index(granted):
            check_access("x", Access(answers=needed), Access(answers=granted))
        else:
            with pytest.raises(InputError, match=f"grant answers = {needed} .* grants answers = {granted}"):
                check_access("x", Access(answers=needed), Access(answers=granted))


@pytest.mark.parametrize("part", PARTS)
def test_what_is_not_granted_is_named_with_attack_field_needed_and_granted(part: dict) -> None:
    needs, nothing = Access(**part), Access()
    check_access("M_I(O)", needs, needs)
    check_access("M_I(O)", nothing, needs)
    check_access("M_I(O)", needs, EVERYTHING)
    [(field, needed)] = part.items()
    expected = (
        f"`access` must grant {field} = {needed} to the attack M_I(O); "
        f"it grants {field} = {getattr(nothing, field)}."
    )
    with pytest.raises(InputError, match=f"^{re.escape(expected)}$"):
        check_access("M_I(O)", needs, nothing)


def test_counts_are_compared_as_numbers() -> None:
    check_access("x", Access(surrogates=2, queries=9), Access(surrogates=2, queries=10))
    with pytest.raises(InputError, match="grant queries = 10 to the attack x; it grants queries = 9"):
        check_access("x", Access(queries=10), Access(queries=9))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answers": "model"}, "`answers` must be one of nobody, surrogate, target; got 'model'."),
        ({"surrogates": -1}, f"`surrogates` must be between 0 and {LARGEST}; got -1."),
        ({"queries": -1}, f"`queries` must be between 0 and {LARGEST}; got -1."),
        ({"queries": LARGEST + 1}, f"`queries` must be between 0 and {LARGEST}; got {LARGEST + 1}."),
    ],
)
def test_a_threat_model_that_is_none_is_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Access(**change)


# Holdings


def test_holdings_have_no_field_for_an_attacked_image_or_its_label() -> None:
    assert [field.name for field in dataclasses.fields(Holdings)] == [
        "images", "surrogates", "population", "query", "target", "pool", "image_shape", "point", "classes",
    ]  # fmt: skip
    with pytest.raises(dataclasses.FrozenInstanceError):
        Holdings().truth = np.zeros(3)


def test_what_is_held_is_handed_out_and_what_is_not_is_named() -> None:
    images = Images(np.zeros((1, 4, 4, 1), np.float32), np.zeros(1, np.int64), np.zeros(1, np.uint64))
    first, second = object(), object()
    held = Holdings(images=images, surrogates=(first, second))
    assert held.own_images is images
    assert held.surrogate is first
    with pytest.raises(InputError, match=r"^`images` must be given to an adversary that learns; got None\.$"):
        _ = Holdings().own_images
    with pytest.raises(
        InputError, match=r"^`surrogates` must be given to an adversary that imitates the target; got none\.$"
    ):
        _ = Holdings().surrogate


# Counted questions


@pytest.fixture
def asked() -> list[int]:
    return []


@pytest.fixture
def target(asked: list[int]):
    """Answers the mean of each image, and notes how many it was asked."""

    def answer(images: Floats) -> Observation:
        asked.append(len(images))
        return Observation(images.mean(axis=(1, 2)))

    return answer


def test_the_question_too_many_is_refused_and_none_of_it_is_answered(target, asked: list[int]) -> None:
    query, images = Queries(target, 5), np.random.default_rng(1).random((4, 3, 3, 2), np.float32)
    np.testing.assert_array_equal(query(images).values, images.mean(axis=(1, 2)))
    with pytest.raises(InputError, match=r"^`queries` must be at most 5; got 6\.$"):
        query(images[:2])
    assert asked == [4]
    query(images[:1])  # one was left, which the refused question has not used up
    assert asked == [4, 1]
    with pytest.raises(InputError, match=r"^`queries` must be at most 5; got 6\.$"):
        query(images[:1])
    query(images[:0])
    assert asked == [4, 1, 0]


def test_each_attack_counts_for_itself(target, asked: list[int]) -> None:
    images = np.zeros((3, 2, 2, 1), np.float32)
    first, second = Queries(target, 3), Queries(target, 3)
    first(images)
    second(images)
    assert asked == [3, 3]


def test_where_none_are_granted_none_are_answered(target, asked: list[int]) -> None:
    with pytest.raises(InputError, match=r"^`queries` must be at most 0; got 1\.$"):
        Queries(target, 0)(np.zeros((1, 2, 2, 1), np.float32))
    assert asked == []
