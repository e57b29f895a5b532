"""Figures of what a defence costs against what it is worth: one score against another, a line per defence."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from mi_keras.reports.point_labels import NamedPoint, name_points
from mi_keras.reports.schema import Result
from mi_keras.reports.style import (
    GRAY,
    MARKERS,
    SMALL_SIZE,
    baseline_look,
    legend_height,
    legend_strip,
    line_look,
    new_figure,
    style_axes,
    write_message,
)
from mi_keras.reports.text import baselines, metric_label, provenance, rows_by_name, rows_named
from mi_keras.work import Arrays

MAX_NAMED = 16  # points whose names have room in each of several panels
_COLUMNS, _PANEL_HEIGHT, _SINGLE_HEIGHT = 2, 3.6, 4.6  # inches
# the yellow of Okabe and Ito, which no line has; its edge shows it on white
_STAR: dict[str, Any] = {
    "marker": "*", "color": "#F0E442", "markeredgecolor": "#333333", "markersize": 15, "linestyle": "none",
}  # fmt: skip
_ARROWS = {"lower left": "↙", "lower right": "↘", "upper left": "↖", "upper right": "↗"}  # fmt: skip
_Rows = Mapping[str, Mapping[str, Any]]


def trade_off(spec: Result, result: Result, arrays: Arrays) -> Figure:
    """Draw a panel per pair of metrics: the rows of a series joined in their order, each point with its text.

    Baselines are dashed lines at their score, the row `reference` is a star. A row that the run lacks leaves a gap.
    Many points have their texts in the first panel only, which is wider then.
    """
    rows, series, panels = rows_by_name(result), spec["series"], spec["panels"]
    looks = [line_look(n) | {"marker": MARKERS[n % len(MARKERS)]} for n in range(len(series))]
    legend = {entry["label"]: look for entry, look in zip(series, looks, strict=True)}
    reference = spec.get("reference") or ""
    if any(_has(rows, reference, panel) for panel in panels):
        legend[rows[reference]["label"]] = _STAR
    known = [name for name in baselines(spec) if any(_score(rows, name, panel["y"]) for panel in panels)]
    compared = {name: baseline_look(number) for number, name in enumerate(known)}
    legend |= {rows[name]["label"]: look for name, look in compared.items()}

    strip, height = legend_height(list(legend)), _PANEL_HEIGHT if len(panels) > 1 else _SINGLE_HEIGHT
    once = len(panels) > 1 and sum(len(entry["rows"]) for entry in series) > MAX_NAMED
    beside = len(panels) - once  # panels in the columns; the one with all names has the whole width
    columns = min(_COLUMNS, beside)
    lines = once - (-beside // columns)
    footer = _footer(spec, result, rows, once=once)
    figure = new_figure(spec["title"], footer, height * lines + strip, padding=0.08)
    grid = figure.add_gridspec(lines + 1, columns, height_ratios=[*[height] * lines, strip])
    named: list[tuple[Axes, list[NamedPoint]]] = []
    for number, panel in enumerate(panels):
        line, column = divmod(number - once, columns)
        axes = figure.add_subplot(grid[0, :] if number < once else grid[line + once, column])
        points = _draw_panel(axes, rows, series, panel, looks)
        if not points:
            continue
        _draw_comparison(axes, rows, panel, reference, compared)
        _finish(axes, panel)
        if not (once and named):
            named.append((axes, points))
    legend_strip(figure, grid[lines, :], list(legend), list(legend.values()))
    name_points(figure, named)
    return figure


def _draw_panel(
    axes: Axes,
    rows: _Rows,
    series: Sequence[Mapping[str, Any]],
    panel: Mapping[str, Any],
    looks: Sequence[dict[str, Any]],
) -> list[NamedPoint]:
    """Draw every series and return its points; a sentence and none where the run has no point."""
    points = [
        NamedPoint(*place, text, look["color"])
        for entry, look in zip(series, looks, strict=True)
        for place, text in zip(
            _draw_series(axes, rows, entry["rows"], panel, look), entry["points"], strict=True
        )
        if np.isfinite(place).all()
    ]
    if not points:
        axes.clear()
        x, y = metric_label(panel["x"]), metric_label(panel["y"])
        write_message(axes, f"This run stored no {y} and {x} of these rows.", width=40)
    return points


def _draw_series(
    axes: Axes, rows: _Rows, names: Sequence[str], panel: Mapping[str, Any], look: dict[str, Any]
) -> list[tuple[float, float]]:
    """Draw the points of a series and return them, NaN where there is none."""
    x, x_spread = _values(rows, names, panel["x"])
    y, y_spread = _values(rows, names, panel["y"])
    if panel["log_x"]:
        x = np.where(x > 0, x, np.nan)
    axes.errorbar(x, y, y_spread, x_spread, **look, linewidth=1.4, markersize=5, capsize=2, elinewidth=0.8)
    return [(float(across), float(up)) for across, up in zip(x, y, strict=True)]


def _draw_comparison(
    axes: Axes,
    rows: _Rows,
    panel: Mapping[str, Any],
    reference: str,
    compared: Mapping[str, dict[str, Any]],
) -> None:
    for name, look in compared.items():
        if score := _score(rows, name, panel["y"]):
            axes.axhline(score["mean"], linewidth=1.4, **look)
    if _has(rows, reference, panel):
        values = rows[reference]["values"]
        axes.plot(values[panel["x"]]["mean"], values[panel["y"]]["mean"], **_STAR)


def _finish(axes: Axes, panel: Mapping[str, Any]) -> None:
    if panel["log_x"]:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(0.1, 0.12)  # room for the names of the outermost points
    style_axes(axes, "", metric_label(panel["x"]), metric_label(panel["y"]))
    if better := panel.get("better"):
        text, side = "better for the defender", better.split()[1]
        words = f"{text} {_ARROWS[better]}" if side == "right" else f"{_ARROWS[better]} {text}"
        axes.set_title(words, loc=side, fontsize=SMALL_SIZE, color=GRAY)


def _values(
    rows: _Rows, names: Sequence[str], metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return means and spreads of rows, NaN where there is none."""
    scores = [_score(rows, name, metric) or {} for name in names]
    means, spreads = (
        [np.nan if score.get(part) is None else score[part] for score in scores] for part in ("mean", "std")
    )
    return np.array(means, np.float64), np.array(spreads, np.float64)


def _score(rows: _Rows, name: str, metric: str) -> Mapping[str, Any] | None:
    score: Mapping[str, Any] | None = rows[name]["values"].get(metric) if name in rows else None
    return score


def _has(rows: _Rows, name: str, panel: Mapping[str, Any]) -> bool:
    return bool(_score(rows, name, panel["x"]) and _score(rows, name, panel["y"]))


def _footer(spec: Result, result: Result, rows: _Rows, *, once: bool) -> str:
    names = [name for entry in spec["series"] for name in entry["rows"]]
    metrics = {panel["x"] for panel in spec["panels"] if panel["log_x"]}
    scores = [_score(rows, name, metric) for metric in metrics for name in dict.fromkeys(names)]
    lost = sum(score is not None and score["mean"] <= 0 for score in scores)
    parts = [provenance(result, rows_named(result, names))]
    parts += ["bars: sample standard deviation over runs"] if result["runs"] > 1 else []
    points = "1 point has" if lost == 1 else f"{lost} points have"
    parts += [f"{points} no place on a logarithmic axis"] if lost else []
    parts += ["points are named in the first panel"] if once else []
    return " · ".join(parts)
