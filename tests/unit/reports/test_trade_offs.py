"""Trade-offs: points where the tables have them, names beside their own points and on top of nothing."""

import numpy as np
import pytest

PANELS = [{"x": "agreement", "y": "psnr", "log_x": False}, {"x": "kilobytes", "y": "psnr", "log_x": True}]
SERIES = [
    {"label": "fewer maps", "rows": ["m84", "m42"], "points": ["m=84", "m=42"]},
    {"label": "fewer bits", "rows": ["b8", "b4", "b2"], "points": ["8 bits", "4 bits", "2 bits"]},
]
POINTS = {  # agreement, kilobytes, PSNR
    "none": (1.0, 378.0, 21.0), "m84": (0.84, 47.0, 18.9), "m42": (0.7, 23.6, 17.7), "b8": (0.999, 94.5, 20.98),
    "b4": (0.98, 47.2, 20.7), "b2": (0.6, 23.6, 18.8),
}  # fmt: skip
FIELDS = {"panels": PANELS, "series": SERIES, "baseline": ["mean_face"], "reference": "none"}


def row(name, label, group, **means):
    values = {metric: {"mean": mean, "std": 0.014, "n": 2} for metric, mean in means.items()}
    return {
        "name": name,
        "label": label,
        "group": group,
        "note": "",
        "images": 9,
        "values": values,
        "paper": None,
    }


@pytest.fixture
def defended(make):
    result, _ = make(size=4)
    rows = [
        row(name, name.upper(), "defense", agreement=agreement, kilobytes=kilobytes, psnr=psnr)
        for name, (agreement, kilobytes, psnr) in POINTS.items()
    ]
    rows.append(row("mean_face", "mean face", "baseline", psnr=13.9))
    result["tables"] = [result["tables"][0] | {"rows": rows, "metrics": ["psnr"], "best": "psnr"}]
    return result


def joined(axes):
    """The points of every series."""
    return [container.lines[0].get_xydata() for container in axes.containers]


def test_points_are_those_of_the_tables_joined_in_order(defended, draw_kind):
    *panels, strip = draw_kind("trade_off", defended, {}, **FIELDS).axes
    for axes, place in zip(panels, (0, 1), strict=True):
        expected = [[(POINTS[name][place], POINTS[name][2]) for name in entry["rows"]] for entry in SERIES]
        for found, points in zip(joined(axes), expected, strict=True):
            np.testing.assert_allclose(found, points)
        (star,) = (line for line in axes.lines if line.get_marker() == "*")
        np.testing.assert_allclose(star.get_xydata(), [(POINTS["none"][place], 21.0)])
        (dashed,) = (line for line in axes.lines if line.get_linestyle() == "--")
        assert set(dashed.get_ydata()) == {13.9}
    assert [axes.get_xscale() for axes in panels] == ["linear", "log"]
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in panels] == [
        ("top-1 agreement", "PSNR (dB)"), ("kB per image", "PSNR (dB)"),
    ]  # fmt: skip
    names = [text.get_text() for text in strip.get_legend().get_texts()]
    assert names == ["fewer maps", "fewer bits", "NONE", "mean face"]


def test_names_stand_beside_their_points_and_cover_neither_names_nor_points(defended, draw_kind):
    figure = draw_kind("trade_off", defended, {}, **FIELDS)
    figure.draw_without_rendering()
    for axes in figure.axes[:2]:
        assert [text.get_text() for text in axes.texts] == ["m=84", "m=42", "8 bits", "4 bits", "2 bits"]
        boxes = [text.get_window_extent() for text in axes.texts]
        places = axes.transData.transform(np.concatenate(joined(axes)))
        for number, (box, place) in enumerate(zip(boxes, places, strict=True)):
            assert np.abs(np.clip(place, box.min, box.max) - place).max() < 25  # pixels
            assert not any(box.overlaps(other) for other in boxes[:number])
            assert not any(box.contains(*point) for point in places)
            assert axes.get_window_extent().containsx(box.x0)
            assert axes.get_window_extent().containsx(box.x1)


