"""The permutation test against all permutations, and its level where nothing leaks."""

import numpy as np
import pytest
from audits import audit
from scipy import stats

from mi_keras.auditing import permutation
from mi_keras.auditing.permutation import permutation_p
from mi_keras.auditing.statistics import Gallery, Scored


def _scored(queries: np.ndarray) -> Scored:
    return Scored(queries, *np.ones((4, len(queries))))


def _mean_auc(queries: np.ndarray, truths: np.ndarray, groups: np.ndarray, at: np.ndarray) -> float:
    cosines = queries @ truths.T / np.linalg.norm(truths, axis=1)
    shares = []
    for query, place in enumerate(at):
        others = groups != groups[place]
        shares.append(np.mean(cosines[query, others] < cosines[query, place]))
    return float(np.mean(shares))


@pytest.mark.parametrize("block", [1, 2_000_000])
def test_p_is_that_of_all_permutations(monkeypatch, block: int) -> None:
    monkeypatch.setattr(permutation, "BLOCK", block)
    generator = np.random.default_rng(4)
    truths = generator.standard_normal((10, 4))
    queries = truths[:6] + 2.5 * generator.standard_normal((6, 4))
    groups = np.arange(10)
    oracle = stats.permutation_test(
        (np.arange(6),),
        lambda at: _mean_auc(queries, truths, groups, at),
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
        vectorized=False,
    )
    p = permutation_p(_scored(queries), Gallery(truths, np.zeros(10, int), groups), seed=1, permutations=4000)
    assert 0.01 < oracle.pvalue < 0.6
    assert p == pytest.approx(oracle.pvalue, abs=0.03)


def test_whole_groups_change_places() -> None:
    """Truths of one group are not told from each other, wherever they come to stand."""
    generator = np.random.default_rng(6)
    truths = generator.standard_normal((12, 4))
    queries = truths[:10] + 2.0 * generator.standard_normal((10, 4))
    groups = np.repeat(np.arange(6), 2)
    gallery, pairs = Gallery(truths, np.zeros(12, int), groups), np.arange(10).reshape(5, 2)
    table = permutation._auc_of_exchange(queries, gallery, np.arange(12), pairs)
    expected = [[_mean_auc(queries[one], truths, groups, other) for other in pairs] for one in pairs]
    np.testing.assert_allclose(table, expected, atol=1e-6)
    oracle = stats.permutation_test(
        (np.arange(5),),
        lambda at: _mean_auc(queries, truths, groups, pairs[at].ravel()),
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
        vectorized=False,
    )
    p = permutation_p(_scored(queries), gallery, seed=1, permutations=4000)
    assert p == pytest.approx(oracle.pvalue, abs=0.03)


def test_what_cannot_be_exchanged_says_nothing() -> None:
    truths = np.random.default_rng(0).standard_normal((6, 4))
    alone = Gallery(truths, np.arange(6), np.arange(6))
    assert permutation_p(_scored(truths), alone, seed=1, permutations=99) == 1


def test_a_leak_has_the_smallest_p_and_parts_do_not_change_that(monkeypatch) -> None:
    scored, gallery = audit(np.random.default_rng(1), noise=1.0)
    assert permutation_p(scored, gallery, seed=1) == 1e-4
    monkeypatch.setattr(permutation, "MOST_EXCHANGED", 5)
    assert permutation_p(scored, gallery, seed=1) == 1e-4


def test_groups_of_unlike_sizes_are_exchanged_at_the_next_smaller_size() -> None:
    blocks = [np.arange(5), np.arange(5, 8), np.arange(8, 10), np.arange(10, 12), np.arange(12, 13)]
    stacks = permutation._of_one_size(blocks)
    assert [stack.tolist() for stack in stacks] == [[[0, 1, 2], [5, 6, 7]], [[8, 9], [10, 11]]]


def test_p_is_uniform_where_nothing_leaks() -> None:
    """Also where images of a group are alike, and reconstructions of a group too."""
    values = [
        permutation_p(
            *audit(np.random.default_rng(i), noise=np.inf, alike=0.7, sizes=(1, 2, 3)),
            seed=i,
            permutations=199,
        )
        for i in range(150)
    ]
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_there_is_at_least_one_permutation() -> None:
    with pytest.raises(ValueError, match="`permutations` must be >= 1; got 0"):
        permutation_p(*audit(np.random.default_rng(1)), seed=1, permutations=0)
