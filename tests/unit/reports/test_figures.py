"""Figures in general: the right size, everything inside the picture, a sentence for what is missing."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mi_keras.reports.figures import KINDS
from mi_keras.reports.style import wrap_label

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
