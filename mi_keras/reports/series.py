"""What sweeps and trade-offs share: scores of rows in series, their looks, and the baselines they are held against."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from mi_keras.reports.style import MARKERS, baseline_look, line_look
from mi_keras.reports.text import half_interval, provenance, rows_by_name, rows_named
from mi_keras.results import StoredResult
from mi_keras.results.rows import Score, StoredRow

Look = dict[str, Any]
Rows = Mapping[str, StoredRow]
_BARS = {False: "sample standard deviation", True: "half the 95 % t-interval"}


def series_footer(result: StoredResult, names: Collection[str]) -> str:
    """Return the provenance of the rows in the series, and what their bars are where they have any."""
    kinds = {
        table.interval for table in result.tables if not {row.name for row in table.rows}.isdisjoint(names)
    }
    bars = " and ".join(_BARS[kind] for kind in sorted(kinds))
    bars = f" · bars: {bars} over runs" if kinds and result.runs > 1 else ""
    return provenance(result, rows_named(result, names)) + bars


def rows_with_bars(result: StoredResult) -> Rows:
    """Return rows by name, with the spread that their table shows: half an interval, or a deviation."""
    tables = [
        replace(table, rows=[replace(row, values=_intervals(row.values)) for row in table.rows])
        if table.interval
        else table
        for table in result.tables
    ]
    return rows_by_name(replace(result, tables=tables))


def series_looks(count: int) -> list[Look]:
    """Return a colour, line style and marker for each series."""
    return [line_look(number) | {"marker": MARKERS[number % len(MARKERS)]} for number in range(count)]


def baseline_looks(rows: Rows, names: Iterable[str], metrics: Iterable[str]) -> dict[str, Look]:
    """Return a look for each of the baselines that has one of the metrics at least, by name."""
    wanted = list(metrics)
    known = [name for name in names if any(score_of(rows, name, metric) for metric in wanted)]
    return {name: baseline_look(number) for number, name in enumerate(known)}


def draw_baselines(axes: Axes, rows: Rows, looks: Mapping[str, Look], metric: str) -> None:
    """Draw the mean of each baseline that has the metric as a line across."""
    for name, look in looks.items():
        if score := score_of(rows, name, metric):
            axes.axhline(score.mean, linewidth=1.4, **look)


def score_of(rows: Rows, name: str, metric: str) -> Score | None:
    """Return a row's score; None where the run has no such row or the row no such metric."""
    return rows[name].values.get(metric) if name in rows else None


def means_and_spreads(
    rows: Rows, names: Sequence[str], metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means and spreads of rows, `(names,)` each, NaN where there is none."""
    scores = [score_of(rows, name, metric) for name in names]
    means = [score.mean if score else np.nan for score in scores]
    spreads = [np.nan if score is None or score.std is None else score.std for score in scores]
    return np.array(means, np.float64), np.array(spreads, np.float64)


def _intervals(scores: Mapping[str, Score]) -> dict[str, Score]:
    return {metric: half_interval(score) for metric, score in scores.items()}
