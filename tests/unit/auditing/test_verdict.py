"""Every rule of the verdict and of the exit code at its border, with estimates made by hand."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from mi_keras.auditing.intervals import Estimate
from mi_keras.auditing.statistics import Numbers, PerImage
from mi_keras.auditing.verdict import Tolerance, Verdict, exceeded, fails, judge, parse_limits
from mi_keras.errors import InputError


class Point(NamedTuple):
    found: Estimate | None
    detail: Estimate | None
    verdict: str


def _estimate(low: float, upper: float, n: int = 400) -> Estimate:
    return Estimate((low + upper) / 2, low, upper + 0.01, upper, n, 50, low)


def _numbers(
    found=(0.1, 0.15), auc=(0.48, 0.53), detail=(-0.01, 0.02), n: int = 400, among: int = 10
) -> Numbers:
    each = PerImage(*np.zeros((4, n)), np.zeros(n, np.int64), np.arange(n))
    estimates = (_estimate(*pair, n) if pair else None for pair in (found, auc, detail))
    return Numbers(*estimates, None, each, among, 0, {})


DEFAULT = Tolerance()


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        (_numbers(), Verdict.BELOW),
        (_numbers(found=(0.301, 0.4)), Verdict.LEAKS),
        (_numbers(found=(0.299, 0.4)), Verdict.INCONCLUSIVE),
        (_numbers(found=(0.2, 0.301)), Verdict.INCONCLUSIVE),
        (_numbers(found=(0.2, 0.299)), Verdict.BELOW),
        (_numbers(detail=(0.051, 0.1)), Verdict.LEAKS),
        (_numbers(detail=(0.049, 0.1)), Verdict.INCONCLUSIVE),
        (_numbers(detail=(0.0, 0.051)), Verdict.INCONCLUSIVE),
        (_numbers(detail=(0.0, 0.049)), Verdict.BELOW),
        (_numbers(found=(0.4, 0.5), detail=(0.0, 0.3)), Verdict.LEAKS),
        (_numbers(found=(0.4, 0.5), detail=None), Verdict.LEAKS),
        (_numbers(detail=None), Verdict.INCONCLUSIVE),
        (_numbers(auc=(0.9, 0.99)), Verdict.BELOW),  # AUC does not decide where `found` can
        (_numbers(found=(0.251, 0.3), among=20), Verdict.LEAKS),
        (_numbers(found=(0.251, 0.3), among=5), Verdict.BELOW),
    ],
)
def test_verdict(numbers: Numbers, verdict: Verdict) -> None:
    assert judge(numbers, DEFAULT, among=numbers.among).verdict is verdict


@pytest.mark.parametrize(
    ("auc", "n", "verdict"),
    [
        ((0.701, 0.8), 100, Verdict.LEAKS),
        ((0.699, 0.8), 100, Verdict.INCONCLUSIVE),
        ((0.6, 0.699), 100, Verdict.BELOW),
        ((0.9, 0.95), 99, Verdict.INCONCLUSIVE),
        ((0.5, 0.55), 99, Verdict.INCONCLUSIVE),
        (None, 400, Verdict.INCONCLUSIVE),
    ],
)
def test_auc_decides_where_too_few_are_found_among_others(auc, n: int, verdict: Verdict) -> None:
    assert judge(_numbers(found=None, auc=auc, n=n), DEFAULT).verdict is verdict


def test_too_few_images_say_nothing_whatever_the_detail() -> None:
    numbers = _numbers(found=None, auc=(0.9, 0.95), detail=(0.5, 0.6), n=99)
    verdict, reason, could_be = judge(numbers, DEFAULT)
    assert verdict is Verdict.INCONCLUSIVE
    assert reason == "too few: 99 images with others in their class, fewer than 100"
    assert could_be == {"auc": 0.95, "detail": 0.6}


def test_reasons_name_number_bound_and_tolerance() -> None:
    assert (
        judge(_numbers(found=(0.94, 0.98)), DEFAULT).reason == "found among 10 94.0 % or more, above 30.0 %"
    )
    below = judge(_numbers(), DEFAULT)
    assert below.reason == "found among 10 at most 15.0 %, below 30.0 %; detail at most 2.0 %, below 5.0 %"
    open_end = judge(_numbers(found=(0.2, 0.42)), DEFAULT)
    assert open_end.reason == "found among 10 could be up to 42.0 %, tolerance 30.0 %"
    assert open_end.could_be == {"found": 0.42, "auc": 0.53, "detail": 0.02}


def test_a_failed_control_voids_whatever_the_numbers() -> None:
    judgement = judge(_numbers(found=(0.9, 0.99)), DEFAULT, failed_controls=["shuffled"])
    assert judgement.verdict is Verdict.VOID
    assert judgement.reason == "control failed: shuffled"


def test_what_was_not_tried_stops_below_and_not_leaks() -> None:
    judgement = judge(_numbers(), DEFAULT, untried="white_box")
    assert judgement[:2] == (Verdict.INCONCLUSIVE, "not tried: white_box")
    assert judge(_numbers(found=(0.4, 0.5)), DEFAULT, untried="white_box").verdict is Verdict.LEAKS


def test_a_tolerance_that_nothing_exceeds_lets_nothing_pass() -> None:
    generous = Tolerance(found=0.5)
    assert judge(_numbers(found=None, auc=(0.9, 0.99)), generous).verdict is Verdict.INCONCLUSIVE
    assert judge(_numbers(found=(0.5, 0.59)), generous).verdict is Verdict.BELOW


def test_numbers_are_judged_as_they_were_measured() -> None:
    with pytest.raises(ValueError, match="`among` must be 20, as measured; got 10"):
        judge(_numbers(among=20), DEFAULT)


def test_tolerance_is_read_from_text() -> None:
    assert Tolerance.parse("found=0.1, detail=0.02") == Tolerance(0.1, 0.02)
    assert Tolerance.parse("detail=.5") == Tolerance(0.2, 0.5)
    assert parse_limits("found=0.2") == {"found": 0.2}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "found",
        "found=",
        "found=a",
        "ssim=0.1",
        "found=1",
        "found=-0.1",
        "found=nan",
        "found=0.1,found=0.2",
    ],
)
def test_other_texts_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(InputError) as refused:
        Tolerance.parse(text)
    assert str(refused.value) == (
        f"`tolerance` must be found=NUMBER, detail=NUMBER or both with a comma, each >= 0 and < 1; got {text!r}."
    )
    with pytest.raises(InputError, match="`fail_above` must be"):
        parse_limits(text)


@pytest.mark.parametrize(("found", "detail"), [(-0.1, 0.1), (0.1, 1.0), (float("nan"), 0.1)])
def test_a_tolerance_outside_its_range_is_refused(found: float, detail: float) -> None:
    with pytest.raises(InputError, match=r"`tolerance` must have `.*` >= 0 and < 1; got"):
        Tolerance(found, detail)


FEW = _numbers(found=None)


@pytest.mark.parametrize(
    ("points", "limits", "code"),
    [
        ([_numbers(found=(0.1, 0.301))], {"found": 0.2}, 3),
        ([_numbers(found=(0.1, 0.299))], {"found": 0.2}, 0),
        ([_numbers(found=(0.1, 0.251), among=20)], {"found": 0.2}, 3),
        ([_numbers(detail=(0.1, 0.9))], {"found": 0.2}, 0),  # not named
        ([_numbers(detail=(0.0, 0.051))], {"detail": 0.05}, 3),
        ([FEW], {"found": 0.2}, 4),
        ([FEW], {"detail": 0.05}, 0),
        ([replace(FEW, detail=_estimate(0.0, 0.06))], {"found": 0.2, "detail": 0.05}, 3),  # 3 before 4
        ([_numbers(), FEW], {"found": 0.2}, 4),
        ([FEW, _numbers(found=(0.2, 0.4))], {"found": 0.2}, 3),
        ([_numbers(n=99)], {"detail": 0.05}, 4),
        ([_numbers(detail=None)], {"detail": 0.05}, 4),
        ([], {"found": 0.2}, 4),
        ([FEW, _numbers(found=(0.9, 0.99))], {}, 0),
    ],
)
def test_exit_code(points: list[Numbers], limits: dict[str, float], code: int) -> None:
    among = points[0].among if points else 10
    shown = [Point(numbers.found, numbers.detail, Verdict.BELOW) for numbers in points]
    assert fails(shown, limits, among=among) == code


def test_a_void_point_is_undecided_unless_a_number_is_above() -> None:
    numbers = _numbers()
    assert fails([Point(numbers.found, numbers.detail, Verdict.VOID)], {"found": 0.2}) == 4
    high = _numbers(found=(0.2, 0.4))
    assert fails([Point(high.found, high.detail, Verdict.VOID)], {"found": 0.2}) == 3


def test_what_is_above_a_limit_is_named_with_both_numbers() -> None:
    point = Point(_estimate(0.2, 0.4), _estimate(0.0, 0.04), Verdict.LEAKS)
    assert exceeded(point, {"found": 0.2, "detail": 0.05}) == ["found may be 40.0 %, limit 30.0 %"]
    assert exceeded(point, {"detail": 0.03}, among=20) == ["detail may be 4.0 %, limit 3.0 %"]
    assert not exceeded(Point(None, None, Verdict.VOID), {"found": 0.2, "detail": 0.05})
