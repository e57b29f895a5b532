"""Numbers within the class, against the audit's own, which hold the same to groups, and closed forms."""

import numpy as np
import pytest

from mi_keras.auditing.ranks import tell_apart
from mi_keras.metrics.within_class import detail, found_within_class


def test_the_audit_finds_as_many_where_every_image_is_a_group_of_its_own() -> None:
    draw = np.random.default_rng(1)
    truths = draw.standard_normal((40, 6))
    queries = truths + draw.standard_normal((40, 6))
    classes = np.arange(40) % 3
    found = found_within_class(queries, truths, classes, 5)
    np.testing.assert_allclose(found, tell_apart(queries, truths, classes, np.arange(40), 5)[0].each)


def test_the_truth_itself_is_always_found_and_a_class_that_is_too_small_says_nothing() -> None:
    truths = np.random.default_rng(1).standard_normal((7, 4))
    found = found_within_class(truths, truths, np.array([0, 0, 0, 0, 1, 1, 1]), 4)
    np.testing.assert_array_equal(found, [1, 1, 1, 1, np.nan, np.nan, np.nan])


def test_detail_is_the_share_of_the_squared_distance_from_the_class_mean() -> None:
    assert detail(np.array([1.0, 2.0]), np.array([2.0, 4.0])) == pytest.approx(0.5)
    assert detail(np.array([3.0]), np.array([2.0])) == pytest.approx(-0.5)
