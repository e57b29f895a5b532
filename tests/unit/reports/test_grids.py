"""Grids of images in general: one axes, every image in its shape, nothing on top of anything."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mi_keras.reports.grids import Line, draw_grid
from mi_keras.reports.style import SMALL_SIZE, text_width

LONG = ["W" * 12, "a long class\nname indeed", "class 2", "i"]


def boxes_of(figure):
    """Where everything in a drawn figure is, in pixels."""
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    return [artist.get_window_extent() for artist in (*axes.images, *axes.texts, *figure.texts)]


@pytest.mark.parametrize("columns", [4, 10])
@pytest.mark.parametrize("image_height", [None, 0.82])
@pytest.mark.parametrize("captions", ["", "0.1234"])
def test_no_image_and_no_text_covers_another(columns, image_height, captions):
    random = np.random.default_rng(0)
    lines = [
        Line("target", random.random((4, 8, 8, 1)), [""] * 4),
        Line("M_I(O + A^L + X~), X~: one-hot cross-entropy, a note", random.random((4, 8, 8, 3)), [captions] * 4),
        Line("wide", random.random((4, 3, 12)), [captions] * 4, "viridis"),
        Line("not there", None, [captions] * 4),
        Line("bytes", random.integers(0, 256, (4, 9, 7, 3), np.uint8), [captions] * 4),
    ]  # fmt: skip
    headers = ["class 0", "two\nlines", "class 2", "class 3"]
    figure = draw_grid("A title", "A footer", headers, lines, columns=columns, image_height=image_height)
    boxes = boxes_of(figure)
    width, height = figure.canvas.get_width_height()
    for number, box in enumerate(boxes):
        assert 2 < box.x0 < box.x1 < width - 2
        assert 2 < box.y0 < box.y1 < height - 2
        for other in boxes[:number]:
            across, up = (min(box.max[n], other.max[n]) - max(box.min[n], other.min[n]) for n in (0, 1))
            assert min(across, up) < 0.5  # pixels


def test_images_keep_their_shape_and_are_as_large_as_their_places_allow():
    shapes = [(10, 10), (4, 16), (20, 5)]
    lines = [Line("", np.zeros((2, *shape)), ["", ""], "viridis") for shape in shapes]
    boxes = boxes_of(draw_grid("", "", ["", ""], lines, columns=4, image_height=0.8))[:6]
    for (rows, columns), box in zip(np.repeat(shapes, 2, axis=0), boxes, strict=True):
        assert box.width / box.height == pytest.approx(columns / rows)
    assert boxes[0].height == pytest.approx(0.8 * 120)
    assert boxes[4].height == pytest.approx(0.8 * 120)
    assert boxes[2].width == pytest.approx(boxes[3].x0 - boxes[2].x0, abs=6)  # but for the gap


def test_a_grid_without_any_image_has_square_places():
    figure = draw_grid("", "", ["", ""], [Line("a", None, ["", ""])], columns=2)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts].count("not\nstored") == 2
    low, high = axes.get_ylim()[::-1]
    assert 4 < high - low < 6  # inches


@pytest.mark.parametrize("text", LONG)
def test_a_text_is_no_wider_than_it_is_said_to_be(text):
    figure = draw_grid("", "", [text], [Line("", None, [""])], columns=1)
    FigureCanvasAgg(figure).draw()
    (header,) = (shown for shown in figure.axes[0].texts if shown.get_va() == "bottom")
    width = header.get_window_extent().width / 120
    assert width <= text_width(text, SMALL_SIZE) < 1.15 * width + 0.03
