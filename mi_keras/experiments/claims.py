"""Sentences of a text held against the rows of a table, run by run."""

from collections.abc import Mapping, Sequence

import numpy as np

from mi_keras.experiments.result import Claim, Row


def ahead(
    rows: Mapping[str, Row],
    text: str,
    name: str,
    others: Sequence[str],
    *,
    source: str,
    sign: int = 1,
    published: str = "",
) -> Claim:
    """Say whether a row's SSIM is above (`sign` 1) or below (-1) that of all others: compared with the closest of them.

    Rows of a run share its target and shadow model, so that differences are taken run by run. A mean difference
    not larger than its own standard deviation over runs leaves the claim undecided; a single run decides by its sign.
    """
    if not {name, *others} <= rows.keys():
        return Claim(text, source, None, "not measured in this run")
    rival = max(others, key=lambda other: sign * rows[other].mean("ssim"))
    difference = rows[name].run_means("ssim") - rows[rival].run_means("ssim")
    mean, other_mean = rows[name].mean("ssim"), rows[rival].mean("ssim")
    numbers = f"{_in_words(rows[name])} against {_in_words(rows[rival])}, difference {difference.mean():+.4f}"
    if len(difference) == 1:
        undecided, numbers = False, numbers + " in a single run"
    else:
        spread = float(np.std(difference, ddof=1))
        undecided, numbers = abs(difference.mean()) <= spread, numbers + f" ± {spread:.4f} within runs"
    if mean > 0 and other_mean > 0 and published:
        numbers += f" ({100 * (mean / other_mean - 1):+.1f} %; text: {published})"
    return Claim(text, source, None if undecided else bool(sign * difference.mean() > 0), numbers)


def _in_words(row: Row) -> str:
    variant = " with " + row.note.partition(": ")[2] if "[" in row.name else ""
    return f"{row.label}{variant} {row.mean('ssim'):.4f}"
