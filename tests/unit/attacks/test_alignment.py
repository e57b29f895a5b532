"""Maps between answers, against covariances and maps that are known."""

import numpy as np
import pytest

from mi_keras.attacks.alignment import (
    Pairs,
    apply_maps,
    covariances_of,
    family_of,
    matched,
    ridge_maps,
    transport,
)

UNITS, CLASSES = 4, 2


@pytest.fixture
def draw():
    return np.random.default_rng(1)


def drawn(draw, count, factor=None):
    points = draw.standard_normal((count, UNITS))
    return (points if factor is None else points @ factor).astype(np.float32), np.arange(count) % CLASSES


def test_a_linear_map_is_found_from_pairs_and_without_pairs_it_is_the_one_begun_with(draw):
    maps = draw.standard_normal((CLASSES, UNITS, UNITS))
    points, classes = drawn(draw, 200)
    start = np.zeros_like(maps)
    found = ridge_maps(points, apply_maps(points, classes, maps), classes, start, shared=1e-6, by_class=1e-6)
    np.testing.assert_allclose(found, maps, atol=1e-5)
    kept = ridge_maps(points[:0], points[:0], classes[:0], maps, shared=1.0, by_class=1.0)
    np.testing.assert_array_equal(kept, maps)


def test_transport_carries_one_covariance_to_the_other_and_half_of_the_way_lies_between(draw):
    points, classes = drawn(draw, 4000, draw.standard_normal((UNITS, UNITS)))
    goal = np.stack([np.diag([1.0, 2.0, 3.0, 4.0]), np.eye(UNITS)])
    whole = transport(points, classes, goal, share=1.0, weight=1e-9)
    moved = apply_maps(points, classes, whole).astype(np.float32)
    np.testing.assert_allclose(covariances_of(moved, classes, CLASSES), goal, atol=1e-2)
    half = transport(points, classes, goal, share=0.5, weight=1e-9)
    np.testing.assert_allclose(half, (whole + np.eye(UNITS)) / 2)
    by_goal = transport(points, classes, goal, share=1.0, weight=1e12)
    np.testing.assert_allclose(by_goal, np.tile(np.eye(UNITS), (CLASSES, 1, 1)), atol=1e-4)


def test_matching_comes_nearer_to_a_models_map_than_the_shadow_models_without_a_pair(draw):
    """Anchors that are not normal tell a turn of the space apart from none."""
    anchors = draw.exponential(size=(600, UNITS)) * np.array([2.0, 1.0, 1.5, 0.7])
    anchors = (anchors - anchors.mean(axis=0)).astype(np.float32)
    classes = np.arange(600) % CLASSES
    turn = np.linalg.qr(np.eye(UNITS) + 0.15 * draw.standard_normal((UNITS, UNITS)))[0]
    turn = turn * np.sign(np.diag(turn))
    shadows = [
        ((anchors + 0.3 * draw.standard_normal(anchors.shape)).astype(np.float32), classes) for _ in range(4)
    ]
    family = family_of(shadows, anchors, classes)
    hidden = draw.exponential(size=(600, UNITS)) * np.array([2.0, 1.0, 1.5, 0.7])
    hidden = hidden - hidden.mean(axis=0)
    answers = (hidden @ turn + 0.3 * draw.standard_normal(hidden.shape)).astype(np.float32)
    errors = []
    for weight in (1e9, 10.0):  # the shadow models alone, and with what was seen
        maps = matched(answers, classes, family, weight=weight)
        errors.append(np.square(apply_maps(answers, classes, maps) - hidden).mean())
    assert errors[1] < 0.95 * errors[0]
    known = (anchors @ turn + 0.3 * draw.standard_normal(anchors.shape)).astype(np.float32)
    pairs = Pairs(known, anchors, classes)
    maps = matched(answers[:0], classes[:0], family, weight=10.0, pairs=pairs)
    best = np.stack(
        [np.linalg.lstsq(known[classes == c], anchors[classes == c], rcond=None)[0] for c in range(CLASSES)]
    )
    np.testing.assert_allclose(
        maps[:CLASSES], best, atol=0.03
    )  # with many pairs it is the regression on them


def test_a_class_without_an_answer_keeps_the_shadow_models_map(draw):
    points, classes = drawn(draw, 100)
    family = family_of([(points, classes), (points, classes)], points, classes)
    prior = matched(points[:0], classes[:0], family, weight=10.0)
    only = matched(points[classes == 0], classes[classes == 0], family, weight=10.0)
    np.testing.assert_array_equal(only[1], prior[1])
