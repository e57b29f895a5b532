"""What the numbers of images mean: which declaration fits which values, and images in [0, 1]."""

from typing import Any

import numpy as np
import pytest

from mi_keras.auditing.pixels import RANGES, check_pixels, to_unit
from tests.unit.auditing.pictures import message_of

VALUES = np.array([0, 51, 204, 255], np.uint8).reshape(1, 2, 2, 1)
UNIT = np.array([0, 0.2, 0.8, 1]).reshape(1, 2, 2, 1)
GIVEN = {"0..1": UNIT, "0..255": UNIT * 255, "-1..1": UNIT * 2 - 1}


def test_bytes_are_known() -> None:
    images, pixels = check_pixels("`x`", VALUES, None)
    assert pixels == "0..255"
    assert images.dtype == np.uint8
    np.testing.assert_allclose(to_unit(images, pixels), UNIT, atol=1e-7)


@pytest.mark.parametrize("pixels", list(RANGES))
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_declared_floats_become_what_they_mean(pixels: str, dtype: Any) -> None:
    images, found = check_pixels("`x`", GIVEN[pixels].astype(dtype), pixels)
    assert found == pixels
    assert images.dtype == np.float32
    unit = to_unit(images, pixels)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, UNIT, atol=1e-3 if dtype == np.float16 else 1e-6)


@pytest.mark.parametrize("pixels", list(RANGES))
def test_nothing_is_guessed_and_the_message_says_what_fits(pixels: str) -> None:
    text = message_of(check_pixels, "`x`", GIVEN[pixels], None)
    assert text.startswith("`pixels` must be declared for `x`, which has float64 values from ")
    assert f"`pixels='{pixels}'` fits them" in text
    for other in set(RANGES) - {pixels}:
        text = message_of(check_pixels, "`x`", GIVEN[pixels], other)
        assert text.startswith(f"`pixels='{other}'` must fit the data; ")
        assert text.endswith(f"which fit `pixels='{pixels}'`.")


def test_whole_numbers_become_bytes_and_bits_must_be_declared() -> None:
    images, _ = check_pixels("`x`", VALUES.astype(np.int64), "0..255")
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, VALUES)
    for bits in ((VALUES > 99).astype(np.uint8), VALUES > 99):
        assert "`pixels='0..1'` fits them" in message_of(check_pixels, "`x`", bits, None)
        images, pixels = check_pixels("`x`", bits, "0..1")
        np.testing.assert_array_equal(to_unit(images, pixels), VALUES > 99)
    signed, _ = check_pixels("`x`", np.array([-1, 1]).reshape(1, 1, 2, 1), "-1..1")
    np.testing.assert_array_equal(to_unit(signed, "-1..1").ravel(), [0, 1])


def test_rounding_at_an_end_is_clipped() -> None:
    images, pixels = check_pixels("`x`", UNIT * 1.000001, "0..1")
    assert to_unit(images, pixels).max() == 1


@pytest.mark.parametrize(
    ("images", "pixels", "said"),
    [
        (UNIT, "0..2", "`pixels` must be 0..1, 0..255, -1..1; got '0..2'"),
        (UNIT * 4095, None, "`x` must hold pixels in 0..1, 0..255, -1..1; got float64 values from 0 to 4095"),
        (UNIT * 4 - 2, "-1..1", "`x` must hold pixels in 0..1, 0..255, -1..1; got float64 values from -2 to 2"),
        (np.concatenate([UNIT, UNIT * np.nan]), "0..1", "`x` must hold finite pixels; got NaN or infinity in image 1"),
        (np.concatenate([UNIT, UNIT + np.inf]), "0..1", "`x` must hold finite pixels"),
    ],
)  # fmt: skip
def test_what_fits_nothing_is_refused(images: Any, pixels: str | None, said: str) -> None:
    assert said in message_of(check_pixels, "`x`", images, pixels)
