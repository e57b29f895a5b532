"""The nearest of a pool, worked by hand."""

import numpy as np
import pytest

from mi_keras.attacks.access import Holdings, Queries
from mi_keras.attacks.attack import Evidence
from mi_keras.attacks.pool import PoolMatch
from mi_keras.errors import InputError
from mi_keras.progress import Run
from mi_keras.types import Observation

LEVELS = np.array([0.0, 0.2, 0.4, 1.0], np.float32)
ANSWERS = np.array(
    [[0, 0, 7], [100, 0, 7], [0, 1, 7], [100, 1, 7]], np.float32
)  # the last number says nothing


def picked(*observed: tuple[float, ...], answers: np.ndarray = ANSWERS) -> list[float]:
    pool = np.broadcast_to(LEVELS[:, None, None, None], (4, 8, 8, 1))
    queries = Queries(lambda images: Observation(answers), len(pool))
    held = Holdings(pool=pool, query=queries, image_shape=(8, 8, 1))
    evidence = Evidence(Observation(np.array(observed, np.float32)))
    images = np.concatenate(list(PoolMatch().reconstruct(({}, {}), evidence, held, Run())))
    assert np.ptp(images, axis=(1, 2, 3)).max() == 0
    return images[:, 0, 0, 0].tolist()


def test_units_are_measured_by_how_they_vary() -> None:
    """(40, 0.9) is nearest to (0, 1) in deviations, 50 and 0.5, and so it would not be in plain numbers."""
    assert picked((40, 0.9, 3)) == pytest.approx([0.4])
    assert picked((90, 0.4, 3)) == pytest.approx([0.2])


def test_answers_that_do_not_tell_candidates_apart_give_their_mean() -> None:
    assert picked((100, 0, 7), answers=ANSWERS * np.float32([1, 0, 1])) == pytest.approx([0.6])
    assert picked((5, 5, 5), answers=ANSWERS * np.float32([0, 0, 1])) == pytest.approx([0.4])


def test_another_way_to_get_answers_is_refused() -> None:
    with pytest.raises(InputError, match="`by` must be one of queries, weights; got 'theft'"):
        PoolMatch("theft")
