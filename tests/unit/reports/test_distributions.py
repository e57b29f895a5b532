"""Histograms and class counts: every image counted once, both means marked."""

import numpy as np
import pytest

LABELS = {"upsampled": "decoder", "halved": "half the maps", "mean_face": "mean face"}


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


def test_histograms_of_another_metric_span_its_values_and_name_its_baselines(make_split, draw_kind):
    result, arrays = make_split()
    figure = draw_kind("histogram", result, arrays)
    panels, pooled = panels_of(figure), np.concatenate([arrays[f"psnr.{n}"].ravel() for n in LABELS])
    assert [axes.get_title() for axes in panels] == [
        f"{label}\nmean {mean_of(arrays[f'psnr.{name}']):.2f}" for name, label in LABELS.items()
    ]
    for axes, name in zip(panels, LABELS, strict=True):
        counts, _ = np.histogram(arrays[f"psnr.{name}"], bins=48, range=(pooled.min(), pooled.max()))
        np.testing.assert_allclose([patch.get_height() for patch in axes.patches], 100 * counts / 60)
        assert axes.get_xlim() == (pooled.min(), pooled.max())
        assert axes.get_xlabel() == "PSNR (dB)"
        assert axes.lines[1].get_xdata()[0] == pytest.approx(mean_of(arrays["psnr.mean_face"]))
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    mean = mean_of(arrays["psnr.mean_face"])
    assert names == ["mean of the row", f"mean of mean face: {mean:.2f}"]
    assert "beyond the axis" not in figure.texts[-1].get_text()


def test_several_baselines_have_lines_of_their_own_and_an_absent_one_has_none(make_split, draw_kind):
    result, arrays = make_split()
    words = {"metric": None, "baseline": ["mean_face", "absent", "halved"], "rows": ["upsampled"]}
    (axes,) = panels_of(draw_kind("histogram", result, arrays, **words))
    means = [mean_of(arrays[f"ssim.{name}"]) for name in ("upsampled", "mean_face", "halved")]
    assert [line.get_xdata()[0] for line in axes.lines] == pytest.approx(means)
    assert len({line.get_linestyle() for line in axes.lines}) == 3
    assert axes.get_xlabel() == "SSIM"


def test_a_score_that_is_the_same_for_every_image_still_has_an_axis(make_split, draw_kind):
    result, arrays = make_split()
    for name in LABELS:
        arrays[f"psnr.{name}"] = np.full((2, 30), 7.0)
    (axes,) = panels_of(draw_kind("histogram", result, arrays, rows=["upsampled"]))
    assert axes.get_xlim() == (6.5, 7.5)
    assert sum(patch.get_height() for patch in axes.patches) == pytest.approx(100)
