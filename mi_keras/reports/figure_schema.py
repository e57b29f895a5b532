"""What an entry of `figures` in a result.json must look like before the figure is drawn (docs/result_schema.md)."""

from collections.abc import Callable, Mapping
from typing import Any

from mi_keras.errors import InputError
from mi_keras.reports.checks import (
    BOOLEAN,
    INTEGERS,
    LIST,
    OPTIONAL_INTEGERS,
    OPTIONAL_TEXT,
    OPTIONAL_TEXTS,
    TEXT,
    TEXTS,
    Check,
    check_fields,
    check_file_name,
    check_metric,
)

MAX_CHOSEN = 10  # images beside each other in a figure's width
MAX_PHOTOGRAPHS = 8  # the same of photographs, which need more of it
CORNERS = ("lower left", "lower right", "upper left", "upper right")

_FIGURE: Mapping[str, Check] = {
    "file": TEXT, "kind": TEXT, "title": TEXT, "caption": TEXT, "rows": TEXTS,
}  # fmt: skip
_FIELDS_OF_KIND: Mapping[str, Mapping[str, Check]] = {
    "chosen_images": {"images": INTEGERS},
    "photographs": {"images": INTEGERS, "metric": TEXT, "headers": OPTIONAL_TEXTS},
    "normalised_photographs": {"images": INTEGERS},
    "maps": {"array": TEXT, "numbers": OPTIONAL_INTEGERS},
    "layers": {"arrays": TEXTS, "labels": TEXTS},
    "training_curves": {"models": OPTIONAL_TEXT, "loss": OPTIONAL_TEXT},
    "histogram": {"metric": OPTIONAL_TEXT, "baseline": OPTIONAL_TEXTS},
    "search": {"axes": TEXTS},
    "sweep": {"metrics": TEXTS, "ticks": TEXTS, "x_label": TEXT, "series": LIST, "baseline": OPTIONAL_TEXTS},
    "trade_off": {"panels": LIST, "series": LIST, "baseline": OPTIONAL_TEXTS, "reference": OPTIONAL_TEXT},
}
_PANEL: Mapping[str, Check] = {"x": TEXT, "y": TEXT, "log_x": BOOLEAN, "better": OPTIONAL_TEXT}


def check_figure(where: str, figure: Any) -> None:
    """Raise `InputError` unless an entry of `result["figures"]` has the fields that its kind needs."""
    check_fields(where, figure, _FIGURE)
    check_file_name(f"{where}.file", figure["file"])
    if not figure["file"].endswith(".png"):
        raise InputError(f"`{where}.file` must end in .png; got {figure['file']!r}.")
    check_fields(where, figure, _FIELDS_OF_KIND.get(figure["kind"], {}))
    if figure["kind"] in _CHECK_OF_KIND:
        _CHECK_OF_KIND[figure["kind"]](where, figure)


def _check_chosen(where: str, figure: Mapping[str, Any], most: int = MAX_CHOSEN) -> None:
    chosen = figure["images"]
    if not 1 <= len(chosen) <= most or min(chosen) < 0:
        raise InputError(f"`{where}.images` must be 1 to {most} numbers from 0 on; got {chosen}.")


def _check_few(where: str, figure: Mapping[str, Any]) -> None:
    _check_chosen(where, figure, MAX_PHOTOGRAPHS)


def _check_photographs(where: str, figure: Mapping[str, Any]) -> None:
    _check_few(where, figure)
    if figure.get("metric"):
        check_metric(f"{where}.metric", figure["metric"])
    headers = figure.get("headers") or []
    if headers and len(headers) != len(figure["images"]):
        raise InputError(
            f"`{where}.headers` must be a text for each of the {len(figure['images'])} images; got {len(headers)}."
        )


def _check_layers(where: str, figure: Mapping[str, Any]) -> None:
    names, labels = figure["arrays"], figure["labels"]
    if not names or len(names) != len(labels):
        raise InputError(
            f"`{where}.labels` must be a text for each of `arrays`, of which there must be one at least; "
            f"got {len(labels)} for {len(names)}."
        )


def _check_histogram(where: str, figure: Mapping[str, Any]) -> None:
    if figure.get("metric") is not None:
        check_metric(f"{where}.metric", figure["metric"])


def _check_search(where: str, figure: Mapping[str, Any]) -> None:
    if len(figure["axes"]) != 2:
        raise InputError(f"`{where}.axes` must name two parameters; got {figure['axes']}.")


def _check_sweep(where: str, figure: Mapping[str, Any]) -> None:
    for metric in figure["metrics"]:
        check_metric(f"{where}.metrics", metric)
    for number, series in enumerate(figure["series"]):
        check_fields(f"{where}.series[{number}]", series, {"label": TEXT, "rows": TEXTS})
        if len(series["rows"]) != len(figure["ticks"]):
            raise InputError(
                f"`{where}.series[{number}].rows` must name a row for each of the {len(figure['ticks'])} ticks; "
                f"got {len(series['rows'])}."
            )


def _check_trade_off(where: str, figure: Mapping[str, Any]) -> None:
    for field in ("panels", "series"):
        if not figure[field]:
            raise InputError(f"`{where}.{field}` must hold one at least; got [].")
    for number, panel in enumerate(figure["panels"]):
        check_fields(f"{where}.panels[{number}]", panel, _PANEL)
        for axis in ("x", "y"):
            check_metric(f"{where}.panels[{number}].{axis}", panel[axis])
        if (panel.get("better") or CORNERS[0]) not in CORNERS:
            raise InputError(
                f"`{where}.panels[{number}].better` must be one of {', '.join(CORNERS)}; got {panel['better']!r}."
            )
    for number, series in enumerate(figure["series"]):
        check_fields(f"{where}.series[{number}]", series, {"label": TEXT, "rows": TEXTS, "points": TEXTS})
        if len(series["points"]) != len(series["rows"]):
            raise InputError(
                f"`{where}.series[{number}].points` must be a text for each of the {len(series['rows'])} rows; "
                f"got {len(series['points'])}."
            )


_CHECK_OF_KIND: Mapping[str, Callable[[str, Mapping[str, Any]], None]] = {
    "chosen_images": _check_chosen,
    "photographs": _check_photographs,
    "normalised_photographs": _check_few,
    "layers": _check_layers,
    "histogram": _check_histogram,
    "search": _check_search,
    "sweep": _check_sweep,
    "trade_off": _check_trade_off,
}
