"""Figures of images in a grid: targets and what every row makes of them (thesis Figures 9 to 24 and 27 to 32)."""

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.progress import Arrays
from mi_keras.reports.grids import Line, draw_grid, drawn_rows, not_drawn
from mi_keras.reports.text import class_name, distinct_labels, format_fixed, provenance
from mi_keras.results import AnyFigure, BestPerClass, ChosenImages, ClassImages, MedianPerClass, StoredResult
from mi_keras.results.figures import MAX_CHOSEN

COLUMNS = MAX_CHOSEN  # always as many, so that images have one size in all figures
_HEIGHT = 0.82  # inches of an image
_TRUE = " · headings: the true class; the model may have answered another"


def best_per_class(spec: BestPerClass, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw per class the test image of highest SSIM (first row, first run), and what every row makes of it."""
    return _picked_per_class(spec, result, arrays, np.argmax, "highest")


def median_per_class(spec: MedianPerClass, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw per class the test image of median SSIM (first row, first run), and what every row makes of it.

    Of an even number of images it is the lower of the two in the middle, so that it is always a real image.
    """
    return _picked_per_class(spec, result, arrays, _argmedian, "median")


def chosen_images(spec: ChosenImages, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw the test images of the numbers in `images`, and what every row makes of them.

    Raises:
        InputError: there is no test image of such a number.
    """
    if "targets" not in arrays:
        return not_drawn(spec, result, "this run did not store the target images")
    count, chosen = len(arrays["targets"]), np.array(spec.images)
    if chosen.max() >= count:
        raise InputError(f"`images` of {spec.file} must be below {count}; got {chosen.max()}.")
    headers = [
        f"image {number}\n{_header(class_name(result, arrays['labels'][number]))}" for number in chosen
    ]
    footer = drawn_rows(spec, result) + _TRUE
    return _grid(spec.title, footer, headers, _lines(spec, result, arrays, chosen))


def class_images(spec: ClassImages, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw one image per class, a line for each array `class_images.` (of `rows`, where it names some)."""
    prefix, labels = "class_images.", distinct_labels(result)
    stored = [key.removeprefix(prefix) for key in arrays if key.startswith(prefix)]
    names = spec.rows or stored
    if not any(name in stored for name in names):
        return not_drawn(spec, result, "this run stored no image per class")
    classes = max(len(arrays[prefix + name]) for name in names if name in stored)
    shown = min(classes, COLUMNS)
    lines = []
    for name in names:
        images = arrays.get(prefix + name)
        lines.append(Line(labels.get(name, name.replace("_", " ")), images, [""] * shown))
    headers = [_header(class_name(result, number)) for number in range(shown)]
    return _grid(spec.title, provenance(result, []) + _first_of(classes), headers, lines)


def _argmedian(values: NDArray[Any]) -> np.intp:
    order = np.argsort(values, kind="stable")
    return np.intp(order[(len(order) - 1) // 2])


def _picked_per_class(
    spec: BestPerClass | MedianPerClass,
    result: StoredResult,
    arrays: Arrays,
    pick: Callable[[NDArray[Any]], np.intp],
    rule: str,
) -> Figure:
    labels, names = distinct_labels(result), spec.rows
    scored = [name for name in names if name in labels and f"ssim.{name}" in arrays]
    if "targets" not in arrays or not scored:
        missing = "the target images" if scored else f"the SSIM per image of {', '.join(names) or 'any row'}"
        return not_drawn(spec, result, f"this run did not store {missing}")
    classes = np.unique(arrays["labels"])
    score = arrays[f"ssim.{scored[0]}"][0]
    members = [np.flatnonzero(arrays["labels"] == number) for number in classes[:COLUMNS]]
    chosen = np.array([indices[pick(score[indices])] for indices in members])
    note = f" · per class the image with the {rule} SSIM of {labels[scored[0]]} in the first run"
    headers = [_header(class_name(result, number)) for number in classes[:COLUMNS]]
    footer = drawn_rows(spec, result) + note + _first_of(len(classes)) + _TRUE
    return _grid(spec.title, footer, headers, _lines(spec, result, arrays, chosen))


def _lines(spec: AnyFigure, result: StoredResult, arrays: Arrays, chosen: NDArray[Any]) -> list[Line]:
    """Return the targets of the chosen numbers and a line for every row of the figure that the run has."""
    labels = distinct_labels(result)
    lines = [Line("target", arrays["targets"][chosen], [""] * len(chosen))]
    for name in (name for name in spec.rows if name in labels):
        images, scores = arrays.get(f"reconstruction.{name}"), arrays.get(f"ssim.{name}")
        captions = (
            [""] * len(chosen) if scores is None else [format_fixed(value) for value in scores[0][chosen]]
        )
        lines.append(Line(labels[name], None if images is None else images[chosen], captions))
    return lines


def _first_of(classes: int) -> str:
    return f" · first {COLUMNS} of {classes} classes" if classes > COLUMNS else ""


def _grid(title: str, footer: str, headers: Sequence[str], lines: Sequence[Line]) -> Figure:
    return draw_grid(title, footer, headers, lines, columns=COLUMNS, image_height=_HEIGHT)


def _header(name: str) -> str:
    return f"class {name}" if name.isdigit() else textwrap.fill(name, 12)
