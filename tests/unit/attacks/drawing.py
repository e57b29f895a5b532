"""A learned attack outside an experiment: what it learns of some images, and what it draws of some answers."""

import numpy as np

from mi_keras.attacks.access import Holdings
from mi_keras.attacks.attack import Evidence, Fitted
from mi_keras.attacks.learned import Learned
from mi_keras.progress import Run
from mi_keras.types import Images, Observation, Rows


def held(images: np.ndarray) -> Holdings:
    labels, ids = np.zeros(len(images), np.int64), np.arange(len(images), dtype=np.uint64)
    return Holdings(images=Images(images, labels, ids), image_shape=images.shape[1:])


def evidence(values: Rows, *parts: Rows) -> Evidence:
    """Answers that are themselves the only part, where no parts are given."""
    return Evidence(Observation(values, "anywhere"), parts or (values,))


def drawn(attack: Learned, fitted: Fitted, observed: Evidence, image_shape: tuple[int, ...]) -> np.ndarray:
    holdings = Holdings(image_shape=image_shape)
    return np.concatenate(list(attack.reconstruct(fitted, observed, holdings, Run())))


def assert_same_fit(first: Fitted, second: Fitted) -> None:
    assert first[1] == second[1]
    assert first[0].keys() == second[0].keys()
    for name, array in first[0].items():
        np.testing.assert_array_equal(array, second[0][name], err_msg=name)
