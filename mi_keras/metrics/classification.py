"""Classification scores in plain NumPy: accuracy, confusion matrix and weighted F1 (thesis 4.1.1)."""

import numpy as np

from mi_keras.types import Ints


def confusion_matrix(labels: Ints, predictions: Ints, classes: int) -> Ints:
    """Return the `(classes, classes)` counts with true classes as rows and predicted classes as columns."""
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
