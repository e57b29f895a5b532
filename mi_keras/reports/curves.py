"""Figures of losses over time: training curves of all models, loss terms of the gradient reconstruction."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mi_keras.reports.schema import Result
from mi_keras.reports.style import (
    SMALL_SIZE,
    legend_height,
    legend_strip,
    line_look,
    new_figure,
    plot_runs,
    style_axes,
    write_message,
)
from mi_keras.reports.text import distinct_labels, provenance
from mi_keras.settings import GRADIENT_TERMS
from mi_keras.work import Arrays

_PANEL_HEIGHT = 3.4  # inches


def training_curves(spec: Result, result: Result, arrays: Arrays) -> Figure:
    """Draw cross-entropy of the classifiers beside 1 - SSIM of the inversion models, per epoch.

    A curve belongs to an inversion model if it has the name of a row, and to a classifier otherwise.
    """
    rows = distinct_labels(result)
    training, validation = _curves(arrays, ".loss"), _curves(arrays, ".validation_loss")
    classifiers = {name: values for name, values in training.items() if name not in rows}
    inverters = [name for name in rows if name in training or name in validation]
    held_out = {name: validation[name] for name in inverters if name in validation}
    labels = [rows[name] for name in inverters]
    columns, strip = 3 if held_out else 2, legend_height(labels)
    figure = new_figure(spec["title"], _footer(result), _PANEL_HEIGHT + strip)
    grid = figure.add_gridspec(2, columns, height_ratios=(_PANEL_HEIGHT, strip))
    _classifier_panel(figure.add_subplot(grid[0, 0]), classifiers, validation)
    looks = {name: line_look(number) for number, name in enumerate(inverters)}
    trained = {name: training[name] for name in inverters if name in training}
    panels = [("Inversion models, training", trained)]
    if held_out:
        panels.append(("Inversion models, validation", held_out))
    shared: Axes | None = None
    for column, (title, curves) in enumerate(panels, start=1):
        axes = figure.add_subplot(grid[0, column], sharey=shared)
        if not curves:
            write_message(axes, "This run stored no training curve of an inversion model.")
            continue
        shared = axes
        for name, values in curves.items():
            plot_runs(axes, values, looks[name])
        style_axes(axes, title, "epoch", "1 - SSIM")
    if labels:
        legend_strip(figure, grid[1, :], labels, list(looks.values()))
    return figure


def gradient_curves(spec: Result, result: Result, arrays: Arrays) -> Figure:
    """Draw the terms of the gradient reconstruction loss per step, one panel per objective.

    A logarithmic axis has no zero: terms that are zero at every step are named in the panel's title instead.
    """
    prefix = "gradient_loss."
    losses = {key.removeprefix(prefix): values for key, values in arrays.items() if key.startswith(prefix)}
    labels = [term.replace("_", " ") for term in GRADIENT_TERMS]
    looks = [line_look(number) for number in range(len(GRADIENT_TERMS))]
    strip = legend_height(labels)
    figure = new_figure(spec["title"], _footer(result), _PANEL_HEIGHT + strip)
    grid = figure.add_gridspec(2, max(1, len(losses)), height_ratios=(_PANEL_HEIGHT, strip))
    if not losses:
        write_message(figure.add_subplot(grid[0, 0]), "This run stored no gradient reconstruction loss.")
        return figure
    for column, (objective, values) in enumerate(losses.items()):
        axes = figure.add_subplot(grid[0, column])
        zero = [
            label
            for label, term in zip(labels, np.moveaxis(values, 2, 0), strict=True)
            if not (term > 0).any()
        ]
        for number, label in enumerate(labels):
            if label not in zero:
                plot_runs(axes, values[:, :, number], looks[number])
        if len(zero) < len(GRADIENT_TERMS):
            axes.set_yscale("log", nonpositive="mask")
        title = f"objective: {objective}" + (f"\n(zero: {', '.join(zero)})" if zero else "")
        style_axes(axes, title, "step", "weighted loss term per image")
    legend_strip(figure, grid[1, :], labels, looks)
    return figure


def _classifier_panel(
    axes: Axes, curves: Mapping[str, NDArray[Any]], validation: Mapping[str, NDArray[Any]]
) -> None:
    if not curves:
        write_message(axes, "This run stored no training curve of a classifier.")
        return
    for number, (name, values) in enumerate(curves.items()):
        look = line_look(number)
        plot_runs(axes, values, look)
        axes.plot([], [], **look, label=name)
        if name in validation:
            plot_runs(axes, validation[name], look | {"linestyle": "--"})
            axes.plot([], [], **look | {"linestyle": "--"}, label=f"{name}, validation")
    style_axes(axes, "Classifiers", "epoch", "cross-entropy (nats)")
    axes.legend(fontsize=SMALL_SIZE, edgecolor="none", framealpha=0.8)


def _footer(result: Result) -> str:
    return provenance(result) + (" · thick: mean over runs, thin: each run" if result["runs"] > 1 else "")


def _curves(arrays: Arrays, suffix: str) -> dict[str, NDArray[Any]]:
    return {
        key.removeprefix("curve.").removesuffix(suffix): values
        for key, values in arrays.items()
        if key.startswith("curve.") and key.endswith(suffix)
    }
