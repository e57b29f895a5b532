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
from tests.unit.data.given import bomb, encoded, noise


@pytest.mark.parametrize("form", ["PNG", "BMP", "JPEG", "WEBP"])
def test_a_constant_image_stays_constant(form: str) -> None:
    if form == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow was built without WebP")
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    data = encoded(Image.new("RGB", (37, 91), (200, 200, 200)), form, **options)
    image = decode_face(data, 32)
    assert image.shape == (32, 32, 3)
    assert image.dtype == np.uint8
    assert image.flags.writeable
    np.testing.assert_array_equal(image, 200)


@pytest.mark.parametrize(("width", "height"), [(256, 10), (16, 300), (64, 64), (89, 109)])
def test_a_gradient_stays_monotone_and_no_axis_is_exchanged(width: int, height: int) -> None:
    ramp = np.linspace(0, 255, width).astype(np.uint8)
    picture = np.broadcast_to(ramp[None, :, None], (height, width, 3))
    image = decode_face(encoded(np.ascontiguousarray(picture)), 64).astype(int)
    assert (np.diff(image, axis=1) >= 0).all()
    assert (np.diff(image, axis=0) == 0).all()
    assert image[0, 0, 0] < 12
    assert image[0, -1, 0] > 243


def test_shrinking_by_a_whole_factor_averages_over_the_area() -> None:
    """A chequer of single pixels has one mean everywhere; without antialiasing single pixels would be picked out."""
    chequer = ((np.indices((256, 256)).sum(axis=0) % 2) * 255).astype(np.uint8)
    inner = decode_face(encoded(chequer), 32)[4:-4, 4:-4]
    assert np.abs(inner.astype(int) - 127).max() <= 3


def test_an_image_of_the_right_size_comes_unchanged() -> None:
    np.testing.assert_array_equal(decode_face(encoded(noise(0, 24, 24)), 24), noise(0, 24, 24))


def test_decoding_equals_pillow_on_a_photograph() -> None:
    source = open_faces("photographs")
    ((_, data),) = source.read(["astronaut/01_03"])
    expected = Image.open(io.BytesIO(data)).resize((320, 320), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(decode_face(data, 320), np.asarray(expected))


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
    np.testing.assert_array_equal(decode_face(data, 16), upright)


def test_grey_palette_and_transparent_images_become_rgb() -> None:
    grey = noise(1, 16, 16)[..., 0]
    as_rgb = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(decode_face(encoded(grey), 16), as_rgb)
    palette = Image.fromarray(grey).convert("P")
    np.testing.assert_array_equal(decode_face(encoded(palette), 16), as_rgb)
    colour = noise(2, 16, 16)
    transparent = np.concatenate([colour, noise(3, 16, 16)[..., :1]], axis=2)
    np.testing.assert_array_equal(decode_face(encoded(transparent), 16), colour)
    two_bytes = grey.astype(np.uint16) * 257  # 0..65535
    np.testing.assert_array_equal(decode_face(encoded(two_bytes), 16), as_rgb)
    two_levels = Image.fromarray(grey).convert("1")
    assert set(np.unique(decode_face(encoded(two_levels), 16))) == {0, 255}
    assert decode_face(encoded(Image.fromarray(colour).convert("CMYK"), "JPEG"), 16).shape == (16, 16, 3)


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
        decode_face(data, 16)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_image_between_the_two_limits_is_refused_too() -> None:
    with pytest.raises(ValueError, match="larger than 50 megapixels"):
        decode_face(bomb(10_000, 12_000), 16)


def test_any_damage_is_a_value_error() -> None:
    generator = np.random.default_rng(0)
    refused = 0
    for data in (WHOLE_JPEG, WHOLE_PNG, encoded(noise(5, 60, 60), "BMP")):
        for _ in range(60):
            changed = bytearray(data[: generator.integers(1, len(data))])
            for place in generator.integers(0, len(changed), 8):
                changed[place] = generator.integers(0, 256)
            try:
                decode_face(bytes(changed), 16)
            except ValueError:
                refused += 1
    assert refused > 90
