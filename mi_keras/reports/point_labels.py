"""Writes the names of points beside them, where they cover no other name, point or line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from mi_keras.reports.style import SMALL_SIZE

_SIZE = SMALL_SIZE - 1.5
_DARKER = 0.7  # than a point: thin letters look paler than they are
_DISTANCES = (4.5, 11.0)  # points between a point and its name
_SIDES = ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))  # the first free one is taken
_HORIZONTAL = {1: "left", 0: "center", -1: "right"}  # side of the text that faces the point
_VERTICAL = {1: "bottom", 0: "center", -1: "top"}
# How bad it is to be outside, or to cover a name, a point or a piece of a line.
_OUTSIDE, _NAME, _POINT, _LINE = 1000.0, 100.0, 20.0, 1.0
_PIECES = 40  # that a line between two points is cut in


@dataclass(frozen=True)
class NamedPoint:
    """A point in units of the axes, its text, and the colour of its line."""

    x: float
    y: float
    text: str
    color: str = field(compare=False)


def name_points(figure: Figure, panels: Sequence[tuple[Axes, Sequence[NamedPoint]]]) -> None:
    """Write the text of every point in its panel; the figure must hold everything else already.

    Whether two texts meet depends on where the layout has put the axes: it is made once for this. Points of the same
    place and text, which several lines may share, are named once.
    """
    figure.draw_without_rendering()
    for axes, points in panels:
        inside = axes.get_window_extent()
        taken: list[Bbox] = []
        markers, lines = _drawn(axes)
        for point in dict.fromkeys(points):
            note = axes.annotate(
                point.text, (point.x, point.y), (0, 0), textcoords="offset points", fontsize=_SIZE,
                color=[_DARKER * part for part in to_rgb(point.color)],
                annotation_clip=False, path_effects=[withStroke(linewidth=2, foreground="white")],
            )  # fmt: skip
            size = note.get_window_extent()
            at = axes.transData.transform((point.x, point.y))
            others = markers[np.abs(markers - at).max(axis=1) > 1]  # pixels: not the point itself
            offsets = [(side, distance) for distance in _DISTANCES for side in _SIDES]
            boxes = [_box(at, side, distance * figure.dpi / 72, size) for side, distance in offsets]
            costs = [_cost(box, inside, taken, others, lines) for box in boxes]
            best = int(np.argmin(costs))
            (across, up), distance = offsets[best]
            note.set_position((across * distance, up * distance))
            note.set(ha=_HORIZONTAL[across], va=_VERTICAL[up])
            taken.append(boxes[best])


def _drawn(axes: Axes) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what the axes show in pixels, `(points, 2)` each: the points of their lines, and what lies between these."""
    points, between = [np.zeros((0, 2))], [np.zeros((0, 2))]
    for line in axes.lines:
        path = line.get_transform().transform(np.asarray(line.get_xydata(), np.float64))
        if line.get_marker() not in ("None", None, ""):
            points.append(path)
        share = np.linspace(0, 1, _PIECES)[:, None, None]
        if line.get_linestyle() != "None" and len(path) > 1:
            between.append((path[:-1] * (1 - share) + path[1:] * share).reshape(-1, 2))
    return _finite(points), _finite(between)


def _finite(parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    places = np.concatenate(list(parts))
    return places[np.isfinite(places).all(axis=1)]


def _box(at: NDArray[Any], side: tuple[int, int], distance: float, size: Bbox) -> Bbox:
    """Return where a text of this size lies whose near corner or edge is `distance` pixels from `at` on that side."""
    left, low = (
        float(place + step * distance - extent * (1 - step) / 2)
        for place, step, extent in zip(at, side, (size.width, size.height), strict=True)
    )
    return Bbox.from_bounds(left, low, size.width, size.height)


def _cost(box: Bbox, inside: Bbox, taken: Sequence[Bbox], points: NDArray[Any], lines: NDArray[Any]) -> float:
    outside = box.x0 < inside.x0 or box.x1 > inside.x1 or box.y0 < inside.y0 or box.y1 > inside.y1
    names = sum(box.overlaps(other) for other in taken)
    covered = _POINT * _count(points, box.padded(2)) + _LINE * _count(lines, box)
    return _OUTSIDE * outside + _NAME * names + covered


def _count(places: NDArray[Any], box: Bbox) -> int:
    return int(((places >= box.min) & (places <= box.max)).all(axis=1).sum())
