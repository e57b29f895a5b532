"""Results as pages in HTML: one for a result, and one that gathers several."""

import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mi_keras.experiments.section import PRESETS
from mi_keras.reports.elements import Markup, element, join, link, nested_table, page
from mi_keras.reports.glossary import terms
from mi_keras.reports.layout import BASELINES, Layout, Line, lay_out
from mi_keras.reports.leaf import FILE
from mi_keras.reports.tables import VERDICTS, WHY_UNDECIDED
from mi_keras.reports.text import claim_sentence, preset, provenance, section_title
from mi_keras.results import AnyFigure, Claim, StoredResult

_CLASSES = {True: "holds", False: "fails", None: "undecided"}
_COUNTED = {True: "claims that hold", False: "that do not", None: "undecided"}


@dataclass(frozen=True)
class Report:
    """A checked result, its figures as PNG by file name, and the page of its images (see `leaf`), "" for none."""

    result: StoredResult
    figures: Mapping[str, bytes]
    images: str = ""


def result_page(report: Report) -> str:
    """Return the page of one result: tables, claims, figures, and what the run was."""
    title = section_title(report.result)
    images = element("p", element("a", "Leaf through the images", href=FILE)) if report.images else ""
    return page(title, element("main", element("h1", title), images, _content(report, prefix="", level=2)))


def overview_page(reports: Sequence[Report]) -> str:
    """Return one page for several results: a line for each in a table of contents, then each in full."""
    works = dict.fromkeys(report.result.work for report in reports)
    title = f"Results: {', '.join(works)}"
    headings = ("section", "title", "preset", "data", "runs", "seed", *_COUNTED.values())
    lines, sections = [], []
    for number, report in enumerate(reports, start=1):
        result, anchor = report.result, f"result-{number}"
        verdicts = [claim.holds for claim in result.claims]
        lines.append(element(
            "tr", element("td", link(anchor, f"{result.work} {result.section}")), element("td", result.title),
            element("td", preset(result).removeprefix("preset ")), element("td", result.data),
            *(element("td", str(n), class_="number") for n in (result.runs, result.seed)),
            *(element("td", str(verdicts.count(kind)), class_=f"number {_CLASSES[kind]}") for kind in _COUNTED),
        ))  # fmt: skip
        heading = element("h2", section_title(result))
        body = _content(report, prefix=f"{anchor}-", level=3)
        sections.append(element("section", heading, body, id=anchor, class_="result"))
    head = element("tr", *(element("th", text, scope="col") for text in headings))
    table = element("table", element("thead", head), element("tbody", *lines))
    overview = element("div", table, class_="wide")
    return page(title, element("main", element("h1", title), overview, *sections))


def _content(report: Report, *, prefix: str, level: int) -> Markup:
    """Return everything about a result under its heading; `prefix` keeps anchors of several apart."""
    result = report.result
    parts: list[tuple[str, str, Markup]] = []  # anchor, title, content
    for table in result.tables:
        layout = lay_out(table, result)
        parts.append((f"table-{table.file}", layout.title, _table(layout)))
    if result.notes:
        parts.append(("notes", "Notes", join(*(element("p", note) for note in result.notes))))
    parts.append(("claims", "Claims", _claims(result.claims)))
    for spec in result.figures:
        parts.append((f"figure-{spec.file}", spec.title, _figure(spec, report.figures[spec.file])))
    if words := terms(result):
        entries = [join(element("dt", word), element("dd", meaning)) for word, meaning in words.items()]
        parts.append(("words", "Words", element("dl", *entries)))
    parts.append(("run", "The run", _run(result)))
    contents = [element("li", link(prefix + anchor, title)) for anchor, title, _ in parts]
    verdicts = [claim.holds for claim in result.claims]
    counts = ", ".join(f"{text}: {verdicts.count(kind)}" for kind, text in _COUNTED.items())
    smoke = element("p", element("strong", PRESETS["smoke"])) if result.preset == "smoke" else ""
    return join(
        element("p", provenance(result)),
        smoke,
        element("p", f"Measured: {result.measured}") if result.measured else "",
        element("p", f"{counts[0].upper()}{counts[1:]}.") if verdicts else "",
        element("nav", element("ul", *contents), aria_label=f"Contents of {section_title(result)}"),
        *(
            element("section", element(f"h{level}", title), content, id=prefix + anchor)
            for anchor, title, content in parts
        ),
    )


def _table(layout: Layout) -> Markup:
    headings = layout.headings()
    numbers = range(1, 1 + len(layout.metrics) + len(layout.published))
    head = element("tr", *(
        element("th", text, scope="col", **({"class_": "number"} if n in numbers else {}))
        for n, text in enumerate(headings)
    ))  # fmt: skip

    def row(line: Line) -> Markup:
        label, *cells = layout.cells(line)
        if line.best is not None:
            cells[line.best] = element("strong", cells[line.best])
        return element(
            "tr", element("th", label, scope="row"),
            *(element("td", cell, **({"class_": "number"} if n in numbers else {})) for n, cell in enumerate(cells, 1)),
        )  # fmt: skip

    bodies = [element("tbody", *map(row, layout.lines))]
    if layout.baselines:
        separator = element("tr", element("th", BASELINES, scope="rowgroup", colspan=len(headings)))
        bodies.append(element("tbody", separator, *map(row, layout.baselines)))
    table = element("table", element("thead", head), *bodies)
    notes = [element("p", note, class_="quiet") for note in layout.footnotes]
    scored = element("p", layout.scored, class_="quiet") if layout.scored else ""
    return join(scored, element("div", table, class_="wide"), *notes)


def _claims(claims: Sequence[Claim]) -> Markup:
    if not claims:
        return element("p", "No claims were held against this run.")
    listed = element("ul", *(
        element(
            "li", element("strong", VERDICTS[claim.holds]),
            element("span", f" {claim_sentence(claim)}"),
            class_=_CLASSES[claim.holds],
        )
        for claim in claims
    ), class_="claims")  # fmt: skip
    told = element("p", WHY_UNDECIDED, class_="quiet") if any(claim.holds is None for claim in claims) else ""
    return join(listed, told)


def _figure(spec: AnyFigure, png: bytes) -> Markup:
    # Its size, from the PNG's header: nothing moves while the page loads.
    width, height = struct.unpack(">II", png[16:24])
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    alternative = f"{spec.title}. {spec.caption}".strip()
    image = element("img", src=source, alt=alternative, width=width, height=height)
    return element("figure", element("div", image, class_="wide figure"), element("figcaption", spec.caption))


def _run(result: StoredResult) -> Markup:
    written = [element("p", f"Written {result.written}.")] if result.written else []
    stages = result.timings[:-1]  # the last is all of it
    told = ["reused" if entry.reused else "computed" for entry in stages]
    told.append(f"{told.count('computed')} of {len(stages)} computed")
    timings = [
        element(
            "tr",
            element("td", entry.stage),
            element("td", f"{entry.seconds:,.1f}", class_="number"),
            element("td", how),
        )
        for entry, how in zip(result.timings, told, strict=False)  # a file of somebody else's may have none
    ]
    headings = [element("th", text, scope="col") for text in ("stage", "seconds", "in this run")]
    table = element("table", element("thead", element("tr", *headings)), element("tbody", *timings))
    folded = (
        ("Settings", nested_table(result.settings)),
        ("Versions and machine", nested_table({**result.versions, **result.machine})),
        ("Timings", element("div", table, class_="wide")),
    )
    return join(
        *written, *(element("details", element("summary", title), content) for title, content in folded)
    )
