"""The random search: every trial in its place, the best ringed, failed ones crossed."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

PREFIXES = ("search.coarse", "search.fine")


def of_search(arrays, prefixes=PREFIXES):
    return {key: values for key, values in arrays.items() if key.startswith(prefixes)}


def points(collection):
    return {(float(x), float(y)) for x, y in collection.get_offsets()}


def panels_of(figure):
    return [axes for axes in figure.axes if axes.collections and axes.get_xlabel()]


def legend_texts(figure):
    return next(
        [text.get_text() for text in axes.get_legend().get_texts()]
        for axes in figure.axes
        if axes.get_legend()
    )


def test_every_trial_stands_at_its_weights_with_its_score_as_colour(make, draw_kind):
    result, arrays = make(size=4)
    everything, _ = panels_of(draw_kind("search", result, arrays))
    assert (everything.get_xscale(), everything.get_yscale()) == ("log", "log")
    assert (everything.get_xlabel(), everything.get_ylabel()) == ("L2 weight", "TV weight")
    for stage, collection in zip(("coarse", "fine"), everything.collections, strict=True):
        x, y, ssim = (arrays[f"search.{stage}.{name}"][1:] for name in ("l2_weight", "tv_weight", "ssim"))
        assert points(collection) == set(zip(x.tolist(), y.tolist(), strict=True))
        np.testing.assert_allclose(collection.get_array(), ssim)
    shapes = [len(collection.get_paths()[0].vertices) for collection in everything.collections]
    assert shapes[0] != shapes[1]  # circle and triangle


def test_failed_trials_are_crosses(make, draw_kind):
    result, arrays = make(size=4)
    everything, _ = panels_of(draw_kind("search", result, arrays))
    crosses = [line for line in everything.lines if line.get_marker() == "x"]
    found = {(float(x), float(y)) for line in crosses for x, y in zip(*line.get_data(), strict=True)}
    assert found == {
        (float(arrays[f"{stage}.l2_weight"][0]), float(arrays[f"{stage}.tv_weight"][0])) for stage in PREFIXES
    }


def test_the_best_trial_is_ringed_in_both_panels_and_its_values_are_written(make, draw_kind):
    result, arrays = make(size=4)
    stage = max(PREFIXES, key=lambda name: np.nanmax(arrays[f"{name}.ssim"]))
    number = int(np.nanargmax(arrays[f"{stage}.ssim"]))
    l2, tv, ssim = (float(arrays[f"{stage}.{name}"][number]) for name in ("l2_weight", "tv_weight", "ssim"))
    figure = draw_kind("search", result, arrays)
    for axes in panels_of(figure):
        (ring,) = (
            line for line in axes.lines if line.get_markerfacecolor() == "none" and line.get_marker() == "o"
        )
        assert [float(values[0]) for values in ring.get_data()] == [l2, tv]
    texts = legend_texts(figure)
    assert texts[:3] == ["coarse search", "fine search", "failed"]
    assert texts[3] == f"best: L2 weight {l2:.4g}, TV weight {tv:.4g}, SSIM {ssim:.4g}"


def test_the_second_panel_shows_the_last_stage_alone_in_its_own_colours(make, draw_kind):
    result, arrays = make(size=4)
    arrays["search.coarse.l2_weight"] = (
        arrays["search.coarse.l2_weight"] + 10
    )  # out of the fine search's range
    _, around = panels_of(draw_kind("search", result, arrays))
    assert around.get_title() == "around the fine search"
    assert [len(collection.get_offsets()) for collection in around.collections] == [0, 2]
    fine = arrays["search.fine.ssim"][1:]
    assert around.collections[1].get_clim() == pytest.approx((fine.min(), fine.max()))


def test_a_coarse_search_alone_has_one_panel(make, draw_kind):
    result, arrays = make(size=4)
    assert len(panels_of(draw_kind("search", result, of_search(arrays, "search.coarse")))) == 1


def test_a_search_in_which_all_failed_is_drawn_without_colours(make, draw_kind):
    result, arrays = make(size=4)
    failed = {
        key: values * (np.nan if key.endswith("ssim") else 1) for key, values in of_search(arrays).items()
    }
    figure = draw_kind("search", result, failed)
    FigureCanvasAgg(figure).draw()
    assert legend_texts(figure) == ["coarse search", "fine search", "failed"]
    assert "SSIM" not in [axes.get_ylabel() for axes in figure.axes]


def test_weights_that_a_logarithm_has_no_place_for_are_counted(make, draw_kind):
    result, arrays = make(size=4)
    arrays["search.coarse.l2_weight"][2] = 0
    arrays["search.fine.tv_weight"][1] = np.nan
    figure = draw_kind("search", result, arrays)
    assert "2 trials have no place on logarithmic axes" in figure.texts[-1].get_text()
    assert [len(collection.get_offsets()) for collection in panels_of(figure)[0].collections] == [3, 1]
