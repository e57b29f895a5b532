"""Figures of target images and their reconstructions, one column per class (thesis Figures 9 to 24 and 27 to 32)."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mi_keras.reports.schema import Result
from mi_keras.reports.style import GRAY, SMALL_SIZE, new_figure, wrap_label, write_message
from mi_keras.reports.text import class_name, distinct_labels, format_number, provenance
from mi_keras.work import Arrays

MAX_CLASSES = 10  # beside each other in the figure's width
LABEL_WIDTH = 20  # characters
_LINE_HEIGHT = 1.0  # inches for one line of images with the score under each


@dataclass(frozen=True)
class _Line:
    """One line of the grid: `images` is None where the run stored none; a caption stands under each image."""

    label: str
    images: NDArray[Any] | None
    captions: Sequence[str]


def best_per_class(spec: Result, result: Result, arrays: Arrays) -> Figure:
    """Draw per class the test image that the row reconstructs best, by SSIM in the first run."""
    return _reconstructions(spec, result, arrays, spec.get("rows", [])[:1], np.argmax, "highest")


def median_per_class(spec: Result, result: Result, arrays: Arrays) -> Figure:
    """Draw per class the test image of median SSIM (first row, first run), and what every row makes of it.

    Of an even number of images it is the lower of the two in the middle, so that it is always a real image.
    """
    return _reconstructions(spec, result, arrays, spec.get("rows", []), _argmedian, "median")


def _argmedian(values: NDArray[Any]) -> np.intp:
    order = np.argsort(values, kind="stable")
    return np.intp(order[(len(order) - 1) // 2])


def _reconstructions(
    spec: Result,
    result: Result,
    arrays: Arrays,
    names: Sequence[str],
    pick: Callable[[NDArray[Any]], np.intp],
    rule: str,
) -> Figure:
    labels = distinct_labels(result)
    scored = [name for name in names if name in labels and f"ssim.{name}" in arrays]
    if "targets" not in arrays or not scored:
        figure = new_figure(spec["title"], provenance(result), 1.5)
        missing = "the target images" if scored else f"the SSIM per image of {', '.join(names) or 'any row'}"
        write_message(figure.add_subplot(), f"Not drawn: this run did not store {missing}.")
        return figure
    classes = np.unique(arrays["labels"])
    score = arrays[f"ssim.{scored[0]}"][0]
    members = [np.flatnonzero(arrays["labels"] == number) for number in classes[:MAX_CLASSES]]
    chosen = np.array([indices[pick(score[indices])] for indices in members])
    lines = [_Line("target", arrays["targets"][chosen], ["" for _ in chosen])]
    for name in (name for name in names if name in labels):
        images, scores = arrays.get(f"reconstruction.{name}"), arrays.get(f"ssim.{name}")
        captions = (
            ["" for _ in chosen] if scores is None else [format_number(value) for value in scores[0][chosen]]
        )
        lines.append(_Line(labels[name], None if images is None else images[chosen], captions))
    note = f" · per class the image with the {rule} SSIM of {labels[scored[0]]} in the first run"
    if len(classes) > MAX_CLASSES:
        note += f" · first {MAX_CLASSES} of {len(classes)} classes"
    headers = [_header(class_name(result, number)) for number in classes[:MAX_CLASSES]]
    return _grid(spec["title"], provenance(result) + note, headers, lines)


def _header(name: str) -> str:
    return f"class {name}" if name.isdigit() else textwrap.fill(name, 14)


def _grid(title: str, footer: str, headers: Sequence[str], lines: Sequence[_Line]) -> Figure:
    figure = new_figure(title, footer, _LINE_HEIGHT * len(lines) + 0.2, padding=0.02)
    # Always the same number of columns, so that images have one size in all figures.
    grid = figure.add_gridspec(len(lines), MAX_CLASSES)
    for number, line in enumerate(lines):
        for column, caption in enumerate(line.captions):
            axes = figure.add_subplot(grid[number, column])
            _draw_image(axes, None if line.images is None else line.images[column])
            axes.set_xlabel(caption, fontsize=SMALL_SIZE, labelpad=2)
            if number == 0:
                axes.set_title(headers[column], fontsize=SMALL_SIZE, pad=4)
            if column == 0:
                label = wrap_label(line.label, LABEL_WIDTH)
                axes.set_ylabel(label, fontsize=SMALL_SIZE, rotation=0, ha="right", va="center", labelpad=6)
    return figure


def _draw_image(axes: Axes, image: NDArray[Any] | None) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if image is None:
        axes.set_box_aspect(1)
        axes.text(0.5, 0.5, "not\nstored", ha="center", va="center", fontsize=SMALL_SIZE, color=GRAY)
    elif image.shape[-1] == 3:
        axes.imshow(np.clip(image.astype(np.float32), 0, 1), interpolation="nearest")
    else:
        axes.imshow(image[..., 0].astype(np.float32), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
