"""The page of an audit: one HTML file that needs nothing else, or its first part as a fragment for notebooks."""

import re
from itertools import groupby

from mi_keras.auditing import tables, words
from mi_keras.auditing.glossary import VERDICTS, meanings
from mi_keras.auditing.look import CLASSES, page_sheet, sheet
from mi_keras.auditing.pictures import examples
from mi_keras.auditing.plots import curve_plots, leakage_plots, trade_off_plot
from mi_keras.auditing.report import Report
from mi_keras.reports import elements
from mi_keras.reports.elements import Markup, element, join, link

_PICTURES = (
    "What went in, what the attack rebuilt from what leaves, and the class image: what the class alone tells. Where the "
    "rebuilt image is no nearer to the truth than the class image is, nothing of this very image was shown."
)
_MARKS = (
    "Full disc: leaks. Diamond: inconclusive. Square: below tolerance. Cross: void. Bars: 95 % intervals."
)
_MANY = 6  # columns that fit beside each other on most screens


def page(report: Report, *, embedded: bool = False) -> str:
    """Return the page in English; `embedded`: its first screen and pictures as a fragment, with the style in it."""
    name = words.clean(report.model.name)
    title = f"{name}: what can be rebuilt of an image from what the model sends out"
    first, looks = _first_screen(report), _pictures(report)
    if embedded:
        style = element("style", Markup(sheet(".audit")))
        looks = join(element("h2", "What it looks like"), looks) if looks else looks
        meaning = element("details", element("summary", "How to read this"), _meaning(report))
        return element("div", style, element("h1", title), first, looks, meaning, class_="audit")
    sections = {
        "pictures": ("What it looks like", looks),
        "plots": ("Where it leaks", _plots(report)),
        "answers": ("What more answers are worth", _curves(report)),
        "defences": ("What defences do, and their price", _defences(report)),
        "exposure": ("Who is hit hardest", _exposure(report)),
        "attacks": ("All attacks", _attacks(report)),
        "run": ("What the numbers rest on", _basis(report)),
        "words": ("How to read this page", _meaning(report)),
    }
    shown = {anchor: part for anchor, part in sections.items() if part[1]}
    contents = element("nav", *(link(a, text) for a, (text, _) in shown.items()), aria_label="Contents")
    body = [
        element("section", element("h2", text), content, id=anchor)
        for anchor, (text, content) in shown.items()
    ]
    whole = element("main", element("h1", title), first, contents, *body, class_="audit")
    return elements.page(title, whole, style=page_sheet())


def _first_screen(report: Report) -> Markup:
    """Return what a reader needs who reads no further."""
    failed = [text for control, text in words.controls(report) if control.ok is False]
    lines = [
        element(
            "li",
            element("span", words.clean(point.verdict), class_=f"badge {CLASSES.get(point.verdict, 'void')}"),
            element("span", _joined(words.headline(point, report.settings))),
        )
        for point in report.points
    ]
    return join(
        element("p", words.facts(report), class_="quiet"),
        *(element("p", f"A control failed: {text}", class_="alert") for text in failed),
        element("ul", *lines, class_="points"),
        _table(tables.points(report)),
        element("p", element("strong", words.sentence(report.cheapest))) if report.cheapest else "",
        *(
            element("p", element("strong", f"{what}: "), _joined(text))
            for what, text in words.basis(report).items()
        ),
        *(element("p", f"Warning: {words.sentence(text)}", class_="alert") for text in report.warnings),
    )


def _pictures(report: Report) -> Markup:
    shown = [(point, examples(report, point)) for point in report.points]
    parts = [join(element("h3", f"At {words.clean(point.name)}"), found) for point, found in shown if found]
    return join(element("p", words.fitting(_PICTURES, report.settings)), *parts) if parts else join()


def _plots(report: Report) -> Markup:
    # In the order of the report, but outputs last: from the image to what the model answers
    points = sorted(report.points, key=lambda point: point.is_output)
    plots = leakage_plots(points, report.settings)
    return join(
        element(
            "p", _joined(f"In per cent, outputs last. {_MARKS} Of kB, each line is ten times the one before.")
        ),
        element("div", *plots, class_="plots"),
    )


