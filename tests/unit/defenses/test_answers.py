"""Rounding against Python's exact decimals, truncation worked by hand, noise by its moments, and rules on settings."""

import re
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest

from mi_keras.defenses.answers import Noise, Rounding, Temperature, Truncation
from mi_keras.defenses.defense import Defense
from mi_keras.errors import InputError
from mi_keras.types import Observation


def _logits(count: int = 200, classes: int = 10, scale: float = 8.0) -> np.ndarray:
    return scale * np.random.default_rng(3).standard_normal((count, classes), np.float32)


def _sent(vectors: np.ndarray, defense: Defense, seed: int = 1) -> np.ndarray:
    return defense.apply(vectors, {}, seed=seed)


def _defended(rows: list[list[float]], defense: Defense) -> np.ndarray:
    return _sent(np.array(rows, np.float32), defense)


# Rounding


@pytest.mark.parametrize("decimals", [0, 1, 3, 7])
@pytest.mark.parametrize("scale", [1e-3, 8.0, 1e4])
def test_rounding_is_that_of_exact_decimals(decimals: int, scale: float) -> None:
    vectors = _logits(20, scale=scale)
    rounded = _sent(vectors, Rounding(decimals))
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
    once = _sent(_logits(), Rounding(decimals))
    np.testing.assert_array_equal(_sent(once, Rounding(decimals)), once)


# Truncation


@pytest.mark.parametrize("top", [1, 3, 5, 10])
def test_the_largest_stay_and_the_rest_is_zero(top: int) -> None:
    vectors = _logits()
    truncated = _sent(vectors, Truncation(top))
    for before, after in zip(vectors, truncated, strict=True):
        largest = sorted(before.tolist(), reverse=True)[:top]
        assert sorted(after[after != 0].tolist(), reverse=True) == largest
        assert ((after == before) | (after == 0)).all()


def test_all_classes_kept_are_the_same_values() -> None:
    vectors = _logits()
    np.testing.assert_array_equal(_sent(vectors, Truncation(10)), vectors)


def test_of_equal_values_the_lower_classes_stay() -> None:
    np.testing.assert_array_equal(
        _defended([[1, 3, 3, 3, 2], [5, 5, 5, 5, 5]], Truncation(2)), [[0, 3, 3, 0, 0], [5, 5, 0, 0, 0]]
    )


def test_the_zero_of_a_dropped_class_beats_a_negative_logit_that_stays() -> None:
    before = Observation(np.array([[-5, -1, -2, -3], [-5, 1, -2, -3]], np.float32))
    after = Observation(_sent(before.vectors, Truncation(2)))
    np.testing.assert_array_equal(after.vectors, [[0, -1, -2, 0], [0, 1, -2, 0]])
    np.testing.assert_array_equal(before.predicted_class, [1, 1])
    np.testing.assert_array_equal(after.predicted_class, [0, 1])


def test_the_predicted_class_stays_where_the_largest_logit_is_positive() -> None:
    vectors = _logits(2000, scale=1.0)
    positive = Observation(vectors[vectors.max(axis=1) > 0])
    assert len(positive) > 1000
    for top in range(1, 11):
        sent = Observation(_sent(positive.vectors, Truncation(top)))
        np.testing.assert_array_equal(sent.predicted_class, positive.predicted_class)


# Noise


@pytest.mark.parametrize("deviation", [0.25, 3.0])
def test_noise_has_the_moments_of_a_normal_distribution_in_the_units_of_the_values(deviation: float) -> None:
    """Of n standard normal numbers the mean deviates by 1, the square by sqrt(2), the fourth power by sqrt(96), over sqrt(n)."""
    vectors = _logits(20_000)
    noise = (_sent(vectors, Noise(deviation)) - vectors).astype(np.float64) / deviation
    tolerance = 4 / np.sqrt(noise.size)
    assert abs(noise.mean()) < tolerance
    assert abs((noise**2).mean() - 1) < tolerance * np.sqrt(2)
    assert abs((noise**4).mean() - 3) < tolerance * np.sqrt(96)


