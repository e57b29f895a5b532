"""Histograms and class counts: every image counted once, both means marked."""

import numpy as np
import pytest


def panels_of(figure):
    return [axes for axes in figure.axes if axes.patches]


def mean_of(values):
    return np.mean([np.mean(run.tolist()) for run in values])


def test_histograms_pool_all_runs_and_mark_both_means(make, draw_kind):
    result, arrays = make(size=4)
    arrays["ssim.o"][0, :3] = -0.7
    rows = result["tables"][0]["rows"]
    figure = draw_kind("histogram", result, arrays, rows=[])
    panels = panels_of(figure)
    assert len(panels) == len(rows)  # classifiers and trials have no SSIM per image
    prototype = mean_of(arrays["ssim.class_prototype"])
    for axes, row in zip(panels, rows, strict=True):
        values = arrays[f"ssim.{row['name']}"]
        heights = [patch.get_height() for patch in axes.patches]
        counts, _ = np.histogram(np.maximum(values, -0.2), bins=48, range=(-0.2, 1))
        np.testing.assert_allclose(heights, 100 * counts / 120)
        assert [line.get_xdata()[0] for line in axes.lines] == pytest.approx([mean_of(values), prototype])
        assert axes.get_xlim() == (-0.2, 1)
        assert axes.get_title().endswith(f"mean {mean_of(values):.4f}")
    assert "values beyond the axis" in figure.texts[-1].get_text()


def test_histograms_without_a_prototype(make, draw_kind):
    result, arrays = make(size=4)
    table = result["tables"][0]
    table["rows"] = [row for row in table["rows"] if row["name"] == "x"]
    assert [len(axes.lines) for axes in panels_of(draw_kind("histogram", result, arrays))] == [1]


def test_a_row_that_stored_no_ssim_per_image_leaves_the_others(make, draw_kind):
    result, arrays = make(size=4)
    figure = draw_kind("histogram", result, arrays, rows=["o", "target", "x"])
    assert len(panels_of(figure)) == 2
    said = [" ".join(text.get_text().split()) for axes in figure.axes for text in axes.texts]
    assert said == ["M_T: no SSIM per image stored."]


def test_class_counts_have_a_bar_per_class_and_set(make, draw_kind):
    result, arrays = make(size=4)
    axes, legend = draw_kind("class_counts", result, arrays).axes
    heights = sorted(patch.get_height() for patch in axes.patches)
    expected = np.concatenate([values for key, values in arrays.items() if key.startswith("class_counts.")])
    assert heights == sorted(expected)
    assert legend.get_legend().get_texts()[0].get_text() == "target train"
