"""Figures of what a defence costs against what it is worth: one score against another, a line per defence."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from mi_keras.progress import Arrays
from mi_keras.reports import series as shared
from mi_keras.reports.point_labels import NamedPoint, name_points
from mi_keras.reports.style import (
    GRAY,
    SMALL_SIZE,
    legend_height,
    legend_strip,
    new_figure,
    style_axes,
    write_message,
)
from mi_keras.reports.text import metric_label
from mi_keras.results import Panel, StoredResult, TradeOff, TradeOffSeries

MAX_NAMED = 16  # points whose names have room in each of several panels
_COLUMNS, _PANEL_HEIGHT, _SINGLE_HEIGHT = 2, 3.6, 4.6  # inches
# the yellow of Okabe and Ito, which no line has; its edge shows it on white
_STAR: shared.Look = {
    "marker": "*", "color": "#F0E442", "markeredgecolor": "#333333", "markersize": 15, "linestyle": "none",
}  # fmt: skip
_ARROWS = {"lower left": "↙", "lower right": "↘", "upper left": "↖", "upper right": "↗"}  # fmt: skip


def trade_off(spec: TradeOff, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw a panel per pair of metrics: the rows of a series joined in their order, each point with its text.

    Baselines are dashed lines at their score, the row `reference` is a star. A row that the run lacks leaves a gap.
    Many points have their texts in the first panel only, which is wider then.
    """
    rows, series, panels = shared.rows_with_bars(result), spec.series, spec.panels
    looks = shared.series_looks(len(series))
    legend = {entry.label: look for entry, look in zip(series, looks, strict=True)}
    if any(_has(rows, spec.reference, panel) for panel in panels):
        legend[rows[spec.reference].label] = _STAR
    compared = shared.baseline_looks(rows, spec.baseline, [panel.y for panel in panels])
    legend |= {rows[name].label: look for name, look in compared.items()}

    strip, height = legend_height(list(legend)), _PANEL_HEIGHT if len(panels) > 1 else _SINGLE_HEIGHT
    once = len(panels) > 1 and sum(len(entry.rows) for entry in series) > MAX_NAMED
    beside = len(panels) - once  # panels in the columns; the one with all names has the whole width
    columns = min(_COLUMNS, beside)
    lines = once - (-beside // columns)
    footer = _footer(spec, result, rows, once=once)
    figure = new_figure(spec.title, footer, height * lines + strip, padding=0.08)
    grid = figure.add_gridspec(lines + 1, columns, height_ratios=[*[height] * lines, strip])
    named: list[tuple[Axes, list[NamedPoint]]] = []
    for number, panel in enumerate(panels):
        line, column = divmod(number - once, columns)
        axes = figure.add_subplot(grid[0, :] if number < once else grid[line + once, column])
        points = _draw_panel(axes, rows, series, panel, looks)
        if not points:
            continue
        shared.draw_baselines(axes, rows, compared, panel.y)
        _draw_reference(axes, rows, panel, spec.reference)
        _finish(axes, panel)
        if not (once and named):
            named.append((axes, points))
    legend_strip(figure, grid[lines, :], list(legend), list(legend.values()))
    name_points(figure, named)
    return figure


def _draw_panel(
    axes: Axes,
    rows: shared.Rows,
    series: Sequence[TradeOffSeries],
    panel: Panel,
    looks: Sequence[shared.Look],
) -> list[NamedPoint]:
    """Draw every series and return its points; a sentence and none where the run has no point."""
    points = [
        NamedPoint(*place, text, look["color"])
        for entry, look in zip(series, looks, strict=True)
        for place, text in zip(_draw_series(axes, rows, entry.rows, panel, look), entry.points, strict=True)
        if np.isfinite(place).all()
    ]
    if not points:
        axes.clear()
        x, y = metric_label(panel.x), metric_label(panel.y)
        write_message(axes, f"This run stored no {y} and {x} of these rows.", width=40)
    return points


def _draw_series(
    axes: Axes, rows: shared.Rows, names: Sequence[str], panel: Panel, look: shared.Look
) -> list[tuple[float, float]]:
    """Draw the points of a series and return them, NaN where there is none."""
    x, x_spread = shared.means_and_spreads(rows, names, panel.x)
    y, y_spread = shared.means_and_spreads(rows, names, panel.y)
    if panel.log_x:
        x = np.where(x > 0, x, np.nan)
    axes.errorbar(x, y, y_spread, x_spread, **look, linewidth=1.4, markersize=5, capsize=2, elinewidth=0.8)
    return [(float(across), float(up)) for across, up in zip(x, y, strict=True)]


def _draw_reference(axes: Axes, rows: shared.Rows, panel: Panel, name: str) -> None:
    x, y = shared.score_of(rows, name, panel.x), shared.score_of(rows, name, panel.y)
    if x and y:
        axes.plot(x.mean, y.mean, **_STAR)


def _finish(axes: Axes, panel: Panel) -> None:
    if panel.log_x:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(0.1, 0.12)  # room for the names of the outermost points
    style_axes(axes, "", metric_label(panel.x), metric_label(panel.y))
    if better := panel.better:
        text, right = "better for the defender", better.endswith("right")
        words = f"{text} {_ARROWS[better]}" if right else f"{_ARROWS[better]} {text}"
        axes.set_title(words, loc="right" if right else "left", fontsize=SMALL_SIZE, color=GRAY)


def _has(rows: shared.Rows, name: str, panel: Panel) -> bool:
    return all(shared.score_of(rows, name, metric) for metric in (panel.x, panel.y))


def _footer(spec: TradeOff, result: StoredResult, rows: shared.Rows, *, once: bool) -> str:
    names = [name for entry in spec.series for name in entry.rows]
    metrics = {panel.x for panel in spec.panels if panel.log_x}
    scores = [shared.score_of(rows, name, metric) for metric in metrics for name in dict.fromkeys(names)]
    lost = sum(score is not None and score.mean <= 0 for score in scores)
    parts = [shared.series_footer(result, names)]
    points = "1 point has" if lost == 1 else f"{lost} points have"
    parts += [f"{points} no place on a logarithmic axis"] if lost else []
    parts += ["points are named in the first panel"] if once else []
    return " · ".join(parts)
