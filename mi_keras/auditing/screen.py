"""The first screen of an audit on the terminal: the leak at each point, and what the numbers depend on."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mi_keras.auditing import words
from mi_keras.auditing.glossary import meanings
from mi_keras.auditing.report import DefenceRow, PointReport, Report

SCREEN_WIDTH = 100  # characters where no window says how many
# None is needed to read it, and none is green
_STYLES = {"LEAKS": "bold red", "VOID": "bold red", "INCONCLUSIVE": "bold"}
_GAP = 2  # columns between two columns of a table
_NAME_WIDTH = 11  # that names need at least; with less, rows become blocks
_WORD_WIDTH = 16  # that a column of words needs at most
_BREAKS = "/_-.:# "  # a name that is too long is cut behind one of these


@dataclass(frozen=True)
class _Column:
    """A column of names ("name"), which are cut where that reads best, of words, or of numbers, which stay whole."""

    heading: str
    kind: str = "words"


def first_screen(report: Report, console: Console) -> None:
    """Print the verdict of every point, what sufficed against it, and what was assumed, checked and not tried."""
    name = words.clean(report.model.name)
    _print(console, f"{name}: what can be rebuilt of an image from what the model sends out", "bold")
    _print(console, words.facts(report))
    failed = [text for control, text in words.controls(report) if control.ok is False]
    for text in failed:
        _print(console, f"A control failed: {text}", "bold red")
    _points(report, console)
    if report.cheapest:
        _print(console, words.sentence(report.cheapest))
    for heading, text in words.basis(report).items():
        _print(console, f"{heading}: {text}")
    for warning in report.warnings:
        _print(console, f"Warning: {words.sentence(warning)}", "bold")
    if report.defences:
        _defences(report, console)


def as_text(report: Report, width: int | None = None) -> str:
    """Return the first screen in lines of at most so many characters; None: as many as the window has."""
    written = StringIO()
    columns = width or shutil.get_terminal_size((SCREEN_WIDTH, 0)).columns
    first_screen(report, Console(file=written, width=columns))
    return written.getvalue().rstrip()


def _points(report: Report, console: Console) -> None:
    picks = words.heading_picks(report.settings).replace(" from", "\nfrom").replace(" (", "\n(")
    columns = [
        _Column("Who listens"), _Column("At", "name"), _Column("Verdict"),
        _Column(picks, "numbers"), _Column("Detail\nshown", "numbers"),
        _Column("kB", "numbers"),
    ]  # fmt: skip
    _table(console, columns, [_point(point) for point in report.points])
    for point in report.points:
        if point.verdict == "INCONCLUSIVE" and words.bounds(point):
            _print(console, f"{words.clean(point.name)}: could be up to {words.bounds(point)}.", "bold")
        if point.verdict == "VOID":
            _print(console, f"{words.clean(point.name)}: VOID: {words.sentence(point.reason)}", "bold")
        elif point.found is None and point.found_note:
            _print(console, f"{words.clean(point.name)}: {words.sentence(point.found_note)}")
        if told := words.spread(point):
            _print(console, told)
    if any(point.found is None and point.auc is not None for point in report.points):
        meaning = meanings(classes=report.settings.class_of != "all")["AUC"]
        _print(console, f"AUC: {meaning}")


def _point(point: PointReport) -> list[str]:
    picks, detail = words.picks(point.found, point.auc), words.estimate(point.detail)
    cells = [words.clean(text) for text in (point.listener, point.name, point.verdict)]
    return [*cells, picks.replace("; AUC ", "; AUC\n"), detail, words.kilobytes(point.bytes)]


def _defences(report: Report, console: Console) -> None:
    headings = ("Picks\nthe image", "Detail\nshown", "Keeps\nthe class", "kB")
    numbers = [_Column(heading, "numbers") for heading in headings]
    for name, rows in groupby(report.defences, key=lambda row: row.point):
        columns = [_Column(f"Defence at {words.clean(name)}", "name"), _Column("Verdict"), *numbers]
        group = list(rows)
        _table(console, columns, [_defence(row) for row in group])
        for row in group:
            if left := words.left_by_noise(row):
                _print(console, left)
    _print(console, "Each defence was attacked by an adversary that knows it.")


def _defence(row: DefenceRow) -> list[str]:
    picks = words.picks(row.found, row.auc).replace("; AUC ", "; AUC\n")
    numbers = [picks, words.estimate(row.detail), words.share(row.agreement)]
    return [words.clean(row.words), words.clean(row.verdict), *numbers, words.kilobytes(row.bytes)]


def _table(console: Console, columns: Sequence[_Column], rows: Sequence[Sequence[str]]) -> None:
    """Print rows as a table; as a block of lines each where the window is too narrow for one."""
    console.print()
    widths = _widths(columns, rows, console.width)
    if not widths:
        for row in rows:
            for column, cell in zip(columns, row, strict=True):
                _print(
                    console,
                    f"{' '.join(column.heading.split())}: {' '.join(cell.split())}",
                    _STYLES.get(cell, ""),
                )
            console.print()
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column, width in zip(columns, widths, strict=True):
        # Headings are cut like their cells: a name may stand in one
        text = _cut(column.heading, width) if column.kind == "name" else column.heading
        table.add_column(
            Text(text), width=width, justify="right" if column.kind == "numbers" else "left", overflow="fold"
        )
    for row in rows:
        cells = [
            Text(_cut(cell, width) if column.kind == "name" else cell, style=_STYLES.get(cell, ""))
            for column, width, cell in zip(columns, widths, row, strict=True)
        ]
        table.add_row(*cells)
    table.width = sum(widths) + _GAP * (len(columns) - 1)
    console.print(table)
    console.print()


def _widths(columns: Sequence[_Column], rows: Sequence[Sequence[str]], whole: int) -> list[int]:
    """Return the widths of columns in `whole`; none where names get too little."""
    widths, wishes = [], []
    for number, column in enumerate(columns):
        cells = [row[number] for row in rows]
        longest = max(map(len, column.heading.split("\n" if column.kind == "numbers" else " ")))
        if column.kind == "numbers":
            width = wish = max([longest, *(len(line) for cell in cells for line in cell.split("\n"))])
        elif column.kind == "words":
            width = min(max([longest, *(len(word) for cell in cells for word in cell.split())]), _WORD_WIDTH)
            wish = max(width, *map(len, [column.heading, *cells]))
        else:
            width, wish = _NAME_WIDTH, max([longest, *map(len, cells)])
        widths.append(min(width, wish))
        wishes.append(wish)
    spare = whole - sum(widths) - _GAP * (len(columns) - 1)
    if spare < 0:
        return []
    # Names first, words then: a verdict on two lines reads well, a name does not
    for number in sorted(range(len(columns)), key=lambda n: columns[n].kind != "name"):
        more = min(spare, wishes[number] - widths[number])
        widths[number], spare = widths[number] + more, spare - more
    return widths


def _cut(name: str, width: int) -> str:
    """Return a name on lines of `width`, cut behind a sign that parts it where there is one."""
    lines = []
    while len(name) > width:
        at = max((name.rfind(sign, 0, width) + 1 for sign in _BREAKS), default=0) or width
        lines.append(name[:at].rstrip())
        name = name[at:]
    return "\n".join([*lines, name])


def _print(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style))
