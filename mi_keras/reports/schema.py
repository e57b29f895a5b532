"""What a result must look like before a table or figure is made of it (docs/result_schema.md)."""

import re
from collections.abc import Mapping
from types import UnionType
from typing import Any

from mi_keras.errors import InputError
from mi_keras.experiments.result import SCHEMA
from mi_keras.work import Arrays

GROUPS = ("attack", "baseline")

Result = Mapping[str, Any]

_FIELDS: Mapping[str, type | UnionType] = {
    "work": str, "section": str, "title": str, "table": str, "preset": str, "data": str, "runs": int, "seed": int,
    "measured": str, "settings": dict, "versions": dict, "timings": list, "rows": list, "claims": list, "figures": list,
}  # fmt: skip
_ROW_FIELDS: Mapping[str, type | UnionType] = {
    "name": str, "label": str, "group": str, "note": str, "images": int, "ssim": dict, "mse": dict,
}  # fmt: skip
_CLAIM_FIELDS: Mapping[str, type | UnionType] = {"text": str, "source": str, "numbers": str}
_FIGURE_FIELDS: Mapping[str, type | UnionType] = {
    "file": str, "kind": str, "title": str, "caption": str, "rows": list,
}  # fmt: skip
_AXES = {
    "reconstruction.": ("images", "height", "width", "channels"),
    "ssim.": ("runs", "images"),
    "mse.": ("runs", "images"),
    "curve.": ("runs", "epochs"),
    "class_counts.": ("classes",),
    "gradient_loss.": ("runs", "steps", "4 terms"),
}


def check_result(result: Any) -> None:
    """Raise `InputError` unless `result` is a result of this schema, down to the fields that reports read."""
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        found = result.get("schema") if isinstance(result, dict) else type(result).__name__
        raise InputError(f"`schema` of result.json must be {SCHEMA!r}; got {found!r}.")
    _check_fields("result", result, _FIELDS)
    _check_file_name("table", result["table"])
    if not isinstance(result.get("class_names", []), list):
        raise InputError(
            f"`class_names` must be a list where it is given; got {result['class_names']!r:.60}."
        )
    for number, row in enumerate(result["rows"]):
        where = f"rows[{number}]"
        _check_fields(where, row, _ROW_FIELDS)
        if row["group"] not in GROUPS:
            raise InputError(f"`{where}.group` must be one of {', '.join(GROUPS)}; got {row['group']!r}.")
        paper = row.get("paper") or {}
        if not isinstance(paper, dict):
            raise InputError(f"`{where}.paper` must be an object or null; got {paper!r}.")
        for metric in ("ssim", "mse"):
            _check_score(f"{where}.{metric}", row[metric])
            if paper.get(metric) is not None:
                _check_score(f"{where}.paper.{metric}", paper[metric])
    names = [row["name"] for row in result["rows"]]
    if len(set(names)) < len(names):
        raise InputError(f"`rows` must have distinct names; got {', '.join(names)}.")
    for number, claim in enumerate(result["claims"]):
        _check_fields(f"claims[{number}]", claim, _CLAIM_FIELDS)
        if not (claim.get("holds") is None or isinstance(claim["holds"], bool)):
            raise InputError(f"`claims[{number}].holds` must be true, false or null; got {claim['holds']!r}.")
    for number, figure in enumerate(result["figures"]):
        _check_fields(f"figures[{number}]", figure, _FIGURE_FIELDS)
        _check_file_name(f"figures[{number}].file", figure["file"])


def check_arrays(arrays: Arrays) -> None:
    """Raise `InputError` unless every array has the shape that its key promises, for one number of images."""
    for key, array in arrays.items():
        for prefix, axes in _AXES.items():
            if key.startswith(prefix) and (
                array.ndim != len(axes)
                or 0 in array.shape
                or (axes[-1] == "4 terms" and array.shape[-1] != 4)
            ):
                raise InputError(
                    f"`{key}` of arrays.npz must be ({', '.join(axes)}), none empty; got {array.shape}."
                )
    targets, labels = arrays.get("targets"), arrays.get("labels")
    if targets is None:
        return
    if targets.ndim != 4 or labels is None or labels.shape != targets.shape[:1]:
        found = f"{targets.shape} and {None if labels is None else labels.shape}"
        raise InputError(
            f"`targets` must be (images, height, width, channels) and `labels` (images,); got {found}."
        )
    for key, array in arrays.items():
        if key.startswith("reconstruction.") and array.shape != targets.shape:
            raise InputError(f"`{key}` must have the shape {targets.shape} of `targets`; got {array.shape}.")
        if key.startswith(("ssim.", "mse.")) and array.shape[1] != len(targets):
            raise InputError(
                f"`{key}` must be (runs, {len(targets)}), a value per target; got {array.shape}."
            )


def _check_fields(where: str, holder: Any, fields: Mapping[str, type | UnionType]) -> None:
    if not isinstance(holder, dict):
        raise InputError(f"`{where}` must be an object; got {type(holder).__name__}.")
    for name, kind in fields.items():
        if not isinstance(holder.get(name), kind):
            raise InputError(
                f"`{where}.{name}` must be of type {getattr(kind, '__name__', kind)}; got {holder.get(name)!r:.60}."
            )


def _check_score(where: str, score: Any) -> None:
    _check_fields(where, score, {"mean": float | int, "std": float | int | None})


def _check_file_name(where: str, name: str) -> None:
    # The name becomes a path next to the result and a link in Markdown.
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise InputError(
            f"`{where}` must be a plain file name of letters, digits, '.', '_' and '-'; got {name!r}."
        )
