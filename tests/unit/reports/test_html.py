"""Pages in HTML: whole, self-contained, and nothing in them that a file could have put there as markup."""

import base64
import re
import shutil
import struct
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mi_keras.errors import InputError
from mi_keras.reports.elements import POLICY, element, nested_table
from mi_keras.reports.files import read_report, write_reports
from mi_keras.reports.html import write_overview
from mi_keras.reports.pages import Report, overview_page, result_page
from mi_keras.reports.tables import WHY_UNDECIDED
from mi_keras.reports.text import format_score
from mi_keras.results import read_result

VOID = {"meta", "img"}
EVIL = """<script>alert("1")</script>&amp;'"""
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", 1200, 400) + b"rest"


class Page(HTMLParser):
    """What a browser would see; unbalanced tags fail at once."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.links, self.sources, self.rows = [], [], [], [], [], []
        self.text = self.heading = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        assert len(found) == len(attributes)
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        self.links += [found["href"]] if "href" in found else []
        self.sources += [found["src"]] if "src" in found else []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        inside = [tag for tag in self.open if tag not in ("strong", "a")]
        if data.strip() and inside and inside[-1] in ("td", "th"):
            self.rows[-1][-1] += data

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def check(text):
    """Return the page after the checks that every page has to pass."""
    page = Page(text)
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert len(page.ids) == len(set(page.ids))
    assert all(link == "images.html" or (link[0] == "#" and link[1:] in page.ids) for link in page.links)
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert {"http-equiv": "Content-Security-Policy", "content": POLICY} in page.named("meta")
    assert {"charset": "utf-8"} in page.named("meta")
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") or name == "style" for _, found in page.tags for name in found)
    assert all(image["alt"] for image in page.named("img"))
    assert [tag for tag, _ in page.tags].count("h1") == 1
    return page


@pytest.fixture
def report(make):
    result, _ = make(size=4)
    return Report(read_result(result), {spec["file"]: PNG for spec in result["figures"]})


def test_the_policy_allows_nothing_but_what_the_page_carries():
    assert POLICY == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_the_page_shows_every_number_claim_figure_and_setting(report):
    page, result = check(result_page(report)), report.result
    for table in result.tables:
        for row in table.rows:
            shown = [
                format_score(row.values.get(metric), single=row.group == "trial") for metric in table.metrics
            ]
            assert any([row.label, *shown] == cells[: 1 + len(shown)] for cells in page.rows)
    assert ["Baselines"] in page.rows
    for verdict, claim in zip(("holds", "does not hold", "undecided"), result.claims, strict=True):
        assert f"{verdict} {claim.text.rstrip('.')} ({claim.source})." in page.text
    classes = [item["class"] for item in page.named("li") if "class" in item]
    assert classes == ["holds", "fails", "undecided"]
    assert WHY_UNDECIDED in page.text
    for spec, image in zip(result.figures, page.named("img"), strict=True):
        assert image["alt"] == f"Title of {spec.kind}. Caption of {spec.kind}."
        assert (image["width"], image["height"]) == ("1200", "400")
        assert base64.b64decode(image["src"].partition(",")[2]) == PNG
    assert ["steps", "60"] in page.rows
    assert ["widths", "8, 16"] in page.rows
    assert ["classifier target (run 1)", "55.0", "reused"] in page.rows
    assert ["all", "61.2", "1 of 2 computed"] in page.rows
    assert ["python", "3.11"] in page.rows
    assert "preset quick · MNIST, embedded subset · 2 runs · seed 1 · n = 30 to 60 images" in page.text
    assert "A note." in page.text


def test_only_the_best_score_is_strong(report):
    text = result_page(report)
    table = report.result.tables[0]
    rivals = [row for row in table.rows if row.group == "attack"]
    best = max(rivals, key=lambda row: row.values["ssim"].mean)
    assert text.count(f"<strong>{format_score(best.values['ssim'])}</strong>") == 1


def test_contents_lead_to_every_table_and_figure(report):
    page = check(result_page(report))
    wanted = [f"#table-{table.file}" for table in report.result.tables]
    wanted += [
        "#notes",
        "#claims",
        *(f"#figure-{spec.file}" for spec in report.result.figures),
        "#words",
        "#run",
    ]
    assert page.links == wanted


def poison(value):
    """Append markup to every text of a result except the names that the schema restricts."""
    restricted = {"file", "kind", "group", "metrics", "best", "schema", "metric", "x", "y", "better"}
    if isinstance(value, dict):
        return {key: inner if key in restricted else poison(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [poison(inner) for inner in value]
    return value + EVIL if isinstance(value, str) else value


def test_texts_of_the_files_stay_texts(make, report):
    result, _ = make(size=4)
    evil = Report(read_result(poison(result)), report.figures)
    page = check(result_page(evil))
    assert f"M_I(O){EVIL}" in page.text
    assert f"MNIST, embedded subset{EVIL}" in page.text  # names a file of the user, as in npz:FILE
    assert f"Title of sweep{EVIL}. Caption of sweep.{EVIL}" in [image["alt"] for image in page.named("img")]
    overview = check(overview_page([evil, evil]))
    assert f"Input combinations of the inversion model{EVIL}" in overview.text


def test_the_overview_counts_claims_and_links_to_every_section(report):
    changes = {"section": "5.4", "claims": [], "preset": "smoke", "changed": ["runs=1"]}
    other = Report(replace(report.result, **changes), report.figures)
    page = check(overview_page([report, other]))
    assert page.rows[:3] == [
        ["section", "title", "preset", "data", "runs", "seed", "claims that hold", "that do not", "undecided"],
        ["thesis 5.2", "Input combinations of the inversion model", "quick", "MNIST, embedded subset", "2", "1", "1", "1", "1"],
        ["thesis 5.4", "Input combinations of the inversion model", "smoke, changed: runs=1", "MNIST, embedded subset", "2", "1", "0", "0", "0"],
    ]  # fmt: skip
    assert page.links[:2] == ["#result-1", "#result-2"]
    assert page.ids.count("result-2-table-table_4") == 1
    assert len(page.sources) == 2 * len(report.figures)
    assert "No claims were held against this run." in page.text


def test_pages_on_disk_hold_the_figures_beside_them(result_directory, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(result_directory, again)
    html = next(path for path in write_reports(result_directory) if path.name == "index.html")
    page = check(html.read_text())
    pngs = [base64.b64decode(source.partition(",")[2]) for source in page.sources]
    assert pngs == [
        (result_directory / name).read_bytes() for name in ("class_images.png", "class_counts.png")
    ]
    path = write_overview(
        [read_report(result_directory), read_report(str(again))], tmp_path / "new" / "index.html"
    )
    assert path == tmp_path / "new" / "index.html"
    overview = check(path.read_text())
    assert overview.sources == page.sources * 2
    assert not re.search(r"""(?:src|href)=["']?http""", path.read_text())


