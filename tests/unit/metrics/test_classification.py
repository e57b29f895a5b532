"""Confusion matrix and weighted F1 worked by hand."""

import numpy as np
import pytest

from mi_keras.metrics.classification import confusion_matrix, weighted_f1

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
