"""Photographs: the stored bytes in the right place, scores of the right images, the arithmetic of normalising."""

import numpy as np
import pytest
from skimage.util import img_as_float64

from mi_keras.errors import InputError
from tests.unit.reports.grid_reading import grid_of

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # as torchvision documents its models


def test_every_row_stands_under_its_targets_with_the_score_of_the_same_image(make, draw_kind):
    result, arrays = make()
    places = grid_of(draw_kind("photographs", result, arrays))
    assert len(places) == 6
    for column, position in enumerate((1, 0)):
        number = (7, 3, 11)[position]
        assert places[0, column].header == f"image {number}"
        assert places[0, column].caption == ""
        np.testing.assert_array_equal(places[0, column].values, arrays["shown.targets"][position])
        for line, row in enumerate(("x", "class_prototype"), start=1):
            np.testing.assert_array_equal(places[line, column].values, arrays[f"shown.{row}"][position])
            assert places[line, column].caption == f"{arrays[f'ssim.{row}'][0, number]:.4f}"
    labels = [places[line, 0].label for line in range(3)]
    assert labels == ["target", "M_I(X~)\nX~: logit MSE", "class prototype"]


def test_psnr_has_two_decimals_and_headers_stand_over_the_numbers(make, draw_kind):
    result, arrays = make()
    arrays["psnr.x"] = np.linspace(10, 30, 120).reshape(2, 60)
    words = {"metric": "psnr", "headers": ["worst", "best"]}
    figure = draw_kind("photographs", result, arrays, **words)
    places = grid_of(figure)
    assert [places[0, column].header for column in (0, 1)] == ["worst\nimage 3", "best\nimage 7"]
    assert places[1, 0].caption == f"{arrays['psnr.x'][0, 3]:.2f}"
    assert places[2, 0].caption == ""  # a row without this score
    assert "under each reconstruction: its PSNR (dB) in the first run" in figure.texts[-1].get_text()


def test_no_captions_where_no_metric_is_asked_for_and_a_word_where_it_is_missing(make, draw_kind):
    result, arrays = make()
    for metric, note in (("", ""), ("psnr", " · this run stored no PSNR (dB) per image")):
        figure = draw_kind("photographs", result, arrays, metric=metric)
        assert {place.caption for place in grid_of(figure).values()} == {""}
        footer = " ".join(figure.texts[-1].get_text().split())
        assert footer.endswith(f"n = 60 images{note}")


def test_a_row_without_images_leaves_the_others(make, draw_kind):
    result, arrays = make()
    places = grid_of(draw_kind("photographs", result, arrays, rows=["o", "absent", "x"]))
    assert len(places) == 6
    assert places[1, 0].image is None
    assert places[1, 0].word == "not\nstored"
    np.testing.assert_array_equal(places[2, 0].values, arrays["shown.x"][1])


def test_photographs_are_as_large_as_the_page_allows(make, draw_kind):
    result, arrays = make()
    widths = {}
    for count in (2, 4, 8):
        figure = draw_kind("photographs", result, arrays, images=[0] * count)
        figure.draw_without_rendering()
        boxes = [image.get_window_extent() for image in figure.axes[0].images]
        widths[count] = boxes[0].width
        assert boxes[0].width == pytest.approx(boxes[0].height, abs=1)
    assert widths[2] == pytest.approx(widths[4], abs=2)  # fewer are not larger
    assert 240 < widths[4] < 270
    assert 100 < widths[8] < 130


def test_normalised_is_less_the_mean_over_the_deviation_and_clipped(make, draw_kind):
    result, arrays = make()
    ramp = np.linspace(0, 255, 144).astype(np.uint8).reshape(12, 12)
    arrays["shown.targets"][2] = np.stack([ramp, 255 - ramp, ramp.T], axis=-1)
    figure = draw_kind("normalised_photographs", result, arrays)
    places = grid_of(figure)
    assert [places[line, 0].label for line in (0, 1)] == ["original", "normalised"]
    for column, position in enumerate((0, 2)):
        original = arrays["shown.targets"][position]
        np.testing.assert_array_equal(places[0, column].values, original)
        for color, (mean, deviation) in enumerate(zip(MEAN, DEVIATION, strict=True)):
            scaled = (img_as_float64(original)[..., color] - mean) / deviation
            assert scaled.min() < 0
            assert scaled.max() > 1
            expected = np.minimum(np.maximum(scaled, 0), 1)
            np.testing.assert_allclose(places[1, column].values[..., color], expected, atol=1e-6)
    assert "clipped to [0, 1]" in " ".join(figure.texts[-1].get_text().split())


@pytest.mark.parametrize("kind", ["photographs", "normalised_photographs"])
def test_a_position_that_is_not_stored_is_refused(make, draw_kind, kind):
    with pytest.raises(InputError, match=rf"^`images` of {kind}.png must be below 3; got 3\.$"):
        draw_kind(kind, *make(), images=[0, 3])


def test_a_number_without_a_score_is_refused(make, draw_kind):
    result, arrays = make()
    arrays["shown.numbers"] = np.array([7, 60, 11])
    message = r"^`shown.numbers` must be below 60, the images of `ssim.x`; got 60\.$"
    with pytest.raises(InputError, match=message):
        draw_kind("photographs", result, arrays)
