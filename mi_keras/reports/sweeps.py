"""Figures of scores against a setting, such as the number of output values left (thesis Tables 5 and 6)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mi_keras.progress import Arrays
from mi_keras.reports import series as shared
from mi_keras.reports.style import legend_height, legend_strip, new_figure, style_axes, write_message
from mi_keras.reports.text import metric_label
from mi_keras.results import StoredResult, Sweep

_COLUMNS, _PANEL_HEIGHT = 3, 3.2  # inches
_TICK_CHARACTERS = 110  # beside each other in the figure's width
_APART = 0.06  # of a tick's width, between series, so that their error bars do not cover each other


def sweep(spec: Sweep, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw a panel per metric: the mean of every series at every tick, in the order given, with its spread over runs.

    The mean of a baseline is a dashed line where it has the metric. A row that the run lacks leaves a gap.
    """
    rows, series = shared.rows_with_bars(result), spec.series
    looks = shared.series_looks(len(series))
    compared = shared.baseline_looks(rows, spec.baseline, spec.metrics)
    legend = [*(entry.label for entry in series), *(rows[name].label for name in compared)]
    lines = max(1, -(-len(spec.metrics) // _COLUMNS))
    columns, strip = max(1, -(-len(spec.metrics) // lines)), legend_height(legend)
    names = [name for entry in series for name in entry.rows]
    figure = new_figure(spec.title, shared.series_footer(result, names), _PANEL_HEIGHT * lines + strip)
    grid = figure.add_gridspec(lines + 1, columns, height_ratios=[*[_PANEL_HEIGHT] * lines, strip])
    for number, metric in enumerate(spec.metrics):
        axes = figure.add_subplot(grid[number // columns, number % columns])
        if not any(shared.score_of(rows, name, metric) for name in names):
            write_message(axes, f"This run stored no {metric_label(metric)} of these rows.", width=30)
            continue
        for place, entry in enumerate(series):
            shift = _APART * (place - (len(series) - 1) / 2)
            _draw_series(axes, rows, entry.rows, metric, shift, looks[place])
        shared.draw_baselines(axes, rows, compared, metric)
        _label_ticks(axes, spec.ticks, _TICK_CHARACTERS // columns)
        axes.set_xlim(-0.5, len(spec.ticks) - 0.5)
        style_axes(axes, "", spec.x_label, metric_label(metric))
    legend_strip(figure, grid[lines, :], legend, [*looks, *compared.values()])
    return figure


def _draw_series(
    axes: Axes, rows: shared.Rows, names: Sequence[str], metric: str, shift: float, look: shared.Look
) -> None:
    places = np.arange(len(names)) + shift
    axes.errorbar(
        places, *shared.means_and_spreads(rows, names, metric), **look, linewidth=1.6, markersize=5, capsize=3
    )


def _label_ticks(axes: Axes, ticks: Sequence[str], characters: int) -> None:
    crowded = (max(map(len, ticks), default=0) + 2) * len(ticks) > characters
    slanted: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(ticks)), ticks, **(slanted if crowded else {}))
