"""The page of a run's images: as it is written, and as a browser shows it."""

import base64
import hashlib
import html
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from mi_keras.reports import leaf
from mi_keras.reports.leaf import leaf_page
from mi_keras.results import read_result

DRIVER = """<script>
const frame = document.querySelector("iframe"), said = [];
onload = async () => {
  const inside = frame.contentDocument, get = (id) => inside.getElementById(id);
  while (!get("status").textContent) await new Promise((then) => setTimeout(then, 20));
  const note = () => said.push(get("status").textContent);
  const press = (key) => { inside.body.dispatchEvent(new frame.contentWindow.KeyboardEvent("keydown", {key, bubbles: true})); note(); };
  const choose = (id, value) => { get(id).value = value; get(id).dispatchEvent(new Event("change")); };
  note(); press("ArrowRight"); press("End"); press("ArrowRight"); press("Home");
  get("next").click(); note();
  choose("metric", "mse"); choose("row", "1"); choose("order", "best"); note();
  choose("order", "worst"); note();
  choose("class", "3"); note();
  const row = inside.querySelectorAll("#rows input")[1];
  said.push(inside.querySelectorAll("canvas").length); row.click(); said.push(inside.querySelectorAll("canvas").length);
  const canvas = inside.querySelector("canvas");
  said.push(canvas.getAttribute("aria-label"), [...canvas.getContext("2d").getImageData(0, 0, 3, 1).data]);
  document.title = JSON.stringify(said);
};
</script>"""


@pytest.fixture
def made(make):
    """Eleven attacks on 20 images of 12 by 12."""
    document, arrays = make(images=20)
    return read_result(document), arrays


def data_of(page):
    return json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])


def test_the_page_holds_every_image_drawing_and_score(made):
    result, arrays = made
    page = leaf_page(result, arrays)
    data = data_of(page)
    names = [key.partition(".")[2] for key in arrays if key.startswith("reconstruction.")]
    assert len(data["rows"]) == len(names)
    for name, row in zip(names, data["rows"], strict=True):
        np.testing.assert_allclose(row["scores"]["ssim"], arrays[f"ssim.{name}"][0], rtol=1e-5)
    sources = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert len(sources) == 1 + len(names)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(sources[0]))))
    assert picture.shape == (12, 12 * 20)
    np.testing.assert_array_equal(picture[:, 12 * 7 : 12 * 8], np.round(255 * arrays["targets"][7, ..., 0]))


def test_nothing_runs_but_the_script_that_the_policy_names(made):
    page = leaf_page(*made)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    (script,) = scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert html.unescape(policy).endswith(f"; script-src 'sha256-{digest}'")
    assert "default-src 'none'" in html.unescape(policy)
    assert "http://" not in page
    assert "https://" not in page


def test_words_of_a_run_end_no_script(make):
    document, arrays = make(images=20)
    document["tables"][0]["rows"][0]["label"] = "</script><script>alert(1)</script>"
    page = leaf_page(read_result(document), arrays)
    assert page.count("<script") == 2
    assert data_of(page)["rows"][0]["label"].startswith("</script>")


def test_of_more_images_than_a_page_holds_some_are_shown_evenly_spaced(made, monkeypatch):
    result, arrays = made
    size = 12 * 12 * 16  # a true image and 15 drawings
    monkeypatch.setattr(leaf, "MOST_BYTES", 5 * size)
    page = leaf_page(result, arrays)
    assert data_of(page)["numbers"] == [0, 5, 10, 14, 19]
    assert "5 of 20 images, evenly spaced" in page


def test_colours_and_scores_that_are_none_are_shown(make):
    document, arrays = make(images=20, channels=3)
    arrays["ssim.o"][0, 3] = np.nan
    data = data_of(page := leaf_page(read_result(document), arrays))
    assert data["rows"][0]["scores"]["ssim"][3] is None
    source = re.search(r"base64,([^\"]+)", page)[1]
    assert Image.open(io.BytesIO(base64.b64decode(source))).mode == "RGB"


def test_a_run_without_images_has_no_page(made):
    result, arrays = made
    assert leaf_page(result, {name: a for name, a in arrays.items() if name != "targets"}) == ""
    assert leaf_page(result, {"targets": arrays["targets"]}) == ""


@pytest.mark.skipif(
    shutil.which("chromium") is None, reason="no chromium here: the page is not leafed through"
)
def test_a_browser_leafs_sorts_and_compares(made, tmp_path):
    result, arrays = made
    outer = tmp_path / "outer.html"
    frame = f'<iframe style="width:900px;height:900px" srcdoc="{html.escape(leaf_page(result, arrays))}"></iframe>'
    outer.write_text(f"<!DOCTYPE html><body>{frame}{DRIVER}", encoding="utf-8")
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        "--virtual-time-budget=20000",
    ]
    shown = subprocess.run(
        [*command, f"--user-data-dir={tmp_path / 'profile'}", outer.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r"<title>(.*)</title>", shown.stdout)
    assert found, shown.stdout[-500:] + shown.stderr[-500:]
    *said, before, after, label, pixels = json.loads(html.unescape(found[1]))

    def line(place, image, of=20):
        return f"Image {place} of {of}, class {image % 10} (number {image})"

    errors = arrays["mse.a"][0]
    by_error = sorted(range(20), key=lambda image: errors[image])
    threes = [image for image in reversed(by_error) if image % 10 == 3]
    assert said == [
        line(1, 0), line(2, 1), line(20, 19), line(20, 19), line(1, 0), line(2, 1),
        line(1, by_error[0]), line(1, by_error[-1]), line(1, threes[0], of=2),
    ]  # fmt: skip
    assert after == before - 1
    assert label == "true image"
    expected = np.round(255 * arrays["targets"][threes[0], 0, :3, 0]).astype(int)
    assert pixels[::4] == expected.tolist()
