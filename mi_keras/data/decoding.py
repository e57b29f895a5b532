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
BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def decode_face(data: bytes, size: int) -> NDArray[np.uint8]:
    """Return the image in the file content `data`, resized, `(size, size, 3)` in 0..255.

    The whole image is resized, whatever its shape (split 3, "resized to 320x320"), by bicubic interpolation with
    antialiasing, after the turn that its EXIF orientation asks for. Grey and palette images become RGB; transparency
    is dropped.

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
        upright = _to_rgb(ImageOps.exif_transpose(picture))
    except DAMAGED:
        raise ValueError("truncated or damaged") from None
    return np.array(upright.resize((size, size), Image.Resampling.BICUBIC))


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # grey of 16 bits: convert() would turn all above 255 to white
        picture = Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8))
    return picture.convert("RGB")
