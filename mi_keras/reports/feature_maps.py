"""Figures of single feature maps: those that travel (split Figure 4), and those of a decoder's layers (split Figures 5 to 11)."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.progress import Arrays
from mi_keras.reports.grids import Line, draw_grid, not_drawn
from mi_keras.reports.text import provenance
from mi_keras.results import Layers, Maps, StoredResult

COLUMNS = 8  # maps beside each other
_LEAST_COLUMNS = 4  # fewer maps are not drawn larger
_COLOR_MAP = "viridis"  # equal steps of a value look equal (perceptually uniform)
_Maps = NDArray[Any] | None
_NOTE = " · each map in its own range, from its smallest value (dark) to its largest (bright)"


def maps(spec: Maps, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw the feature maps of one array in a grid, each over its own range.

    Raises:
        InputError: `numbers` does not name every map.
    """
    key = f"maps.{spec.array}"
    if key not in arrays:
        return not_drawn(spec, result, f"this run did not store `{key}`")
    values, numbers = arrays[key], spec.numbers
    if numbers and len(numbers) != len(values):
        raise InputError(
            f"`numbers` of {spec.file} must be {len(values)}, one per map of `{key}`; got {len(numbers)}."
        )
    lines_needed = -(-len(values) // COLUMNS)
    columns = -(-len(values) // lines_needed)
    captions = [f"map {number}" for number in numbers] or [""] * len(values)
    lines = [
        Line("", values[start : start + columns], captions[start : start + columns], _COLOR_MAP)
        for start in range(0, len(values), columns)
    ]
    columns = max(columns, _LEAST_COLUMNS)
    footer = provenance(result, []) + f" · {_size(values.shape)}{_NOTE}"
    return draw_grid(spec.title, footer, [""] * columns, lines, columns=columns)


def layers(spec: Layers, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw feature maps of several arrays, each map over its own range: a line for each array, of more than 8 the first 8.

    Where all arrays have a single map, they stand beside each other, and larger.
    """
    stored = [arrays.get(f"maps.{name}") for name in spec.arrays]
    known = [values for values in stored if values is not None]
    if not known:
        keys = ", ".join(f"`maps.{name}`" for name in spec.arrays)
        return not_drawn(spec, result, f"this run stored none of {keys}")
    most = max(map(len, known))
    labels = [
        label if values is None else f"{label}, {_size(values.shape)}"
        for label, values in zip(spec.labels, stored, strict=True)
    ]
    lines = _single_maps(labels, stored) if most == 1 else _lines_of_maps(labels, stored, min(COLUMNS, most))
    more = f" · the first {COLUMNS} of each" if most > COLUMNS else ""
    columns = max(_LEAST_COLUMNS, *(len(line.captions) for line in lines))
    footer = provenance(result, []) + more + _NOTE
    return draw_grid(spec.title, footer, [""] * columns, lines, columns=columns)


def _lines_of_maps(labels: Sequence[str], stored: Sequence[_Maps], columns: int) -> list[Line]:
    lines = []
    for label, values in zip(labels, stored, strict=True):
        shown = None if values is None else values[:columns]
        lines.append(Line(label, shown, [""] * (columns if shown is None else len(shown)), _COLOR_MAP))
    return lines


def _single_maps(labels: Sequence[str], stored: Sequence[_Maps]) -> list[Line]:
    cells = [None if values is None else values[0] for values in stored]
    starts = range(0, len(cells), _LEAST_COLUMNS)
    parts = [slice(start, start + _LEAST_COLUMNS) for start in starts]
    return [Line("", cells[part], labels[part], _COLOR_MAP) for part in parts]


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[2]}"
