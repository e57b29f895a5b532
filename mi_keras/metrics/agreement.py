"""How well two answers to the same image agree, where no true class is known: same top class, and cosine of the
logits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.metrics.retrieval import cosine_distance


def top1_agreement(logits: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each example whether the largest logit of both answers is at the same class; of equal logits the first
    counts.

    Args:
        logits, reference: `(count, classes)` logits.

    Returns:
        `(count,)` booleans.

    Raises:
        ValueError: the shapes differ, or there is no class.
    """
    _check(logits, reference)
    return np.argmax(logits, axis=1) == np.argmax(reference, axis=1)


def logit_cosine(logits: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.float64]:
    """Return the cosine of each pair of answers after subtracting the mean of each, since softmax ignores a constant
    too.

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
