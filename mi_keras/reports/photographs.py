"""Figures of photographs: reconstructions under their targets (split Figures 3 and 12), normalised inputs (split Figure 1)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.progress import Arrays
from mi_keras.reports.grids import Line, draw_grid, drawn_rows, not_drawn
from mi_keras.reports.text import distinct_labels, format_fixed, metric_label, provenance
from mi_keras.results import NormalisedPhotographs, Photographs, StoredResult
from mi_keras.settings import IMAGENET_DEVIATION, IMAGENET_MEAN

_LEAST_COLUMNS = 4  # beside each other in the figure's width: fewer images are not drawn larger
_NEEDED = ("shown.targets", "shown.numbers")


def photographs(spec: Photographs, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw chosen stored images, and under them what every row makes of them, with its score in the first run.

    Raises:
        InputError: there is no stored image of such a position, or no score of a stored image.
    """
    if any(key not in arrays for key in _NEEDED):
        return not_drawn(spec, result, "this run did not store the images that it shows")
    chosen = _chosen(spec, arrays)
    lines = [Line("target", arrays["shown.targets"][chosen], [""] * len(chosen))]
    labels = distinct_labels(result)
    for name in (name for name in spec.rows if name in labels):
        images = arrays.get(f"shown.{name}")
        captions = _scores(spec.metric, name, arrays, chosen)
        lines.append(Line(labels[name], None if images is None else images[chosen], captions))
    note, label = "", metric_label(spec.metric)
    if any("".join(line.captions) for line in lines):
        note = f" · under each reconstruction: its {label} in the first run"
    elif spec.metric:
        note = f" · this run stored no {label} per image"
    headers = _headers(arrays["shown.numbers"][chosen], spec.headers)
    return _grid(spec.title, drawn_rows(spec, result) + note, headers, lines)


def normalised_photographs(spec: NormalisedPhotographs, result: StoredResult, arrays: Arrays) -> Figure:
    """Draw chosen stored images as they are and as the model gets them, clipped to what a screen can show.

    Raises:
        InputError: there is no stored image of such a position.
    """
    if any(key not in arrays for key in _NEEDED):
        return not_drawn(spec, result, "this run did not store the images that it shows")
    chosen = _chosen(spec, arrays)
    originals = arrays["shown.targets"][chosen]
    normalised = (originals.astype(np.float64) / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION
    lines = [
        Line("original", originals, [""] * len(chosen)),
        Line("normalised", np.clip(normalised, 0, 1), [""] * len(chosen)),
    ]
    note = (
        " · normalised: value in [0, 1] less ImageNet's mean, over its standard deviation, by colour; shown clipped to "
        "[0, 1], as plotting libraries do: what is darker than the mean turns black"
    )
    headers = _headers(arrays["shown.numbers"][chosen], [])
    return _grid(spec.title, provenance(result, []) + note, headers, lines)


def _chosen(spec: Photographs | NormalisedPhotographs, arrays: Arrays) -> NDArray[Any]:
    count, chosen = len(arrays["shown.targets"]), np.array(spec.images)
    if chosen.max() >= count:
        raise InputError(f"`images` of {spec.file} must be below {count}; got {chosen.max()}.")
    return chosen


def _scores(metric: str, name: str, arrays: Arrays, chosen: NDArray[Any]) -> list[str]:
    scores, numbers = arrays.get(f"{metric}.{name}"), arrays["shown.numbers"][chosen]
    if scores is None:
        return [""] * len(numbers)
    if numbers.max() >= scores.shape[1]:
        raise InputError(
            f"`shown.numbers` must be below {scores.shape[1]}, the images of `{metric}.{name}`; got {numbers.max()}."
        )
    return [format_fixed(float(score), metric) for score in scores[0][numbers]]


def _headers(numbers: NDArray[Any], words: Sequence[str]) -> list[str]:
    names = [f"image {number}" for number in numbers]
    return [f"{word}\n{name}" for word, name in zip(words, names, strict=True)] if words else names


def _grid(title: str, footer: str, headers: Sequence[str], lines: Sequence[Line]) -> Figure:
    return draw_grid(title, footer, headers, lines, columns=max(_LEAST_COLUMNS, len(headers)))
