"""Draws the figures that a result asks for, one function per kind."""

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from mi_keras.errors import InputError
from mi_keras.reports.curves import gradient_curves, training_curves
from mi_keras.reports.distributions import class_counts, histogram
from mi_keras.reports.feature_maps import layers, maps
from mi_keras.reports.image_grids import best_per_class, chosen_images, class_images, median_per_class
from mi_keras.reports.matrices import confusion
from mi_keras.reports.photographs import normalised_photographs, photographs
from mi_keras.reports.schema import Result
from mi_keras.reports.searches import search
from mi_keras.reports.sweeps import sweep
from mi_keras.reports.trade_offs import trade_off
from mi_keras.work import Arrays

KINDS: Mapping[str, Callable[[Result, Result, Arrays], Figure]] = {
    "best_per_class": best_per_class,
    "median_per_class": median_per_class,
    "training_curves": training_curves,
    "gradient_curves": gradient_curves,
    "histogram": histogram,
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


def draw(spec: Result, result: Result, arrays: Arrays) -> Figure:
    """Return one figure, 1200 px wide when saved at `style.DPI`.

    Args:
        spec: an entry of `result["figures"]`: kind, title, and the names of the rows to draw.
        result: a checked result, see `files.load_result`.
        arrays: its arrays; one that is missing leaves a sentence in place of its panel.

    Raises:
        InputError: the kind is unknown, or it asks for an image that does not exist.
    """
    if spec["kind"] not in KINDS:
        raise InputError(f"`kind` of a figure must be one of {', '.join(KINDS)}; got {spec['kind']!r}.")
    return KINDS[spec["kind"]](spec, result, arrays)
