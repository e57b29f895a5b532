"""Table 4 of the thesis at its own sizes, as an implementation in PyTorch measured it, beside the package's: tables.

The measurements are tests/oracles/torch_table_4.json, made by tests/oracles/torch_table_4.py; `update_docs.py` puts them into docs/.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from mi_keras.experiments.thesis.table_4 import ALONE, PUBLISHED
from mi_keras.reports.text import MISSING
from mi_keras.results import StoredResult
from mi_keras.tuning import step_size

ORACLE = Path(__file__).resolve().parents[1] / "tests/oracles/torch_table_4.json"
PAPER, QUICK = "thesis.5.2.paper", "thesis.5.2.quick"
TABLE_3 = {
    start: (scores[0], scores[1]) for start, scores in step_size.PUBLISHED.items()
}  # on validation images
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


def _published(name: str) -> Pair:
    ssim, mse = (PUBLISHED[name].values[metric][0] for metric in ("ssim", "mse"))
    return ssim, mse


def _model(inputs: str, label: str, known: str) -> Line:
    """Return a row of M_I; those of the thesis with A^L stand beside the reading that explains them."""
    wanted = {"kind": "inverter", "inputs": inputs, "known": known, "repeat": 1}
    of_thesis = known == "extracted" or "a" not in inputs
    name = inputs + ("[extracted]" if known == "extracted" else "")
    return Line(label, _published(inputs) if of_thesis else None, wanted, name)


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
    Line("X\\~ alone", _published(ALONE), {"kind": "alone", "objective": "logit_mse"}, ALONE),
    Line("class average", None, {"kind": "average"}, "class_average"),
)  # fmt: skip


LAST = LINES[3]  # of a shadow model, in the order in which `torch_table_4.pairs` trains


def measured() -> dict[str, Any]:
    """Return the studies by name: settings, machine and rows."""
    found: dict[str, Any] = json.loads(ORACLE.read_text(encoding="utf-8"))
    return found


def summary(results: Mapping[str, StoredResult]) -> str:
    """Return Table 4 as the thesis has it, over pairs of models in PyTorch, and in the package."""
    study = measured()["pairs"]
    lines = [
        "| input | thesis | pairs, mean | pairs, SSIM | thesis's SSIM is | "
        "package, `paper` | package, `quick` |",
        "|---|--:|--:|--:|---|--:|--:|",
    ]
    for line in LINES:
        pairs = over_pairs(study["rows"], line.wanted)
        ssim = [each[0] for each in pairs]
        place = MISSING
        if line.published:
            below = sum(each < line.published[0] for each in ssim)
            place = (
                f"among: {below} of {len(ssim)} below"
                if 0 < below < len(ssim)
                else "above"
                if below
                else "below"
            )
        cells = [
            line.label,
            _both(line.published),
            _both((fmean(ssim), fmean(each[1] for each in pairs))),
            _range(ssim),
            place,
            *(_both(of_package(results.get(name), line.name)) for name in (PAPER, QUICK)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    settings, shadows = study["settings"], _shadows(study["rows"])
    lines += [
        "",
        f"SSIM / MSE on the {1334:,} test images. A^L extracted, solved: that of the adversary's own images. Pairs: PyTorch at the thesis's sizes, "
        f"{len(shadows)} shadow models against {settings['targets']} target models, X\\~ by Adam with steps of {settings['rate']}; SSIM from the "
        f"lowest pair to the highest. {_package(results)} A dash: not measured.",
    ]
    return "\n".join(lines) + "\n"


def _package(results: Mapping[str, StoredResult]) -> str:
    """Say what the package's columns were measured with."""
    words = []
    for result in (results[name] for name in (PAPER, QUICK) if name in results):
        precision = ", bfloat16" if any("bfloat16" in each for each in result.changed) else ""
        rate = result.settings["gradient"]["learning_rate"]
        words.append(f"`{result.preset}`: {_counted(result.runs, 'pair')}, steps of {rate:g}{precision}.")
    return " ".join(words)


def own_answers() -> str:
    """Return what the same inversion models draw where the shadow model answers, and how little repeating them moves."""
    rows = measured()["pairs"]["rows"]
    lines = [
        "| input | M_S answers | M_T answers | M_I repeated on one pair: standard deviation of SSIM |",
        "|---|--:|--:|--:|",
    ]
    for line in LINES:
        if line.wanted["kind"] != "inverter":
            continue
        own = [_scores(row) for row in _finished(rows, line.wanted) if row.get("answered_by")]
        again: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
        for row in _finished(rows, dict(line.wanted) | {"repeat": None}):
            if row.get("target"):
                again[row["shadow"], row["target"]].append(row["ssim"])
        spreads = [stdev(ssim) for ssim in again.values() if len(ssim) > 1]
        spread = (
            f"{min(spreads):.4f} to {max(spreads):.4f} ({_counted(len(spreads), 'pair')})"
            if spreads
            else MISSING
        )
        pairs = _both(_mean(over_pairs(rows, line.wanted)))
        lines.append(f"| {line.label} | {_both(_mean(own))} | {pairs} | {spread} |")
    return "\n".join(lines) + "\n"


