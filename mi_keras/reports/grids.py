"""Images in lines: a header over each column, a label beside each line, a caption under each image.

A grid is drawn in one axes whose units are inches: an axes for each image would take most of the time of a report.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mi_keras.reports.style import (
    GRAY,
    SMALL_SIZE,
    WIDTH,
    new_canvas,
    new_figure,
    text_width,
    wrap_label,
    write_message,
)
from mi_keras.reports.text import provenance, rows_named
from mi_keras.results import AnyFigure, StoredResult

LABEL_WIDTH = 20  # characters
_TEXT_LINE, _NEAR = 0.16, 0.035  # inches: from line to line of a text, and between an image and its texts
_GAP, _BESIDE, _MARGIN = 0.04, 0.08, 0.07  # inches: between images, between label and image, at the sides


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

    def image(self, column: int) -> NDArray[Any] | None:
        """Return an image, None where it was not stored."""
        return None if self.images is None or column >= len(self.images) else self.images[column]


@dataclass(frozen=True)
class _Cell:
    """The middle of a place for an image, and how wide and high the image may be, in inches."""

    x: float
    y: float
    width: float
    height: float


def draw_grid(
    title: str,
    footer: str,
    headers: Sequence[str],
    lines: Sequence[Line],
    *,
    columns: int,
    image_height: float | None = None,
) -> Figure:
    """Draw lines under each other in a grid of `columns`, of which they need not fill all.

    `image_height` is in inches; without it images are as high as makes them fill the figure's width.
    """
    labels = [wrap_label(line.label, LABEL_WIDTH) for line in lines]
    beside = max(text_width(label, SMALL_SIZE) for label in labels)
    left = _MARGIN + (beside + _BESIDE if beside else 0)
    pitch = (WIDTH - _MARGIN - left) / columns
    image_height = image_height or (pitch - _GAP) * _tallest(lines)
    heading = _NEAR + _TEXT_LINE * max(map(_lines_of, headers))
    heights = [max(image_height, _TEXT_LINE * _lines_of(label)) for label in labels]
    under = [_TEXT_LINE if any(line.captions) else 0.0 for line in lines]
    below = np.cumsum([heading, *(high + more + _GAP for high, more in zip(heights, under, strict=True))])
    figure, axes = new_canvas(title, footer, float(below[-1]))
    for column, header in enumerate(headers[: len(lines[0].captions)]):
        _write(axes, header, left + (column + 0.5) * pitch, heading - _NEAR, "bottom")
    for line, label, top, height in zip(lines, labels, below[:-1], heights, strict=True):
        middle = float(top) + height / 2
        _write(axes, label, left - _BESIDE, middle, "center", side="right")
        for column, caption in enumerate(line.captions):
            cell = _Cell(left + (column + 0.5) * pitch, middle, pitch - _GAP, image_height)
            bottom = _draw_image(axes, line.image(column), line.color_map, cell)
            _write(axes, caption, cell.x, bottom + _NEAR, "top")
    return figure


def not_drawn(spec: AnyFigure, result: StoredResult, reason: str) -> Figure:
    """Return a figure that says why it shows nothing."""
    figure = new_figure(spec.title, drawn_rows(spec, result), 1.5)
    write_message(figure.add_subplot(), f"Not drawn: {reason}.")
    return figure


def drawn_rows(spec: AnyFigure, result: StoredResult) -> str:
    """Return the provenance of the rows that a figure shows."""
    return provenance(result, rows_named(result, spec.rows))


def _tallest(lines: Sequence[Line]) -> float:
    """Return the largest height over width of the images; 1 where there are none."""
    images = [line.image(column) for line in lines for column in range(len(line.captions))]
    return max((image.shape[0] / image.shape[1] for image in images if image is not None), default=1.0)


def _draw_image(axes: Axes, image: NDArray[Any] | None, color_map: str, cell: _Cell) -> float:
    """Draw an image as large as its cell allows, or a word in its place; return where it ends below."""
    if image is None:
        _write(axes, "not\nstored", cell.x, cell.y, "center", color=GRAY)
        return cell.y + cell.height / 2
    scale = min(cell.width / image.shape[1], cell.height / image.shape[0])
    across, down = scale * image.shape[1] / 2, scale * image.shape[0] / 2
    place: dict[str, Any] = {
        "extent": (cell.x - across, cell.x + across, cell.y + down, cell.y - down), "aspect": "auto",
    }  # fmt: skip
    if color_map:
        axes.imshow(image.astype(np.float32), cmap=color_map, **place)
    elif image.dtype == np.uint8:
        axes.imshow(image, **place)
    elif image.shape[-1] == 3:
        axes.imshow(np.clip(image.astype(np.float32), 0, 1), interpolation="nearest", **place)
    else:
        gray = image[..., 0].astype(np.float32)
        axes.imshow(gray, cmap="gray", vmin=0, vmax=1, interpolation="nearest", **place)
    return cell.y + down


def _write(
    axes: Axes, text: str, x: float, y: float, upright: str, *, side: str = "center", color: str = "black"
) -> None:
    if text:
        look: dict[str, Any] = {"ha": side, "va": upright, "fontsize": SMALL_SIZE, "color": color}
        axes.text(x, y, text, parse_math=False, **look)


def _lines_of(text: str) -> int:
    return text.count("\n") + 1 if text else 0
