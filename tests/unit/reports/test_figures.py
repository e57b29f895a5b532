"""Figures in general: the right size, everything inside the picture, a sentence for what is missing."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mi_keras.reports.figures import KINDS
from mi_keras.reports.files import _png
from mi_keras.reports.style import log_ticks, wrap_label
from mi_keras.results import read_result

SCORED = {  # images behind what is drawn; the others show no scores of images
    "confusion": 30, "best_per_class": 60, "median_per_class": 60, "chosen_images": 60, "histogram": 60, "sweep": 60,
    "run_scores": 60,
    "trade_off": 60, "photographs": 60,
}  # fmt: skip


def texts(figure):
    return " ".join(" ".join(text.get_text() for axes in figure.axes for text in axes.texts).split())


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_clipped_and_the_footer_says_what_the_run_was(make, draw_kind, kind):
    title = "A title of a length that titles of figures seldom have " * 2
    figure = draw_kind(kind, *make(runs=1, size=4), title=title)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    assert pixels.shape[1] == 1200
    for border in (pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:]):
        assert (border == 255).all()
    footer = figure.texts[-1].get_text()
    run = "preset quick · MNIST, embedded subset · 1 run · seed 1"
    assert footer.startswith(run + (f" · n = {SCORED[kind]} images" if kind in SCORED else ""))
    assert ("n = " in footer) == (kind in SCORED)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_arrays_leave_a_sentence(make, draw_kind, kind):
    result, _ = make(size=4)
    result["tables"] = []  # what a sweep draws
    assert "stor" in texts(draw_kind(kind, result, {}))


@pytest.mark.parametrize(
    ("label", "lines"),
    [
        ("class prototype", ["class prototype"]),
        ("M_I(O + X~), X~: logit MSE", ["M_I(O + X~)", "X~: logit MSE"]),
        ("M_I(O), k = 10", ["M_I(O), k = 10"]),
        ("from the class average, test, X~: logit MSE", ["from the class", "average, test", "X~: logit MSE"]),
    ],
)
def test_labels_break_at_commas_first(label, lines):
    assert wrap_label(label, 20).split("\n") == lines


MATH = r"$\frac{1}{$ costs 5$ to 9$"  # begins no formula, and is none that could be drawn


@pytest.mark.parametrize("kind", ["confusion", "sweep", "trade_off", "search"])
def test_no_text_is_taken_for_a_formula(make, kind):
    """A path, a class or a label with two dollar signs ended the report with a traceback, or came out in italics."""
    result, arrays = make(runs=1, size=4)
    spec = next(spec for spec in result["figures"] if spec["kind"] == kind)
    fields = {"title": MATH} | ({"ticks": [MATH, "5", "1"]} if kind == "sweep" else {})
    fields |= (
        {"series": [entry | {"label": MATH, "points": [MATH, "5", "1"]} for entry in spec["series"]]}
        if kind == "trade_off"
        else {}
    )
    named = {"data": MATH, "class_names": [MATH] * 10, "figures": [spec | fields]}
    for table in result["tables"]:
        for row in table["rows"]:
            row["label"] += MATH
    read = read_result(result | named)
    assert _png(read.figures[0], read, arrays).startswith(b"\x89PNG")


def test_what_the_user_has_set_for_other_figures_changes_none(make):
    result, arrays = make(runs=1, size=4)
    read = read_result(result)
    before = _png(read.figures[0], read, arrays)
    with mpl.rc_context({"text.usetex": True, "font.size": 30, "axes.grid": True, "savefig.bbox": "tight"}):
        assert _png(read.figures[0], read, arrays) == before


def test_powers_of_ten_are_plain_text():
    figure = Figure()
    axes = figure.add_subplot()
    axes.set_yscale("log")
    axes.set_ylim(2e-5, 9e-5)
    log_ticks(axes.yaxis)
    figure.draw_without_rendering()
    shown = {label.get_text() for label in axes.get_yticklabels(which="both")} - {""}
    assert "3\N{MULTIPLICATION SIGN}10⁻⁵" in shown
    assert all("$" not in text and "{" not in text for text in shown)
