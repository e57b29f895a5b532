"""From the content of one image file to pixels of one size (split 3 and 4.1)."""

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mi_keras.data.face_source import LARGEST_FILE

FORMATS = ("JPEG", "PNG", "BMP", "WEBP")  # Pillow would else try every format it knows, whatever the ending
MOST_PIXELS = 50_000_000
TOO_MANY_PIXELS = f"larger than {MOST_PIXELS // 1_000_000} megapixels"
DEPTHS = (8, 10, 12, 14, 16)  # bits that greys of two bytes may fill, by camera or scanner
WHITE = (255, 255, 255, 255)
BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)


class Face(NamedTuple):
    """Pixels of one picture, `(size, size, 3)` in 0..255, and whether some of it was transparent and is white now."""

    pixels: NDArray[np.uint8]
    laid_on_white: bool


def decode_face(data: bytes, size: int) -> Face:
    """Return the image in the file content `data`, resized.

    The whole image is resized, whatever its shape (split 3, "resized to 320x320"), by bicubic interpolation with
    antialiasing, after the turn that its EXIF orientation asks for. Grey and palette images become RGB; what is transparent
    is laid on white.

    Raises:
        ValueError: as `open_picture`, in a few words; or a grey picture of two bytes a pixel ends below a quarter of its
            range: nothing says whether it is dark, or of a camera of 12 bits.
    """
    picture = open_picture(data)
    if is_deep_grey(picture) and filled_bits(brightest := int(np.asarray(picture).max())) < DEPTHS[-1]:
        raise ValueError(
            f"greys of two bytes a pixel that end at {brightest} of 65535: save it with 8 bits a pixel"
        )
    return Face(to_pixels(picture, (size, size)), is_transparent(picture))


def open_picture(data: bytes) -> Image.Image:
    """Return the image in the file content `data`, decoded, after the turn that its EXIF orientation asks for.

    Raises:
        ValueError: no JPEG, PNG, BMP or WebP image, larger than 50 megapixels or 64 MiB, or truncated or damaged. The
            message is a few words.
    """
    if not data:
        raise ValueError("empty or unreadable")
    if len(data) > LARGEST_FILE:
        raise ValueError(f"larger than {LARGEST_FILE // 1024**2} MiB")
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)  # reads the header alone
    except BOMB:
        raise ValueError(TOO_MANY_PIXELS) from None
    except Exception:  # whatever a decoder raises on one file must not end the work on the others
        raise ValueError("no image") from None
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError(TOO_MANY_PIXELS)
    try:
        picture.load()
        return ImageOps.exif_transpose(picture)
    except Exception:
        raise ValueError("truncated or damaged") from None


def is_deep_grey(picture: Image.Image) -> bool:
    """Whether a picture is grey with more than 8 bits."""
    return picture.mode.startswith("I")


def is_grey(picture: Image.Image) -> bool:
    """Whether a picture has no colour, by its format."""
    return is_deep_grey(picture) or Image.getmodebase(picture.mode) == "L"


def filled_bits(brightest: int) -> int:
    """Return how many bits greys of two bytes a pixel fill, of those that cameras and scanners have."""
    return next(bits for bits in DEPTHS if brightest < 2**bits)


def is_transparent(picture: Image.Image) -> bool:
    """Whether some pixel of a picture shows what is behind it."""
    return _has_transparency(picture) and bool(np.asarray(picture.convert("RGBA"))[..., 3].min() < 255)


def note_on_white(count: int) -> tuple[str, ...]:
    """Return a sentence on pictures that were laid on white; nothing on none."""
    return (f"Pictures with transparent parts, which were laid on white: {count:,}.",) if count else ()


def _has_transparency(picture: Image.Image) -> bool:
    return "A" in picture.getbands() or "transparency" in picture.info


def to_pixels(
    picture: Image.Image,
    size: tuple[int, int] | None = None,
    *,
    channels: int = 3,
    grey_bits: int = 16,
) -> NDArray[np.uint8]:
    """Return the pixels of a picture as RGB or grey, `(height, width, channels)` in 0..255, what is transparent on white.

    Args:
        size: `(height, width)` to resize the whole picture to, by bicubic interpolation with antialiasing; None for its
            own size.
        channels: 3 for RGB, 1 for grey.
        grey_bits: how many bits the values of a grey picture of more than 8 bits fill; its highest 8 are kept.

    Raises:
        ValueError: the picture is damaged.
    """
    try:
        plain = _to_eight_bits(picture, grey_bits)
        if _has_transparency(plain):
            shown = plain.convert("RGBA")
            plain = Image.alpha_composite(Image.new("RGBA", shown.size, WHITE), shown)
        plain = plain.convert("RGB" if channels == 3 else "L")
    except Exception:
        raise ValueError("truncated or damaged") from None
    if size is not None and size != (plain.height, plain.width):
        plain = plain.resize(size[::-1], Image.Resampling.BICUBIC)
    return np.array(plain).reshape(plain.height, plain.width, channels)


def _to_eight_bits(picture: Image.Image, grey_bits: int) -> Image.Image:
    if not is_deep_grey(picture):
        return picture
    # convert() would turn all above 255 to white
    values = np.asarray(picture).astype(np.uint32) >> (grey_bits - 8)
    return Image.fromarray(values.astype(np.uint8))
