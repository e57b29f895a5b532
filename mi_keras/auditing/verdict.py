"""The verdict on a point, against a tolerance that the user sets, and the exit code of `--fail-above`."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from mi_keras.auditing.intervals import Estimate
from mi_keras.auditing.statistics import LEAST, Numbers
from mi_keras.errors import InputError
from mi_keras.settings import FOUND_TOLERATED

NOT_TRIED = "not tried: "  # how a verdict's reason begins where only that stands against it
TOLERATED = ("found", "detail")
PASSED, LEAKED, UNDECIDED = 0, 3, 4  # exit codes; 1 and 2 are those of every command


class Verdict(StrEnum):
    """What is said of a point. No value says that it is safe."""

    LEAKS = "LEAKS"
    BELOW = "BELOW TOLERANCE"
    INCONCLUSIVE = "INCONCLUSIVE"
    VOID = "VOID"


@dataclass(frozen=True)
class Tolerance:
    """By how much a score may be above its baseline.

    Attributes:
        found: share of images that are picked, above chance, in [0, 1); it limits AUC too.
        detail: R2 within the class, in [0, 1).

    Raises:
        InputError: a number is outside its range.
    """

    found: float = FOUND_TOLERATED
    detail: float = 0.05

    def __post_init__(self) -> None:
        for name in TOLERATED:
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"`tolerance` must have `{name}` >= 0 and < 1; got {getattr(self, name)!r}.")

    @classmethod
    def parse(cls, text: str, *, argument: str = "tolerance") -> "Tolerance":
        """Return the tolerance of a text like "found=0.20,detail=0.05"; what it does not name is at its default.

        Raises:
            InputError: the text is of another form, or a number outside [0, 1).
        """
        return cls(**parse_limits(text, argument=argument))


class Judgement(NamedTuple):
    """A verdict with its reason.

    Attributes:
        verdict: the verdict.
        reason: in one sentence.
        could_be: the one-sided 95 % upper bound of each number that there is.
    """

    verdict: Verdict
    reason: str
    could_be: Mapping[str, float]


def parse_limits(text: str, *, argument: str = "fail_above", among: int = 0) -> dict[str, float]:
    """Return the numbers that a text like "found=0.2" names, each in [0, 1).

    Args:
        among: images to tell apart: a limit of "found" that chance alone brings to 1 could never be passed. 0: any.

    Raises:
        InputError: the text is of another form, names a number twice, or has one outside its range.
    """
    limits: dict[str, float] = {}
    for assignment in text.split(","):
        name, _, number = (part.strip() for part in assignment.partition("="))
        plain = re.fullmatch(r"\d+(\.\d*)?|\.\d+", number)
        if name not in TOLERATED or name in limits or not plain or float(number) >= 1:
            raise InputError(
                f"`{argument}` must be found=NUMBER, detail=NUMBER or both with a comma, each >= 0 and < 1; got {text!r}."
            )
        limits[name] = float(number)
    if among and limits.get("found", 0.0) >= 1 - 1 / among:
        raise InputError(
            f"`{argument}` must have found < {1 - 1 / among:g}, as chance is {1 / among:g}; got {text!r}."
        )
    return limits


def judge(
    numbers: Numbers,
    tolerance: Tolerance,
    *,
    among: int = 10,
    failed_controls: Sequence[str] = (),
    untried: str = "",
) -> Judgement:
    """Return the verdict on the numbers of a point.

    LEAKS: the lower end of a two-sided 95 % interval is above baseline + tolerance, in either number. BELOW
    TOLERANCE: both one-sided 95 % upper bounds are below. Without enough images to be found among others, AUC
    stands in, against 1/2 + the same tolerance; without enough for that too, nothing is said.

    Args:
        numbers: of the envelope of all attacks.
        tolerance: the user's.
        among: images to tell apart, as `numbers` was measured.
        failed_controls: controls that failed: each voids the verdict.
        untried: an attack that would have to be tried before the point can be BELOW TOLERANCE.

    Raises:
        ValueError: `numbers` were measured with another `among`.
    """
    if among != numbers.among:
        raise ValueError(f"`among` must be {numbers.among}, as measured; got {among!r}.")
    could_be = {
        name: estimate.upper
        for name, estimate in (("found", numbers.found), ("auc", numbers.auc), ("detail", numbers.detail))
        if estimate is not None
    }
    if failed_controls:
        return Judgement(Verdict.VOID, f"control failed: {', '.join(failed_controls)}", could_be)
    held = _held(numbers, tolerance)
    if held is None:
        return Judgement(Verdict.INCONCLUSIVE, numbers.missing.get("auc", _too_few(numbers)), could_be)
    above = [
        f"{word} {_percent(number.low)} or more, above {_percent(limit)}"
        for word, number, limit in held
        if number and number.low > limit
    ]
    if above:
        return Judgement(Verdict.LEAKS, "; ".join(above), could_be)
    # An AUC is never above 1: a limit there would let everything pass
    open_ends = [
        _up_to(word, number, limit)
        for word, number, limit in held
        if not (number and number.upper < limit < 1)
    ]
    if open_ends:
        return Judgement(Verdict.INCONCLUSIVE, "; ".join(open_ends), could_be)
    if untried:
        return Judgement(Verdict.INCONCLUSIVE, f"{NOT_TRIED}{untried}", could_be)
    below = [
        f"{word} at most {_percent(number.upper)}, below {_percent(limit)}"
        for word, number, limit in held
        if number
    ]
    return Judgement(Verdict.BELOW, "; ".join(below), could_be)


class Judged(Protocol):
    """A point with its verdict, such as `report.PointReport`."""

    @property
    def found(self) -> Estimate | None: ...
    @property
    def detail(self) -> Estimate | None: ...
    @property
    def verdict(self) -> str: ...


def fails(points: Iterable[Judged], limits: Mapping[str, float], *, among: int = 10) -> int:
    """Return the exit code for limits of the gain over the baseline; only the numbers that they name count.

    The upper bound is held against the limit, and a number of too few images is none: with fewer images an audit can
    newly fail and never newly pass.

    Args:
        points: those that count.
        limits: as `parse_limits` returns them.
        among: images to tell apart, as the points were measured.

    Returns:
        3 if an upper bound of a named number is above its limit; else 4 if a verdict is void, a named number has too
        few images or there is no point; else 0. Without a limit 0.
    """
    if not limits:
        return PASSED
    above, undecided, any_point = False, False, False
    for point in points:
        any_point = True
        undecided |= point.verdict == Verdict.VOID
        for name in limits:
            number: Estimate | None = getattr(point, name)
            if number is None:
                undecided = True
                continue
            undecided |= number.n < LEAST
        above |= bool(exceeded(point, limits, among=among))
    return LEAKED if above else UNDECIDED if undecided or not any_point else PASSED


def exceeded(point: Judged, limits: Mapping[str, float], *, among: int = 10) -> list[str]:
    """Return the numbers of a point whose upper bound is above its limit, in words; arguments as those of `fails`."""
    told = []
    for name, limit in limits.items():
        number: Estimate | None = getattr(point, name)
        baseline = 1 / among if name == "found" else 0.0
        if number is not None and number.upper - baseline > limit:
            told.append(f"{name} may be {_percent(number.upper)}, limit {_percent(baseline + limit)}")
    return told


def _held(numbers: Numbers, tolerance: Tolerance) -> list[tuple[str, Estimate | None, float]] | None:
    """Return what is held against what, in words, or None where there are too few images to pick from."""
    detail = ("detail", numbers.detail, tolerance.detail)
    if numbers.found is not None:
        word = f"found among {numbers.among}"
        return [(word, numbers.found, 1 / numbers.among + tolerance.found), detail]
    if numbers.auc is not None and numbers.auc.n >= LEAST:
        return [("AUC", numbers.auc, 0.5 + tolerance.found), detail]
    return None


def _too_few(numbers: Numbers) -> str:
    images = numbers.auc.n if numbers.auc else 0
    return f"too few: {images} images with others in their class, fewer than {LEAST}"


def _up_to(word: str, number: Estimate | None, limit: float) -> str:
    if number is None:
        return f"{word} not measured"
    if limit >= 1:
        return f"{word} is never above the tolerance, {_percent(limit)}"
    return f"{word} could be up to {_percent(number.upper)}, tolerance {_percent(limit)}"


def _percent(number: float) -> str:
    return f"{100 * number:.1f} %"
