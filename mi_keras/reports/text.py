"""The words and numbers that tables, pages and figures share: one number format, one line of provenance."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from scipy.special import stdtrit

from mi_keras.results import METRICS, Claim, StoredResult
from mi_keras.results.rows import Published, Score, StoredRow

NOT_AVAILABLE = "n/a"
MISSING = "–"  # noqa: RUF001
PLUS_MINUS = " ± "
_ROUNDING = 1e-12  # of a mean: a spread below it is that of sums of equal numbers
_DIGITS = 4  # decimals of what `METRICS` does not know


def format_number(value: float | None, metric: str = "") -> str:
    """Return `value` with the decimals of its metric, four unless `METRICS` says otherwise; "n/a" where there is none.

    With four, below 0.001 and from 10,000 on, it is in scientific notation, as weights and tiny losses need. With
    fewer it never is, and has a comma between thousands.
    """
    if value is None:
        return NOT_AVAILABLE
    digits = _digits(metric)
    if digits < _DIGITS:
        return f"{value:,.{digits}f}"
    return f"{value:.3e}" if _extreme(value) else f"{value:.4f}"


def format_fixed(value: float, metric: str = "") -> str:
    """Return `value` with the decimals of its metric, four unless `METRICS` says otherwise, however small or large it is."""
    digits = _digits(metric)
    return f"{round(value, digits) + 0.0:,.{digits}f}"  # the sum turns -0.0 into 0.0


def format_score(score: Score | Published | None, metric: str = "", *, single: bool = False) -> str:
    """Return "mean ± sd" of a score: the mean alone where it is one measurement (`single`), a dash for none.

    The spread of a mean in decimals is in decimals too, as in the published tables, unless it would read as zero.
    A whole number is a count, which no run changes as a rule: it stands alone unless there is a spread.
    """
    if score is None:
        return MISSING
    mean, spread, digits = score.mean, score.std, _digits(metric)
    if spread is not None and spread < _ROUNDING * abs(mean):
        spread = 0.0
    if (single and spread is None) or (digits == 0 and not spread):
        return format_number(mean, metric)
    if digits < _DIGITS:
        vanishes = spread is not None and 0 < spread < 0.5 * 10**-digits
        shown = f"{spread:.1g}" if vanishes else format_number(spread, metric)
        return format_number(mean, metric) + PLUS_MINUS + shown
    decimals = spread is not None and not _extreme(mean) and (spread == 0 or 5e-5 <= spread < 1e4)
    return format_number(mean) + PLUS_MINUS + (f"{spread:.4f}" if decimals else format_number(spread))


def half_interval(score: Score) -> Score:
    """Return a score with half the 95 % t-interval of its mean over runs in the place of their deviation."""
    if score.std is None:
        return score
    return replace(score, std=float(stdtrit(score.n - 1, 0.975)) * score.std / score.n**0.5)


def metric_label(name: str) -> str:
    """Return the heading of a metric or setting; its name in words where `METRICS` has none."""
    return METRICS[name].label if name in METRICS else name.replace("_", " ")


def section_title(result: StoredResult) -> str:
    """Return the heading of a result, such as "thesis 5.2: Input combinations" or "split 6: Decoders"."""
    return f"{result.work} {result.section}: {result.title}"


def provenance(result: StoredResult, rows: Sequence[StoredRow] | None = None) -> str:
    """Return what every table and figure states: preset and what was changed of it, data, runs, seed and images.

    The images are those scored for `rows`, for all rows of the result where none are given.
    """
    parts = [preset(result), result.data, _count(result.runs, "run"), f"seed {result.seed}"]
    if scored := images_scored(result.rows() if rows is None else rows):
        parts.append(scored)
    return " · ".join(parts)


def preset(result: StoredResult) -> str:
    """Return the preset, and what was changed of it."""
    changed = f", changed: {', '.join(result.changed)}" if result.changed else ""
    return f"preset {result.preset}{changed}"


def images_scored(rows: Sequence[StoredRow]) -> str:
    """Return "n = 1334 images" for rows whose scores are means over images, "" where none are."""
    counts = sorted({row.images for row in rows if row.images is not None})
    if not counts:
        return ""
    noun = "image" if counts == [1] else "images"
    return f"n = {' to '.join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))} {noun}"


def rows_by_name(result: StoredResult) -> dict[str, StoredRow]:
    """Return the rows of all tables under their stable names, each value from the first table that has it."""
    merged: dict[str, StoredRow] = {}
    for row in result.rows():
        first = merged.get(row.name, row)
        merged[row.name] = replace(first, values={**row.values, **first.values})
    return merged


def rows_named(result: StoredResult, names: Iterable[str]) -> list[StoredRow]:
    """Return the rows of these names, as far as the result has them."""
    rows = rows_by_name(result)
    return [rows[name] for name in names if name in rows]


def distinct_labels(result: StoredResult) -> dict[str, str]:
    """Return the label of every row by name; rows that share one, as with two objectives, add their note or name."""
    rows = rows_by_name(result)
    labels = [row.label for row in rows.values()]
    noted = [(row.label, row.note) for row in rows.values()]
    return {
        name: row.label
        if labels.count(row.label) == 1
        else f"{row.label}, {row.note}"
        if row.note and noted.count((row.label, row.note)) == 1
        else f"{row.label}, {name}"
        for name, row in rows.items()
    }


def class_name(result: StoredResult, number: int) -> str:
    """Return the name of a class, its number where the result gives no names."""
    return result.class_names[number] if number < len(result.class_names) else str(number)


def claim_sentence(claim: Claim) -> str:
    """Return a claim with its source and the numbers it was held against."""
    numbers = f" {claim.numbers}" if claim.numbers else ""
    return f"{claim.text.rstrip('.')} ({claim.source}).{numbers}"


def escape_markdown(text: str) -> str:
    """Return `text` on one line that Markdown shows as it is: "|" would end a cell, a pair of "~" strike through."""
    return re.sub(r"([\\|~*<&`\[\]])", r"\\\1", " ".join(text.split()))


def _digits(metric: str) -> int:
    return METRICS[metric].digits if metric in METRICS else _DIGITS


def _extreme(value: float) -> bool:
    return value != 0 and not 1e-3 <= abs(value) < 1e4


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
