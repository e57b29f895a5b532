"""The rows of Table 4 of the thesis as an implementation in PyTorch measured them at its own sizes, and the package's.

The measurements are tests/oracles/torch_table_4.json, made by tests/oracles/torch_table_4.py; `update_docs.py` puts them into docs/.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from mi_keras.experiments.thesis.table_4 import ALONE, PUBLISHED
from mi_keras.reports.text import MISSING
from mi_keras.results import StoredResult
from mi_keras.tuning import step_size

ORACLE = Path(__file__).resolve().parents[1] / "tests/oracles/torch_table_4.json"
PAPER, QUICK = "thesis.5.2.paper", "thesis.5.2.quick"
# On validation images
TABLE_3 = {start: (scores[0], scores[1]) for start, scores in step_size.PUBLISHED.items()}
NO_BREAK = "\N{NO-BREAK SPACE}"
WAYS = {"adam": "Adam", "gradient_descent": "plain gradient"}
Row = Mapping[str, Any]
Pair = tuple[float, float]  # SSIM, MSE


@dataclass(frozen=True)
class Line:
    """A row of Table 4: what the thesis has in it, and which rows are its own in PyTorch and in the package.

    Attributes:
        published: SSIM and MSE, None where the thesis has no such row.
        wanted: what is equal in the rows of PyTorch.
        name: of the row in the package's result.
    """

    label: str
    published: Pair | None
    wanted: Mapping[str, Any]
    name: str


def of_thesis(name: str) -> Pair:
    ssim, mse = (PUBLISHED[name].values[metric][0] for metric in ("ssim", "mse"))
    return ssim, mse


def _model(inputs: str, label: str, known: str) -> Line:
    """Return a row of M_I; those of the thesis with A^L stand beside the reading that explains them."""
    wanted = {"kind": "inverter", "inputs": inputs, "known": known, "repeat": 1}
    has = known == "extracted" or "a" not in inputs
    name = inputs + ("[extracted]" if known == "extracted" else "")
    return Line(label, of_thesis(inputs) if has else None, wanted, name)


LINES = (  # in the order of the thesis, lowest first
    _model("a", "M_I(A^L), A^L extracted", "extracted"),
    _model("o+a", "M_I(O + A^L), A^L extracted", "extracted"),
    _model("a+x", "M_I(A^L + X\\~), A^L extracted", "extracted"),
    _model("o+a+x", "M_I(O + A^L + X\\~), A^L extracted", "extracted"),
    _model("o", "M_I(O)", "solved"),
    _model("o+x", "M_I(O + X\\~)", "solved"),
    _model("x", "M_I(X\\~)", "solved"),
    _model("a", "M_I(A^L), A^L solved", "solved"),
    _model("o+a", "M_I(O + A^L), A^L solved", "solved"),
    _model("a+x", "M_I(A^L + X\\~), A^L solved", "solved"),
    _model("o+a+x", "M_I(O + A^L + X\\~), A^L solved", "solved"),
    Line(
        "M_I(X\\~), X\\~ of the class alone", None,
        {"kind": "inverter", "inputs": "one_hot"}, "x[cross_entropy]",
    ),
    Line("X\\~ alone", of_thesis(ALONE), {"kind": "alone", "objective": "logit_mse"}, ALONE),
    Line("class average", None, {"kind": "average"}, "class_average"),
)  # fmt: skip


LAST = LINES[3]  # of a shadow model, in the order in which `torch_table_4.pairs` trains


def measured() -> dict[str, Any]:
    """Return the studies by name: settings, machine and rows."""
    found: dict[str, Any] = json.loads(ORACLE.read_text(encoding="utf-8"))
    return found


def chosen(rows: Sequence[Row], wanted: Mapping[str, Any]) -> list[Row]:
    """Return the rows in which each wanted value is found; a wanted None is no value, a wanted ... any."""
    return [
        row for row in rows if all(value is ... or row.get(key) == value for key, value in wanted.items())
    ]


def over_pairs(rows: Sequence[Row], wanted: Mapping[str, Any]) -> list[Pair]:
    return [scores_of(row) for row in finished(rows, wanted) if row.get("target")]


def finished(rows: Sequence[Row], wanted: Mapping[str, Any]) -> list[Row]:
    """Return such rows of the shadow models that came to their last row."""
    shadows = finished_shadows(rows)
    return [row for row in chosen(rows, wanted) if row["shadow"] in shadows]


def finished_shadows(rows: Sequence[Row]) -> set[int]:
    return {row["shadow"] for row in chosen(rows, LAST.wanted) if row.get("answered_by")}


def scores_of(row: Row) -> Pair:
    return row["ssim"], row["mse"]


def mean_of(pairs: Any) -> Pair:
    ssim, mse = zip(*pairs, strict=True)
    return fmean(ssim), fmean(mse)


def of_package(result: StoredResult | None, name: str) -> Pair | None:
    rows = [row for table in result.tables for row in table.rows if row.name == name] if result else []
    return (rows[0].values["ssim"].mean, rows[0].values["mse"].mean) if rows else None


def span(values: Sequence[float]) -> str:
    return f"{min(values):.3f}{NO_BREAK}to{NO_BREAK}{max(values):.3f}"


def both(pair: Pair | None) -> str:
    """Return SSIM / MSE, which stay in one line."""
    return f"{pair[0]:.3f}{NO_BREAK}/{NO_BREAK}{pair[1]:.3f}" if pair else MISSING


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
