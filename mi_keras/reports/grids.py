"""Images in lines: a header over each column, a label beside each line, a caption under each image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mi_keras.reports.style import GRAY, SMALL_SIZE, WIDTH, new_figure, wrap_label, write_message
from mi_keras.reports.text import provenance, rows_named
from mi_keras.results import AnyFigure, StoredResult

LABEL_WIDTH = 20  # characters
_CAPTION, _HEADER_LINE, _PADDING = 0.14, 0.17, 0.02  # inches
_CHARACTER, _BESIDE = 0.07, 0.15  # inches: of a label's letters at most, and between label and image


@dataclass(frozen=True)
class Line:
    """One line of the grid: None in the place of an image, or of all, that the run did not store; a caption under each.

    Images are `(images, height, width, channels)`, of bytes or of numbers in [0, 1]; with a `color_map` they are
    `(images, height, width)`, and each is coloured over its own range.
    """

    label: str
    images: NDArray[Any] | Sequence[NDArray[Any] | None] | None
    captions: Sequence[str]
    color_map: str = ""


def draw_grid(
    title: str,
    footer: str,
    headers: Sequence[str],
    lines: Sequence[Line],
    *,
    columns: int,
    image_height: float,
) -> Figure:
    """Draw lines under each other in a grid of `columns`, of which they need not fill all; `image_height` in inches."""
    heights = [image_height + (_CAPTION if any(line.captions) else 0) for line in lines]
    heading = 0.03 + (_HEADER_LINE * max(header.count("\n") + 1 for header in headers) if any(headers) else 0)
    figure = new_figure(title, footer, sum(heights) + heading, padding=_PADDING)
    grid = figure.add_gridspec(len(lines), columns)
    for number, line in enumerate(lines):
        for column, caption in enumerate(line.captions):
            axes = figure.add_subplot(grid[number, column])
            absent = line.images is None or column >= len(line.images)
            image = None if absent or line.images is None else line.images[column]
            _draw_image(axes, image, line.color_map)
            axes.set_xlabel(caption, fontsize=SMALL_SIZE, labelpad=2)
            if number == 0:
                axes.set_title(headers[column], fontsize=SMALL_SIZE, pad=4)
            if column == 0:
                label = wrap_label(line.label, LABEL_WIDTH)
                axes.set_ylabel(label, fontsize=SMALL_SIZE, rotation=0, ha="right", va="center", labelpad=6)
    return figure


def fitting_height(lines: Sequence[Line], columns: int) -> float:
    """Return the height in inches at which `columns` of these images fill the figure's width beside their labels."""
    images = [image for line in lines if line.images is not None for image in line.images]
    shapes = [image.shape[:2] for image in images if image is not None]
    labels = [part for line in lines for part in wrap_label(line.label, LABEL_WIDTH).split("\n")]
    beside = _CHARACTER * max(map(len, labels), default=0) + _BESIDE
    width = (WIDTH - beside) / columns - 2 * _PADDING
    return width * max(height / across for height, across in shapes) + 2 * _PADDING


def not_drawn(spec: AnyFigure, result: StoredResult, reason: str) -> Figure:
    """Return a figure that says why it shows nothing."""
    figure = new_figure(spec.title, drawn_rows(spec, result), 1.5)
    write_message(figure.add_subplot(), f"Not drawn: {reason}.")
    return figure


def drawn_rows(spec: AnyFigure, result: StoredResult) -> str:
    """Return the provenance of the rows that a figure shows."""
    return provenance(result, rows_named(result, spec.rows))


def _draw_image(axes: Axes, image: NDArray[Any] | None, color_map: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if image is None:
        axes.set_box_aspect(1)
        axes.text(0.5, 0.5, "not\nstored", ha="center", va="center", fontsize=SMALL_SIZE, color=GRAY)
    elif color_map:
        axes.imshow(image.astype(np.float32), cmap=color_map)
    elif image.dtype == np.uint8:
        axes.imshow(image)
    elif image.shape[-1] == 3:
        axes.imshow(np.clip(image.astype(np.float32), 0, 1), interpolation="nearest")
    else:
        axes.imshow(image[..., 0].astype(np.float32), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
