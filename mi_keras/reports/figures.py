"""Draws the figures that a result asks for, one function per kind."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from mi_keras.progress import Arrays
from mi_keras.reports.curves import gradient_curves, training_curves
from mi_keras.reports.distributions import class_counts, histogram
from mi_keras.reports.feature_maps import layers, maps
from mi_keras.reports.image_grids import best_per_class, chosen_images, class_images, median_per_class
from mi_keras.reports.matrices import confusion
from mi_keras.reports.photographs import normalised_photographs, photographs
from mi_keras.reports.run_scores import run_scores
from mi_keras.reports.searches import search
from mi_keras.reports.style import plain_text
from mi_keras.reports.sweeps import sweep
from mi_keras.reports.trade_offs import trade_off
from mi_keras.results import AnyFigure, StoredResult

KINDS: Mapping[str, Callable[[Any, StoredResult, Arrays], Figure]] = {
    "best_per_class": best_per_class,
    "median_per_class": median_per_class,
    "training_curves": training_curves,
    "gradient_curves": gradient_curves,
    "histogram": histogram,
    "run_scores": run_scores,
    "class_counts": class_counts,
    "chosen_images": chosen_images,
    "class_images": class_images,
    "confusion": confusion,
    "search": search,
    "sweep": sweep,
    "trade_off": trade_off,
    "photographs": photographs,
    "normalised_photographs": normalised_photographs,
    "maps": maps,
    "layers": layers,
}


def draw(spec: AnyFigure, result: StoredResult, arrays: Arrays) -> Figure:
    """Return one figure, 1200 px wide when saved at `style.DPI`.

    Args:
        spec: an entry of `result.figures`.
        result: a checked result, see `files.load_result`.
        arrays: its arrays; one that is missing leaves a sentence in place of its panel.

    Raises:
        InputError: it asks for an image that does not exist.
    """
    with plain_text():
        return KINDS[spec.kind](spec, result, arrays)
