"""The page of an audit: whole by itself, readable by everyone, and true to its numbers."""

import base64
import colorsys
import html
import io
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mi_keras.auditing.card import card
from mi_keras.auditing.look import DARK, LIGHT, page_sheet, sheet
from mi_keras.auditing.page import page
from mi_keras.auditing.pictures import png
from mi_keras.auditing.plots import leakage_plots
from mi_keras.auditing.report import Control
from mi_keras.auditing.screen import first_screen
from mi_keras.reports.elements import POLICY
from tests.unit.auditing import reports

MADE = [reports.digits_report, reports.photograph_report]
WIDTHS = (320, 390, 780, 1000, 1160, 1280)  # of windows, in pixels; the two of the specification among them
FRAME = '<iframe style="border:0;width:{width}px;height:900px" srcdoc="{page}"></iframe>'
MEASURE = """<script>onload = () => { document.title = [...document.querySelectorAll("iframe")].map(frame => {
  const root = frame.contentDocument.documentElement;
  root.querySelectorAll("details").forEach(folded => folded.open = true);
  const pen = frame.contentDocument.createElement("canvas").getContext("2d");
  const cut = [...root.querySelectorAll("td")].filter(cell => {  // labels with a word that is wider than their place
    const label = frame.contentWindow.getComputedStyle(cell, "::before");
    pen.font = label.font;
    const words = label.content === "none" ? [] : cell.dataset.label.split(/[\\s-]+/);
    return words.some(word => pen.measureText(word).width > parseFloat(label.width) + 1); });
  return root.scrollWidth + "/" + root.clientWidth + "/" + cut.length; }).join(" "); };</script>"""


class Reader(HTMLParser):
    """What a browser would see; unbalanced tags fail at once."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        assert len(found) == len(attributes)
        self.tags.append((tag, found))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data.replace("\u00a0", " ")

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize("made", MADE)
def test_the_page_carries_all_that_it_shows_and_asks_for_nothing(made, embedded):
    text = page(made(), embedded=embedded)
    reader = Reader(text)
    assert {tag for tag, _ in reader.tags} <= {
        "html", "head", "meta", "title", "style", "body", "main", "div", "section", "nav", "h1", "h2", "h3", "p", "a", "ul", "ol",
        "li", "span", "strong", "table", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd", "figure", "figcaption", "img",
        "details", "summary", "svg", "text", "line", "path", "rect",
    }  # fmt: skip
    for _, attributes in reader.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert not re.search(r"https?:|url\(|@import", text)
    if not embedded:
        policies = [m["content"] for m in reader.named("meta") if "http-equiv" in m]
        assert policies == [POLICY]
        assert reader.named("html") == [{"lang": "en"}]


@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize("made", MADE)
def test_every_picture_and_plot_has_words(made, embedded):
    reader = Reader(page(made(), embedded=embedded))
    images = reader.named("img")
    assert images
    assert all(
        re.match(r"(truth|rebuilt|(class|mean) image), .+ image at ", image["alt"]) for image in images
    )
    plots = reader.named("svg")
    assert bool(plots) != embedded
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)


@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize("made", MADE)
def test_headings_go_down_step_by_step(made, embedded):
    levels = [
        int(tag[1]) for tag, _ in Reader(page(made(), embedded=embedded)).tags if re.fullmatch(r"h\d", tag)
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(new - old <= 1 for old, new in pairwise(levels))


def test_links_lead_to_what_is_there_once():
    reader = Reader(page(reports.digits_report()))
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"].removeprefix("#") for link in reader.named("a")} == set(ids)


def test_where_all_images_are_one_class_no_text_tells_of_any():
    report = reports.digits_report()
    controls = (
        *report.controls,
        Control("shuffled", True, "ok", "Answers shuffled within their class: +0.001"),
    )
    point = replace(report.points[4], adversary="class", found=None, attacks=(report.points[4].attacks[0],))
    one = replace(point.attacks[0], attack="class alone, network")
    point = replace(point, attacks=(replace(one, attack="class mean"), one))
    report = replace(
        report,
        points=(point,),
        controls=controls,
        defences=(),
        settings=replace(report.settings, class_of="all"),
    )
    screen = Console(file=io.StringIO(), width=100)
    first_screen(report, screen)
    for text in (Reader(page(report)).text, card(report), screen.file.getvalue()):
        told = re.sub("10 classes|Classes", "", text)  # of the model
        assert not re.findall(r".{30}[Cc]lass.{30}", told)
        assert "who sees no answer" in text or text == screen.file.getvalue()
    assert "mean image, median image at logits" in page(report)


def test_a_headline_needs_no_knowledge_of_scores():
    text = Reader(page(reports.digits_report())).text
    first = text[: text.index("What it looks like")]
    assert (
        "From logits, an API client with answers to all images of its own picks the right image out of 10 alike in "
        "47 % of cases (10 % is chance) and recovers 26 % of the detail within the class." in first
    )
    assert "picks the right image out of two alike in 84 % of cases (50 % is chance" in first
    assert "It could be up to 33 % picked, 8 % of the detail." in first
    assert 'What leaves at backbone/block_9 could not be measured: control "shuffled" failed.' in first
    assert "recovers nothing of the detail" in first
    assert "ours, not yours" in first
    assert "SSIM" not in first


@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize("made", MADE)
def test_nothing_is_called_safe(made, embedded):
    assert "safe" not in Reader(page(made(), embedded=embedded)).text.lower()


def test_names_are_no_markup():
    text = page(reports.photograph_report())
    assert "<script" not in text
    assert Reader(text).text.count(reports.EVIL) > 10


def test_no_line_of_a_scale_goes_through_the_name_of_a_point():
    report = reports.digits_report()
    for plot in leakage_plots(report.points, report.settings):
        lines = [
            tuple(float(value) for value in found)
            for found in re.findall(r'<line x1="([\d.]+)" y1="([\d.]+)" x2="[\d.]+" y2="([\d.]+)"', plot)
        ]
        names = [float(y) for y in re.findall(r'<text x="12" y="(\d+)">', plot)]
        assert len(names) == len(report.points)
        for base in names:  # letters of 13 px stand from 11 above their line to 4 below it
            assert not [line for line in lines if line[1] < base + 4 and line[2] > base - 11]


def test_pictures_are_the_arrays():
    report = reports.digits_report()
    first = Reader(page(report)).named("img")[0]
    with Image.open(io.BytesIO(base64.b64decode(first["src"].split(",")[1]))) as shown:
        truth = report.pictures["backbone/block_1:truth"][0, ..., 0]
        np.testing.assert_array_equal(np.asarray(shown), np.round(truth * 255).astype(np.uint8))
    assert (first["width"], first["height"]) == ("28", "28")


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_any_number_of_channels_becomes_a_picture(channels):
    image = np.full((4, 6, channels), np.nan, np.float32)
    image[1:] = 7.0
    with Image.open(io.BytesIO(png(image))) as shown:
        assert shown.size == (6, 4)
        assert shown.mode == ("RGB" if channels == 3 else "L")
        assert np.asarray(shown).min() == 0
        assert np.asarray(shown).max() == 255


def test_a_report_of_nothing_is_still_a_page():
    report = replace(
        reports.digits_report(),
        points=(),
        defences=(),
        controls=(),
        assumed=(),
        not_tried=(),
        warnings=(),
        pictures={},
    )
    for embedded in (False, True):
        reader = Reader(page(report, embedded=embedded))
        assert report.model.name in reader.text
        assert not reader.named("img")


def luminance(colour):
    """Return the relative luminance of "#rrggbb" (WCAG 2.2)."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, two):
    """Return the contrast of two colours, from 1 to 21."""
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_every_letter_has_contrast(colours):
    verdicts = ("leaks", "inconclusive", "below", "void")
    for text in ("ink", "quiet", "link", *verdicts):
        assert contrast(colours[text], colours["paper"]) >= 4.5, (
            text
        )  # a badge has the same two the other way round
    for text in ("ink", "quiet"):
        assert contrast(colours[text], colours["panel"]) >= 4.5, text


