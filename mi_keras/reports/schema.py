"""What a result.json must look like before tables and figures are made of it (docs/result_schema.md)."""

from collections.abc import Mapping, Sequence
from typing import Any

from mi_keras.errors import InputError
from mi_keras.experiments.result import GROUPS, METRICS, SCHEMA
from mi_keras.reports.checks import (
    BOOLEAN,
    INTEGER,
    INTEGER_OR_NULL,
    LIST,
    NUMBER,
    OPTIONAL_TEXT,
    OPTIONAL_TEXTS,
    RECORD,
    RECORD_OR_NULL,
    SPREAD,
    TEXT,
    TEXTS,
    VERDICT,
    Check,
    check_distinct,
    check_fields,
    check_file_name,
    check_metric,
)
from mi_keras.reports.figure_schema import check_figure

Result = Mapping[str, Any]

_RESULT: Mapping[str, Check] = {
    "work": TEXT, "section": TEXT, "title": TEXT, "preset": TEXT, "changed": OPTIONAL_TEXTS, "data": TEXT,
    "class_names": OPTIONAL_TEXTS, "runs": INTEGER, "seed": INTEGER, "settings": RECORD, "versions": RECORD,
    "timings": LIST, "notes": OPTIONAL_TEXTS, "arrays_sha256": OPTIONAL_TEXT, "written": OPTIONAL_TEXT,
    "measured": TEXT, "tables": LIST, "claims": LIST, "figures": LIST,
}  # fmt: skip
_TIMING: Mapping[str, Check] = {"stage": TEXT, "seconds": NUMBER, "reused": BOOLEAN}
_TABLE: Mapping[str, Check] = {
    "file": TEXT, "title": TEXT, "first_column": TEXT, "metrics": TEXTS, "best": TEXT, "notes": TEXTS,
    "rows": LIST,
}  # fmt: skip
_ROW: Mapping[str, Check] = {
    "name": TEXT, "label": TEXT, "group": TEXT, "note": TEXT, "values": RECORD,
    "images": INTEGER_OR_NULL, "paper": RECORD_OR_NULL,
}  # fmt: skip
_PUBLISHED: Mapping[str, Check] = {"mean": NUMBER, "std": SPREAD}
_SCORE: Mapping[str, Check] = {**_PUBLISHED, "n": INTEGER}
_CLAIM: Mapping[str, Check] = {"text": TEXT, "source": TEXT, "numbers": TEXT, "holds": VERDICT}


def check_result(result: Any) -> None:
    """Raise `InputError` unless `result` is a result of this schema, down to the fields that reports read."""
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        found = result.get("schema") if isinstance(result, dict) else type(result).__name__
        hint = ": run the section again" if found == "mi_keras.result/1" else ""
        raise InputError(f"`schema` of result.json must be {SCHEMA!r}; got {found!r}{hint}.")
    check_fields("result", result, _RESULT)
    if result["runs"] < 1:
        raise InputError(f"`result.runs` must be at least 1; got {result['runs']}.")
    for number, entry in enumerate(result["timings"]):
        check_fields(f"timings[{number}]", entry, _TIMING)
    for number, table in enumerate(result["tables"]):
        _check_table(f"tables[{number}]", table)
    check_distinct("tables", "files", [table["file"] for table in result["tables"]])
    _check_labels(result["tables"])
    for number, claim in enumerate(result["claims"]):
        check_fields(f"claims[{number}]", claim, _CLAIM)
    for number, figure in enumerate(result["figures"]):
        check_figure(f"figures[{number}]", figure)
    check_distinct("figures", "files", [figure["file"] for figure in result["figures"]])


def _check_table(where: str, table: Any) -> None:
    check_fields(where, table, _TABLE)
    check_file_name(f"{where}.file", table["file"])
    metrics = table["metrics"]
    for metric in metrics:
        check_metric(f"{where}.metrics", metric)
    check_distinct(where, "metrics", metrics)
    best = table["best"]
    if best and (best not in metrics or METRICS[best].higher_is_better is None):
        ranked = [metric for metric in metrics if METRICS[metric].higher_is_better is not None]
        raise InputError(f"`{where}.best` must be one of {', '.join(ranked) or 'none'} or ''; got {best!r}.")
    for number, row in enumerate(table["rows"]):
        _check_row(f"{where}.rows[{number}]", row)
    check_distinct(f"{where}.rows", "names", [row["name"] for row in table["rows"]])


def _check_row(where: str, row: Any) -> None:
    check_fields(where, row, _ROW)
    if row["group"] not in GROUPS:
        raise InputError(f"`{where}.group` must be one of {', '.join(GROUPS)}; got {row['group']!r}.")
    for metric, score in row["values"].items():
        check_fields(f"{where}.values.{metric}", score, _SCORE)
    if row["paper"] is not None:
        check_fields(f"{where}.paper", row["paper"], {"table": TEXT, "values": RECORD})
        for metric, score in row["paper"]["values"].items():
            check_fields(f"{where}.paper.values.{metric}", score, _PUBLISHED)


def _check_labels(tables: Sequence[Result]) -> None:
    labels: dict[str, str] = {}
    for row in (row for table in tables for row in table["rows"]):
        known = labels.setdefault(row["name"], row["label"])
        if known != row["label"]:
            raise InputError(
                f"`label` of row {row['name']!r} must be the same in all tables; got {known!r} and {row['label']!r}."
            )
