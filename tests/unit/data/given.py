"""What the tests of the data give it: pictures as files, arrays as a file holds them, and a `--data` that is wrong."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mi_keras.data.decoding import decode_face
from mi_keras.data.face_source import FaceSource
from mi_keras.errors import InputError

Arrays = dict[str, NDArray[Any]]


def refusal(door: Callable[..., object], spec: str, *, offline: bool = True) -> str:
    """Return the one line with which a door, `load_source` or `open_faces`, refuses a `--data`."""
    with pytest.raises(InputError) as caught:
        door(spec, offline=offline)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(("`data`", "`data="))
    return text


def encoded(picture: Image.Image | NDArray[Any], form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, form, **options)
    return file.getvalue()


def png(shade: int) -> bytes:
    return encoded(Image.new("RGB", (6, 5), (shade, 0, 255 - shade)))


def pixels_of(data: bytes, size: int) -> NDArray[np.uint8]:
    return decode_face(data, size).pixels


def made(contents: dict[str, bytes]) -> FaceSource:
    return FaceSource("made", tuple(contents), lambda wanted: ((key, contents[key]) for key in wanted), "0")


def noise(seed: int, height: int = 12, width: int = 9) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes whose header declares a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def good_arrays(**changes: NDArray[Any] | None) -> Arrays:
    """Return what an npz of 12 and 6 images of three classes holds, with `changes`; None takes an array away."""
    generator = np.random.default_rng(0)
    arrays: Arrays = {
        "x_train": generator.integers(0, 256, (12, 5, 4), dtype=np.uint8),
        "y_train": (np.arange(12) % 3).astype(np.uint8),
        "x_test": generator.integers(0, 256, (6, 5, 4), dtype=np.uint8),
        "y_test": (np.arange(6) % 3).astype(np.int32),
    }
    merged = {**arrays, **changes}
    return {key: value for key, value in merged.items() if value is not None}