def test_all_colours_have_names_and_none_is_green():
    rules = re.sub(r"--mi-\w+: #[0-9a-f]{6};", "", page_sheet())
    assert not re.search(r"#[0-9a-fA-F]{3}\b|#[0-9a-fA-F]{6}\b|rgb|hsl|green", rules)
    for colour in (*LIGHT.values(), *DARK.values()):
        hue, _, saturation = colorsys.rgb_to_hls(*(int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)))
        assert saturation < 0.2 or not 0.19 < hue < 0.5, colour


def test_in_a_notebook_no_rule_reaches_beyond_the_report():
    rules = re.sub(r"/\*.*?\*/", "", sheet(".audit"))
    selectors = re.findall(r"(?:^|[{};])\s*([^{};@]+?)\s*\{", rules)
    assert len(selectors) > 30
    for selector in (part.strip() for selected in selectors for part in selected.split(",")):
        assert selector.startswith(".audit"), selector


@pytest.mark.skipif(
    shutil.which("chromium") is None, reason="no chromium here: the width of the page is not measured"
)
def test_the_page_never_scrolls_sideways_and_no_label_is_cut_inside_a_word(tmp_path):
    pages = [html.escape(page(made())) for made in MADE]
    frames = "".join(FRAME.format(width=width, page=text) for text in pages for width in WIDTHS)
    outer = tmp_path / "outer.html"
    outer.write_text(f"<!DOCTYPE html><body>{frames}{MEASURE}", encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--hide-scrollbars"]
    folder = f"--user-data-dir={tmp_path / 'profile'}"
    shown = subprocess.run(
        [*command, folder, outer.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    found = re.search(r"<title>([\d/ ]+)</title>", shown.stdout)
    assert found, shown.stderr[-500:]
    assert found[1].split() == [f"{width}/{width}/0" for _ in MADE for width in WIDTHS]
