"""How far two answers of a classifier agree, per example, where no true class is known: top class and cosine."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.metrics.retrieval import cosine_distance


def top1_agreement(logits: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each example whether both answers have their largest logit, of equal ones the first, at one class.

    Args:
        logits, reference: `(count, classes)`.

    Returns:
        `(count,)`.

    Raises:
        ValueError: the shapes differ, or there is no class.
    """
    _check(logits, reference)
    return np.argmax(logits, axis=1) == np.argmax(reference, axis=1)


def logit_cosine(logits: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.float64]:
    """Return the cosine of each pair of answers, each less its own mean: softmax ignores a constant, and so do we.

    Args:
        logits, reference: `(count, classes)`.

    Returns:
        `(count,)` in [-1, 1]; 0 where all logits of an answer are equal.

    Raises:
        ValueError: the shapes differ, or there is no class.
    """
    _check(logits, reference)
    first, second = (
        vectors - vectors.mean(axis=1, keepdims=True)
        for vectors in (logits.astype(np.float64), reference.astype(np.float64))
    )
    return 1.0 - cosine_distance(first, second)


def _check(logits: NDArray[Any], reference: NDArray[Any]) -> None:
    if logits.shape != reference.shape or logits.ndim != 2 or not logits.shape[1]:
        raise ValueError(
            f"`logits` and `reference` must be (count, classes) both; got {logits.shape}, {reference.shape}."
        )
