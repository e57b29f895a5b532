"""Figures of a random search over two weights (thesis Figure 8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mi_keras.progress import Arrays
from mi_keras.reports.style import (
    COLORS,
    LEGEND_LINE,
    MARKERS,
    SMALL_SIZE,
    log_ticks,
    new_figure,
    style_axes,
    write_message,
)
from mi_keras.reports.text import metric_label, provenance
from mi_keras.results import Search, StoredResult

SCORE = "ssim"
_PANEL_HEIGHT, _STRIP = 4.2, 1.5 * LEGEND_LINE  # inches
_COLOR_MAP = "viridis"
_LEGEND_WIDTH = 100  # characters in one line
_FAILED: dict[str, Any] = {
    "marker": "x", "color": COLORS[1], "markersize": 8, "markeredgewidth": 1.8, "linestyle": "none",
}  # fmt: skip
_RING: dict[str, Any] = {
    "marker": "o", "markerfacecolor": "none", "markeredgecolor": COLORS[1], "markersize": 15,
    "markeredgewidth": 2, "linestyle": "none",
}  # fmt: skip


@dataclass(frozen=True)
class _Trials:
    """Trials of one phase, `(trials,)` each: both parameters, and the score, NaN where a trial failed."""

    phase: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    score: NDArray[np.float64]


def search(spec: Search, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw every trial at its two weights, logarithmic, coloured by its score; the best is ringed.

    The first panel has all trials, a second one the neighbourhood of the last phase where there are several.
    """
    phases = _phases(arrays, spec.axes)
    shown = [_drawable(trials) for trials in phases]
    lost = sum(len(trials.x) for trials in phases) - sum(len(trials.x) for trials in shown)
    shown = [trials for trials in shown if len(trials.x)]
    note = f" · {lost} trials have no place on logarithmic axes" if lost else ""
    figure = new_figure(spec.title, provenance(result, []) + note, _PANEL_HEIGHT + _STRIP)
    if not shown:
        names = " and ".join(map(metric_label, spec.axes))
        write_message(figure.add_subplot(), f"Not drawn: this run stored no search over {names}.")
        return figure
    panels = ["all trials", *([f"around the {shown[-1].phase} search"] if len(shown) > 1 else [])]
    grid = figure.add_gridspec(2, len(panels), height_ratios=(_PANEL_HEIGHT, _STRIP))
    best = _best(shown)
    for column, title in enumerate(panels):
        axes = figure.add_subplot(grid[0, column])
        seen = [_within(trials, shown[-1]) for trials in shown] if column else shown
        _draw_trials(figure, axes, seen)
        if best:
            axes.plot(*best[:2], **_RING)
        style_axes(axes, title, *map(metric_label, spec.axes))
        axes.tick_params(which="minor", labelsize=SMALL_SIZE - 1)
    words = ""
    if best:
        values = zip((*spec.axes, SCORE), best, strict=True)
        words = "best: " + ", ".join(f"{metric_label(name)} {value:.4g}" for name, value in values)
    _legend(figure.add_subplot(grid[1, :]), shown, words)
    return figure


def _phases(arrays: Arrays, parameters: Sequence[str]) -> list[_Trials]:
    """Return the phases that stored both parameters and the score, in the order of the file."""
    names = dict.fromkeys(key.split(".")[1] for key in arrays if key.startswith("search."))
    keys = {name: [f"search.{name}.{part}" for part in (*parameters, SCORE)] for name in names}
    return [
        _Trials(name, *(arrays[key].astype(np.float64) for key in wanted))
        for name, wanted in keys.items()
        if all(key in arrays for key in wanted)
    ]


def _drawable(trials: _Trials) -> _Trials:
    """Leave out trials that a logarithmic axis cannot show."""
    kept = np.isfinite(trials.x) & (trials.x > 0) & np.isfinite(trials.y) & (trials.y > 0)
    return _Trials(trials.phase, trials.x[kept], trials.y[kept], trials.score[kept])


def _draw_trials(figure: Figure, axes: Axes, phases: Sequence[_Trials]) -> None:
    """Draw the trials with colours, and a colour bar, that span the scores in these axes."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    log_ticks(axes.xaxis)
    log_ticks(axes.yaxis)
    scores = np.concatenate([trials.score[np.isfinite(trials.score)] for trials in phases])
    norm = Normalize(scores.min(), scores.max()) if len(scores) else Normalize(0, 1)
    for number, trials in enumerate(phases):
        worked = np.isfinite(trials.score)
        axes.scatter(
            trials.x[worked], trials.y[worked], c=trials.score[worked], cmap=_COLOR_MAP, norm=norm,
            marker=MARKERS[number % len(MARKERS)], s=60, edgecolors="#333333", linewidths=0.6,
        )  # fmt: skip
        axes.plot(trials.x[~worked], trials.y[~worked], **_FAILED)
    axes.margins(0.12)  # room for the ring
    if len(scores):
        bar = figure.colorbar(ScalarMappable(norm, _COLOR_MAP), ax=axes, pad=0.02)
        bar.set_label(metric_label(SCORE), fontsize=SMALL_SIZE)
        bar.ax.tick_params(labelsize=SMALL_SIZE)


def _within(trials: _Trials, phase: _Trials) -> _Trials:
    """Return the trials that lie in the ranges of a phase."""
    inside = (phase.x.min() <= trials.x) & (trials.x <= phase.x.max())
    inside &= (phase.y.min() <= trials.y) & (trials.y <= phase.y.max())
    return _Trials(trials.phase, trials.x[inside], trials.y[inside], trials.score[inside])


def _best(phases: Sequence[_Trials]) -> tuple[float, float, float] | None:
    """Return both parameters and the score of the best trial; None where all failed."""
    found = [
        (float(x), float(y), float(score))
        for trials in phases
        for x, y, score in zip(trials.x, trials.y, trials.score, strict=True)
        if np.isfinite(score)
    ]
    return max(found, key=lambda trial: trial[2], default=None)


def _legend(axes: Axes, phases: Sequence[_Trials], best: str) -> None:
    axes.set_axis_off()
    trial = {"color": "#BBBBBB", "markeredgecolor": "#333333", "linestyle": "none", "markersize": 8}
    looks: dict[str, dict[str, Any]] = {
        f"{t.phase} search": trial | {"marker": MARKERS[n % len(MARKERS)]} for n, t in enumerate(phases)
    }
    if any(np.isnan(trials.score).any() for trials in phases):
        looks["failed"] = _FAILED
    if best:
        looks[best] = _RING
    lines = [Line2D([], [], **look) for look in looks.values()]
    columns = len(looks) if sum(map(len, looks)) < _LEGEND_WIDTH else 1
    axes.legend(lines, list(looks), loc="center", ncols=columns, fontsize=SMALL_SIZE, frameon=False)
