"""Scores of runs: a point where each run has its mean, and a star where the text has its value."""

import numpy as np
import pytest


def lines_of(figure):
    return {
        line.get_marker() + str(int(line.get_ydata()[0])): line.get_xdata() for line in figure.axes[0].lines
    }


def test_a_point_for_every_run_their_mean_and_what_was_published(make, draw_kind):
    result, arrays = make(runs=3, size=4)
    figure = draw_kind("run_scores", result, arrays, rows=["o", "missing", "o+x"])
    found = lines_of(figure)
    assert set(found) == {"o0", "|0", "o1", "|1", "*1"}  # the text has the second row only
    for place, name in enumerate(("o", "o+x")):
        means = [np.mean(run.tolist()) for run in arrays[f"ssim.{name}"]]
        np.testing.assert_allclose(found[f"o{place}"], means)
        np.testing.assert_allclose(found[f"|{place}"], [np.mean(means)])
    np.testing.assert_array_equal(found["*1"], [0.2467])
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["M_I(O)", "M_I(O + X~), X~: logit MSE"]  # there is a second row of that label
    names = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert names == ["a run", "mean of the runs", "published"]


def test_another_metric_and_another_word_for_a_run(make, draw_kind):
    result, arrays = make(runs=2, size=4)
    figure = draw_kind("run_scores", result, arrays, rows=["x"], metric="mse", each="pair")
    assert lines_of(figure)["o0"] == pytest.approx([np.mean(run.tolist()) for run in arrays["mse.x"]])
    assert figure.axes[0].get_xlabel() == "MSE"
    names = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert names == ["a pair", "mean of the pairs"]
