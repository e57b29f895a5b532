"""Figures of the score of every run, beside what was published: where one run lies among many."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from mi_keras.progress import Arrays
from mi_keras.reports.style import (
    COLORS,
    TEXT_SIZE,
    legend_height,
    legend_strip,
    new_figure,
    style_axes,
    write_message,
)
from mi_keras.reports.text import distinct_labels, metric_label, provenance, rows_by_name, rows_named
from mi_keras.results import RunScores, StoredResult

_LINE = 0.55  # inches per row
_POINT: dict[str, Any] = {
    "color": COLORS[0],
    "marker": "o",
    "linestyle": "none",
    "markersize": 6,
    "alpha": 0.6,
}
_MEAN: dict[str, Any] = {
    "color": COLORS[0],
    "marker": "|",
    "linestyle": "none",
    "markersize": 22,
    "markeredgewidth": 2,
}
_TEXT: dict[str, Any] = {"color": COLORS[1], "marker": "*", "linestyle": "none", "markersize": 15}


def run_scores(spec: RunScores, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw a line per row: a point for each run's mean over its images, their mean, and the published value as a star."""
    metric, labels, rows = spec.metric, distinct_labels(result), rows_by_name(result)
    names = [name for name in spec.rows if name in rows and f"{metric}.{name}" in arrays]
    published = [rows[name].paper for name in names]
    texts = [paper.values[metric].mean if paper and metric in paper.values else None for paper in published]
    legend = {f"a {spec.each}": _POINT, f"mean of the {spec.each}s": _MEAN}
    if any(text is not None for text in texts):
        legend["published"] = _TEXT
    strip, height = legend_height(list(legend)), 1.0 + _LINE * max(1, len(names))
    figure = new_figure(spec.title, provenance(result, rows_named(result, names)), height + strip)
    grid = figure.add_gridspec(2, 1, height_ratios=(height, strip))
    axes = figure.add_subplot(grid[0])
    if not names:
        write_message(axes, f"This run stored no {metric_label(metric)} per image of the rows asked for.")
        return figure
    for place, (name, text) in enumerate(zip(names, texts, strict=True)):
        scores = arrays[f"{metric}.{name}"].mean(axis=1, dtype=np.float64)
        axes.plot(scores, np.full(len(scores), place), **_POINT)
        axes.plot([scores.mean()], [place], **_MEAN)
        if text is not None:
            axes.plot([text], [place], **_TEXT)
    axes.set_ylim(len(names) - 0.5, -0.5)
    style_axes(axes, "", metric_label(metric), "")
    axes.set_yticks(range(len(names)), [labels[name] for name in names], fontsize=TEXT_SIZE)
    legend_strip(figure, grid[1], list(legend), list(legend.values()))
    return figure