def test_noise_is_independent_of_the_value_the_class_and_the_row() -> None:
    vectors = _logits(20_000)
    noise = _sent(vectors, Noise(1.0)) - vectors
    columns = np.hstack([noise, vectors, np.roll(noise, 1, axis=0)])
    correlation = np.corrcoef(columns, rowvar=False)[:10] - np.eye(10, 30)
    assert np.abs(correlation).max() < 5 / np.sqrt(len(vectors))


def test_noise_is_drawn_from_its_seed() -> None:
    first, again, other = (_sent(_logits(), Noise(1.0), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert abs((first - other).std() / np.sqrt(2) - 1) < 0.1  # two draws, neither of which is the other


# All


@pytest.mark.parametrize("defense", [Rounding(1), Truncation(3), Noise(0.5)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_defense_leaves_its_argument_and_keeps_shape_and_type(defense: Defense, dtype: type) -> None:
    vectors = _logits().astype(dtype)
    before = vectors.copy()
    defended = _sent(vectors, defense)
    assert (defended.shape, defended.dtype) == (vectors.shape, vectors.dtype)
    assert (defended != vectors).any()
    assert not np.shares_memory(defended, vectors)
    np.testing.assert_array_equal(vectors, before)


@pytest.mark.parametrize(
    ("defense", "words", "draws"),
    [
        (Rounding(1), "rounding to 1 decimal", False),
        (Rounding(0), "rounding to 0 decimals", False),
        (Truncation(3), "truncation to the largest 3", False),
        (Noise(0.5), "noise of deviation 0.5", True),
    ],
)
def test_words_and_which_defenses_draw(defense: Defense, words: str, draws: bool) -> None:
    assert (defense.words, defense.draws) == (words, draws)
    assert not defense.measures
    assert not defense.hardens


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rounding(-1), "`decimals` must be between 0 and 7; got -1."),
        (lambda: Rounding(8), "`decimals` must be between 0 and 7; got 8."),
        (lambda: Truncation(0), "`top` must be >= 1; got 0."),
        (lambda: Rounding(1.5), "`decimals` must be a whole number; got 1.5."),
        (lambda: Truncation(2.5), "`top` must be a whole number; got 2.5."),
        (lambda: Truncation(True), "`top` must be a whole number; got True."),
        (
            lambda: _sent(_logits(), Truncation(11)),
            "`top` must be <= 10, the number of classes; got 11.",
        ),
        (
            lambda: _sent(np.zeros((2, 4, 4, 3), np.float32), Truncation(1)),
            "`values` must be output vectors (count, classes); got (2, 4, 4, 3).",
        ),
        (lambda: Noise(0.0), "`deviation` must be a positive finite number; got 0.0."),
        (lambda: Noise(float("nan")), "`deviation` must be a positive finite number; got nan."),
        (lambda: Noise(float("inf")), "`deviation` must be a positive finite number; got inf."),
    ],
)
def test_a_broken_rule_is_named_with_what_came(make, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        make()


# Temperature


@pytest.mark.parametrize("temperature", [0.5, 2.0, 10.0])
def test_temperature_takes_the_root_of_probabilities(temperature: float) -> None:
    """p_T = p^(1 / T) / sum p^(1 / T), the definition without logits (Hinton et al. 2015)."""
    logits = _logits(20, scale=2.0)
    sent = np.exp(_sent(logits, Temperature(temperature)).astype(np.float64))
    roots = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float64) ** (1 / temperature)
    expected = roots / roots.sum(1, keepdims=True)
    np.testing.assert_allclose(sent / sent.sum(1, keepdims=True), expected, rtol=1e-4)


@pytest.mark.parametrize("temperature", [0, -1.0, float("inf"), float("nan")])
def test_a_temperature_that_is_none_is_refused(temperature: float) -> None:
    with pytest.raises(InputError, match="`temperature` must be"):
        Temperature(temperature)
