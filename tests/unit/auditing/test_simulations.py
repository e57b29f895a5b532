"""What the audit promises over many audits: coverage of its intervals, and how often it is wrong."""

import numpy as np
import pytest
from audits import UNITS, audit
from scipy.stats import beta

from mi_keras.auditing.statistics import Numbers, measure
from mi_keras.auditing.verdict import Tolerance, Verdict, judge

AT_TOLERANCE = (
    2.9757  # noise at which one of 10 is found with 0.30, from 2 million pairs and the beta distribution
)
AT_AUC = 3.5761  # noise at which AUC is 0.70

SIMULATION_ERROR = (
    0.0038  # of a coverage of 97 % by 2,000 audits: what is outside 93 to 97 % by chance is none of ours
)


def _audits(count: int, seed: int, **settings) -> list[Numbers]:
    generator = np.random.default_rng(seed)
    return [measure(*audit(generator, **settings)) for _ in range(count)]


def _leaks(audits: list[Numbers]) -> int:
    return sum(judge(numbers, Tolerance()).verdict is Verdict.LEAKS for numbers in audits)


def _farther(noise: float) -> np.ndarray:
    """Share of all images that are farther than the truth: their cosines are beta distributed (on a sphere)."""
    generator = np.random.default_rng(0)
    truth, error = generator.standard_normal((2, 400_000, UNITS))
    query = truth + noise * error
    cosine = (query * truth).sum(1) / np.linalg.norm(query, axis=1) / np.linalg.norm(truth, axis=1)
    shares: np.ndarray = beta.cdf((1 + cosine) / 2, (UNITS - 1) / 2, (UNITS - 1) / 2)
    return shares


@pytest.mark.parametrize(
    ("noise", "found", "auc"), [(AT_TOLERANCE, 0.3, None), (AT_AUC, None, 0.7), (1.0, None, None)]
)
def test_numbers_are_those_of_the_population_on_average(noise: float, found, auc) -> None:
    shares = _farther(noise)
    assert found is None or (shares**9).mean() == pytest.approx(found, abs=0.002)
    assert auc is None or shares.mean() == pytest.approx(auc, abs=0.002)
    audits = _audits(150, 1, noise=noise)
    for name, expected in (("found", (shares**9).mean()), ("auc", shares.mean())):
        values = [getattr(numbers, name).value for numbers in audits]
        assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / np.sqrt(150))


def test_what_leaks_nothing_is_seldom_called_a_leak() -> None:
    assert _leaks(_audits(200, 2, noise=np.inf, detail=0.0, scatter=0.2)) <= 1


def test_what_leaks_is_called_a_leak() -> None:
    assert _leaks(_audits(50, 2, noise=1.0, detail=0.0)) == 50
    assert _leaks(_audits(50, 2, noise=np.inf, detail=0.5)) == 50


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"attacked": 150, "sizes": (1,)},
        {"attacked": 40, "sizes": (3,), "alike": 0.5},
        {"attacked": 400, "choice": 400},
    ],
)
def test_a_thousand_audits_at_the_tolerance_give_at_most_73_leaks(settings) -> None:
    leaks = _leaks(_audits(1000, 3, noise=AT_TOLERANCE, detail=0.05, **settings))
    print(f"{settings}: {leaks} of 1,000 LEAKS at the tolerance")
    assert leaks <= 73


@pytest.mark.slow
def test_a_thousand_audits_at_the_tolerance_of_auc_give_at_most_73_leaks() -> None:
    audits = _audits(1000, 4, noise=AT_AUC, detail=0.05, classes=60)
    assert sum(numbers.found is None for numbers in audits) > 900
    leaks = _leaks(audits)
    print(f"{leaks} of 1,000 LEAKS at the tolerance of AUC")
    assert leaks <= 73


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{}, {"attacked": 150, "sizes": (1,)}, {"attacked": 40, "sizes": (3,), "alike": 0.5}]
)
def test_a_thousand_audits_that_leak_nothing_give_at_most_5_leaks(settings) -> None:
    """An attack that learned nothing shows the class mean or near it: its MSE differs from that one's by some 20 %."""
    leaks = _leaks(_audits(1000, 5, noise=np.inf, detail=0.0, scatter=0.2, **settings))
    print(f"{settings}: {leaks} of 1,000 LEAKS where nothing leaks")
    assert leaks <= 5


GROUPS = {
    "60 of 1 to 6": {},
    "120 of 1": {"attacked": 120, "choice": 120, "sizes": (1,)},
    "40 of 3, alike": {"attacked": 40, "sizes": (3,), "alike": 0.5},
    "40 of 1 or 10, alike": {"attacked": 40, "choice": 40, "sizes": (1, 1, 2, 10), "alike": 0.3},
    "60 of 3, 15 a class": {"choice": 0, "sizes": (3,), "classes": 12},
}
LEAKAGE = {
    "nothing": {"noise": np.inf, "detail": 0.0},
    "at the tolerance": {"noise": AT_TOLERANCE},
    "half": {"noise": 1.7, "detail": 0.3},
    "most": {"noise": 0.7, "detail": 0.7},
    "every tenth": {"noise": np.inf, "always": 0.1},
    "nine of ten": {"noise": np.inf, "always": 0.9},
}


@pytest.mark.slow
@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("leakage", LEAKAGE)
def test_intervals_cover(groups: str, leakage: str) -> None:
    settings = GROUPS[groups] | LEAKAGE[leakage]
    audits = _audits(2000, 6, **settings)
    failures = []
    for name in ("found", "auc", "detail"):
        estimates = [getattr(numbers, name) for numbers in audits if getattr(numbers, name)]
        ends = np.array([(one.value, one.low, one.high, one.upper) for one in estimates])
        # Images of a group stand together in or out of a draw, so that `found` is that of audits of this size
        true = settings.get("detail", 0.05) if name == "detail" else ends[:, 0].mean()
        covered = np.mean((ends[:, 1] <= true) & (true <= ends[:, 2]))
        above, below = np.mean(ends[:, 1] > true), np.mean(ends[:, 3] < true)
        print(
            f"{groups}, {leakage}: {name} {true:.3f} covered {covered:.1%}, low above {above:.1%}, upper below {below:.1%}"
        )
        if not 0.93 - 2 * SIMULATION_ERROR <= covered <= 0.97 + 2 * SIMULATION_ERROR:
            failures.append(f"{name} {true:.3f} covered {covered:.1%}")
    assert not failures
