"""Agreement of answers worked by hand."""

import numpy as np
import pytest

from mi_keras.metrics.agreement import logit_cosine, top1_agreement


def _logits(count: int = 50, classes: int = 20) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((count, classes), np.float32)


def test_top_classes_are_compared_example_by_example() -> None:
    logits = np.array([[3, 1, 2], [0, 5, 5], [1, 1, 1], [0, 0, 1]], np.float32)
    reference = np.array([[9, 8, 7], [0, 1, 2], [0, -1, -2], [-3, -2, -1]], np.float32)
    np.testing.assert_array_equal(top1_agreement(logits, reference), [True, False, True, True])


def test_what_softmax_ignores_changes_nothing() -> None:
    logits, shift = _logits(), np.linspace(-100, 100, 50, dtype=np.float32)[:, None]
    np.testing.assert_allclose(logit_cosine(logits + shift, logits), 1, atol=1e-6)
    assert top1_agreement(logits + shift, logits).all()


def test_cosine_is_the_correlation_over_classes() -> None:
    first, second = _logits(), _logits()[::-1]
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(logit_cosine(first, second), expected, atol=1e-6)
    np.testing.assert_allclose(logit_cosine(first, -3 * first), -1)


def test_equal_logits_say_nothing() -> None:
    np.testing.assert_array_equal(logit_cosine(np.full((50, 20), 10.1, np.float32), _logits()), 0)


@pytest.mark.parametrize("measure", [top1_agreement, logit_cosine])
@pytest.mark.parametrize("shapes", [((2, 3), (3, 3)), ((2,), (2,)), ((2, 0), (2, 0))])
def test_answers_must_be_pairs(measure, shapes) -> None:
    with pytest.raises(ValueError, match=r"`logits` and `reference` must be \(count, classes\) both; got"):
        measure(*(np.zeros(shape, np.float32) for shape in shapes))