def _curves(report: Report) -> Markup:
    drawn = [(words.clean(curve.point), curve_plots(curve, report.settings)) for curve in report.curves]
    parts = [
        join(element("h3", f"At {name}"), element("div", *plots, class_="plots"))
        for name, plots in drawn
        if plots
    ]
    said = "The best attack of an adversary with so many answers to its own images. Bars: 95 % intervals."
    return join(element("p", _joined(said)), *parts) if parts else join()


def _defences(report: Report) -> Markup:
    if not report.defences:
        return join()
    parts = []
    for name, group in groupby(report.defences, key=lambda row: row.point):
        rows = list(group)
        plot = trade_off_plot(rows, report.settings)
        if plot is None:
            continue
        key = element("ol", *(element("li", words.clean(row.words)) for row in rows), class_="key")
        heading = element("h3", f"At {words.clean(name)}: privacy against utility")
        parts.append(join(heading, element("div", plot, key, class_="plots")))
    marks = (
        element("p", _joined(f"Further down leaks less, further right costs less. {_MARKS}")) if parts else ""
    )
    known = element("p", "Each defence was attacked by an adversary that knows it.")
    reasons = [f"{row.words} at {row.point}: {row.reason}" for row in report.defences if row.reason]
    told = element("ul", *(element("li", words.sentence(text)) for text in reasons))
    told = element("details", element("summary", "Why each verdict"), told) if reasons else join()
    bounds = tables.bounds(report)
    left = [element("h3", bounds.title), _table(bounds)] if bounds.rows else []
    return join(known, _table(tables.defences(report)), told, *left, marks, *parts)


def _exposure(report: Report) -> Markup:
    others = tables.attackers(report)
    spread = [element("h3", others.title), _table(others)] if others.rows else []
    return join(_table(tables.exposure(report)), *spread)


def _attacks(report: Report) -> Markup:
    parts = []
    for point in report.points:
        table = tables.attacks(point, report.settings)
        why = f"{point.verdict}: {point.reason}" if point.reason else point.verdict
        notes = [why, point.found_note] if point.found_note else [why]
        said = element("p", words.sentences(notes))
        parts.append(element("details", element("summary", table.title), said, _table(table)))
    return join(*parts)


def _basis(report: Report) -> Markup:
    controls = tables.controls(report)
    parts = [element("h3", controls.title), _table(controls)] if controls.rows else []
    for table in tables.facts(report):
        parts.append(element("details", element("summary", table.title), _table(table, "facts")))
    return join(*parts)


def _meaning(report: Report) -> Markup:
    entries = [
        join(element("dt", word), element("dd", _joined(text)))
        for word, text in meanings(
            classes=report.settings.class_of != "all", defences=bool(report.defences)
        ).items()
    ]
    said = element("p", _joined(f"Tolerance: {words.tolerance(report.settings)}"))
    return join(said, element("dl", *entries))


def _table(table: tables.Table, class_: str = "cards") -> Markup:
    """Return a table; where it is narrow the sheet lays its cells one below the other, hence roles and labels."""
    if not table.rows:
        return join()
    kinds = [{"class_": "number"} if n >= table.numbers else {} for n in range(len(table.headings))]
    head = [
        element("th", _joined(heading), scope="col", role="columnheader", **kind)
        for heading, kind in zip(table.headings, kinds, strict=True)
    ]
    rows = []
    for row in table.rows:
        cells = []
        for n, (heading, cell, kind) in enumerate(zip(table.headings, row, kinds, strict=True)):
            name = {"scope": "row", "role": "rowheader"} if n == table.key else {"role": "cell"}
            whole = {"class_": "n"} if cell in VERDICTS else {}
            content = element("span", _joined(cell), **whole)  # one thing beside the label, on narrow screens
            tag = "th" if n == table.key else "td"
            cells.append(element(tag, content, data_label=_bound(heading), **name, **kind))
        rows.append(element("tr", *cells, role="row"))
    class_ = f"{class_} many" if len(table.headings) > _MANY else class_
    top = element("thead", element("tr", *head, role="row"), role="rowgroup")
    return element("table", top, element("tbody", *rows, role="rowgroup"), class_=class_, role="table")


def _joined(text: str) -> Markup:
    """Return a text in which no line ends before a per cent sign, nor inside an interval."""
    parts = re.split(r"([-+\d.]+(?:\u00a0%| points)? \[[-\d.]+\])", _bound(text))
    return join(*(element("span", part, class_="n") if n % 2 else part for n, part in enumerate(parts)))


def _bound(text: str) -> str:
    return re.sub(r"(\d) %", "\\1\u00a0%", text)
