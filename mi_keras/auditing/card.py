"""The result of an audit as Markdown for a model card: sentences and tables, no pictures."""

import re

from mi_keras.auditing import tables, words
from mi_keras.auditing.glossary import meanings
from mi_keras.auditing.report import Report
from mi_keras.auditing.screen import SCREEN_WIDTH, as_text
from mi_keras.errors import InputError
from mi_keras.reports.text import escape_markdown


def card(report: Report) -> str:
    """Return the card, headings from the second level on: the card of the model has the first."""
    settings = report.settings
    parts = [
        "## What can be rebuilt of an image from what the model sends out",
        f"{_text(report.model.name)}. {_text(words.facts(report))}.",
        "\n".join(f"- **{_text(p.verdict)}**: {_text(words.headline(p, settings))}" for p in report.points),
        _table(tables.points(report)),
        f"**{_text(words.sentence(report.cheapest))}**" if report.cheapest else "",
        *(f"{heading}: {_text(text)}" for heading, text in words.basis(report).items()),
        *(f"**Warning:** {_text(words.sentence(text))}" for text in report.warnings),
    ]
    if report.defences:
        parts += [
            "### Defences",
            "Each was attacked by an adversary that knows it.",
            _table(tables.defences(report)),
        ]
        if (bounds := tables.bounds(report)).rows:
            parts += [f"### {_text(bounds.title)}", _table(bounds)]
    parts += ["### Who is hit hardest", _table(tables.exposure(report))]
    if (others := tables.attackers(report)).rows:
        parts += [f"### {_text(others.title)}", _table(others)]
    parts.append("### All attacks")
    for point in report.points:
        table = tables.attacks(point, settings)
        parts += [f"#### {_text(table.title)}", _text(words.sentence(point.reason)), _table(table)]
    parts += ["### Controls", _table(tables.controls(report))]
    for table in tables.facts(report):
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
        return f"```text\n{as_text(report, SCREEN_WIDTH)}\n```\n"
    of_name = {
        "points": tables.points,
        "defences": tables.defences,
        "exposure": tables.exposure,
        "attackers": tables.attackers,
        "ladder": tables.ladder,
        "controls": tables.controls,
    }
    if name in of_name:
        return _table(of_name[name](report)) + "\n"
    if name == "attacks":
        found = [tables.attacks(point, report.settings) for point in report.points]
        return "\n\n".join(f"{_text(table.title)}\n\n{_table(table)}" for table in found) + "\n"
    if name == "facts":
        return "\n\n".join(_table(table) for table in tables.facts(report)) + "\n"
    legal = ", ".join(("screen", *of_name, "attacks", "facts"))
    raise InputError(f"a part of an audit must be one of {legal}; got {name!r}.")


def _table(table: tables.Table) -> str:
    if not table.rows:
        return "None."
    rules = ["---:" if n >= table.numbers else "---" for n in range(len(table.headings))]
    rows = [[_text(cell) for cell in row] for row in (table.headings, *table.rows)]
    lines = [" | ".join(row) for row in (rows[0], rules, *rows[1:])]
    return "\n".join(f"| {line} |" for line in lines)


def _text(text: str) -> str:
    """Return a text that Markdown shows as it is: "$" would start a formula, "_" beside a word slanted letters."""
    return re.sub(r"\$|(?<!\w)_|_(?!\w)", r"\\\g<0>", escape_markdown(words.clean(text)))