def test_an_overview_of_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^`reports` must hold at least one result; got none\.$"):
        write_overview([], tmp_path / "index.html")
    assert not (tmp_path / "index.html").exists()


def test_a_page_of_a_result_without_figures_notes_and_claims(make):
    result, _ = make(size=4)
    empty = read_result(result | {"figures": [], "notes": [], "claims": [], "measured": ""})
    page = check(result_page(Report(empty, {})))
    assert "#notes" not in page.links


def test_settings_are_shown_nested():
    settings = {
        "steps": 60,
        "gradient": {"start": "random", "rate": 1.5e-4, "empty": {}},
        "widths": [8, 16],
        "no": False,
        "nothing": None,
        "searches": [{"trials": 20}, [1, 2]],
    }
    page = Page(nested_table(settings))
    assert page.rows == [
        ["steps", "60"], ["gradient", ""], ["start", "random"], ["rate", "0.00015"], ["empty", "none"],
        ["widths", "8, 16"], ["no", "no"], ["nothing", "none"], ["searches", ""], ["trials", "20"],
    ]  # fmt: skip
    assert [tag for tag, _ in page.tags].count("table") == 3


def test_attributes_are_escaped_too():
    assert element("p", '"<&', title='"<&') == '<p title="&quot;&lt;&amp;">&quot;&lt;&amp;</p>\n'
