"""Figures of images in a grid: targets and what every row makes of them (thesis Figures 9 to 24 and 27 to 32)."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.reports.schema import MAX_CHOSEN, Result
from mi_keras.reports.style import GRAY, SMALL_SIZE, new_figure, wrap_label, write_message
from mi_keras.reports.text import class_name, distinct_labels, format_number, provenance, rows_named
from mi_keras.work import Arrays

COLUMNS = MAX_CHOSEN  # always as many, so that images have one size in all figures
LABEL_WIDTH = 20  # characters
_LINE_HEIGHT, _BARE_LINE_HEIGHT = (
    1.0,
    0.86,
)  # inches for a line of images with the score under each, and without


@dataclass(frozen=True)
class _Line:
    """One line of the grid: `images` is None where the run stored none; a caption stands under each image."""

    label: str
    images: NDArray[Any] | None
    captions: Sequence[str]


def best_per_class(spec: Result, result: Result, arrays: Arrays) -> Figure:
    """Draw per class the test image of highest SSIM (first row, first run), and what every row makes of it."""
    return _picked_per_class(spec, result, arrays, np.argmax, "highest")


def median_per_class(spec: Result, result: Result, arrays: Arrays) -> Figure:
    """Draw per class the test image of median SSIM (first row, first run), and what every row makes of it.

    Of an even number of images it is the lower of the two in the middle, so that it is always a real image.
    """
    return _picked_per_class(spec, result, arrays, _argmedian, "median")


def chosen_images(spec: Result, result: Result, arrays: Arrays) -> Figure:
    """Draw the test images of the numbers in `images`, and what every row makes of them.

    Raises:
        InputError: there is no test image of such a number.
    """
    if "targets" not in arrays:
        return _not_drawn(spec, result, "this run did not store the target images")
    count, chosen = len(arrays["targets"]), np.array(spec["images"])
    if chosen.max() >= count:
        raise InputError(f"`images` of {spec['file']} must be below {count}; got {chosen.max()}.")
    headers = [
        f"image {number}\n{_header(class_name(result, arrays['labels'][number]))}" for number in chosen
    ]
    return _grid(spec["title"], _drawn(spec, result), headers, _lines(spec, result, arrays, chosen))


def class_images(spec: Result, result: Result, arrays: Arrays) -> Figure:
    """Draw one image per class, a line for each array `class_images.` (of `rows`, where it names some)."""
    prefix, labels = "class_images.", distinct_labels(result)
    stored = [key.removeprefix(prefix) for key in arrays if key.startswith(prefix)]
    names = spec["rows"] or stored
    if not any(name in stored for name in names):
        return _not_drawn(spec, result, "this run stored no image per class")
    classes = max(len(arrays[prefix + name]) for name in names if name in stored)
    shown = min(classes, COLUMNS)
    lines = []
    for name in names:
        images = arrays.get(prefix + name)
        lines.append(_Line(labels.get(name, name.replace("_", " ")), images, [""] * shown))
    headers = [_header(class_name(result, number)) for number in range(shown)]
    return _grid(spec["title"], provenance(result, []) + _first_of(classes), headers, lines)


def _argmedian(values: NDArray[Any]) -> np.intp:
    order = np.argsort(values, kind="stable")
    return np.intp(order[(len(order) - 1) // 2])


def _picked_per_class(
    spec: Result, result: Result, arrays: Arrays, pick: Callable[[NDArray[Any]], np.intp], rule: str
) -> Figure:
    labels, names = distinct_labels(result), spec["rows"]
    scored = [name for name in names if name in labels and f"ssim.{name}" in arrays]
    if "targets" not in arrays or not scored:
        missing = "the target images" if scored else f"the SSIM per image of {', '.join(names) or 'any row'}"
        return _not_drawn(spec, result, f"this run did not store {missing}")
    classes = np.unique(arrays["labels"])
    score = arrays[f"ssim.{scored[0]}"][0]
    members = [np.flatnonzero(arrays["labels"] == number) for number in classes[:COLUMNS]]
    chosen = np.array([indices[pick(score[indices])] for indices in members])
    note = f" · per class the image with the {rule} SSIM of {labels[scored[0]]} in the first run"
    headers = [_header(class_name(result, number)) for number in classes[:COLUMNS]]
    footer = _drawn(spec, result) + note + _first_of(len(classes))
    return _grid(spec["title"], footer, headers, _lines(spec, result, arrays, chosen))


def _lines(spec: Result, result: Result, arrays: Arrays, chosen: NDArray[Any]) -> list[_Line]:
    """Return the targets of the chosen numbers and a line for every row of the figure that the run has."""
    labels = distinct_labels(result)
    lines = [_Line("target", arrays["targets"][chosen], [""] * len(chosen))]
    for name in (name for name in spec["rows"] if name in labels):
        images, scores = arrays.get(f"reconstruction.{name}"), arrays.get(f"ssim.{name}")
        captions = (
            [""] * len(chosen) if scores is None else [format_number(value) for value in scores[0][chosen]]
        )
        lines.append(_Line(labels[name], None if images is None else images[chosen], captions))
    return lines


def _not_drawn(spec: Result, result: Result, reason: str) -> Figure:
    figure = new_figure(spec["title"], _drawn(spec, result), 1.5)
    write_message(figure.add_subplot(), f"Not drawn: {reason}.")
    return figure


def _drawn(spec: Result, result: Result) -> str:
    return provenance(result, rows_named(result, spec["rows"]))


def _first_of(classes: int) -> str:
    return f" · first {COLUMNS} of {classes} classes" if classes > COLUMNS else ""


def _header(name: str) -> str:
    return f"class {name}" if name.isdigit() else textwrap.fill(name, 12)


def _grid(title: str, footer: str, headers: Sequence[str], lines: Sequence[_Line]) -> Figure:
    heights = [_LINE_HEIGHT if any(line.captions) else _BARE_LINE_HEIGHT for line in lines]
    heading = 0.17 * max(header.count("\n") + 1 for header in headers) + 0.03
    figure = new_figure(title, footer, sum(heights) + heading, padding=0.02)
    grid = figure.add_gridspec(len(lines), COLUMNS)
    for number, line in enumerate(lines):
        for column, caption in enumerate(line.captions):
            axes = figure.add_subplot(grid[number, column])
            absent = line.images is None or column >= len(line.images)
            _draw_image(axes, None if absent or line.images is None else line.images[column])
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
