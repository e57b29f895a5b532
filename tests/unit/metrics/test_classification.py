"""Confusion matrix, weighted F1, accuracy and calibration error worked by hand."""

import numpy as np
import pytest

from mi_keras.metrics.classification import (
    accuracy,
    confusion_matrix,
    expected_calibration_error,
    weighted_f1,
)

LABELS = np.array([0, 0, 1, 1, 2, 2, 2])
PREDICTIONS = np.array([0, 1, 1, 1, 2, 0, 0])
CONFUSION = np.array([[1, 1, 0], [0, 2, 0], [2, 0, 1]])


def test_confusion_matrix_has_true_classes_as_rows() -> None:
    np.testing.assert_array_equal(confusion_matrix(LABELS, PREDICTIONS, 3), CONFUSION)


def test_confusion_matrix_has_a_row_for_every_class() -> None:
    matrix = confusion_matrix(np.array([0, 3]), np.array([0, 0]), 5)
    assert matrix.shape == (5, 5)
    assert matrix[0, 0] == matrix[3, 0] == 1
    assert matrix.sum() == 2


def test_weighted_f1_by_hand() -> None:
    """Precision and recall: 1/3 and 1/2, 2/3 and 1, 1 and 1/3; F1: 2/5, 4/5, 1/2; true counts: 2, 2, 3."""
    assert weighted_f1(CONFUSION) == pytest.approx((2 * 2 / 5 + 2 * 4 / 5 + 3 * 1 / 2) / 7)


def test_weighted_f1_of_two_classes_is_not_symmetric_in_truth_and_prediction() -> None:
    """Truth 3 + 1, predicted 4 + 0: F1 is 6/7 and 0. The other way round 6/7 and 0 with weights 4 and 0."""
    matrix = np.array([[3, 0], [1, 0]])
    assert weighted_f1(matrix) == pytest.approx(3 / 4 * 6 / 7)
    assert weighted_f1(matrix.T) == pytest.approx(6 / 7)


def test_weighted_f1_of_a_perfect_classifier_is_one_also_when_a_class_is_absent() -> None:
    assert weighted_f1(np.diag([4, 0, 2])) == 1.0


@pytest.mark.parametrize(
    ("labels", "predictions", "name"), [([0, 3], [0, 0], "labels"), ([0, 0], [0, -1], "predictions")]
)
def test_values_outside_the_classes_are_refused(labels, predictions, name) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be in 0..2; got"):
        confusion_matrix(np.array(labels), np.array(predictions), 3)


# Accuracy and calibration


def _logits(confidences: list[float], classes: int = 2) -> np.ndarray:
    """Logits whose softmax is each confidence at class 0 and the same for all other classes."""
    others = (1 - np.array(confidences)) / (classes - 1)
    probabilities = np.column_stack([confidences, *[others] * (classes - 1)])
    return (np.log(probabilities) + 5.0).astype(np.float32)  # softmax does not see a constant


def test_accuracy_is_the_share_of_largest_logits_at_the_label() -> None:
    vectors = np.array([[-1, -2, -3], [0, 5, 1], [4, 3, 2], [0, 0, 1]], np.float32)
    assert accuracy(vectors, np.array([0, 1, 2, 2])) == 0.75


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_a_classifier_as_often_right_as_it_says_has_no_calibration_error(bins: int) -> None:
    """Ten answers at 60 % of which six are right, ten at 90 % of which nine are."""
    labels = np.array([0] * 6 + [1] * 4 + [0] * 9 + [1])
    assert expected_calibration_error(_logits([0.6] * 10 + [0.9] * 10), labels, bins) < 1e-6


def test_a_classifier_that_is_always_wrong_errs_by_its_confidence() -> None:
    confidences = [0.55, 0.7, 0.85, 0.99]
    error = expected_calibration_error(_logits(confidences, classes=5), np.ones(4, np.int64))
    assert error == pytest.approx(np.mean(confidences), abs=1e-6)


def test_a_classifier_that_knows_nothing_is_right_by_chance() -> None:
    """Equal logits: confidence 1/10, class 0, and one label in ten is 0."""
    assert expected_calibration_error(np.zeros((50, 10), np.float32), np.arange(50) % 10) < 1e-12


def test_calibration_error_by_hand() -> None:
    """Bins: 0.55 and 0.58, one right; 0.7, right; 0.95, wrong. 2/4 |0.5 - 0.565| + 1/4 |1 - 0.7| + 1/4 |0 - 0.95|."""
    vectors, labels = _logits([0.55, 0.58, 0.7, 0.95]), np.array([0, 1, 0, 1])
    assert expected_calibration_error(vectors, labels, bins=5) == pytest.approx(0.345, abs=1e-6)
    assert expected_calibration_error(vectors, labels, bins=1) == pytest.approx(
        abs(0.5 - (0.55 + 0.58 + 0.7 + 0.95) / 4), abs=1e-6
    )


def test_bins_are_closed_above() -> None:
    """Two equal logits are exactly 1/2: with two bins, right there, and wrong just above, must not cancel out."""
    vectors, labels = np.array([[0, 0], [0.01, 0]], np.float32), np.array([0, 1])
    above = 1 / (1 + np.exp(-0.01))
    expected = (0.5 + above) / 2
    assert expected_calibration_error(vectors, labels, bins=2) == pytest.approx(expected, abs=1e-6)


def test_large_logits_do_not_overflow() -> None:
    vectors = np.array([[1e4, 0, -1e4], [-3e38, -3e38, 3e38]], np.float32)
    assert expected_calibration_error(vectors, np.array([0, 0])) == 0.5


@pytest.mark.parametrize("score", [accuracy, expected_calibration_error])
@pytest.mark.parametrize(("vectors", "labels"), [(3, 2), (0, 0)])
def test_vectors_and_labels_must_be_pairs(score, vectors: int, labels: int) -> None:
    with pytest.raises(
        ValueError,
        match=f"`output_vector` and `labels` must be equally many, at least one; got {vectors}, {labels}",
    ):
        score(np.zeros((vectors, 2), np.float32), np.zeros(labels, np.int64))


def test_no_bins_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`bins` must be >= 1; got 0\."):
        expected_calibration_error(np.zeros((1, 2), np.float32), np.zeros(1, np.int64), bins=0)
