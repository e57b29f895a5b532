"""The result of an audit as Markdown for a model card: sentences and tables, no pictures."""

import re
from io import StringIO

from rich.console import Console

from mi_keras.auditing import words
from mi_keras.auditing.glossary import meanings
from mi_keras.auditing.report import Report
from mi_keras.auditing.screen import first_screen
from mi_keras.auditing.tables import (
    Table,
    attacks_table,
    bounds_table,
    controls_table,
    defences_table,
    exposure_table,
    facts_tables,
    points_table,
)
from mi_keras.errors import InputError
from mi_keras.reports.text import escape_markdown

SCREEN_WIDTH = 100  # characters of a first screen in a document


def card(report: Report) -> str:
    """Return the card, headings from the second level on: the card of the model has the first."""
    settings = report.settings
    checked = " | ".join(text for _, text in words.controls(report)) or "none"
    parts = [
        "## What can be rebuilt of an image from what the model sends out",
        f"{_text(report.model.name)}. {_text(words.facts(report))}.",
        "\n".join(f"- **{_text(p.verdict)}**: {_text(words.headline(p, settings))}" for p in report.points),
        _table(points_table(report)),
        f"**{_text(words.sentence(report.cheapest))}**" if report.cheapest else "",
        _text(words.tolerance(settings)),
        f"Assumed: {_text(words.sentences(report.assumed))}" if report.assumed else "",
        f"Controls: {_text(checked)}.",
        f"Not tried: {_text(words.sentence(', '.join(report.not_tried)))}" if report.not_tried else "",
        *(f"**Warning:** {_text(words.sentence(text))}" for text in report.warnings),
    ]
    if report.defences:
        parts += [
            "### Defences",
            "Each was attacked by an adversary that knows it.",
            _table(defences_table(report)),
        ]
        if (bounds := bounds_table(report)).rows:
            parts += [f"### {_text(bounds.title)}", _table(bounds)]
    parts += ["### Who is hit hardest", _table(exposure_table(report)), "### All attacks"]
    for point in report.points:
        table = attacks_table(point, settings)
        parts += [f"#### {_text(table.title)}", _text(words.sentence(point.reason)), _table(table)]
    parts += ["### Controls", _table(controls_table(report))]
    for table in facts_tables(report):
        parts += [f"### {_text(table.title)}", _table(table)]
    entries = meanings(classes=settings.class_of != "all", defences=bool(report.defences)).items()
    explained = [f"- **{_text(word)}**: {_text(text)}" for word, text in entries]
    parts += ["### How to read this", "\n".join(explained)]
    return "\n\n".join(part for part in parts if part) + "\n"


def part(report: Report, name: str) -> str:
    """Return one part of the card, to be shown in a document: its first screen, a table, or what it was measured on.

    Raises:
        InputError: there is no such part.
    """
    if name == "screen":
        written = StringIO()
        first_screen(report, Console(file=written, width=SCREEN_WIDTH))
        return f"```text\n{written.getvalue().rstrip()}\n```\n"
    tables = {
        "points": points_table,
        "defences": defences_table,
        "exposure": exposure_table,
        "controls": controls_table,
    }
    if name in tables:
        return _table(tables[name](report)) + "\n"
    if name == "attacks":
        found = [attacks_table(point, report.settings) for point in report.points]
        return "\n\n".join(f"{_text(table.title)}\n\n{_table(table)}" for table in found) + "\n"
    if name == "facts":
        return "\n\n".join(_table(table) for table in facts_tables(report)) + "\n"
    legal = ", ".join(("screen", *tables, "attacks", "facts"))
    raise InputError(f"a part of an audit must be one of {legal}; got {name!r}.")


def _table(table: Table) -> str:
    if not table.rows:
        return "None."
    rules = ["---:" if n >= table.numbers else "---" for n in range(len(table.headings))]
    rows = [[_text(cell) for cell in row] for row in (table.headings, *table.rows)]
    lines = [" | ".join(row) for row in (rows[0], rules, *rows[1:])]
    return "\n".join(f"| {line} |" for line in lines)


def _text(text: str) -> str:
    """Return a text that Markdown shows as it is: "$" would start a formula, "_" beside a word slanted letters."""
    return re.sub(r"\$|(?<!\w)_|_(?!\w)", r"\\\g<0>", escape_markdown(words.clean(text)))
