"""Classification scores in plain NumPy: confusion matrix, weighted F1 (thesis 4.1.1), accuracy and calibration."""

import numpy as np
from scipy.special import softmax

from mi_keras.types import Floats, Ints


def confusion_matrix(labels: Ints, predictions: Ints, classes: int) -> Ints:
    """Return the confusion matrix, `(classes, classes)` counts, with true classes as rows and predicted classes as columns.

    Args:
        labels, predictions: `(count,)` class numbers, 0 to classes - 1.
        classes: number of classes.
    """
    if np.shape(labels) != np.shape(predictions):
        raise ValueError(
            f"`labels` and `predictions` must be equally many; got {np.shape(labels)}, {np.shape(predictions)}."
        )
    for name, values in (("labels", labels), ("predictions", predictions)):
        if len(values) and not 0 <= values.min() <= values.max() < classes:
            raise ValueError(f"`{name}` must be in 0..{classes - 1}; got {values.min()}..{values.max()}.")
    flat = np.bincount(classes * labels + predictions, minlength=classes**2)
    return flat.reshape(classes, classes).astype(np.int64)


def weighted_f1(confusion: Ints) -> float:
    """Return the F1 scores of the classes averaged with their true counts as weights (thesis formula 5).

    A class that is never predicted has F1 = 0.
    """
    true_positives, true_counts, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    f1 = 2 * true_positives / np.maximum(true_counts + predicted, 1)  # harmonic mean of precision and recall
    return float((f1 * true_counts).sum() / true_counts.sum())


def accuracy(output_vector: Floats, labels: Ints) -> float:
    """Return the share, 0 to 1, of `(count, classes)` logits whose largest value is at the label; labels are
    `(count,)`."""
    _check_pairs(output_vector, labels)
    return float(np.mean(np.argmax(output_vector, axis=1) == labels))


def expected_calibration_error(output_vector: Floats, labels: Ints, bins: int = 15) -> float:
    """Return the expected calibration error (ECE), the mean distance of confidence and accuracy, 0 to 1 (Guo et al.
    2017, formula 3).

    The confidence is the largest softmax probability. (0, 1] is divided into `bins` intervals of equal width, open
    below and closed above. The distance of accuracy and mean confidence in each interval is averaged, weighted by its
    number of examples.

    Args:
        output_vector: `(count, classes)` logits.
        labels: `(count,)`.
        bins: number of intervals.
    """
    if bins < 1:
        raise ValueError(f"`bins` must be >= 1; got {bins!r}.")
    _check_pairs(output_vector, labels)
    logits = output_vector.astype(np.float64)
    confidence = softmax(logits, axis=1).max(axis=1)
    correct = np.argmax(logits, axis=1) == labels
    member = np.digitize(confidence, np.arange(1, bins) / bins, right=True)
    gaps = np.bincount(
        member, weights=correct - confidence, minlength=bins
    )  # count * (accuracy - confidence)
    return float(np.abs(gaps).sum() / len(labels))


def _check_pairs(output_vector: Floats, labels: Ints) -> None:
    if not len(output_vector) == len(labels) > 0:
        raise ValueError(
            f"`output_vector` and `labels` must be equally many, at least one; got {len(output_vector)}, {len(labels)}."
        )
    if not np.isfinite(output_vector).all():  # the largest of NaN is the first class
        raise ValueError("`output_vector` must be finite; got NaN or infinity.")
