"""Figures: the right images and numbers in the right axes, everything inside the picture."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mi_keras.errors import InputError
from mi_keras.reports.figures import KINDS, draw


def spec_of(result, kind):
    return next(spec for spec in result["figures"] if spec["kind"] == kind)


def image_axes(figure):
    """Images by line and column of the grid, and the text under each."""
    places = {}
    for axes in figure.axes:
        place = axes.get_subplotspec()
        data = np.asarray(axes.images[0].get_array()) if axes.images else None
        places[place.rowspan.start, place.colspan.start] = (data, axes.get_xlabel(), axes)
    return places


def texts(figure):
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("runs", [1, 2])
def test_nothing_is_clipped_and_the_picture_is_1200_pixels_wide(make, kind, runs):
    result, arrays = make(runs=runs)
    figure = draw(spec_of(result, kind), result, arrays)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    assert pixels.shape[1] == 1200
    for border in (pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:]):
        assert (border == 255).all()
    footer = figure.texts[-1].get_text()
    run_count = "1 run" if runs == 1 else "2 runs"
    assert footer.startswith(f"preset quick · MNIST, embedded subset · {run_count} · seed 1 · n = 60 images")


def test_best_per_class_shows_the_image_of_highest_ssim_of_the_first_run(make):
    result, arrays = make()
    places = image_axes(draw(spec_of(result, "best_per_class"), result, arrays))
    assert len(places) == 20
    for number in range(10):
        ssim = {i: arrays["ssim.x"][0, i] for i in range(60) if arrays["labels"][i] == number}
        best = max(ssim, key=lambda i: ssim[i])
        target, reconstruction = places[0, number], places[1, number]
        np.testing.assert_array_equal(target[0], arrays["targets"][best, :, :, 0])
        np.testing.assert_array_equal(reconstruction[0], arrays["reconstruction.x"][best, :, :, 0])
        assert reconstruction[1] == f"{ssim[best]:.4f}"
        assert target[2].get_title() == f"class {number}"
        assert target[2].images[0].get_clim() == (0, 1)
        assert target[2].images[0].cmap(1.0)[:3] == (1, 1, 1)  # one is white


def test_median_per_class_shows_one_image_of_median_ssim_by_every_row(make):
    result, arrays = make(images=50)  # five per class: the median is one image
    rows = ["o+x", "x", "class_prototype"]
    places = image_axes(draw(spec_of(result, "median_per_class") | {"rows": rows}, result, arrays))
    for number in range(10):
        ssim = arrays["ssim.o+x"][0][number::10]
        median = number + 10 * int(np.flatnonzero(ssim == np.median(ssim))[0])
        np.testing.assert_array_equal(places[0, number][0], arrays["targets"][median, :, :, 0])
        for line, row in enumerate(rows, start=1):
            np.testing.assert_array_equal(
                places[line, number][0], arrays[f"reconstruction.{row}"][median, :, :, 0]
            )
            assert places[line, number][1] == f"{arrays[f'ssim.{row}'][0, median]:.4f}"
    labels = [places[line, 0][2].get_ylabel() for line in range(4)]
    assert labels == ["target", "M_I(O + X~)\nX~: logit MSE", "M_I(X~)\nX~: logit MSE", "class prototype"]


def test_colour_images_and_many_classes(make):
    result, arrays = make(channels=3, classes=12)
    result["class_names"] = [f"thing {number}" for number in range(12)]
    figure = draw(spec_of(result, "best_per_class"), result, arrays)
    places = image_axes(figure)
    assert len(places) == 20
    assert places[0, 0][0].shape == (32, 32, 3)
    assert places[0, 3][2].get_title() == "thing 3"
    assert "first 10 of 12 classes" in " ".join(figure.texts[-1].get_text().split())


def test_training_curves_are_means_over_runs_with_the_runs_beside_them(make):
    result, arrays = make()
    classifiers, inverters = draw(spec_of(result, "training_curves"), result, arrays).axes[:2]
    drawn = [np.asarray(line.get_ydata()) for line in inverters.lines]
    assert len(drawn) == 11 * 3
    for row in result["rows"][:11]:
        curves = arrays[f"curve.{row['name']}.loss"]
        for curve in (curves.mean(axis=0), *curves):
            assert any(np.array_equal(curve, other) for other in drawn)
    assert [text.get_text() for text in classifiers.get_legend().get_texts()] == [
        "target", "target, validation", "shadow", "shadow, validation",
    ]  # fmt: skip
    assert (classifiers.get_ylabel(), inverters.get_ylabel()) == ("cross-entropy (nats)", "1 - SSIM")


def test_the_legend_tells_rows_of_one_label_apart(make):
    result, arrays = make()
    legend = draw(spec_of(result, "training_curves"), result, arrays).axes[-1].get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    looks = [(line.get_color(), line.get_linestyle()) for line in legend.get_lines()]
    assert len(set(names)) == len(set(looks)) == 11


def test_validation_curves_of_inversion_models_get_a_panel(make):
    result, arrays = make()
    arrays["curve.x.validation_loss"] = np.linspace(1, 0.5, 16).reshape(2, 8)
    axes = draw(spec_of(result, "training_curves"), result, arrays).axes[2]
    assert axes.get_title() == "Inversion models, validation"
    assert len(axes.lines) == 3


def test_gradient_curves_are_logarithmic_and_name_the_terms_that_are_zero(make):
    result, arrays = make()
    arrays["gradient_loss.logit_mse"][:, :, 2] = 0  # l2
    panels = draw(spec_of(result, "gradient_curves"), result, arrays).axes[:2]
    assert [axes.get_yscale() for axes in panels] == ["log", "log"]
    assert panels[0].get_title() == "objective: logit_mse\n(zero: l2)"
    assert [len(axes.lines) for axes in panels] == [9, 12]
    means = arrays["gradient_loss.cross_entropy"].mean(axis=0)
    assert any(np.array_equal(line.get_ydata(), means[:, 3]) for line in panels[1].lines)


def test_histograms_pool_all_runs_and_mark_both_means(make):
    result, arrays = make()
    arrays["ssim.o"][0, :3] = -0.7
    figure = draw(spec_of(result, "histogram"), result, arrays)
    panels = [axes for axes in figure.axes if axes.patches]
    assert len(panels) == len(result["rows"])
    prototype = result["rows"][-1]["ssim"]["mean"]
    for axes, row in zip(panels, result["rows"], strict=True):
        heights = [patch.get_height() for patch in axes.patches]
        counts, _ = np.histogram(np.maximum(arrays[f"ssim.{row['name']}"], -0.2), bins=48, range=(-0.2, 1))
        np.testing.assert_allclose(heights, 100 * counts / 120)
        assert [line.get_xdata()[0] for line in axes.lines] == [row["ssim"]["mean"], prototype]
        assert axes.get_xlim() == (-0.2, 1)
        assert axes.get_title().endswith(f"mean {row['ssim']['mean']:.4f}")
    assert "values beyond the axis" in figure.texts[-1].get_text()


def test_histograms_without_a_prototype(make):
    result, arrays = make()
    result["rows"] = [row for row in result["rows"] if row["name"] == "x"]
    panels = [axes for axes in draw(spec_of(result, "histogram"), result, arrays).axes if axes.patches]
    assert [len(axes.lines) for axes in panels] == [1]


def test_class_counts_have_a_bar_per_class_and_set(make):
    result, arrays = make()
    axes, legend = draw(spec_of(result, "class_counts"), result, arrays).axes
    heights = sorted(patch.get_height() for patch in axes.patches)
    expected = np.concatenate([values for key, values in arrays.items() if key.startswith("class_counts.")])
    assert heights == sorted(expected)
    assert legend.get_legend().get_texts()[0].get_text() == "target train"


@pytest.mark.parametrize("kind", KINDS)
def test_missing_arrays_leave_a_sentence(make, kind):
    result, _ = make()
    figure = draw(spec_of(result, kind), result, {})
    assert "stor" in " ".join(texts(figure).split())


def test_a_row_without_images_leaves_the_others(make):
    result, arrays = make()
    del arrays["reconstruction.x"]
    rows = ["o", "x", "not in this run", "class_average"]
    figure = draw(spec_of(result, "median_per_class") | {"rows": rows}, result, arrays)
    places = image_axes(figure)
    assert places[2, 0][0] is None
    assert places[3, 0][0] is not None
    assert "not\nstored" in texts(figure)


def test_an_unknown_kind_is_refused(make):
    result, arrays = make()
    with pytest.raises(InputError, match=r"`kind` of a figure must be one of best_per_class, .*; got 'pie'"):
        draw({"kind": "pie", "title": "", "rows": []}, result, arrays)
