"""Figures of losses over time: training curves of all models, loss terms of the gradient reconstruction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from numpy.typing import NDArray

from mi_keras.progress import Arrays
from mi_keras.reports.style import (
    SMALL_SIZE,
    as_dot,
    legend_height,
    legend_strip,
    line_look,
    log_ticks,
    new_figure,
    plot_runs,
    style_axes,
    write_message,
)
from mi_keras.reports.text import distinct_labels, provenance
from mi_keras.results import GradientCurves, StoredResult, TrainingCurves
from mi_keras.settings import GRADIENT_TERMS

MAX_OWN_LEGEND = 4  # curves of classifiers in one panel with its own legend
_PANEL_HEIGHT = 3.4  # inches
_CROSS_ENTROPY = "cross-entropy (nats)"
_Curves = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class _Panel:
    title: str
    y_label: str
    curves: _Curves
    logarithmic: bool = False


def training_curves(spec: TrainingCurves, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw cross-entropy of the classifiers and the loss of the inversion models, per epoch.

    A curve belongs to an inversion model if it has the name of an attack's row, and to a classifier otherwise. A
    few classifiers share a panel; many get one for training and one for validation, over those of the inverters,
    and logarithmic: the best of them differ by little and from the worst by far.
    """
    attacks = {row.name for row in result.rows() if row.group == "attack"}
    labels = distinct_labels(result)
    training, validation = _curves(arrays, ".loss"), _curves(arrays, ".validation_loss")
    stored = [name for name in {**labels, **training, **validation} if name in training or name in validation]
    inverters = [name for name in stored if name in attacks]
    classifiers = [name for name in stored if name not in attacks]
    few = sum(name in curves for name in classifiers for curves in (training, validation)) <= MAX_OWN_LEGEND
    bands = [(inverters, _panels(spec.models, spec.loss, inverters, training, validation))]
    if not few:
        panels = _panels("Classifiers", _CROSS_ENTROPY, classifiers, training, validation, logarithmic=True)
        bands.insert(0, (classifiers, panels))
    bands = [band for band in bands if band[0]] or [([], [])]
    strips = [legend_height([labels.get(name, name) for name in names]) for names, _ in bands]
    figure = new_figure(spec.title, _footer(result), _PANEL_HEIGHT * len(bands) + sum(strips))
    ratios = [height for strip in strips for height in (_PANEL_HEIGHT, strip)]
    grid = figure.add_gridspec(2 * len(bands), 1, height_ratios=ratios)
    if not stored:
        write_message(figure.add_subplot(grid[0]), "This run stored no training curves.")
        return figure
    for number, (names, panels) in enumerate(bands):
        own = bool(few and classifiers)
        line = grid[2 * number].subgridspec(1, len(panels) + own)
        if own:
            _classifier_panel(figure.add_subplot(line[0]), classifiers, training, validation, labels)
        looks = {name: line_look(place) for place, name in enumerate(names)}
        _draw_panels(figure, [line[column] for column in range(own, len(panels) + own)], panels, looks)
        if names:
            strip = grid[2 * number + 1]
            shown = _in_legend(looks.values(), [curve for panel in panels for curve in panel.curves.values()])
            legend_strip(figure, strip, [labels.get(name, name) for name in names], shown)
    return figure


def gradient_curves(spec: GradientCurves, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw the terms of the gradient reconstruction loss per step, one panel per objective.

    A logarithmic axis has no zero: terms that are zero at every step are named in the panel's title instead.
    """
    prefix = "gradient_loss."
    losses = {key.removeprefix(prefix): values for key, values in arrays.items() if key.startswith(prefix)}
    labels = [term.replace("_", " ") for term in GRADIENT_TERMS]
    looks = [line_look(number) for number in range(len(GRADIENT_TERMS))]
    strip = legend_height(labels)
    figure = new_figure(spec.title, _footer(result), _PANEL_HEIGHT + strip)
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
            log_ticks(axes.yaxis)
        title = f"objective: {objective}" + (f"\n(zero: {', '.join(zero)})" if zero else "")
        style_axes(axes, title, "step", "weighted loss term per image")
    legend_strip(figure, grid[1, :], labels, _in_legend(looks, losses.values()))
    return figure


def _panels(
    title: str,
    y_label: str,
    names: Sequence[str],
    training: _Curves,
    validation: _Curves,
    *,
    logarithmic: bool = False,
) -> list[_Panel]:
    """Return a panel for the training losses and one for the validation losses, where there are any."""
    drawn = {
        f"{title}, {part}": {name: curves[name] for name in names if name in curves}
        for part, curves in (("training", training), ("validation", validation))
    }
    return [_Panel(heading, y_label, curves, logarithmic) for heading, curves in drawn.items() if curves]


def _draw_panels(
    figure: Figure,
    places: Sequence[SubplotSpec],
    panels: Sequence[_Panel],
    looks: Mapping[str, dict[str, Any]],
) -> None:
    shared: Axes | None = None
    for place, panel in zip(places, panels, strict=True):
        shared = axes = figure.add_subplot(place, sharey=shared)
        for name, values in panel.curves.items():
            plot_runs(axes, values, looks[name])
        if panel.logarithmic:
            axes.set_yscale("log", nonpositive="mask")
            log_ticks(axes.yaxis)
        style_axes(axes, panel.title, "epoch", panel.y_label)


def _classifier_panel(
    axes: Axes, names: Sequence[str], training: _Curves, validation: _Curves, labels: Mapping[str, str]
) -> None:
    for number, name in enumerate(names):
        look, label = line_look(number), labels.get(name, name)
        for curves, style, mark in ((training, "-", ""), (validation, "--", ", validation")):
            if name in curves:
                drawn = look | {"linestyle": style}
                plot_runs(axes, curves[name], drawn)
                (shown,) = _in_legend([drawn], [curves[name]])
                axes.plot([], [], **shown, label=label + mark)
    style_axes(axes, "Classifiers", "epoch", _CROSS_ENTROPY)
    axes.legend(fontsize=SMALL_SIZE, edgecolor="none", framealpha=0.8)


def _in_legend(looks: Iterable[dict[str, Any]], drawn: Iterable[NDArray[Any]]) -> list[dict[str, Any]]:
    """Return the looks of lines as `plot_runs` draws them: as dots where all are `(runs, 1)`."""
    once = all(values.shape[1] == 1 for values in drawn)
    return [as_dot(look) if once else look for look in looks]


def _footer(result: StoredResult) -> str:
    return provenance(result, []) + (" · thick: mean over runs, thin: each run" if result.runs > 1 else "")


def _curves(arrays: Arrays, suffix: str) -> dict[str, NDArray[Any]]:
    return {
        key.removeprefix("curve.").removesuffix(suffix): values
        for key, values in arrays.items()
        if key.startswith("curve.") and key.endswith(suffix)
    }
