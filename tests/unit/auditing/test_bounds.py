"""What noise leaves to the best attack, against closed forms."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from mi_keras.auditing.bounds import bayes_pick, fano_pick, information, most_picked

PAIR = np.array([[-1.0], [1.0]])  # two candidates at a distance of 2


def pairs(distance, count, width=1):
    """Return `count` classes of two images each, `distance` apart in a direction of many units, and their classes."""
    direction = np.random.default_rng(0).standard_normal(width)
    direction *= distance / np.linalg.norm(direction)
    centres = 100 * np.random.default_rng(1).standard_normal((count, 1, width))
    signals = centres + np.array([-0.5, 0.5])[:, None] * direction
    return signals.reshape(2 * count, width), np.repeat(np.arange(count), 2)


@pytest.mark.parametrize("width", [1, 40])
@pytest.mark.parametrize("noise", [0.5, 1.0, 4.0])
def test_of_two_candidates_the_right_one_is_picked_as_often_as_the_normal_distribution_says(noise, width):
    """Phi(distance / 2 noise); 400 images, 32 draws each: a deviation of 0.004 at most."""
    signals, classes = pairs(2.0, 200, width)
    found = bayes_pick(signals, noise, classes, np.arange(400), 400, among=2, seed=1)
    assert found.value == pytest.approx(norm.cdf(1 / noise), abs=0.015)
    assert found.low < norm.cdf(1 / noise) < found.high
    assert found.n == found.groups == 400


def test_of_candidates_at_equal_distances_the_pick_is_the_classical_integral():
    """Orthogonal signals of length 1.5: P = integral of phi(z - 1.5) Phi(z)^(N - 1)."""
    signals = 1.5 * np.tile(np.eye(10), (40, 1))
    classes = np.repeat(np.arange(40), 10)
    expected, _ = quad(lambda z: norm.pdf(z - 1.5) * norm.cdf(z) ** 9, -8, 10)
    found = bayes_pick(signals, 1.0, classes, np.arange(400), 400, among=10, seed=2)
    assert found.value == pytest.approx(expected, abs=0.015)


def test_few_of_many_candidates_are_the_pick_of_few():
    """Of 60 images of a class two are shown: what every pair gives by Phi(distance / 2), averaged."""
    signals = np.random.default_rng(3).standard_normal((60, 3))
    distances = np.linalg.norm(signals[:, None] - signals, axis=2)[~np.eye(60, dtype=bool)]
    found = bayes_pick(signals, 1.0, np.zeros(60, int), np.arange(60), 60, among=2, seed=3)
    assert found.value == pytest.approx(norm.cdf(distances / 2).mean(), abs=0.015)


def test_without_noise_all_are_found_and_behind_infinite_noise_none():
    signals = np.random.default_rng(4).standard_normal((50, 7))
    classes, groups = np.zeros(50, int), np.arange(50)
    assert bayes_pick(signals, 0.0, classes, groups, 40, seed=1).value == 1
    assert bayes_pick(signals, np.inf, classes, groups, 40, seed=1).value == pytest.approx(0.1)
    assert fano_pick(signals, 0.0, classes, groups, 40) == 1
    assert fano_pick(signals, np.inf, classes, groups, 40) == pytest.approx(0.1)


def test_equal_answers_are_told_apart_by_a_fair_draw_and_groups_not_at_all():
    signals = np.zeros((30, 4))
    assert bayes_pick(signals, 0.1, np.zeros(30, int), np.arange(30), 30, seed=1).value == pytest.approx(0.1)
    twins = np.repeat(np.random.default_rng(5).standard_normal((15, 4)), 2, axis=0)
    alone = bayes_pick(twins, 0.0, np.zeros(30, int), np.repeat(np.arange(15), 2), 30, seed=1)
    assert alone.value == 1  # a twin is of the same group
    assert alone.groups == 15


def test_images_of_small_classes_are_left_out():
    signals, classes = np.random.default_rng(6).standard_normal((25, 2)), np.repeat([0, 1], [20, 5])
    assert bayes_pick(signals, 1.0, classes, np.arange(25), 25, seed=1).n == 20
    assert bayes_pick(signals, 1.0, np.arange(25), np.arange(25), 25, seed=1) is None
    assert fano_pick(signals, 1.0, np.arange(25), np.arange(25), 25) is None


@pytest.mark.parametrize("noise", [0.2, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("width", [2, 30, 200])
def test_no_bound_is_below_the_best_pick(noise, width):
    signals = np.random.default_rng(7).standard_normal((90, width)) * np.linspace(2, 0.1, width)
    classes, groups = np.arange(90) % 3, np.arange(90)
    best = bayes_pick(signals, noise, classes, groups, 90, seed=1)
    assert 0.1 <= fano_pick(signals, noise, classes, groups, 90) <= 1
    assert best.value <= fano_pick(signals, noise, classes, groups, 90) + 0.02


def test_information_is_that_of_a_gaussian_channel():
    """1/2 log(1 + signal / noise) nats for each of independent channels (Shannon 1948)."""
    assert information(np.array([3.0])) == pytest.approx(np.log(2))
    assert information(np.array([3.0, 15.0])) == pytest.approx(np.log(8))
    found = fano_pick(PAIR, 1 / np.sqrt(3), np.zeros(2, int), np.arange(2), 2, among=2)  # S = 1 by 1/N
    assert found == pytest.approx(most_picked(np.log(2), 2)) == 1
    found = fano_pick(PAIR, 2.0, np.zeros(2, int), np.arange(2), 2, among=2)
    assert found == pytest.approx(most_picked(0.5 * np.log(1.25), 2))


@pytest.mark.parametrize("among", [2, 10])
@pytest.mark.parametrize("picked", [0.6, 0.9, 0.999])
def test_the_bound_by_information_solves_its_equation(picked, among):
    chance = 1 / among
    nats = picked * np.log(picked / chance) + (1 - picked) * np.log((1 - picked) / (1 - chance))
    assert most_picked(nats, among) == pytest.approx(picked)
    assert most_picked(0.0, among) == chance
    assert most_picked(5.0, among) == 1
