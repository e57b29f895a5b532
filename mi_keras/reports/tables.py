"""Tables and claims of a result as Markdown, as CSV, and on the terminal."""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mi_keras.reports.layout import BASELINES, Layout, Line, lay_out
from mi_keras.reports.terminal import terminal_tables
from mi_keras.reports.text import claim_sentence, escape_markdown, provenance, section_title
from mi_keras.results import StoredResult
from mi_keras.results.rows import StoredTable

VERDICTS = {True: "holds", False: "does not hold", None: "undecided"}
WHY_UNDECIDED = (
    "Undecided: not measured, or too near to what is negligible or to its spread over runs to say."
)
MIN_WIDTH = 100  # of a table that goes to a file or pipe, where no window limits it
_PROVENANCE = ("work", "section", "table", "preset", "changed", "data", "runs", "seed")
_ROW_FIELDS = ("name", "label", "group", "note", "images")
_COLORS = {True: "green", False: "red", None: "yellow"}


def markdown_table(result: StoredResult, table: StoredTable) -> str:
    """Return one table of a result in Markdown, under a line that says what the run was, over its notes.

    Attacks and the like come first, baselines under a separator; the best score is bold.
    """
    layout = lay_out(table, result)
    headings = layout.headings()
    numbers = len(layout.metrics) + len(layout.published)
    lines = [
        _markdown_row(map(escape_markdown, headings)),
        f"|---|{'--:|' * numbers}{'---|' * layout.noted}",
        *(_markdown_line(layout, line) for line in layout.lines),
    ]
    if layout.baselines:
        lines.append(_markdown_row([f"**{BASELINES}**", *[""] * (len(headings) - 1)]))
    lines += [_markdown_line(layout, line) for line in layout.baselines]
    source = f"{result.work} {result.section} · {provenance(result, table.rows)}"
    footnotes = [part for note in layout.footnotes for part in ("", escape_markdown(note))]
    return "\n".join([escape_markdown(source), "", *lines, *footnotes, ""])


def claims_markdown(result: StoredResult) -> str:
    """Return one list entry per claim: verdict, sentence, source and the numbers behind it."""
    if not result.claims:
        return "No claims were held against this run.\n"
    return "".join(
        f"- **{VERDICTS[claim.holds]}**: {escape_markdown(claim_sentence(claim))}\n"
        for claim in result.claims
    )


def csv_table(result: StoredResult, table: StoredTable) -> str:
    """Return one CSV line per row at full precision, with what the run was; what is absent is empty.

    Columns: what the run was, the row's fields, `<metric>_mean`, `_std` and `_n` of each metric of the table,
    `paper_table`, `paper_<metric>_mean` and `_std`.
    """
    run = {name: getattr(result, name, "") for name in _PROVENANCE}
    run |= {"table": table.file, "changed": "; ".join(result.changed)}
    scores = [f"{metric}_{part}" for metric in table.metrics for part in ("mean", "std", "n")]
    published = [f"paper_{metric}_{part}" for metric in table.metrics for part in ("mean", "std")]
    columns = [*_PROVENANCE, *_ROW_FIELDS, *scores, "paper_table", *published]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in table.rows:
        line = run | {field: getattr(row, field) for field in _ROW_FIELDS}
        line["paper_table"] = row.paper.table if row.paper else ""
        for prefix, values in (("", row.values), ("paper_", row.paper.values if row.paper else {})):
            for metric, score in values.items():
                line |= {f"{prefix}{metric}_{part}": value for part, value in asdict(score).items()}
        writer.writerow(line)
    return text.getvalue()


def print_result(result: StoredResult, console: Console) -> None:
    """Print all tables and the claims; made for windows of 100 columns and for files, which get at least as many."""
    width = console.width if console.is_terminal else max(console.width, MIN_WIDTH)

    def say(line: str, style: str = "") -> None:
        console.print(Text(line, style=style), soft_wrap=True)

    say(section_title(result), "bold")
    say(provenance(result))
    if result.measured:
        say(result.measured, "dim")
    for table in result.tables:
        layout = lay_out(table, result)
        say("")
        say(layout.title + (f" ({layout.scored})" if layout.scored else ""), "bold")
        for block in terminal_tables(layout, width):
            console.print(block, crop=False)
        for note in layout.footnotes:
            say(note, "dim")
    for number, note in enumerate(result.notes):
        say(note if number else f"\n{note}", "dim")
    _print_claims(result, console, width)


def _print_claims(result: StoredResult, console: Console, width: int) -> None:
    verdicts = [claim.holds for claim in result.claims]
    hold, fail, undecided = (sum(verdict is kind for verdict in verdicts) for kind in VERDICTS)
    summary = f"that hold: {hold}, that do not: {fail}, undecided: {undecided}" if verdicts else "none"
    console.print(Text(f"\nClaims {summary}", style="bold"))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.width = width
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    for claim in result.claims:
        verdict = Text(VERDICTS[claim.holds], style=_COLORS[claim.holds])
        grid.add_row(verdict, Text(claim_sentence(claim)))
    console.print(grid, crop=False)
    if undecided:
        console.print(Text(WHY_UNDECIDED, style="dim"), soft_wrap=True)


def _markdown_line(layout: Layout, line: Line) -> str:
    cells = [escape_markdown(cell) for cell in layout.cells(line)]
    if line.best is not None:
        cells[1 + line.best] = f"**{cells[1 + line.best]}**"
    return _markdown_row(cells)


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
