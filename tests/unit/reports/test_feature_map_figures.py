"""Feature maps: every map where it belongs, coloured over its own range."""

import numpy as np
import pytest
from matplotlib import colormaps

from mi_keras.errors import InputError
from tests.unit.reports.grid_reading import grid_of


def luminance(color):
    return color[0] * 0.2126 + color[1] * 0.7152 + color[2] * 0.0722


def test_maps_stand_in_their_order_over_their_numbers(make, draw_kind):
    result, arrays = make()
    figure = draw_kind("maps", result, arrays)
    places = grid_of(figure)
    assert len(places) == 3
    for column, number in enumerate((5, 1, 9)):
        values = arrays["maps.sent"][column]
        np.testing.assert_array_equal(places[0, column].values, values)
        assert places[0, column].caption == f"map {number}"
        assert places[0, column].image.get_clim() == (values.min(), values.max())
    footer = " ".join(figure.texts[-1].get_text().split())
    assert footer.endswith(
        "5x5 · each map in its own range, from its smallest value (dark) to its largest (bright)"
    )


def test_a_larger_value_is_brighter_all_the_way(make, draw_kind):
    image = draw_kind("maps", *make()).axes[0].images[0]
    steps = [luminance(colormaps[image.cmap.name](share)) for share in np.linspace(0, 1, 32)]
    assert (np.diff(steps) > 0).all()


@pytest.mark.parametrize(
    ("count", "lines", "columns"), [(1, 1, 1), (8, 1, 8), (9, 2, 5), (16, 2, 8), (20, 3, 7)]
)
def test_maps_fill_lines_of_one_length(make, draw_kind, count, lines, columns):
    result, arrays = make()
    arrays["maps.sent"] = np.random.default_rng(0).normal(size=(count, 6, 4))
    places = grid_of(draw_kind("maps", result, arrays, numbers=None))
    assert len(places) == count
    assert {line for line, _ in places} == set(range(lines))
    assert max(column for _, column in places) == columns - 1
    for (line, column), place in places.items():
        np.testing.assert_allclose(place.values, arrays["maps.sent"][line * columns + column], rtol=1e-6)
        assert place.caption == ""


def test_numbers_must_name_every_map(make, draw_kind):
    message = r"^`numbers` of maps.png must be 3, one per map of `maps.sent`; got 2\.$"
    with pytest.raises(InputError, match=message):
        draw_kind("maps", *make(), numbers=[1, 2])


def test_layers_have_a_line_each_with_its_label_and_size(make, draw_kind):
    result, arrays = make()
    places = grid_of(draw_kind("layers", result, arrays))
    assert set(places) == {(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)}
    for line, name in enumerate(("sent", "layer_1")):
        for column, values in enumerate(arrays[f"maps.{name}"]):
            np.testing.assert_array_equal(places[line, column].values, values)
    assert [places[line, 0].label for line in (0, 1)] == ["sent, 5x5", "layer 1, 10x10"]


def test_a_layer_that_is_missing_leaves_the_others(make, draw_kind):
    result, arrays = make()
    words = {"arrays": ["absent", "layer_1"], "labels": ["one", "two"]}
    places = grid_of(draw_kind("layers", result, arrays, **words))
    assert places[0, 0].word == "not\nstored"
    assert places[0, 0].label == "one"
    np.testing.assert_array_equal(places[1, 1].values, arrays["maps.layer_1"][1])


def test_of_many_maps_of_a_layer_the_first_eight_are_drawn(make, draw_kind):
    result, arrays = make()
    arrays["maps.sent"] = np.arange(12 * 25, dtype=float).reshape(12, 5, 5)
    figure = draw_kind("layers", result, arrays)
    assert len([place for place in grid_of(figure) if place[0] == 0]) == 8
    assert "the first 8 of each" in figure.texts[-1].get_text()


def test_single_maps_of_layers_stand_beside_each_other(make, draw_kind):
    result, arrays = make()
    names = [f"layer_{number}" for number in range(1, 8)]
    for number, name in enumerate(names):
        arrays[f"maps.{name}"] = np.random.default_rng(number).normal(size=(1, 2 + number, 2 + number))
    del arrays["maps.layer_6"]
    places = grid_of(draw_kind("layers", result, arrays, arrays=names, labels=[f"L{n}" for n in range(1, 8)]))
    assert [places[number // 4, number % 4].caption for number in range(7)] == [
        "L1, 2x2", "L2, 3x3", "L3, 4x4", "L4, 5x5", "L5, 6x6", "L6", "L7, 8x8",
    ]  # fmt: skip
    np.testing.assert_allclose(places[1, 2].values, arrays["maps.layer_7"][0], rtol=1e-6)
    assert places[1, 1].image is None
