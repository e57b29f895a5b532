"""From the content of one image file to pixels of one size (split 3 and 4.1)."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mi_keras.data.face_source import LARGEST_FILE

FORMATS = ("JPEG", "PNG", "BMP", "WEBP")  # Pillow would else try every format it knows, whatever the ending
MOST_PIXELS = 50_000_000
TOO_MANY_PIXELS = f"larger than {MOST_PIXELS // 1_000_000} megapixels"
# All that Pillow raises on files that are cut or overwritten, and on a size beyond a limit of its own.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, struct.error, zlib.error)  # fmt: skip
WHITE = (255, 255, 255, 255)
BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def decode_face(data: bytes, size: int) -> NDArray[np.uint8]:
    """Return the image in the file content `data`, resized, `(size, size, 3)` in 0..255.

    The whole image is resized, whatever its shape (split 3, "resized to 320x320"), by bicubic interpolation with
    antialiasing, after the turn that its EXIF orientation asks for. Grey and palette images become RGB; transparency
    is dropped.

    Raises:
        ValueError: as `open_picture`, in a few words.
    """
    return to_pixels(open_picture(data), (size, size))


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
    except DAMAGED:
        raise ValueError("no image") from None
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError(TOO_MANY_PIXELS)
    try:
        picture.load()
        return ImageOps.exif_transpose(picture)
    except DAMAGED:
        raise ValueError("truncated or damaged") from None


def is_deep_grey(picture: Image.Image) -> bool:
    """Whether a picture is grey with more than 8 bits."""
    return picture.mode.startswith("I")


def is_grey(picture: Image.Image) -> bool:
    """Whether a picture has no colour, by its format."""
    return is_deep_grey(picture) or Image.getmodebase(picture.mode) == "L"


def to_pixels(
    picture: Image.Image,
    size: tuple[int, int] | None = None,
    *,
    channels: int = 3,
    grey_bits: int = 16,
    on_white: bool = False,
) -> NDArray[np.uint8]:
    """Return the pixels of a picture as RGB or grey, `(height, width, channels)` in 0..255.

    Args:
        size: `(height, width)` to resize the whole picture to, by bicubic interpolation with antialiasing; None for its
            own size.
        channels: 3 for RGB, 1 for grey.
        grey_bits: how many bits the values of a grey picture of more than 8 bits fill; its highest 8 are kept.
        on_white: lay transparent pictures on white; else their transparency is dropped.

    Raises:
        ValueError: the picture is damaged.
    """
    try:
        plain = _to_eight_bits(picture, grey_bits)
        if on_white and ("A" in plain.getbands() or "transparency" in plain.info):
            shown = plain.convert("RGBA")
            plain = Image.alpha_composite(Image.new("RGBA", shown.size, WHITE), shown)
        plain = plain.convert("RGB" if channels == 3 else "L")
    except DAMAGED:
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
