"""Figures of images: the right image of the right row in the right place."""

import numpy as np
import pytest

from mi_keras.errors import InputError
from tests.unit.reports.grid_reading import grid_of


def test_best_per_class_shows_one_image_of_highest_ssim_by_every_row(make, draw_kind):
    result, arrays = make()
    places = grid_of(draw_kind("best_per_class", result, arrays))
    assert len(places) == 30
    for number in range(10):
        ssim = {i: arrays["ssim.x"][0, i] for i in range(60) if arrays["labels"][i] == number}
        best = max(ssim, key=lambda i: ssim[i])
        target = places[0, number]
        np.testing.assert_array_equal(target.values, arrays["targets"][best, :, :, 0])
        for line, row in enumerate(("x", "o"), start=1):
            place = places[line, number]
            np.testing.assert_array_equal(place.values, arrays[f"reconstruction.{row}"][best, :, :, 0])
            assert place.caption == f"{arrays[f'ssim.{row}'][0, best]:.4f}"
        assert target.header == f"class {number}"
        assert target.image.get_clim() == (0, 1)
        assert target.image.cmap(1.0)[:3] == (1, 1, 1)  # one is white


def test_median_per_class_shows_one_image_of_median_ssim_by_every_row(make, draw_kind):
    result, arrays = make(images=50)  # five per class: the median is one image
    rows = ["o+x", "x", "class_prototype"]
    places = grid_of(draw_kind("median_per_class", result, arrays, rows=rows))
    for number in range(10):
        ssim = arrays["ssim.o+x"][0][number::10]
        median = number + 10 * int(np.flatnonzero(ssim == np.median(ssim))[0])
        np.testing.assert_array_equal(places[0, number].values, arrays["targets"][median, :, :, 0])
        for line, row in enumerate(rows, start=1):
            np.testing.assert_array_equal(
                places[line, number].values, arrays[f"reconstruction.{row}"][median, :, :, 0]
            )
            assert places[line, number].caption == f"{arrays[f'ssim.{row}'][0, median]:.4f}"
    labels = [places[line, 0].label for line in range(4)]
    assert labels == ["target", "M_I(O + X~)\nX~: logit MSE", "M_I(X~)\nX~: logit MSE", "class prototype"]


def test_chosen_images_are_those_of_the_numbers_in_their_order(make, draw_kind):
    result, arrays = make()
    places = grid_of(draw_kind("chosen_images", result, arrays, rows=["x", "class_prototype"]))
    assert len(places) == 9
    for column, number in enumerate((7, 0, 3)):
        np.testing.assert_array_equal(places[0, column].values, arrays["targets"][number, :, :, 0])
        assert places[0, column].header == f"image {number}\nclass {number}"
        for line, row in enumerate(("x", "class_prototype"), start=1):
            np.testing.assert_array_equal(
                places[line, column].values, arrays[f"reconstruction.{row}"][number, :, :, 0]
            )
            assert places[line, column].caption == f"{arrays[f'ssim.{row}'][0, number]:.4f}"


def test_a_chosen_image_that_does_not_exist_is_refused(make, draw_kind):
    with pytest.raises(InputError, match=r"^`images` of chosen_images.png must be below 60; got 60\.$"):
        draw_kind("chosen_images", *make(size=4), images=[3, 60])


def test_class_images_have_a_line_for_each_array_or_for_each_named_one(make, draw_kind):
    result, arrays = make()
    places = grid_of(draw_kind("class_images", result, arrays))
    assert [places[line, 0].label for line in (0, 1)] == ["random pixels", "class average"]
    for number in range(10):
        image = arrays["class_images.random pixels"][number, :, :, 0]
        np.testing.assert_array_equal(places[0, number].values, image)
        assert places[0, number].caption == ""
    places = grid_of(draw_kind("class_images", result, arrays, rows=["class_average", "absent"]))
    np.testing.assert_array_equal(places[0, 9].values, arrays["class_images.class_average"][9, :, :, 0])
    assert places[1, 0].image is None


def test_colour_images_and_many_classes(make, draw_kind):
    result, arrays = make(channels=3, classes=12)
    result["class_names"] = [f"thing {number}" for number in range(12)]
    for kind, count in (("best_per_class", 30), ("class_images", 20)):
        figure = draw_kind(kind, result, arrays)
        places = grid_of(figure)
        assert len(places) == count
        assert places[0, 0].values.shape == (12, 12, 3)
        assert places[0, 3].header == "thing 3"
        footer = " ".join(figure.texts[-1].get_text().split())
        assert "first 10 of 12 classes" in footer
        assert ("headings: the true class" in footer) == (kind == "best_per_class")


def test_a_row_without_images_leaves_the_others(make, draw_kind):
    result, arrays = make()
    del arrays["reconstruction.x"]
    rows = ["o", "x", "not in this run", "class_average"]
    figure = draw_kind("median_per_class", result, arrays, rows=rows)
    places = grid_of(figure)
    assert places[2, 0].image is None
    assert places[3, 0].image is not None
    assert places[2, 0].word == "not\nstored"