def test_a_point_that_several_series_share_is_named_once(defended, draw_kind):
    shared = [{"label": label, "rows": ["b8", "m84"], "points": ["8 bits", "m=84"]} for label in "ab"]
    figure = draw_kind("trade_off", defended, {}, **FIELDS | {"series": shared, "panels": PANELS[:1]})
    assert [text.get_text() for text in figure.axes[0].texts] == ["8 bits", "m=84"]


def test_many_points_are_named_in_a_wider_first_panel_only(defended, draw_kind):
    many = [entry | {"label": f"{entry['label']} {copy}"} for copy in range(4) for entry in SERIES]
    figure = draw_kind("trade_off", defended, {}, **FIELDS | {"series": many})
    first, second, _ = figure.axes
    assert len(first.texts) > 0
    assert len(second.texts) == 0
    figure.draw_without_rendering()
    assert first.get_window_extent().width > 1000  # pixels
    assert "points are named in the first panel" in " ".join(figure.texts[-1].get_text().split())


def test_the_corner_where_a_defender_wants_to_be_is_named(defended, draw_kind):
    panels = [PANELS[0] | {"better": "lower right"}, PANELS[1] | {"better": "upper left"}]
    first, second, _ = draw_kind("trade_off", defended, {}, **FIELDS | {"panels": panels}).axes
    assert first.get_title(loc="right") == "better for the defender ↘"
    assert second.get_title(loc="left") == "↖ better for the defender"


def test_what_the_run_lacks_leaves_a_gap_and_no_line(defended, draw_kind):
    series = [{"label": "a", "rows": ["b8", "absent", "b2"], "points": ["8", "?", "2"]}]
    fields = FIELDS | {"series": series, "baseline": None, "reference": "absent", "panels": PANELS[:1]}
    axes, strip = draw_kind("trade_off", defended, {}, **fields).axes
    assert np.isnan(joined(axes)[0]).all(axis=1).tolist() == [False, True, False]
    assert [text.get_text() for text in axes.texts] == ["8", "2"]
    assert not [line for line in axes.lines if line.get_linestyle() == "--" or line.get_marker() == "*"]
    assert [text.get_text() for text in strip.get_legend().get_texts()] == ["a"]


def test_a_pair_of_metrics_that_no_row_has_leaves_a_sentence(defended, draw_kind):
    panels = [PANELS[0], {"x": "ece", "y": "psnr", "log_x": False}]
    axes = draw_kind("trade_off", defended, {}, **FIELDS | {"panels": panels}).axes[1]
    assert [" ".join(text.get_text().split()) for text in axes.texts] == [
        "This run stored no PSNR (dB) and ECE of these rows."
    ]


def test_a_zero_has_no_place_on_a_logarithmic_axis_and_the_footer_says_so(defended, draw_kind):
    defended["tables"][0]["rows"][5]["values"]["kilobytes"]["mean"] = 0.0
    figure = draw_kind("trade_off", defended, {}, **FIELDS | {"panels": PANELS[1:]})
    assert np.isnan(joined(figure.axes[0])[1][:, 0]).tolist() == [False, False, True]
    assert "1 point has no place on a logarithmic axis" in " ".join(figure.texts[-1].get_text().split())


def test_names_of_points_in_one_place_are_apart(defended, draw_kind):
    for name in ("b4", "b2", "m84"):
        for number, part in enumerate(("agreement", "psnr")):
            values = next(row for row in defended["tables"][0]["rows"] if row["name"] == name)["values"]
            values[part]["mean"] = POINTS["b8"][2 * number] - 1e-4
    figure = draw_kind("trade_off", defended, {}, **FIELDS | {"panels": PANELS[:1]})
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 5
    assert not any(box.overlaps(other) for n, box in enumerate(boxes) for other in boxes[:n])
