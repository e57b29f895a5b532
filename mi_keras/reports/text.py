"""The words and numbers that tables and figures share: one number format, one line of provenance."""

import re
from collections.abc import Mapping
from typing import Any

from mi_keras.reports.schema import Result

NOT_AVAILABLE = "n/a"
PLUS_MINUS = " ± "


def format_number(value: float | None) -> str:
    """Return `value` with four decimals, the precision of the published tables; "n/a" where there is none."""
    return NOT_AVAILABLE if value is None else f"{value:.4f}"


def format_score(score: Mapping[str, Any] | None) -> str:
    """Return "mean ± sd" of a score; the sd of a single run is "n/a", an absent score an en dash."""
    if score is None:
        return "–"  # noqa: RUF001
    return format_number(score["mean"]) + PLUS_MINUS + format_number(score.get("std"))


def section_title(result: Result) -> str:
    """Return the heading of a result, such as "thesis 5.2: Input combinations"."""
    return f"{result['work']} {result['section']}: {result['title']}"


def provenance(result: Result) -> str:
    """Return what every table and figure states: preset and what was changed of it, data, runs, seed and number of images."""
    changed = f", changed: {', '.join(result['changed'])}" if result.get("changed") else ""
    parts = [
        f"preset {result['preset']}{changed}",
        result["data"],
        f"{_count(result['runs'], 'run')}",
        f"seed {result['seed']}",
    ]
    images = sorted({row["images"] for row in result["rows"]})
    if images:
        parts.append(f"n = {' to '.join(str(n) for n in dict.fromkeys((images[0], images[-1])))} images")
    return " · ".join(parts)


def rows_by_name(result: Result) -> dict[str, Mapping[str, Any]]:
    """Return the rows of a result under their stable names, in table order."""
    return {row["name"]: row for row in result["rows"]}


def distinct_labels(result: Result) -> dict[str, str]:
    """Return the label of every row by name; rows that share one, as with two objectives, add their note or name."""
    labels = [row["label"] for row in result["rows"]]
    return {
        row["name"]: row["label"]
        if labels.count(row["label"]) == 1
        else f"{row['label']}, {row['note'] or row['name']}"
        for row in result["rows"]
    }


def class_name(result: Result, number: int) -> str:
    """Return the name of a class, its number where the result gives no names."""
    names = result.get("class_names") or []
    return str(names[number]) if number < len(names) else str(number)


def escape_markdown(text: str) -> str:
    """Return `text` on one line that Markdown shows as it is: "|" would end a cell, a pair of "~" strike through."""
    return re.sub(r"([\\|~*<`\[\]])", r"\\\1", " ".join(text.split()))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
