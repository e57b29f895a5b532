"""Shares against draws of distractors one by one, and the jackknife against leaving each group out by hand."""

import itertools

import numpy as np
import pytest
from scipy.stats import hypergeom

from mi_keras.auditing import ranks
from mi_keras.auditing.ranks import count_others, tell_apart


def _gallery(images: int, gallery: int, groups: int, classes: int, seed: int = 0):
    generator = np.random.default_rng(seed)
    truths = generator.standard_normal((gallery, 4))
    queries = truths[:images] + generator.standard_normal((images, 4))
    of_group = np.unique(generator.integers(groups, size=gallery), return_inverse=True)[1]
    return queries, truths, generator.integers(classes, size=gallery), of_group


def _cosines(queries: np.ndarray, truths: np.ndarray) -> np.ndarray:
    return (queries @ truths.T) / np.outer(np.linalg.norm(queries, axis=1), np.linalg.norm(truths, axis=1))


def _by_trying_all(image: int, cosines: np.ndarray, classes, groups, among: int) -> tuple[float, float]:
    """Share of all draws of others in which the truth wins, k equal ones as 1/k; and of pairs."""
    others = [j for j in range(len(classes)) if classes[j] == classes[image] and groups[j] != groups[image]]
    lead = cosines[image, others] - cosines[image, image]
    pairs = [0.0 if one > 1e-9 else 0.5 if abs(one) <= 1e-9 else 1.0 for one in lead]
    draws = []
    for drawn in itertools.combinations(lead, among - 1):
        rivals = np.array(drawn)
        draws.append(0.0 if (rivals > 1e-9).any() else 1 / (1 + (np.abs(rivals) <= 1e-9).sum()))
    return (float(np.mean(draws)) if draws else np.nan), (float(np.mean(pairs)) if pairs else np.nan)


@pytest.mark.parametrize("block", [1, 40, 1_000_000])
@pytest.mark.parametrize("among", [2, 4])
def test_shares_are_those_of_all_draws_of_others(monkeypatch, block: int, among: int) -> None:
    monkeypatch.setattr(ranks, "BLOCK", block)
    queries, truths, classes, groups = _gallery(20, 32, 12, 3)
    truths[25:28] = truths[[0, 0, 1]]  # as near as the truth
    found, auc = tell_apart(queries, truths, classes, groups, among)
    expected = [_by_trying_all(i, _cosines(queries, truths), classes, groups, among) for i in range(20)]
    np.testing.assert_allclose(np.transpose([found.each, auc.each]), expected, atol=1e-12)
    means = [np.mean([expected[i] for i in range(20) if groups[i] == g], axis=0) for g in set(groups[:20])]
    np.testing.assert_allclose([found.value, auc.value], np.mean(means, axis=0))


def test_found_is_hypergeometric() -> None:
    queries, truths, classes, groups = _gallery(30, 200, 200, 1)
    groups = np.arange(200)
    cosines = _cosines(queries, truths)
    nearer = (cosines > np.diag(cosines)[:, None]).sum(axis=1)
    found, _ = tell_apart(queries, truths, classes, groups, 10)
    np.testing.assert_allclose(found.each, hypergeom.pmf(0, 199, nearer, 9), atol=1e-12)


@pytest.mark.parametrize("among", [2, 10, 40])
def test_ties_are_shared_fairly(among: int) -> None:
    truths = np.ones((60, 3))
    found, auc = tell_apart(truths[:20], truths, np.zeros(60, int), np.arange(60), among)
    np.testing.assert_allclose(found.each, 1 / among, rtol=1e-13)
    np.testing.assert_allclose(auc.each, 0.5, rtol=1e-13)


def test_images_of_the_same_group_are_not_told_apart() -> None:
    generator = np.random.default_rng(1)
    truths = generator.standard_normal((40, 4))
    truths[20:] = truths[:20]  # each image twice
    twins = np.tile(np.arange(20), 2)
    found, auc = tell_apart(truths[:20], truths, np.zeros(40, int), twins, 10)
    assert (found.each == 1).all()
    assert (auc.each == 1).all()
    strangers, _ = tell_apart(truths[:20], truths, np.zeros(40, int), np.arange(40), 10)
    assert (strangers.each < 1).all()


def test_images_with_too_few_others_are_left_out() -> None:
    queries, truths, _, _ = _gallery(12, 12, 12, 1)
    classes = np.array([0] * 5 + [1] * 4 + [2, 2] + [3])
    groups = np.array([0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10])
    found, auc = tell_apart(queries, truths, classes, groups, 4)
    np.testing.assert_array_equal(count_others(classes, groups), [4] * 5 + [2, 2, 3, 3] + [1, 1] + [0])
    np.testing.assert_array_equal(np.isnan(found.each), [False] * 5 + [True, True, False, False] + [True] * 3)
    np.testing.assert_array_equal(np.isnan(auc.each), [False] * 11 + [True])
    assert (found.n, found.groups, auc.n, auc.groups) == (7, 7, 11, 10)


@pytest.mark.parametrize("groups", [14, 60])
def test_jackknife_leaves_each_group_out_of_images_and_of_others(groups: int) -> None:
    queries, truths, classes, of_group = _gallery(40, 90, groups, 2)
    shares = tell_apart(queries, truths, classes, of_group, 5)
    left = count_others(classes, of_group)[:40]
    for share, drawn in zip(shares, (4, 1), strict=True):
        without = []
        for group in range(of_group.max() + 1):
            kept = of_group != group
            again = tell_apart(
                queries[kept[:40]],
                truths[kept],
                classes[kept],
                np.unique(of_group[kept], return_inverse=True)[1],
                5,
            )[drawn == 1].each
            size = np.array([((of_group == group) & (classes == c)).sum() for c in classes[:40][kept[:40]]])
            midst = left[kept[:40]] - (size - 1) / 2
            # of `found` the step of first order in the others, as for one that leaves; of AUC all of it
            step = (again - share.each[kept[:40]]) * (midst - drawn) / (midst - 1)
            values, mine = share.each[kept[:40]] + step, of_group[:40][kept[:40]]
            without.append(np.mean([values[mine == g].mean() for g in np.unique(mine)]))
        attacked = np.isin(np.arange(of_group.max() + 1), of_group[:40])
        variance = sum(
            (len(sample) - 1) / len(sample) * ((sample - sample.mean()) ** 2).sum()
            for sample in (np.array(without)[attacked], np.array(without)[~attacked])
            if len(sample)
        )
        assert share.spread is not None
        assert share.spread.error == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_a_share_of_one_group_has_no_interval() -> None:
    queries, truths, classes, _ = _gallery(20, 60, 1, 1)
    of_group = np.where(np.arange(60) < 20, 0, np.arange(60) - 19)
    found, _ = tell_apart(queries, truths, classes, of_group, 10)
    assert found.groups == 1
    assert found.value == pytest.approx(found.each.mean())
    assert found.estimate() is None
