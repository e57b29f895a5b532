"""Scores against a setting: the tables' means and spreads at the ticks given, in their order."""

import numpy as np
import pytest


def drawn(axes):
    """Means, and ends of the error bars, of every series."""
    found = []
    for container in axes.containers:
        line, _, (bars,) = container.lines
        found.append((line, [segment[:, 1] for segment in bars.get_segments() if segment.size]))
    return found


@pytest.mark.parametrize("interval", [False, True])
def test_means_and_spreads_are_those_of_the_tables(make, draw_kind, interval):
    """Half a 95 % t-interval of two runs is 12.706 deviations / sqrt(2), from a table of Student's t."""
    result, _ = make(size=4)
    result["tables"][0]["interval"] = interval
    share = 12.7062 / 2**0.5 if interval else 1.0
    rows = {row["name"]: row["values"] for row in result["tables"][0]["rows"]}
    figure = draw_kind("sweep", result, {})
    *panels, strip = figure.axes
    for axes, metric, label in zip(panels, ("ssim", "mse"), ("SSIM", "MSE"), strict=True):
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("k", label)
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["10", "5", "1"]
        for (line, bars), names in zip(drawn(axes), (["o", "a", "o+a"], ["x", "o+x", "a+x"]), strict=True):
            means = np.array([rows[name][metric]["mean"] for name in names])
            spreads = np.array([rows[name][metric]["std"] for name in names]) * share
            np.testing.assert_allclose(line.get_ydata(), means)
            assert np.abs(line.get_xdata() - np.arange(3)).max() < 0.1
            np.testing.assert_allclose(
                bars, np.stack([means - spreads, means + spreads], axis=1), rtol=1e-4 if interval else 1e-7
            )
        dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert [line.get_ydata()[0] for line in dashed] == [rows["class_prototype"][metric]["mean"]]
    names = [text.get_text() for text in strip.get_legend().get_texts()]
    assert names == ["without X~", "with X~", "class prototype"]
    bars = "half the 95 % t-interval" if interval else "sample standard deviation"
    assert f"bars: {bars} over runs" in figure.texts[-1].get_text()


def test_series_differ_in_colour_and_marker(make, draw_kind):
    result, _ = make(size=4)
    series = [{"label": str(number), "rows": ["o", "a", "x"]} for number in range(7)]
    lines = [line for line, _ in drawn(draw_kind("sweep", result, {}, series=series).axes[0])]
    assert len({line.get_color() for line in lines}) == len({line.get_marker() for line in lines}) == 7


def test_a_single_run_has_no_bars(make, draw_kind):
    result, _ = make(size=4, runs=1)
    figure = draw_kind("sweep", result, {})
    assert [bars for _, bars in drawn(figure.axes[0])] == [[], []]
    assert "bars" not in figure.texts[-1].get_text()


def test_a_row_that_the_run_lacks_leaves_a_gap(make, draw_kind):
    result, _ = make(size=4)
    series = [{"label": "a", "rows": ["o", "absent", "x"]}]
    ((line, _),) = drawn(draw_kind("sweep", result, {}, series=series).axes[0])
    assert np.isnan(line.get_ydata()).tolist() == [False, True, False]


def test_a_metric_that_the_prototype_lacks_has_no_dashed_line(make, draw_kind):
    result, _ = make(size=4)
    for row in result["tables"][0]["rows"][:3]:
        row["values"]["instance_gain"] = {"mean": 0.1, "std": 0.01, "n": 2}
    series = [{"label": "a", "rows": ["o", "a", "x"]}]
    axes, strip = draw_kind("sweep", result, {}, series=series, metrics=["instance_gain"]).axes
    assert [line.get_linestyle() for line in axes.lines].count("--") == 0
    assert [text.get_text() for text in strip.get_legend().get_texts()] == ["a"]


def test_a_metric_that_no_row_has_leaves_a_sentence(make, draw_kind):
    result, _ = make(size=4)
    axes = draw_kind("sweep", result, {}, metrics=["ssim", "ece"]).axes[1]
    assert [" ".join(text.get_text().split()) for text in axes.texts] == [
        "This run stored no ECE of these rows."
    ]


def test_values_come_from_the_first_table_that_has_them(make, draw_kind):
    result, _ = make(size=4)
    again = {"name": "o", "label": "M_I(O)", "group": "attack", "note": "", "images": 5, "paper": None}
    scores = {"ssim": {"mean": 9.0, "std": None, "n": 1}, "accuracy": {"mean": 0.5, "std": None, "n": 1}}
    result["tables"].append(result["tables"][0] | {"file": "more", "rows": [again | {"values": scores}]})
    series = [{"label": "a", "rows": ["o", "o", "o"]}]
    first, second, _ = draw_kind("sweep", result, {}, series=series, metrics=["ssim", "accuracy"]).axes
    assert drawn(first)[0][0].get_ydata()[0] == pytest.approx(
        result["tables"][0]["rows"][0]["values"]["ssim"]["mean"]
    )
    assert drawn(second)[0][0].get_ydata()[0] == 0.5


@pytest.mark.parametrize(
    ("ticks", "slanted"), [(["10", "5", "1"], False), (["a rather long name of a setting"] * 3, True)]
)
def test_ticks_that_would_overlap_are_slanted(make, draw_kind, ticks, slanted):
    result, _ = make(size=4)
    labels = draw_kind("sweep", result, {}, ticks=ticks).axes[0].get_xticklabels()
    assert (labels[0].get_rotation() > 0) == slanted


def test_the_baselines_of_the_figure_take_the_place_of_the_prototype(make, draw_kind):
    result, _ = make(size=4)
    rows = {row["name"]: row["values"] for row in result["tables"][0]["rows"]}
    figure = draw_kind("sweep", result, {}, baseline=["class_average", "absent"])
    axes, *_, strip = figure.axes
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in dashed] == [rows["class_average"]["ssim"]["mean"]]
    assert [text.get_text() for text in strip.get_legend().get_texts()][2:] == ["class average"]
