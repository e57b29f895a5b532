"""Confusion matrices: counts of the first run, colour for the errors only."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg


def matrices_of(figure):
    return [axes for axes in figure.axes if axes.images and axes.get_xlabel()]


def test_counts_are_written_where_true_and_predicted_class_meet(make, draw_kind):
    result, arrays = make(size=4)
    result["class_names"] = [f"digit {number}" for number in range(10)]
    panels = matrices_of(draw_kind("confusion", result, arrays))
    for axes, name, label in zip(panels, ("target", "shadow"), ("M_T", "M_S"), strict=True):
        counts = arrays[f"confusion.{name}"][0]
        written = {text.get_position(): int(text.get_text()) for text in axes.texts}
        assert written == {(column, line): counts[line, column] for line in range(10) for column in range(10)}
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
        assert [tick.get_text() for tick in axes.get_yticklabels()] == result["class_names"]
        assert [tick.get_text() for tick in axes.get_xticklabels()] == result["class_names"]
        assert axes.get_title() == f"{label}: {np.trace(counts)} of {counts.sum()} right"
        assert axes.yaxis_inverted()  # the first class on top


def test_colour_is_the_share_of_the_true_class_and_leaves_the_diagonal_out(make, draw_kind):
    result, _ = make(size=4)
    counts = np.array([[[90, 10, 0], [1, 98, 1], [0, 0, 0]]])
    (axes,) = matrices_of(draw_kind("confusion", result, {"confusion.target": counts}, rows=["target"]))
    image = axes.images[0]
    shown = image.get_array()
    np.testing.assert_array_equal(
        np.ma.getmaskarray(shown), [[True, False, False], [False, True, False], [True, True, True]]
    )
    np.testing.assert_allclose(np.ma.compressed(shown), [10, 0, 1, 1])
    assert image.get_clim() == (0, 10)


def test_panels_share_one_scale(make, draw_kind):
    result, _ = make(size=4)
    arrays = {
        "confusion.target": np.array([[[9, 1], [0, 10]]]),
        "confusion.shadow": np.array([[[6, 4], [0, 10]]]),
    }
    panels = matrices_of(draw_kind("confusion", result, arrays))
    assert [axes.images[0].get_clim() for axes in panels] == [(0, 40), (0, 40)]


def test_a_matrix_without_errors_is_drawn(make, draw_kind):
    result, _ = make(size=4)
    figure = draw_kind("confusion", result, {"confusion.target": np.diag([3, 4])[None]}, rows=["target"])
    FigureCanvasAgg(figure).draw()
    assert matrices_of(figure)[0].get_title() == "M_T: 7 of 7 right"


@pytest.mark.parametrize(("classes", "counts"), [(20, 400), (21, 0)])
def test_more_than_twenty_classes_have_no_counts_and_it_is_said(make, draw_kind, classes, counts):
    result, _ = make(size=4)
    figure = draw_kind(
        "confusion", result, {"confusion.target": np.ones((1, classes, classes))}, rows=["target"]
    )
    assert len(matrices_of(figure)[0].texts) == counts
    assert ("no counts in the cells" in " ".join(figure.texts[-1].get_text().split())) == (counts == 0)


def test_a_classifier_without_a_matrix_leaves_a_sentence(make, draw_kind):
    result, arrays = make(size=4)
    figure = draw_kind("confusion", result, arrays, rows=["target", "third"])
    assert len(matrices_of(figure)) == 1
    said = [" ".join(text.get_text().split()) for axes in figure.axes for text in axes.texts]
    assert "third: this run stored no confusion matrix." in said
