"""What a target would answer, where that follows from what shadow models answer."""

import numpy as np
import pytest

from mi_keras.attacks.imitation import imitate, k_centre


def test_answers_that_follow_from_the_features_are_predicted_and_given_ones_are_kept() -> None:
    draw = np.random.default_rng(1)
    features = draw.standard_normal((600, 8)).astype(np.float32)
    classes = np.arange(600) % 2
    maps = draw.standard_normal((2, 8, 3))
    truth = np.einsum("nf,nfu->nu", features, maps[classes])
    rows = np.arange(0, 600, 3)
    answers = (truth[rows] + 0.1 * draw.standard_normal((200, 3))).astype(np.float32)
    found = imitate(features, classes, rows, answers)
    np.testing.assert_array_equal(found.values[rows], answers)
    missed = (found.values - truth)[~found.asked]
    assert np.square(missed).mean() < 0.1 * np.square(truth).mean()
    # It knows how much it misses: within a factor of two of the error on what it was not asked, and its noise
    expected = np.trace(found.missed @ found.missed.T) / 3
    assert expected == pytest.approx(np.square(missed).mean() + 0.01, rel=1.0)
    drawn = found.drawn(np.random.default_rng(2))
    np.testing.assert_array_equal(drawn[rows], answers)
    assert not np.array_equal(drawn[1], found.values[1])


def test_too_few_answers_are_refused() -> None:
    with pytest.raises(ValueError, match="`rows` must be at least 10; got 3"):
        imitate(
            np.zeros((5, 2), np.float32), np.zeros(5, np.int64), np.arange(3), np.zeros((3, 2), np.float32)
        )


def test_those_asked_about_lie_far_apart() -> None:
    points = np.array([[0.0], [0.1], [5.0], [5.1], [10.0]], np.float32)
    chosen = k_centre(points, 3, seed=1)
    assert sorted(np.round(points[chosen, 0] / 5).tolist()) == [0, 1, 2]
    np.testing.assert_array_equal(k_centre(points, 9, seed=1), np.arange(5))
