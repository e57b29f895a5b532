"""What reconstructions show beyond the class: how often they identify their image among others of the class, and how
much detail they have."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.metrics.retrieval import retrieval_probability
from mi_keras.types import Ints


def found_within_class(
    queries: NDArray[Any], truths: NDArray[Any], classes: Ints, among: int
) -> NDArray[np.float64]:
    """Return the probability that each truth is the nearest to its reconstruction among `among` images of its class.

    Like `retrieval_probability`, with the images of the class as the gallery; the chance level is 1 / among.

    Args:
        queries: `(images, units)` embeddings of reconstructions.
        truths: `(images, units)` embeddings of the true images, in the same order.
        classes: `(images,)` class numbers.
        among: number of images to choose from, >= 1.

    Returns:
        `(images,)` in [0, 1]; NaN in a class with fewer images than `among`.
    """
    if not len(queries) == len(truths) == len(classes):
        counts = f"{len(queries)}, {len(truths)} and {len(classes)}"
        raise ValueError(f"`queries`, `truths` and `classes` must be equally many; got {counts}.")
    found = np.full(len(queries), np.nan)
    for number in np.unique(classes):
        of = np.flatnonzero(classes == number)
        if len(of) >= among:
            found[of] = retrieval_probability(queries[of], truths[of], np.arange(len(of)), among)
    return found


def detail(errors: NDArray[Any], class_errors: NDArray[Any]) -> float:
    """Return R2 within the class, the recovered share of the variance within classes: 1 - mean(errors) /
    mean(class_errors).

    Args:
        errors: `(images,)` mean squared errors of the reconstructions.
        class_errors: `(images,)` mean squared errors of the class mean, not all 0.

    Returns:
        At most 1; 0 for the class mean, below 0 for what is worse.
    """
    if np.shape(errors) != np.shape(class_errors):
        raise ValueError(
            f"`errors` and `class_errors` must be equally many; got {np.shape(errors)}, {np.shape(class_errors)}."
        )
    return 1.0 - float(np.sum(errors, dtype=np.float64) / np.sum(class_errors, dtype=np.float64))
