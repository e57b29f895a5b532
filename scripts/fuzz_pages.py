"""Hostile names on pages, in Markdown and on the terminal, for `fuzz_inputs`: no markup and nothing that steers gets through."""

import io
import json
import struct
from html.parser import HTMLParser
from typing import Any

from rich.console import Console

from mi_keras.auditing.card import card
from mi_keras.auditing.page import page
from mi_keras.auditing.report import read_document
from mi_keras.auditing.screen import first_screen
from mi_keras.reports.markdown import markdown_page
from mi_keras.reports.pages import Report, overview_page, result_page
from mi_keras.reports.tables import print_result
from mi_keras.results import read_result
from scripts.fuzz_files import DOCS, NAMES, Draw, pick

TEXTS = [
    *NAMES,
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "](javascript:x)",
    "</table>",
]
NEVER = {"script", "iframe", "object", "embed", "form", "input", "link", "base"}
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", 1200, 400)


class _Markup(HTMLParser):
    """What a browser would act on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in NEVER:
            self.faults.append(f"<{tag}>")
        for name, value in attributes:
            if name.startswith("on") or (
                name in ("href", "src") and not (value or "").startswith(("#", "data:image/png;base64,"))
            ):
                self.faults.append(f"<{tag} {name}={value!r:.60}>")


def page_faults(draw: Draw) -> str:
    """Put hostile names into a measured result or audit; return what got through, "" where nothing did."""
    if draw.random() < 0.4:
        return _audit(draw)
    document = json.loads(pick(draw, sorted((DOCS / "measured").glob("*.json"))).read_text())
    _spoil(
        draw,
        document,
        {
            "file",
            "name",
            "schema",
            "work",
            "kind",
            "group",
            "best",
            "metrics",
            "metric",
            "rows",
            "better",
            "points",
            "curves",
            "x",
            "y",
            "axes",
            "arrays",
            "array",
        },
    )
    result = read_result(document)
    report = Report(result, {spec.file: PNG for spec in result.figures})
    out = io.StringIO()
    print_result(result, Console(file=out, width=120))
    return _faults(
        {"page": result_page(report), "overview": overview_page([report, report])},
        {"Markdown": markdown_page(result)},
        out.getvalue(),
    )


def _audit(draw: Draw) -> str:
    path = pick(draw, sorted((DOCS / "measured" / "audits").glob("*.json")))
    document = json.loads(path.read_text())
    _spoil(draw, document, {"schema", "verdict", "preset", "class_of", "adversary"})
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder, "audit.json")).write_text(json.dumps(document))
        report = read_document(file)
    out = io.StringIO()
    first_screen(report, Console(file=out, width=120))
    return _faults({"page": page(report)}, {"card": card(report)}, out.getvalue())


def _faults(pages: dict[str, str], markdown: dict[str, str], terminal: str) -> str:
    found = [f"{name}: {fault}" for name, text in pages.items() for fault in _Markup(text).faults]
    found += [
        f"{name}: raw tag"
        for name, text in markdown.items()
        for tag in ("<script", "<img", "<svg")
        if tag in text.replace("\\<", "")
    ]
    found += [f"terminal: {letter!r}" for letter in set(terminal) - {"\n"} if not letter.isprintable()]
    for text in (*pages.values(), *markdown.values()):
        text.encode()
    return "; ".join(found)


def _spoil(draw: Draw, value: Any, kept: set[str]) -> None:
    """Replace some texts of a document, in place, but for those with a fixed set of values."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        if key in kept:
            continue
        if isinstance(inner, dict | list):
            _spoil(draw, inner, kept)
        elif isinstance(inner, str) and draw.random() < 0.3:
            value[key] = f"{inner[:5]}{pick(draw, TEXTS)}"
