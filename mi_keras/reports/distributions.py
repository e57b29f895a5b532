"""Figures of distributions: a score over the test images of each row, class counts of each set (thesis Figure 3)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mi_keras.progress import Arrays
from mi_keras.reports.style import (
    COLORS,
    SMALL_SIZE,
    baseline_look,
    legend_height,
    legend_strip,
    new_figure,
    style_axes,
    wrap_label,
    write_message,
)
from mi_keras.reports.text import (
    class_name,
    distinct_labels,
    format_fixed,
    metric_label,
    provenance,
    rows_named,
)
from mi_keras.results import ClassCounts, Histogram, StoredResult

SSIM_RANGE = (-0.2, 1.0)
BINS = 48
_COLUMNS = 3
_PANEL_HEIGHT, _TITLE_LINE, _BARS_HEIGHT = 1.7, 0.18, 3.6  # inches
_OWN_MEAN: dict[str, Any] = {"color": COLORS[1], "linestyle": "-"}


def histogram(spec: Histogram, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw the share of images per score, all runs pooled, one panel per row, against the means of the baselines.

    All panels have one axis: that of SSIM is `SSIM_RANGE`, that of any other metric what its values and means span.
    Values outside are counted in the outermost bin, and the footer says how many there are.
    """
    metric = spec.metric
    labels, x_label = distinct_labels(result), metric_label(metric)
    stored = {name: arrays[f"{metric}.{name}"] for name in labels if f"{metric}.{name}" in arrays}
    names = [name for name in spec.rows or stored if name in labels]
    values = {name: stored[name].ravel() for name in names if name in stored}
    means = {name: float(runs.mean(axis=1, dtype=np.float64).mean()) for name, runs in stored.items()}
    compared = {name: baseline_look(n) for n, name in enumerate(spec.baseline) if name in means}
    low, high = _range(metric, [*values.values(), np.array([means[name] for name in compared])])
    outside = sum(int(((v < low) | (v > high)).sum()) for v in values.values())
    note = f" · {outside} values beyond the axis are in the outermost bins" if outside else ""
    legend = {"mean of the row": _OWN_MEAN} | {
        f"mean of {labels[name]}: {format_fixed(means[name], metric)}": look
        for name, look in compared.items()
    }
    footer = provenance(result, rows_named(result, names)) + note
    titles = {
        name: f"{wrap_label(labels[name], 38)}\nmean {format_fixed(mean, metric)}"
        for name, mean in means.items()
    }
    lines, strip = max(1, -(-len(names) // _COLUMNS)), legend_height(list(legend))
    height = _PANEL_HEIGHT + _TITLE_LINE * max((titles[name].count("\n") for name in values), default=0)
    figure = new_figure(spec.title, footer, height * lines + strip)
    grid = figure.add_gridspec(lines + 1, _COLUMNS, height_ratios=[strip, *[height] * lines])
    legend_strip(figure, grid[0, :], list(legend), list(legend.values()))
    if not names:
        write_message(
            figure.add_subplot(grid[1, :]), f"This run stored no {x_label} per image of the rows asked for."
        )
    shared: Axes | None = None
    for number, name in enumerate(names):
        place = grid[number // _COLUMNS + 1, number % _COLUMNS]
        if name not in values:
            write_message(
                figure.add_subplot(place), f"{labels[name]}: no {x_label} per image stored.", width=32
            )
            continue
        shared = axes = figure.add_subplot(place, sharex=shared, sharey=shared)
        share = np.full(values[name].shape, 100 / values[name].size)  # percent, as rows may differ in runs
        counted = np.clip(values[name], low, high)
        axes.hist(counted, bins=BINS, range=(low, high), weights=share, color=COLORS[5])
        axes.axvline(means[name], linewidth=1.6, **_OWN_MEAN)
        for baseline, look in compared.items():
            axes.axvline(means[baseline], linewidth=1.6, **look)
        axes.set_xlim(low, high)
        style_axes(axes, titles[name], x_label, "images (%)")
    return figure


def class_counts(spec: ClassCounts, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw the number of images per class, one bar per set (thesis Figure 3)."""
    prefix = "class_counts."
    counts = {key.removeprefix(prefix): values for key, values in arrays.items() if key.startswith(prefix)}
    labels = [name.replace("_", " ") for name in counts]
    looks = [{"color": COLORS[number % len(COLORS)], "linewidth": 8} for number in range(len(counts))]
    strip = legend_height(labels)
    figure = new_figure(spec.title, provenance(result, []), _BARS_HEIGHT + strip)
    grid = figure.add_gridspec(2, 1, height_ratios=(_BARS_HEIGHT, strip))
    axes = figure.add_subplot(grid[0])
    if not counts:
        write_message(axes, "This run stored no class counts.")
        return figure
    width = 0.84 / len(counts)
    for number, values in enumerate(counts.values()):
        positions = np.arange(len(values)) + (number - (len(counts) - 1) / 2) * width
        axes.bar(positions, values, width * 0.92, color=looks[number]["color"])
    classes = max(len(values) for values in counts.values())
    if classes <= 30:  # beyond that, matplotlib's own ticks are easier to read
        names = [class_name(result, number) for number in range(classes)]
        axes.set_xticks(range(classes), names, rotation=90 if max(map(len, names)) > 10 else 0)
    style_axes(axes, "", "class", "images")
    axes.grid(False, axis="x")
    axes.tick_params(axis="x", length=0, labelsize=SMALL_SIZE)
    legend_strip(figure, grid[1], labels, looks)
    return figure


def _range(metric: str, values: Sequence[NDArray[Any]]) -> tuple[float, float]:
    if metric == "ssim":
        return SSIM_RANGE
    pooled = np.concatenate([part.ravel() for part in values] or [np.zeros(0)])
    finite = pooled[np.isfinite(pooled)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if low < high else (low - 0.5, high + 0.5)
