"""Probabilities and labels in place of logits, worked by hand."""

import numpy as np
import pytest

from mi_keras.defenses.shown import LabelOnly, Probabilities
from mi_keras.errors import InputError

LOGITS = np.log(np.array([[0.9, 0.0996, 0.0004], [0.2, 0.3, 0.5]])).astype(np.float32) + 3.0


def shares(defense):
    return np.exp(defense.apply(LOGITS, {}, seed=1))


def test_what_all_logits_share_is_not_sent():
    np.testing.assert_allclose(shares(Probabilities()), [[0.9, 0.0996, 0.0004], [0.2, 0.3, 0.5]], rtol=1e-4)


def test_what_rounding_takes_away_counts_as_half_of_the_last_decimal():
    np.testing.assert_allclose(shares(Probabilities(1)), [[0.9, 0.1, 0.05], [0.2, 0.3, 0.5]], rtol=1e-5)
    np.testing.assert_allclose(shares(Probabilities(3)), [[0.9, 0.1, 0.0005], [0.2, 0.3, 0.5]], rtol=1e-5)


def test_what_is_not_among_the_largest_counts_as_half_of_the_smallest_that_is():
    found = shares(Probabilities(top=2))
    np.testing.assert_allclose(found, [[0.9, 0.0996, 0.0498], [0.15, 0.3, 0.5]], rtol=1e-4)
    one = shares(Probabilities(top=1))
    np.testing.assert_allclose(one, [[0.9, 0.45, 0.45], [0.25, 0.25, 0.5]], rtol=1e-4)


def test_of_the_label_nothing_else_is_sent():
    np.testing.assert_array_equal(LabelOnly().apply(LOGITS, {}, seed=1), [[1, 0, 0], [0, 0, 1]])


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(InputError, match="`decimals` must be between -1 and 7; got 8"):
        Probabilities(8)
    with pytest.raises(InputError, match="`top` must be <= 3, the number of classes; got 4"):
        Probabilities(top=4).apply(LOGITS, {}, seed=1)
