"""Figures of confusion matrices (thesis Figure 7)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mi_keras.progress import Arrays
from mi_keras.reports.style import SMALL_SIZE, TEXT_SIZE, new_figure, write_message
from mi_keras.reports.text import class_name, distinct_labels, provenance, rows_named
from mi_keras.results import Confusion, StoredResult

MAX_COUNTED = 20  # classes: with more, counts would not be legible in the cells
_MAX_BESIDE = 12  # classes: with more, every matrix gets the whole width
_COLORS, _DIAGONAL, _ZERO = "Reds", "#DDDDDD", "#999999"


def confusion(spec: Confusion, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw confusion matrices of the first run: true classes down, predicted classes across, counts in the cells.

    Colour is the share of a true class that was taken for another. The diagonal is grey: coloured by the same
    scale, the hundreds of right answers would leave all errors pale.
    """
    prefix, labels = "confusion.", distinct_labels(result)
    names = spec.rows or [key.removeprefix(prefix) for key in arrays if key.startswith(prefix)]
    matrices = {name: arrays[prefix + name][0] for name in names if prefix + name in arrays}
    if not matrices:
        figure = new_figure(spec.title, provenance(result, []), 1.5)
        write_message(figure.add_subplot(), "Not drawn: this run stored no confusion matrix.")
        return figure
    classes = max(len(matrix) for matrix in matrices.values())
    columns = min(len(names), 2) if classes <= _MAX_BESIDE else 1
    lines = -(-len(names) // columns)
    footer = (
        provenance(result, rows_named(result, names)) + " · first run · colour: errors in percent of the "
    )
    footer += "true class; right answers are grey"
    if classes > MAX_COUNTED:
        footer += f" · more than {MAX_COUNTED} classes: no counts in the cells"
    height = 4.6 if columns == 2 else 5.6 if classes <= _MAX_BESIDE else 7.4
    figure = new_figure(spec.title, footer, height * lines)
    grid = figure.add_gridspec(lines, columns)
    errors = {name: _percent_of_errors(matrix) for name, matrix in matrices.items()}
    top = max(float(np.nanmax(values, initial=0)) for values in errors.values()) or 1.0
    drawn = []
    for number, name in enumerate(names):
        axes, label = figure.add_subplot(grid[number // columns, number % columns]), labels.get(name, name)
        if name not in matrices:
            write_message(axes, f"{label}: this run stored no confusion matrix.", width=40)
            continue
        _draw_matrix(axes, matrices[name], errors[name], top)
        drawn.append(axes)
        _label_axes(axes, label, matrices[name], [class_name(result, n) for n in range(len(matrices[name]))])
    bar = figure.colorbar(drawn[0].images[0], ax=drawn, shrink=0.8, pad=0.02)
    bar.set_label("errors (% of the true class)", fontsize=SMALL_SIZE)
    bar.ax.tick_params(labelsize=SMALL_SIZE)
    return figure


def _percent_of_errors(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Return the percentage of each true class by predicted class; NaN on the diagonal and for empty classes."""
    counts = matrix.astype(np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    percent = 100 * counts / np.where(totals > 0, totals, np.nan)
    np.fill_diagonal(percent, np.nan)
    return percent


def _draw_matrix(axes: Axes, matrix: NDArray[Any], errors: NDArray[np.float64], top: float) -> None:
    axes.set_facecolor(_DIAGONAL)  # shows where there is no percentage
    axes.imshow(np.ma.masked_invalid(errors), cmap=_COLORS, vmin=0, vmax=top)
    if len(matrix) > MAX_COUNTED:
        return
    size = SMALL_SIZE if len(matrix) <= 10 else SMALL_SIZE - 1
    for true, predicted in np.ndindex(matrix.shape):
        count, shade = int(matrix[true, predicted]), errors[true, predicted] / top
        color = "white" if shade > 0.6 else _ZERO if count == 0 else "black"
        axes.text(predicted, true, f"{count}", ha="center", va="center", fontsize=size, color=color)


def _label_axes(axes: Axes, title: str, matrix: NDArray[Any], names: list[str]) -> None:
    right, total = int(np.trace(matrix)), int(matrix.sum())
    axes.set_title(f"{title}: {right:,} of {total:,} right", fontsize=TEXT_SIZE)
    axes.set_xlabel("predicted class", fontsize=SMALL_SIZE)
    axes.set_ylabel("true class", fontsize=SMALL_SIZE)
    axes.tick_params(labelsize=SMALL_SIZE, length=0)
    axes.spines[:].set_visible(False)
    if len(names) <= 2 * MAX_COUNTED:  # beyond that, matplotlib's own ticks are easier to read
        long = max(map(len, names)) > 3
        axes.set_xticks(range(len(names)), names, rotation=90 if long else 0)
        axes.set_yticks(range(len(names)), names)
