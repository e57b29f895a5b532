"""Files of reconstructed images: an npz, one PNG an image, a contact sheet, and the parts that came before them."""

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mi_keras.data.preprocess import as_bytes, as_unit
from mi_keras.files import DamagedFile, read_arrays, replace_file, write_arrays
from mi_keras.serving.contract import Tensors
from mi_keras.types import Floats

IMAGES, SHEET, PARTS = "images.npz", "contact_sheet.png", "parts"
ON_SHEET, COLUMNS = 96, 12  # images
_LARGEST_SIDE = 4096  # pixels
_PART = re.compile(r"\d{6}-[0-9a-f]{16}\.npz")
_CELL, _LINE, _GAP, _GRAY = 100, 16, 2, "#555555"  # pixels: an image with its margins, a line of words


@dataclass(frozen=True)
class Part:
    """Images of one request.

    Attributes:
        images: `(rows, height, width, channels)` float32 in [0, 1].
        clipped: how many values were outside [0, 1] before.
    """

    images: Floats
    clipped: int


def to_part(outputs: Tensors) -> Part:
    """Return the images in an answer, clipped to [0, 1].

    Raises:
        ValueError: they are no images of one or three channels. The message is a few words.
    """
    if "image" in outputs:
        images = outputs["image"].astype(np.float32, copy=False)
    else:
        images = np.stack([_decode_png(content) for content in outputs["png_bytes"]])
    if (
        images.ndim != 4
        or images.shape[3] not in (1, 3)
        or not 1 <= min(images.shape) <= max(images.shape[1:3])
    ):
        raise ValueError(f"shape {images.shape}")
    if max(images.shape[1:3]) > _LARGEST_SIDE:
        raise ValueError(f"{images.shape[1]} x {images.shape[2]} pixels")
    outside = int(np.count_nonzero((images < 0) | (images > 1)))
    return Part(np.clip(images, 0, 1), outside)


class PartStore:
    """Keeps the answer to each request on the disk until all are there.

    Args:
        folder: where; made when the first part is written.
        question: what all requests have in common, such as model, version and endpoint. A part is found again only
            for the same question and the same rows of input.
    """

    def __init__(self, folder: Path, question: Sequence[str]) -> None:
        self._folder, self._question = folder, question

    def load(self, number: int, inputs: Tensors) -> Part | None:
        """Return the part of these input rows from an earlier run, or None."""
        try:
            arrays = read_arrays(self._path(number, inputs))
            part = to_part({"image": arrays["images"]})
            return Part(part.images, int(arrays["clipped"]))
        except (DamagedFile, KeyError, ValueError):
            return None

    def save(self, number: int, inputs: Tensors, part: Part) -> None:
        """Write a part; it is there whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        arrays = {"images": part.images, "clipped": np.array(part.clipped)}
        replace_file(self._path(number, inputs), lambda path: write_arrays(path, arrays))

    def clear(self) -> None:
        """Remove the parts, those of other questions too, and the folder unless something else is in it."""
        for path in self._folder.glob("*.npz"):
            if _PART.fullmatch(path.name):
                path.unlink()
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()

    def _path(self, number: int, inputs: Tensors) -> Path:
        digest = hashlib.sha256("\0".join(self._question).encode())
        for name, array in sorted(inputs.items()):
            digest.update(f"\0{name} {array.dtype.str} {array.shape}\0".encode())
            digest.update(np.ascontiguousarray(array).data)
        return self._folder / f"{number:06d}-{digest.hexdigest()[:16]}.npz"


def write_images(out: Path, images: Floats, *, title: str, note: str, provenance: dict[str, str]) -> None:
    """Write `images.npz`, `000000.png` and so on, and `contact_sheet.png` into a folder.

    What an earlier call left there is replaced; PNGs of its images beyond the number of these are removed.

    Args:
        out: the folder.
        images: `(count, height, width, channels)` in [0, 1].
        title: heading of the sheet.
        note: line at its foot.
        provenance: words that go into the npz beside the images.
    """
    out.mkdir(parents=True, exist_ok=True)
    before = _count_of(out / IMAGES)
    for number, image in enumerate(images):
        replace_file(out / _name(number), partial(_save, _picture(image)))
    for number in range(len(images), before):
        (out / _name(number)).unlink(missing_ok=True)
    replace_file(out / SHEET, partial(_save, _draw_sheet(images, title, note)))
    arrays: dict[str, NDArray[Any]] = {"images": images}
    arrays |= {name: np.array(text) for name, text in provenance.items()}
    replace_file(out / IMAGES, lambda path: write_arrays(path, arrays))


def _name(number: int) -> str:
    return f"{number:06d}.png"


def _count_of(path: Path) -> int:
    try:
        return len(read_arrays(path)["images"])
    except (DamagedFile, KeyError, TypeError):
        return 0


def _save(picture: Image.Image, path: Path) -> None:
    picture.save(path, "PNG")


def _picture(image: Floats) -> Image.Image:
    pixels = as_bytes(image)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _draw_sheet(images: Floats, title: str, note: str) -> Image.Image:
    """Draw the first images in rows, each with its number, between a title and a note."""
    shown = images[:ON_SHEET]
    columns, rows = min(COLUMNS, len(shown)), -(-len(shown) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * _CELL, rows * (_CELL + _LINE) + 2 * _LINE), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, _GAP), title, fill="black")
    for number, image in enumerate(shown):
        row, column = divmod(number, columns)
        left, top = column * _CELL, _LINE + row * (_CELL + _LINE)
        pen.text((left + _GAP, top + _GAP), str(number), fill=_GRAY)
        sheet.paste(_fitted(_picture(image)), (left, top + _LINE))
    pen.text(
        (_GAP, sheet.height - _LINE + _GAP), f"{len(shown):,} of {len(images):,} images. {note}", fill=_GRAY
    )
    return sheet


def _fitted(picture: Image.Image) -> Image.Image:
    """Return the picture in a cell: enlarged by whole numbers, so that its pixels stay visible, or reduced."""
    side = _CELL - 2 * _GAP
    longest = max(picture.size)
    factor = side // longest if longest <= side else side / longest
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    method = Image.Resampling.NEAREST if longest <= side else Image.Resampling.LANCZOS
    return picture.convert("RGB").resize(size, method)


def _decode_png(content: bytes) -> Floats:
    try:
        picture = Image.open(io.BytesIO(content), formats=("PNG",))  # reads the header alone
        if max(picture.size) > _LARGEST_SIDE or picture.mode not in ("L", "RGB"):
            raise ValueError(f"{picture.mode} {picture.size}")
        pixels = np.asarray(picture)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"no whole PNG: {error}") from None
    return as_unit(pixels[..., np.newaxis] if pixels.ndim == 2 else pixels)
