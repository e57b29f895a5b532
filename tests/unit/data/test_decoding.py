"""Decoding pictures: against Pillow, closed forms, and files that are broken on purpose."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, features

from mi_keras.data.decoding import decode_face
from mi_keras.data.face_sources import open_faces
from tests.unit.data.given import bomb, encoded, noise, pixels_of


@pytest.mark.parametrize("form", ["PNG", "BMP", "JPEG", "WEBP"])
def test_a_constant_image_stays_constant(form: str) -> None:
    if form == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow was built without WebP")
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    data = encoded(Image.new("RGB", (37, 91), (200, 200, 200)), form, **options)
    image = pixels_of(data, 32)
    assert image.shape == (32, 32, 3)
    assert image.dtype == np.uint8
    assert image.flags.writeable
    np.testing.assert_array_equal(image, 200)


@pytest.mark.parametrize(("width", "height"), [(256, 10), (16, 300), (64, 64), (89, 109)])
def test_a_gradient_stays_monotone_and_no_axis_is_exchanged(width: int, height: int) -> None:
    ramp = np.linspace(0, 255, width).astype(np.uint8)
    picture = np.broadcast_to(ramp[None, :, None], (height, width, 3))
    image = pixels_of(encoded(np.ascontiguousarray(picture)), 64).astype(int)
    assert (np.diff(image, axis=1) >= 0).all()
    assert (np.diff(image, axis=0) == 0).all()
    assert image[0, 0, 0] < 12
    assert image[0, -1, 0] > 243


def test_shrinking_by_a_whole_factor_averages_over_the_area() -> None:
    """A chequer of single pixels has one mean everywhere; without antialiasing single pixels would be picked out."""
    chequer = ((np.indices((256, 256)).sum(axis=0) % 2) * 255).astype(np.uint8)
    inner = pixels_of(encoded(chequer), 32)[4:-4, 4:-4]
    assert np.abs(inner.astype(int) - 127).max() <= 3


def test_an_image_of_the_right_size_comes_unchanged() -> None:
    np.testing.assert_array_equal(pixels_of(encoded(noise(0, 24, 24)), 24), noise(0, 24, 24))


def test_decoding_equals_pillow_on_a_photograph() -> None:
    source = open_faces("photographs")
    ((_, data),) = source.read(["astronaut/01_03"])
    expected = Image.open(io.BytesIO(data)).resize((320, 320), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(pixels_of(data, 320), np.asarray(expected))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation: int) -> None:
    upright = noise(4, 16, 16)
    as_stored: dict[
        int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    ] = {  # inverse of the turn asked for
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.swapaxes(0, 1),
        6: lambda x: np.rot90(x, 1),
        7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
        8: lambda x: np.rot90(x, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(as_stored[orientation](upright)), exif=exif)
    np.testing.assert_array_equal(pixels_of(data, 16), upright)


def test_grey_and_palette_images_become_rgb() -> None:
    grey = noise(1, 16, 16)[..., 0]
    as_rgb = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(pixels_of(encoded(grey), 16), as_rgb)
    palette = Image.fromarray(grey).convert("P")
    np.testing.assert_array_equal(pixels_of(encoded(palette), 16), as_rgb)
    colour = noise(2, 16, 16)
    two_bytes = grey.astype(np.uint16) * 257  # 0..65535
    np.testing.assert_array_equal(pixels_of(encoded(two_bytes), 16), as_rgb)
    two_levels = Image.fromarray(grey).convert("1")
    assert set(np.unique(pixels_of(encoded(two_levels), 16))) == {0, 255}
    assert pixels_of(encoded(Image.fromarray(colour).convert("CMYK"), "JPEG"), 16).shape == (16, 16, 3)


def test_what_is_transparent_is_white_whatever_its_pixels_hold() -> None:
    """Programs leave noise where nothing is seen; dropped with the transparency, it is what would be seen."""
    colour, alpha = noise(2, 16, 16), np.zeros((16, 16, 1), np.uint8)
    alpha[:8] = 255
    face = decode_face(encoded(np.concatenate([colour, alpha], axis=2)), 16)
    np.testing.assert_array_equal(face.pixels[:8], colour[:8])
    np.testing.assert_array_equal(face.pixels[8:], 255)
    assert face.laid_on_white
    opaque = decode_face(encoded(np.concatenate([colour, np.full_like(alpha, 255)], axis=2)), 16)
    np.testing.assert_array_equal(opaque.pixels, colour)
    assert not opaque.laid_on_white


@pytest.mark.parametrize(
    ("brightest", "refused"), [(4095, True), (16_383, True), (16_384, False), (65_535, False)]
)
def test_deep_greys_that_hardly_begin_their_range_are_refused_with_the_reason(
    brightest: int, refused: bool
) -> None:
    """A camera of 12 bits writes 0..4095 into two bytes; taken for 16 bits its pictures are near black."""
    grey = np.linspace(0, brightest, 256).astype(np.uint16).reshape(16, 16)
    if refused:
        with pytest.raises(
            ValueError, match=f"^greys of two bytes a pixel that end at {brightest} of 65535: save it with"
        ):
            decode_face(encoded(grey), 16)
    else:
        assert pixels_of(encoded(grey), 16).max() == brightest >> 8


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("0/0"), AttributeError("x"), RuntimeError("a\nb"), AssertionError()]
)
def test_whatever_a_decoder_raises_is_a_reason(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Pillow 11.0 divides by zero where a JPEG has GPS rationals of 0/0."""

    def fail(picture: Image.Image) -> None:
        raise error

    monkeypatch.setattr("PIL.ImageOps.exif_transpose", fail)
    with pytest.raises(ValueError, match=r"^truncated or damaged$"):
        decode_face(WHOLE_PNG, 16)


WHOLE_JPEG = encoded(noise(5, 60, 60), "JPEG")
WHOLE_PNG = encoded(noise(5, 60, 60))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty or unreadable"),
        (b"hello", "no image"),
        (b"\xff\xd8\xff\xe0", "no image"),
        (WHOLE_JPEG[: len(WHOLE_JPEG) // 2], "truncated or damaged"),
        (WHOLE_PNG[: len(WHOLE_PNG) // 2], "truncated or damaged"),
        (WHOLE_PNG[:100] + bytes(50) + WHOLE_PNG[150:], "truncated or damaged"),
        (encoded(noise(0), "GIF"), "no image"),
        (encoded(noise(0), "EPS"), "no image"),  # another program would have to run to decode it
        (bomb(10_000, 5_001), "larger than 50 megapixels"),
        (bomb(65_000, 65_000), "larger than 50 megapixels"),
        (bytes(64 * 1024**2 + 1), "larger than 64 MiB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_image_is_refused_in_a_few_words(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        pixels_of(data, 16)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_image_between_the_two_limits_is_refused_too() -> None:
    with pytest.raises(ValueError, match="larger than 50 megapixels"):
        pixels_of(bomb(10_000, 12_000), 16)


def test_any_damage_is_a_value_error() -> None:
    generator = np.random.default_rng(0)
    refused = 0
    for data in (WHOLE_JPEG, WHOLE_PNG, encoded(noise(5, 60, 60), "BMP")):
        for _ in range(60):
            changed = bytearray(data[: generator.integers(1, len(data))])
            for place in generator.integers(0, len(changed), 8):
                changed[place] = generator.integers(0, 256)
            try:
                pixels_of(bytes(changed), 16)
            except ValueError:
                refused += 1
    assert refused > 90
