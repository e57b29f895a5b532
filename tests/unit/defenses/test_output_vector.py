"""Rounding against Python's exact decimals, truncation worked by hand, and both rules on bad settings."""

import re
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest

from mi_keras.defenses.output_vector import Rounding, Truncation, defend
from mi_keras.errors import InputError
from mi_keras.types import Observation


def _logits(count: int = 200, classes: int = 10, scale: float = 8.0) -> np.ndarray:
    return scale * np.random.default_rng(3).standard_normal((count, classes), np.float32)


def _defended(rows: list[list[float]], defense) -> np.ndarray:
    return defend(Observation(np.array(rows, np.float32)), defense).output_vector


# Rounding


@pytest.mark.parametrize("decimals", [0, 1, 3, 7])
@pytest.mark.parametrize("scale", [1e-3, 8.0, 1e4])
def test_rounding_is_that_of_exact_decimals(decimals: int, scale: float) -> None:
    vectors = _logits(20, scale=scale)
    rounded = _defended(vectors.tolist(), Rounding(decimals))
    unit = Decimal(1).scaleb(-decimals)
    for value, got in zip(vectors.ravel().tolist(), rounded.ravel(), strict=True):
        assert got == np.float32(Decimal(value).quantize(unit, ROUND_HALF_EVEN))


def test_of_two_equally_near_numbers_the_even_one_is_taken() -> None:
    np.testing.assert_array_equal(
        _defended([[0.5, 1.5, -2.5, -3.5]], Rounding(0)), np.array([[0, 2, -2, -4]], np.float32)
    )
    np.testing.assert_array_equal(
        _defended([[0.25, 0.75, -6.25]], Rounding(1)), np.array([[0.2, 0.8, -6.2]], np.float32)
    )


def test_what_only_looks_like_a_tie_is_none() -> None:
    """The float32 nearest to 0.35 lies below it, that to 0.85 above; in float32 ten times them are 3.5 and 8.5."""
    assert float(np.float32(0.35)) < 0.35
    assert float(np.float32(0.85)) > 0.85
    np.testing.assert_array_equal(np.float32(10) * np.array([0.35, 0.85], np.float32), [3.5, 8.5])
    np.testing.assert_array_equal(_defended([[0.35, 0.85]], Rounding(1)), np.array([[0.3, 0.9]], np.float32))


def test_zero_has_no_sign() -> None:
    rounded = _defended([[-0.04, -0.0, 0.04, -1e-30]], Rounding(1))
    assert not np.signbit(rounded).any()
    assert not rounded.any()


@pytest.mark.parametrize("decimals", [0, 1, 4, 7])
def test_rounding_twice_is_rounding_once(decimals: int) -> None:
    once = _defended(_logits().tolist(), Rounding(decimals))
    np.testing.assert_array_equal(_defended(once.tolist(), Rounding(decimals)), once)


# Truncation


@pytest.mark.parametrize("top", [1, 3, 5, 10])
def test_the_largest_stay_and_the_rest_is_zero(top: int) -> None:
    vectors = _logits()
    truncated = _defended(vectors.tolist(), Truncation(top))
    for before, after in zip(vectors, truncated, strict=True):
        largest = sorted(before.tolist(), reverse=True)[:top]
        assert sorted(after[after != 0].tolist(), reverse=True) == largest
        assert ((after == before) | (after == 0)).all()


def test_all_classes_kept_are_the_same_values() -> None:
    vectors = _logits()
    np.testing.assert_array_equal(_defended(vectors.tolist(), Truncation(10)), vectors)


def test_of_equal_values_the_lower_classes_stay() -> None:
    np.testing.assert_array_equal(
        _defended([[1, 3, 3, 3, 2], [5, 5, 5, 5, 5]], Truncation(2)), [[0, 3, 3, 0, 0], [5, 5, 0, 0, 0]]
    )


def test_the_zero_of_a_dropped_class_beats_a_negative_logit_that_stays() -> None:
    before = Observation(np.array([[-5, -1, -2, -3], [-5, 1, -2, -3]], np.float32))
    after = defend(before, Truncation(2))
    np.testing.assert_array_equal(after.output_vector, [[0, -1, -2, 0], [0, 1, -2, 0]])
    np.testing.assert_array_equal(before.predicted_class, [1, 1])
    np.testing.assert_array_equal(after.predicted_class, [0, 1])


def test_the_predicted_class_stays_where_the_largest_logit_is_positive() -> None:
    vectors = _logits(2000, scale=1.0)
    positive = Observation(vectors[vectors.max(axis=1) > 0])
    assert len(positive) > 1000
    for top in range(1, 11):
        np.testing.assert_array_equal(
            defend(positive, Truncation(top)).predicted_class, positive.predicted_class
        )


# Both


@pytest.mark.parametrize("defense", [Rounding(1), Truncation(3)])
def test_a_defense_leaves_its_argument_and_returns_an_observation(defense) -> None:
    vectors = _logits()
    before = vectors.copy()
    defended = defend(Observation(vectors), defense)
    assert isinstance(defended, Observation)
    assert defended.output_vector.dtype == np.float32
    assert not np.shares_memory(defended.output_vector, vectors)
    np.testing.assert_array_equal(vectors, before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rounding(-1), "`decimals` must be between 0 and 7; got -1."),
        (lambda: Rounding(8), "`decimals` must be between 0 and 7; got 8."),
        (lambda: Truncation(0), "`top` must be >= 1; got 0."),
        (
            lambda: Truncation(11).apply(_logits()),
            "`top` must be <= 10, the number of classes; got 11.",
        ),
    ],
)
def test_a_broken_rule_is_named_with_what_came(make, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        make()
