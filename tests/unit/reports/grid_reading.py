"""Reads a grid of images off its figure, for tests."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import AxesImage


@dataclass
class Place:
    """What stands in one place of a grid: an image or a word, the texts around it that belong to it."""

    image: AxesImage | None = None
    word: str = ""
    header: str = ""
    label: str = ""
    caption: str = ""

    @property
    def values(self) -> np.ndarray:
        return np.asarray(self.image.get_array())


def grid_of(figure: Figure) -> dict[tuple[int, int], Place]:
    """Places by line and column, told by where things stand, as who looks at the figure would tell them."""
    (axes,) = figure.axes
    centres = [
        ((left + right) / 2, (top + low) / 2)
        for left, right, low, top in (i.get_extent() for i in axes.images)
    ]
    words = [text for text in axes.texts if text.get_ha() == text.get_va() == "center"]
    centres += [text.get_position() for text in words]
    columns, lines = (sorted({round(centre[axis], 4) for centre in centres}) for axis in (0, 1))
    places: dict[tuple[int, int], Place] = {}
    for (x, y), content in zip(centres, [*axes.images, *words], strict=True):
        found = places[lines.index(round(y, 4)), columns.index(round(x, 4))] = Place()
        if content in words:
            found.word = content.get_text()
        else:
            found.image = content
    for text in axes.texts:
        x, y = text.get_position()
        if text.get_ha() == "right":
            places[lines.index(round(y, 4)), 0].label = text.get_text()
        elif text.get_va() == "bottom":
            places[0, columns.index(round(x, 4))].header = text.get_text()
        elif text.get_va() == "top":
            line = sum(centre < y for centre in lines) - 1
            places[line, columns.index(round(x, 4))].caption = text.get_text()
    return places
