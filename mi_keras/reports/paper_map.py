"""docs/paper_map.md: every table, figure, equation and claim of the thesis, the command, the file, our value, the verdict.

At its end Table 1 of the split text, row by row.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mi_keras.experiments.registry import SECTIONS
from mi_keras.experiments.section import DEFAULT_PRESET
from mi_keras.reports.paper_items import EQUATIONS, FIGURES, SPLIT_ROWS, TABLES
from mi_keras.reports.tables import VERDICTS
from mi_keras.reports.text import escape_markdown, format_score, provenance
from mi_keras.results import EXPLAINED_WITHIN, METRICS, StoredResult, read_result

WORK = "thesis"
PRESETS = (DEFAULT_PRESET, "paper")


def load_measured(folder: Path) -> dict[str, StoredResult]:
    """Return the checked results that the documents are written from, by "SECTION.PRESET"."""
    measured: dict[str, StoredResult] = {}
    for path in sorted(folder.glob("*.json")):
        measured[path.stem] = read_result(json.loads(path.read_text(encoding="utf-8")))
    return measured


def paper_map_document(measured: Mapping[str, StoredResult]) -> str:
    """Return the map as Markdown; a section without measurements is said to have none."""
    parts = [
        "# Map of the thesis",
        "P. Thielen, *Deep Learning under Attack: Revealing Vulnerabilities through Shadow Reconstructions* (TU Eindhoven, 2024). "
        f"Every table, figure and equation of its evaluation and every claim that can be measured. The preset "
        f"`{DEFAULT_PRESET}` is smaller than the text, `paper` has its sizes; what was measured, and what was changed, stands at the end. Files are in "
        f"`results/SECTION/PRESET/`. Written by `python scripts/update_docs.py`.",
        "## Claims",
        _table(("claim", "source", "command", "preset", "ours", "verdict"), _claims(measured)),
        "## Tables",
        _table(("table", "command", "file", "headline row", "preset", "ours", "text"), _tables(measured)),
        "## Figures",
        _table(("figure", "shows", "command", "file"), _figures()),
        "## Equations",
        _table(("equation", "what", "code", "checked in", "difference"), _equations()),
        "## Measured",
        "\n".join(
            f"- {number}: {escape_markdown(provenance(result) if result else 'not measured')}"
            for number, _, result in _sections(measured)
        ),
        *_split(measured),
    ]
    return "\n\n".join(parts) + "\n"


def _sections(measured: Mapping[str, StoredResult]) -> Iterator[tuple[str, str, StoredResult | None]]:
    """Yield number, preset and result of the sections: each in the default preset, and in others where measured."""
    for section in SECTIONS:
        for preset in PRESETS:
            result = measured.get(f"{section.work}.{section.number}.{preset}")
            if section.work == WORK and (result or preset == DEFAULT_PRESET):
                yield section.number, preset, result


def _claims(measured: Mapping[str, StoredResult]) -> list[Sequence[str]]:
    return [
        (
            claim.text,
            claim.source,
            _command(number, preset),
            preset,
            claim.numbers,
            VERDICTS[claim.holds],
        )
        for number, preset, result in _sections(measured)
        if result
        for claim in result.claims
    ]


def _tables(measured: Mapping[str, StoredResult]) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = []
    for item in TABLES:
        for number, preset, result in _sections(measured):
            if number != item.section:
                continue
            ours = text = "not measured"
            label = item.row
            for table in result.tables if result else ():
                for row in table.rows:
                    if (table.file, row.name) == (item.file, item.row):
                        label = f"{row.label}: {METRICS[item.metric].label}"
                        published = row.paper.values[item.metric] if row.paper else None
                        ours = format_score(row.values[item.metric], item.metric)
                        text = format_score(published, item.metric)
            command, file = _command(item.section, preset), f"{item.file}.csv"
            lines.append((f"Table {item.number}", command, file, label, preset, ours, text))
    return lines


def _split(measured: Mapping[str, StoredResult]) -> Iterator[str]:
    """Yield the part on Table 1 of the split text: as its words say, and with all that its code does beside them."""
    yield "## Table 1 of the split text"
    yield (
        "P. Nagasubramaniam, *Image Reconstruction Attacks in Distributed DL Systems using Autoencoders* (2023). Explained: with all "
        "behaviours of the published code together the value is within "
        + ", ".join(f"{margin:g} ({METRICS[metric].label})" for metric, margin in EXPLAINED_WITHIN.items())
        + " of the text's. Its rows Baseline 1 and 2 are of other works."
    )
    lines: list[Sequence[str]] = []
    for preset in PRESETS:
        result = measured.get(f"split.6-published.{preset}")
        rows = {row.name: row for table in result.tables for row in table.rows} if result else {}
        for item in SPLIT_ROWS:
            together = rows.get(item.together)
            if together is None or together.paper is None:
                continue
            for metric, margin in EXPLAINED_WITHIN.items():
                text, ours = together.paper.values[metric], together.values[metric]
                plain = rows[item.row].values[metric]
                explained = "yes" if abs(ours.mean - text.mean) <= margin else "no"
                cells = [format_score(score, metric) for score in (text, plain, ours)]
                lines.append((item.name, METRICS[metric].label, preset, *cells, explained))
        if result:
            yield f"Measured: {escape_markdown(provenance(result))}"
    columns = ("row", "metric", "preset", "text", "ours, as the text says", "ours, all together", "explained")
    yield _table(columns, lines) if lines else "Not measured."


def _figures() -> list[Sequence[str]]:
    return [
        (
            f"Figure{'' if item.numbers.isdigit() else 's'} {item.numbers}",
            item.what,
            _command(item.section) if item.section else "python scripts/update_docs.py",
            ", ".join(item.files),
        )
        for item in FIGURES
    ]


def _equations() -> list[Sequence[str]]:
    return [(item.number, item.what, item.code, item.test, item.difference) for item in EQUATIONS]


def _command(section: str, preset: str = DEFAULT_PRESET) -> str:
    more = f" --preset {preset}" if preset != DEFAULT_PRESET else ""
    return f"python scripts/reproduce.py --section {section}{more}"


def _table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [columns, ["---"] * len(columns), *([escape_markdown(cell) for cell in line] for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
