"""Files of reconstructed images: an npz, one PNG an image, and a contact sheet."""

import zipfile
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mi_keras.data.preprocess import as_bytes
from mi_keras.files import WRONG_FORMAT, is_damage, write_arrays
from mi_keras.types import Floats
from mi_keras.whole import replace_file, replace_files

IMAGES, SHEET = "images.npz", "contact_sheet.png"
_PNG = "[0-9]" * 6 + ".png"
ON_SHEET, COLUMNS = 96, 12  # images
_CELL, _LINE, _GAP, _GRAY = 100, 16, 2, "#555555"  # pixels: an image with its margins, a line of words
# That of our figures: Pillow's own hardly parts words at this size.
_FONT = ImageFont.truetype(str(files("matplotlib") / "mpl-data/fonts/ttf/DejaVuSans.ttf"), 10)


def first_result(out: Path) -> Path | None:
    """Return a file in a folder that `write_images` would replace, if there is one."""
    return next((path for name in (IMAGES, SHEET, _PNG) for path in sorted(out.glob(name))), None)


def write_images(out: Path, images: Floats, *, title: str, note: str, provenance: dict[str, str]) -> None:
    """Write `images.npz`, `000000.png` and so on, and `contact_sheet.png` into a folder.

    What an earlier call left there is replaced; PNGs of its images beyond the number of these are removed.

    Args:
        out: the folder.
        images: `(count, height, width, channels)` in [0, 1], in memory or mapped from the disk.
        title: heading of the sheet.
        note: line at its foot.
        provenance: words that go into the npz beside the images.
    """
    out.mkdir(parents=True, exist_ok=True)
    before = _count_of(out / IMAGES)
    replace_files(
        out, ((_name(number), partial(_save, _picture(image))) for number, image in enumerate(images))
    )
    for number in range(len(images), before):
        (out / _name(number)).unlink(missing_ok=True)
    replace_file(out / SHEET, partial(_save, _draw_sheet(images, title, note)))
    arrays: dict[str, NDArray[Any]] = {"images": images}
    arrays |= {name: np.array(text) for name, text in provenance.items()}
    replace_file(out / IMAGES, lambda path: write_arrays(path, arrays))


def _name(number: int) -> str:
    return f"{number:06d}.png"


def _count_of(path: Path) -> int:
    """Return how many images are in an npz of `write_images`, none where it is no such file; reads a header alone."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("images.npy") as file:
            np.lib.format.read_magic(file)
            shape, _, _ = np.lib.format.read_array_header_1_0(file)
    except (*WRONG_FORMAT, OSError) as error:
        if not is_damage(path, error):
            raise
        return 0
    return int(shape[0]) if shape else 0


def _save(picture: Image.Image, path: Path) -> None:
    picture.save(path, "PNG")


def _picture(image: Floats) -> Image.Image:
    pixels = as_bytes(image)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def _draw_sheet(images: Floats, title: str, note: str) -> Image.Image:
    """Draw the first images in rows, each with its number, between a title and a note."""
    shown = images[:ON_SHEET]
    columns, rows = min(COLUMNS, len(shown)), -(-len(shown) // COLUMNS)
    foot = f"{len(shown):,} of {len(images):,} images. {note}"
    width = max(columns * _CELL, *(int(_FONT.getlength(words)) + 2 * _GAP for words in (title, foot)))
    sheet = Image.new("RGB", (width, rows * (_CELL + _LINE) + 2 * _LINE), "white")
    pen = ImageDraw.Draw(sheet)
    pen.font = _FONT
    pen.text((_GAP, _GAP), title, fill="black")
    for number, image in enumerate(shown):
        row, column = divmod(number, columns)
        left, top = column * _CELL, _LINE + row * (_CELL + _LINE)
        pen.text((left + _GAP, top + _GAP), str(number), fill=_GRAY)
        sheet.paste(_fitted(_picture(image)), (left, top + _LINE))
    pen.text((_GAP, sheet.height - _LINE + _GAP), foot, fill=_GRAY)
    return sheet


def _fitted(picture: Image.Image) -> Image.Image:
    """Return the picture in a cell: enlarged by whole numbers, so that its pixels stay visible, or reduced."""
    side = _CELL - 2 * _GAP
    longest = max(picture.size)
    factor = side // longest if longest <= side else side / longest
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    method = Image.Resampling.NEAREST if longest <= side else Image.Resampling.LANCZOS
    return picture.convert("RGB").resize(size, method)