def searches() -> str:
    """Return M_I(X~) and X~ alone for every search, and what it is nearest to in the thesis."""
    study = measured()["search"]
    rows = study["rows"]
    lines = [
        "| search of X\\~ | steps | X\\~ alone, validation | X\\~ alone, test | M_I(X\\~) | M_I(X\\~), lowest to highest |",
        "|---|--:|--:|--:|--:|--:|",
        f"| *thesis* | | {_both(TABLE_3['class_average'])} | {_both(_published(ALONE))} | {_both(_published('x'))} | |",
    ]
    ways: dict[tuple[str, float, int], None] = {}
    for row in rows:
        if row.get("inputs") == "x":
            ways[row["optimizer"], row["rate"], row["steps"]] = None
    for optimizer, rate, steps in ways:
        same = {"inputs": "x", "optimizer": optimizer, "rate": rate, "steps": steps}
        alone = [
            _rows(rows, {"kind": "alone", "images": images, **same}) for images in ("validation", "test")
        ]
        drawn = _rows(rows, {"kind": "inverter", **same})
        if not drawn:
            continue  # cut off before it was trained
        ssim = [row["ssim"] for row in drawn]
        name = f"{WAYS[optimizer]}, {rate}" if steps else "class average"
        cells = [
            name,
            str(steps),
            *(_both(_mean(map(_scores, each))) for each in alone),
            _both(_mean(map(_scores, drawn))),
        ]
        lines.append(f"| {' | '.join(cells)} | {_range(ssim)} |")
    first = _rows(rows, {"kind": "inverter", "inputs": "o"})
    ssim = [row["ssim"] for row in first]
    lines += [
        "",
        f"SSIM / MSE, means over {len(first)} target models, the first shadow model, trained again from its seed (a GPU's rounding makes it another model), one M_I for each search; test images n = 1,334, validation images n = 1,333. M_I(O) in this study: "
        f"{_both(_mean(map(_scores, first)))}, {_range(ssim)}. PyTorch, the thesis's sizes.",
    ]
    return "\n".join(lines) + "\n"


def steps() -> str:
    """Return how far each step size is from the three validation rows of Table 3, nearest first."""
    study = measured()["steps"]
    ways: defaultdict[step_size.Way, dict[str, Pair]] = defaultdict(dict)
    rows = _rows(study["rows"], {"kind": "steps"})
    for row in rows:
        ways["logit_mse", row["optimizer"], row["rate"]][row["start"]] = _scores(row)
    lines = [
        "| optimizer | step size | mean SSIM distance | mean MSE distance | class average | class instance | noise |",
        "|---|--:|--:|--:|--:|--:|--:|",
        "| *thesis* | | | | " + " | ".join(_both(TABLE_3[start]) for start in TABLE_3) + " |",
    ]
    for way, ssim, mse in step_size.ranking(ways):
        scores = " | ".join(_both(ways[way][start]) for start in TABLE_3)
        lines.append(f"| {WAYS[way[1]]} | {way[2]} | {ssim:.4f} | {mse:.4f} | {scores} |")
    lines += [
        "",
        f"SSIM / MSE on shadow validation images, n = {rows[0]['images']}, one shadow model of the thesis's width, 400 steps. PyTorch.",
    ]
    return "\n".join(lines) + "\n"


PARTS = {"summary": summary, "own_answers": own_answers, "searches": searches, "steps": steps}


def part(name: str, results: Mapping[str, StoredResult]) -> str:
    """Return one of the tables by its name in a document."""
    return summary(results) if name == "summary" else PARTS[name]()  # type: ignore[call-arg]


def _rows(rows: Sequence[Row], wanted: Mapping[str, Any]) -> list[Row]:
    """Return the rows in which each wanted value is found; a wanted None is any value."""
    return [
        row for row in rows if all(value is None or row.get(key) == value for key, value in wanted.items())
    ]


def over_pairs(rows: Sequence[Row], wanted: Mapping[str, Any]) -> list[Pair]:
    return [_scores(row) for row in _finished(rows, wanted) if row.get("target")]


def _finished(rows: Sequence[Row], wanted: Mapping[str, Any]) -> list[Row]:
    """Return such rows of the shadow models that came to their last row."""
    shadows = _shadows(rows)
    return [row for row in _rows(rows, wanted) if row["shadow"] in shadows]


def _shadows(rows: Sequence[Row]) -> set[int]:
    return {row["shadow"] for row in _rows(rows, LAST.wanted) if row.get("answered_by")}


def _scores(row: Row) -> Pair:
    return row["ssim"], row["mse"]


def _mean(pairs: Any) -> Pair:
    ssim, mse = zip(*pairs, strict=True)
    return fmean(ssim), fmean(mse)


def of_package(result: StoredResult | None, name: str) -> Pair | None:
    rows = [row for table in result.tables for row in table.rows if row.name == name] if result else []
    return (rows[0].values["ssim"].mean, rows[0].values["mse"].mean) if rows else None


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3f}{NO_BREAK}to{NO_BREAK}{max(values):.3f}"


def _both(pair: Pair | None) -> str:
    """Return SSIM / MSE, which stay in one line."""
    return f"{pair[0]:.3f}{NO_BREAK}/{NO_BREAK}{pair[1]:.3f}" if pair else MISSING


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
