"""Training and gradient curves: means over runs, the right model in the right panel."""

import numpy as np


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def many_classifiers(arrays, count=10):
    """Leave curves of classifiers alone, `count` of them beside target and shadow."""
    curves = {
        key: values for key, values in arrays.items() if key.startswith(("curve.target", "curve.shadow"))
    }
    for number in range(count):
        for part in ("loss", "validation_loss"):
            curves[f"curve.variant {number}.{part}"] = np.full((2, 8), 0.01 * (number + 1))
    return curves


def test_training_curves_are_means_over_runs_with_the_runs_beside_them(make, draw_kind):
    result, arrays = make()
    classifiers, inverters = draw_kind("training_curves", result, arrays).axes[:2]
    drawn = [np.asarray(line.get_ydata()) for line in inverters.lines]
    assert len(drawn) == 11 * 3
    for row in result["tables"][0]["rows"][:11]:
        curves = arrays[f"curve.{row['name']}.loss"]
        for curve in (curves.mean(axis=0), *curves):
            assert any(np.array_equal(curve, other) for other in drawn)
    assert [text.get_text() for text in classifiers.get_legend().get_texts()] == [
        "M_T", "M_T, validation", "M_S", "M_S, validation",
    ]  # fmt: skip
    assert (classifiers.get_ylabel(), inverters.get_ylabel()) == ("cross-entropy (nats)", "1 - SSIM")
    assert (classifiers.get_xlabel(), inverters.get_xlabel()) == ("epoch", "epoch")


def test_the_legend_tells_rows_of_one_label_apart(make, draw_kind):
    legend = draw_kind("training_curves", *make(size=4)).axes[-1].get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    looks = [(line.get_color(), line.get_linestyle()) for line in legend.get_lines()]
    assert len(set(names)) == len(set(looks)) == 11


def test_curves_of_one_epoch_are_dots_that_the_legend_tells_apart(make, draw_kind):
    result, arrays = make(size=4)
    once = {name: curve[:, :1] for name, curve in arrays.items() if name.startswith("curve.")}
    longer = {name: curve[:, :2] for name, curve in arrays.items() if name.startswith("curve.target")}
    classifiers, inverters, strip = draw_kind("training_curves", result, arrays | once | longer).axes
    dots = [(line.get_color(), line.get_marker()) for line in inverters.lines if line.get_linewidth() > 1]
    told = [(line.get_color(), line.get_marker()) for line in strip.get_legend().get_lines()]
    assert len(set(dots)) == 11
    assert sorted(dots) == sorted(told)
    both = [line.get_marker() for line in classifiers.get_legend().get_lines()]
    assert both == ["None", "None", "^", "v"]  # training and validation of either model


def test_validation_curves_of_inversion_models_get_a_panel(make, draw_kind):
    result, arrays = make(size=4)
    arrays["curve.x.validation_loss"] = np.linspace(1, 0.5, 16).reshape(2, 8)
    axes = draw_kind("training_curves", result, arrays).axes[2]
    assert axes.get_title() == "Inversion models, validation"
    assert len(axes.lines) == 3


def test_many_classifiers_get_two_logarithmic_panels_and_the_legend_strip(make, draw_kind):
    result, arrays = make(size=4)
    curves = many_classifiers(arrays)
    training, validation, strip = draw_kind("training_curves", result, curves).axes
    assert (training.get_title(), validation.get_title()) == (
        "Classifiers, training",
        "Classifiers, validation",
    )
    assert training.get_yscale() == validation.get_yscale() == "log"
    assert training.get_legend() is validation.get_legend() is None
    for axes, part in ((training, "loss"), (validation, "validation_loss")):
        means = [curves[key].mean(axis=0) for key in curves if key.endswith(f".{part}")]
        drawn = [np.asarray(line.get_ydata()) for line in axes.lines]
        assert len(drawn) == 12 * 3
        assert all(any(np.array_equal(mean, other) for other in drawn) for mean in means)
    names = [text.get_text() for text in strip.get_legend().get_texts()]
    assert names == ["M_T", "M_S", *(f"variant {number}" for number in range(10))]
    looks = {(line.get_color(), line.get_linestyle()) for line in strip.get_legend().get_lines()}
    assert len(looks) == 12


def test_many_classifiers_stand_over_the_inversion_models(make, draw_kind):
    result, arrays = make(size=4)
    figure = draw_kind("training_curves", result, arrays | many_classifiers(arrays, 1))
    assert titles(figure) == [
        "Classifiers, training",
        "Classifiers, validation",
        "Inversion models, training",
    ]
    legends = [len(axes.get_legend().get_texts()) for axes in figure.axes if axes.get_legend()]
    assert legends == [3, 11]


def test_a_curve_of_a_model_that_no_attack_row_has_is_a_classifiers(make, draw_kind):
    result, arrays = make(size=4)
    curves = {
        key: arrays[key]
        for key in ("curve.target.loss", "curve.class_average.loss", "curve.x.loss")
        if key in arrays
    }
    curves["curve.class_average.loss"] = np.ones((2, 8))
    classifiers, inverters, _ = draw_kind("training_curves", result, curves).axes
    assert [text.get_text() for text in classifiers.get_legend().get_texts()] == ["class average", "M_T"]
    assert len(inverters.lines) == 3


def test_gradient_curves_are_logarithmic_and_name_the_terms_that_are_zero(make, draw_kind):
    result, arrays = make(size=4)
    arrays["gradient_loss.logit_mse"][:, :, 2] = 0  # l2
    panels = draw_kind("gradient_curves", result, arrays).axes[:2]
    assert [axes.get_yscale() for axes in panels] == ["log", "log"]
    assert panels[0].get_title() == "objective: logit_mse\n(zero: l2)"
    assert [len(axes.lines) for axes in panels] == [9, 12]
    means = arrays["gradient_loss.cross_entropy"].mean(axis=0)
    assert any(np.array_equal(line.get_ydata(), means[:, 3]) for line in panels[1].lines)


def test_a_figure_may_name_the_models_of_its_attacks_and_their_loss(make, draw_kind):
    result, arrays = make()
    figure = draw_kind("training_curves", result, arrays, models="Decoders", loss="MSE")
    named = {axes.get_title(): axes.get_ylabel() for axes in figure.axes if axes.get_title()}
    assert named == {"Classifiers": "cross-entropy (nats)", "Decoders, training": "MSE"}
