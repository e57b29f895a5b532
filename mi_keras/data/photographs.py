"""Pictures for machines without face data: tiles of the photographs that scikit-image ships. Not in the split paper."""

import importlib.resources
import io
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mi_keras.data.face_source import FaceSource, hash_rows
from mi_keras.data.source import fingerprint, first_line
from mi_keras.errors import InputError

# The colour photographs of scenes among its files. Of the stereo pair one only: the other shows the same again.
FILES = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
TILE = 64  # pixels
NOTE = (
    f"Tiles of {TILE}x{TILE} px out of {len(FILES)} photographs, the same ones in training and held-out images, and "
    "not a set of faces: these numbers say nothing about faces."
)


def open_photographs() -> FaceSource:
    """Cut the photographs into tiles that do not overlap; incomplete tiles at the right and bottom are dropped.

    The key of a tile is photograph, row and column, such as "astronaut/03_05"; its file is a PNG made in memory.

    Raises:
        InputError: scikit-image is installed without its photographs.
    """
    photographs = {name.partition(".")[0]: _read(name) for name in FILES}
    tiles = {key: tile for name, pixels in photographs.items() for key, tile in _tiles(name, pixels)}

    def read(wanted: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        for key in wanted:
            file = io.BytesIO()
            Image.fromarray(tiles[key]).save(file, "PNG")
            yield key, file.getvalue()

    rows = [(name, fingerprint(pixels)) for name, pixels in photographs.items()]
    return FaceSource("photographs", tuple(sorted(tiles)), read, hash_rows([(TILE,), *rows]), NOTE)


def _read(name: str) -> NDArray[np.uint8]:
    """Return `(height, width, 3)`."""
    # Straight from the installed files: the functions of skimage.data download what they miss.
    file = importlib.resources.files("skimage").joinpath("data", name)
    try:
        with file.open("rb") as stream, Image.open(stream) as picture:
            return np.array(picture.convert("RGB"))
    except OSError as error:
        raise InputError(
            f"`data='photographs'` must find {name} in scikit-image, reinstall it; got {first_line(error)}."
        ) from error


def _tiles(name: str, pixels: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    height, width, _ = pixels.shape
    for row in range(height // TILE):
        for column in range(width // TILE):
            top, left = row * TILE, column * TILE
            yield f"{name}/{row:02}_{column:02}", pixels[top : top + TILE, left : left + TILE]
