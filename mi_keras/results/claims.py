"""Checks claims of a published work against the rows of a table, run by run."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mi_keras.results import METRICS, Claim, Row

K = TypeVar("K", bound=Hashable)  # how a section names its rows


def _joined(names: Sequence[Hashable]) -> str:
    return ", ".join(map(str, names))


def ahead(
    rows: Mapping[K, Row],
    text: str,
    name: K,
    others: Sequence[K],
    *,
    source: str,
    metric: str = "ssim",
    sign: int = 1,
    published: str = "",
    describe: Callable[[Sequence[K]], str] = _joined,
) -> Claim:
    """Say whether a row is above (`sign` 1) or below (-1) all others in a metric.

    Rows of a run share its target and shadow model, so differences are taken run by run. A difference decides nothing
    where its mean is negligible in the metric, or not larger than its own standard deviation over runs; with two or three
    runs this is a weak test. The claim holds where the row is ahead of every other, fails where any other is ahead of it,
    and is undecided otherwise. With two others its numbers are those of both, else those of the one that decides.
    `describe` puts rows that were not measured into words, and may say how to measure them.
    """
    if missing := _missing(rows, [name, *others], metric):
        return Claim(text, source, None, _not_measured(describe(missing)))
    # The closest first: of means it is the one that stands in the way
    rivals = sorted(others, key=lambda other: -sign * rows[other].mean(metric))
    differences = {rival: rows[name].values[metric] - rows[rival].values[metric] for rival in rivals}
    verdicts = {rival: _is_ahead(sign * difference, metric) for rival, difference in differences.items()}
    found = set(verdicts.values())
    holds = False if False in found else None if None in found else True
    deciding = [rival for rival in rivals if verdicts[rival] is holds]
    told = rivals if len(rivals) == 2 else deciding[:1]
    compared = []
    for rival in told:
        numbers = _compared(rows, name, rival, metric, differences[rival])
        mean, other_mean = rows[name].mean(metric), rows[rival].mean(metric)
        if mean > 0 and other_mean > 0 and published and rival == told[0]:
            numbers += f" ({100 * (mean / other_mean - 1):+.1f} %; text: {published})"
        compared.append(numbers)
    return Claim(text, source, holds, "; ".join(compared))


def _is_ahead(lead: NDArray[np.float64], metric: str) -> bool | None:
    """Say whether a lead, `(runs,)`, is above 0: None where it is negligible or not larger than its spread."""
    spread = np.std(lead, ddof=1) if len(lead) > 1 else 0.0
    if abs(lead.mean()) <= max(spread, METRICS[metric].negligible):
        return None
    return bool(lead.mean() > 0)


def unchanged(
    rows: Mapping[K, Row],
    text: str,
    name: K,
    other: K,
    *,
    source: str,
    metric: str = "ssim",
) -> Claim:
    """Say whether two rows are equal but for what is negligible, run by run: undecided where the spread reaches across it."""
    if missing := _missing(rows, [name, other], metric):
        return Claim(text, source, None, _not_measured(_joined(missing)))
    difference = rows[name].values[metric] - rows[other].values[metric]
    spread = float(np.std(difference, ddof=1)) if len(difference) > 1 else 0.0
    margin = METRICS[metric].negligible
    low, high = difference.mean() - spread, difference.mean() + spread
    inside, outside = -margin <= low and high <= margin, low > margin or high < -margin
    numbers = f"{_compared(rows, name, other, metric, difference)}; equal means within {margin}"
    return Claim(text, source, True if inside else False if outside else None, numbers)


def within(
    rows: Mapping[K, Row], text: str, name: K, published: float, margin: float, *, source: str, metric: str
) -> Claim:
    """Say whether a row's mean is a published value, give or take `margin`."""
    if missing := _missing(rows, [name], metric):
        return Claim(text, source, None, _not_measured(_joined(missing)))
    difference = rows[name].mean(metric) - published
    numbers = f"{_in_words(rows, name, metric)} against {published:g} published, difference {difference:+.4f}"
    return Claim(text, source, bool(abs(difference) <= margin), numbers)


def nearer(
    rows: Mapping[K, Row], text: str, name: K, other: K, published: float, *, source: str, metric: str
) -> Claim:
    """Say whether a row's mean is nearer to a published value than another's: undecided where both are about as near."""
    if missing := _missing(rows, [name, other], metric):
        return Claim(text, source, None, _not_measured(_joined(missing)))
    gain = abs(rows[other].mean(metric) - published) - abs(rows[name].mean(metric) - published)
    own, before = _in_words(rows, name, metric), _in_words(rows, other, metric)
    numbers = f"{own} against {before}, {published:g} published: {gain:+.4f} nearer"
    return Claim(text, source, None if abs(gain) <= METRICS[metric].negligible else gain > 0, numbers)


def _missing(rows: Mapping[K, Row], names: Sequence[K], metric: str) -> list[K]:
    """Return those of the rows that have no score to compare."""
    return [name for name in names if name not in rows or metric not in rows[name].values]


def _not_measured(described: str) -> str:
    return f"not measured in this run: {described}"


def _compared(rows: Mapping[K, Row], name: K, rival: K, metric: str, difference: NDArray[np.float64]) -> str:
    own, other = _in_words(rows, name, metric), _in_words(rows, rival, metric)
    numbers = f"{own} against {other}, difference {difference.mean():+.4f}"
    if len(difference) == 1:
        return numbers + " in a single run"
    return numbers + f" ± {np.std(difference, ddof=1):.4f} within runs"


def _in_words(rows: Mapping[K, Row], name: K, metric: str) -> str:
    """Name a row and its mean; where others have the same label, its note tells them apart."""
    row = rows[name]
    alike = sum(other.label == row.label for other in rows.values()) > 1
    readings = ", ".join(part.partition(": ")[2] for part in row.note.split("; "))
    variant = f" with {readings}" if alike and row.note else ""
    unit = "" if metric == "ssim" else f"{METRICS[metric].label} "
    return f"{row.label}{variant}: {unit}{row.mean(metric):.4f}"
