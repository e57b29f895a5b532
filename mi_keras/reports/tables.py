"""A result as Markdown, CSV and terminal tables, and its claims in words."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mi_keras.reports.schema import Result
from mi_keras.reports.text import escape_markdown, format_score, provenance, section_title

COLUMNS = ("combination", "SSIM", "MSE", "paper SSIM", "paper MSE", "note")
CSV_COLUMNS = (
    "work", "section", "table", "preset", "data", "runs", "seed", "name", "label", "group", "note", "images",
    "ssim_mean", "ssim_std", "ssim_n", "mse_mean", "mse_std", "mse_n",
    "paper_table", "paper_ssim_mean", "paper_ssim_std", "paper_mse_mean", "paper_mse_std",
)  # fmt: skip
BASELINES = "Baselines"
MIN_WIDTH = 100  # of a table that goes to a file or pipe, where no window limits it
MAX_LABEL = 18  # columns that the notes leave to a label before it is broken
_VERDICTS = {True: ("holds", "green"), False: ("does not hold", "red"), None: ("undecided", "yellow")}


def markdown_table(result: Result) -> str:
    """Return the table of a result in Markdown, under a line that says what was measured.

    Attacks come first, baselines under a separator; the highest mean SSIM among the attacks is bold.
    """
    best = _best_attack(result)
    lines = [
        escape_markdown(f"{result['work']} {result['section']} · {provenance(result)}"),
        "",
        *([f"Measured: {escape_markdown(result['measured'])}", ""] if result["measured"] else []),
        _markdown_row(COLUMNS),
        "|---|" + "--:|" * 4 + "---|",
    ]
    for row in _group(result, "attack"):
        label, ssim, *others = (escape_markdown(cell) for cell in _cells(row))
        lines.append(_markdown_row((label, f"**{ssim}**" if row["name"] == best else ssim, *others)))
    if baselines := _group(result, "baseline"):
        lines.append(_markdown_row((f"**{BASELINES}**", "", "", "", "", "")))
        lines += [_markdown_row([escape_markdown(cell) for cell in _cells(row)]) for row in baselines]
    footnotes = [
        part for note in (_legend(result), *result.get("notes", ())) for part in ("", escape_markdown(note))
    ]
    return "\n".join([*lines, *footnotes, ""])


def csv_table(result: Result) -> str:
    """Return one CSV line per row at full precision, columns `CSV_COLUMNS`; what is absent is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in result["rows"]:
        paper = row.get("paper") or {}
        line = {column: result.get(column, row.get(column)) for column in CSV_COLUMNS}
        for metric in ("ssim", "mse"):
            line |= {f"{metric}_{part}": row[metric].get(part) for part in ("mean", "std", "n")}
            line |= {
                f"paper_{metric}_{part}": (paper.get(metric) or {}).get(part) for part in ("mean", "std")
            }
        writer.writerow(line | {"paper_table": paper.get("table")})
    return text.getvalue()


def claims_markdown(result: Result) -> str:
    """Return one list entry per claim: verdict, sentence, source and the numbers behind it."""
    if not result["claims"]:
        return "No claims were held against this run.\n"
    return "".join(
        f"- **{_VERDICTS[claim['holds']][0]}**: {escape_markdown(_claim_sentence(claim))}\n"
        for claim in result["claims"]
    )


def print_result(result: Result, console: Console) -> None:
    """Print the table and the claims; made for windows of 100 columns and for files, which get at least as many."""
    width = MIN_WIDTH if not console.is_terminal and console.width < MIN_WIDTH else None
    console.print(Text(section_title(result), style="bold"), soft_wrap=True)
    console.print(Text(provenance(result)), soft_wrap=True)
    if result["measured"]:
        console.print(Text(result["measured"], style="dim"), soft_wrap=True)
    console.print(_rich_table(result, width), crop=False)
    for note in (_legend(result), *result.get("notes", ())):
        console.print(Text(note, style="dim"), soft_wrap=True)
    console.print()
    verdicts = [claim["holds"] for claim in result["claims"]]
    hold, fail, open_ = (sum(verdict is kind for verdict in verdicts) for kind in (True, False, None))
    summary = f"that hold: {hold}, that do not: {fail}, undecided: {open_}" if verdicts else "none"
    console.print(Text(f"Claims {summary}", style="bold"))
    claims = Table.grid(padding=(0, 2, 0, 0))
    claims.width = width
    claims.add_column(no_wrap=True)
    claims.add_column(overflow="fold", ratio=1)
    for claim in result["claims"]:
        words, color = _VERDICTS[claim["holds"]]
        claims.add_row(Text(words, style=color), Text(_claim_sentence(claim)))
    console.print(claims, crop=False)


def _rich_table(result: Result, width: int | None) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), width=width)
    longest = max((len(row["label"]) for row in result["rows"]), default=0)
    table.add_column(COLUMNS[0], no_wrap=longest <= MAX_LABEL, overflow="fold")
    for column in COLUMNS[1:-1]:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column(COLUMNS[-1], overflow="fold")
    best = _best_attack(result)
    for row in _group(result, "attack"):
        label, ssim, *others = _cells(row)
        table.add_row(
            Text(label), Text(ssim, style="bold" if row["name"] == best else ""), *map(Text, others)
        )
    if baselines := _group(result, "baseline"):
        table.add_section()
        table.add_row(Text(BASELINES, style="bold"))
        for row in baselines:
            table.add_row(*map(Text, _cells(row)))
    return table


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    paper = row.get("paper") or {}
    scores = (row["ssim"], row["mse"], paper.get("ssim"), paper.get("mse"))
    return (row["label"], *(format_score(score) for score in scores), row["note"])


def _group(result: Result, group: str) -> list[Mapping[str, Any]]:
    return [row for row in result["rows"] if row["group"] == group]


def _best_attack(result: Result) -> str | None:
    attacks = _group(result, "attack")
    return max(attacks, key=lambda row: row["ssim"]["mean"])["name"] if attacks else None


def _legend(result: Result) -> str:
    tables = dict.fromkeys(row["paper"]["table"] for row in result["rows"] if row.get("paper"))
    source = f" Paper values: {result['work']} {', '.join(tables)}." if tables else " No published values."
    return "Mean ± sample standard deviation over runs, n/a for a single run." + source


def _claim_sentence(claim: Mapping[str, Any]) -> str:
    numbers = f" {claim['numbers']}" if claim["numbers"] else ""
    return f"{claim['text'].rstrip('.')} ({claim['source']}).{numbers}"


def _markdown_row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(cells)} |"
