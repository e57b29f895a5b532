"""Figures of images: the right image of the right row in the right place."""

import numpy as np
import pytest

from mi_keras.errors import InputError


def image_axes(figure):
    """Images by line and column of the grid, the text under each, and the axes."""
    places = {}
    for axes in figure.axes:
        place = axes.get_subplotspec()
        data = np.asarray(axes.images[0].get_array()) if axes.images else None
        places[place.rowspan.start, place.colspan.start] = (data, axes.get_xlabel(), axes)
    return places


def test_best_per_class_shows_one_image_of_highest_ssim_by_every_row(make, draw_kind):
    result, arrays = make()
    places = image_axes(draw_kind("best_per_class", result, arrays))
    assert len(places) == 30
    for number in range(10):
        ssim = {i: arrays["ssim.x"][0, i] for i in range(60) if arrays["labels"][i] == number}
        best = max(ssim, key=lambda i: ssim[i])
        target = places[0, number]
        np.testing.assert_array_equal(target[0], arrays["targets"][best, :, :, 0])
        for line, row in enumerate(("x", "o"), start=1):
            image, score, _ = places[line, number]
            np.testing.assert_array_equal(image, arrays[f"reconstruction.{row}"][best, :, :, 0])
            assert score == f"{arrays[f'ssim.{row}'][0, best]:.4f}"
        assert target[2].get_title() == f"class {number}"
        assert target[2].images[0].get_clim() == (0, 1)
        assert target[2].images[0].cmap(1.0)[:3] == (1, 1, 1)  # one is white


def test_median_per_class_shows_one_image_of_median_ssim_by_every_row(make, draw_kind):
    result, arrays = make(images=50)  # five per class: the median is one image
    rows = ["o+x", "x", "class_prototype"]
    places = image_axes(draw_kind("median_per_class", result, arrays, rows=rows))
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


def test_chosen_images_are_those_of_the_numbers_in_their_order(make, draw_kind):
    result, arrays = make()
    places = image_axes(draw_kind("chosen_images", result, arrays, rows=["x", "class_prototype"]))
    assert len(places) == 9
    for column, number in enumerate((7, 0, 3)):
        np.testing.assert_array_equal(places[0, column][0], arrays["targets"][number, :, :, 0])
        assert places[0, column][2].get_title() == f"image {number}\nclass {number}"
        for line, row in enumerate(("x", "class_prototype"), start=1):
            np.testing.assert_array_equal(
                places[line, column][0], arrays[f"reconstruction.{row}"][number, :, :, 0]
            )
            assert places[line, column][1] == f"{arrays[f'ssim.{row}'][0, number]:.4f}"


def test_a_chosen_image_that_does_not_exist_is_refused(make, draw_kind):
    with pytest.raises(InputError, match=r"^`images` of chosen_images.png must be below 60; got 60\.$"):
        draw_kind("chosen_images", *make(size=4), images=[3, 60])


def test_class_images_have_a_line_for_each_array_or_for_each_named_one(make, draw_kind):
    result, arrays = make()
    places = image_axes(draw_kind("class_images", result, arrays))
    assert [places[line, 0][2].get_ylabel() for line in (0, 1)] == ["random pixels", "class average"]
    for number in range(10):
        image = arrays["class_images.random pixels"][number, :, :, 0]
        np.testing.assert_array_equal(places[0, number][0], image)
        assert places[0, number][1] == ""
    places = image_axes(draw_kind("class_images", result, arrays, rows=["class_average", "absent"]))
    np.testing.assert_array_equal(places[0, 9][0], arrays["class_images.class_average"][9, :, :, 0])
    assert places[1, 0][0] is None


def test_colour_images_and_many_classes(make, draw_kind):
    result, arrays = make(channels=3, classes=12)
    result["class_names"] = [f"thing {number}" for number in range(12)]
    for kind, count in (("best_per_class", 30), ("class_images", 20)):
        figure = draw_kind(kind, result, arrays)
        places = image_axes(figure)
        assert len(places) == count
        assert places[0, 0][0].shape == (12, 12, 3)
        assert places[0, 3][2].get_title() == "thing 3"
        assert "first 10 of 12 classes" in " ".join(figure.texts[-1].get_text().split())


def test_a_row_without_images_leaves_the_others(make, draw_kind):
    result, arrays = make()
    del arrays["reconstruction.x"]
    rows = ["o", "x", "not in this run", "class_average"]
    figure = draw_kind("median_per_class", result, arrays, rows=rows)
    places = image_axes(figure)
    assert places[2, 0][0] is None
    assert places[3, 0][0] is not None
    assert "not\nstored" in [text.get_text() for axes in figure.axes for text in axes.texts]
