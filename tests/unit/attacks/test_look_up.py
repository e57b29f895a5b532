"""The nearest of known answers, worked by hand, and through a sketch."""

import numpy as np

from mi_keras.attacks.access import Holdings
from mi_keras.attacks.attack import Evidence
from mi_keras.attacks.look_up import WIDTH, LookUp
from mi_keras.progress import Run
from mi_keras.types import Images, Observation


def _drawn(own: np.ndarray, observed: np.ndarray, attack: LookUp) -> list[float]:
    """Return which own image is drawn for each answer, by the level of its pixels."""
    pixels = np.stack([np.full((4, 4, 1), number / len(own), np.float32) for number in range(len(own))])
    held = Holdings(images=Images.unlabelled(pixels))
    seen = Evidence(Observation(observed))
    images = attack.reconstruct(attack.fit(Evidence(Observation(own)), held, Run()), seen, held, Run())
    return [float(image[0, 0, 0]) * len(own) for image in np.concatenate(list(images))]


def test_distances_are_in_deviations_of_the_own_answers() -> None:
    """(0, 60) is 60 from the first by the second unit, whose deviation is 50, and 1.2 of these; 6 of 0.5 from the other."""
    own = np.array([[0, 0], [1, 100]], np.float32)
    assert _drawn(own, np.array([[0, 60], [1, 60]], np.float32), LookUp(maps=False)) == [0, 1]


def test_large_answers_are_found_by_their_sketch() -> None:
    draw = np.random.default_rng(0)
    own = draw.standard_normal((30, 10, 10, 80)).astype(np.float32)
    assert own[0].size > WIDTH
    wanted = [3, 17, 29]
    near = own[wanted] + 0.5 * draw.standard_normal((3, 10, 10, 80)).astype(np.float32)
    np.testing.assert_allclose(_drawn(own, near, LookUp()), wanted, atol=1e-4)
    assert max(_drawn(own, near, LookUp(images=10))) < 10
