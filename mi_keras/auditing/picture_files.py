"""Reads the images of a folder or an archive for an audit; files that cannot be used are listed with a reason."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mi_keras.auditing.given import Given, Size, note_on_channels, stacked
from mi_keras.data.decoding import (
    filled_bits,
    is_deep_grey,
    is_grey,
    is_transparent,
    note_on_white,
    open_picture,
    to_pixels,
)
from mi_keras.data.face_source import FaceSource
from mi_keras.data.source import first_line
from mi_keras.errors import InputError

Pixels = NDArray[np.uint8]
NO_PICTURE = "not read: no .jpg, .jpeg, .png, .bmp or .webp, or a link out of the folder"


def read_pictures(
    source: FaceSource, *, levels: Sequence[str], size: Size | None, channels: int, drop_top: bool
) -> Given:
    """Decode every picture of a source, turned upright, transparency on white, greys of any depth at full range.

    Args:
        levels: what subfolders mean, from the top: "class", "group", both, or nothing.
        size: what each picture is resized to; None where they are of one size.
        channels: 1 or 3.
        drop_top: leave out one folder that holds all others, as programs that pack archives add it.

    Raises:
        InputError: no picture can be used, or they are of several sizes and `size` is None.
    """
    name = f"`data='{source.name}'`"
    folders, notes = _folders(source.keys, len(levels), drop_top)
    skipped = [(other, NO_PICTURE) for other in source.others]
    usable = [key for key in source.keys if len(folders[key]) >= len(levels)]
    skipped += [
        (key, f"no subfolder, which would be its {levels[len(folders[key])]}")
        for key in source.keys
        if len(folders[key]) < len(levels)
    ]
    images, refused, depth, converted, on_white = _decoded(source, usable, size, channels)
    skipped += refused
    if not images:
        first = f"; the first of {len(skipped)} files: {skipped[0][0]}, {skipped[0][1]}" if skipped else ""
        raise InputError(f"{name} must hold pictures that can be used; got none{first}.")
    if depth not in (0, 16):
        notes = (*notes, f"Greys of two bytes a pixel fill {depth} bits at most: {2**depth - 1} is white.")
    of_level = {
        level: np.array([folders[key][place] for key in images]) for place, level in enumerate(levels)
    }
    return Given(
        name=source.name,
        images=stacked(name, list(images.values()), None),
        names=tuple(images),
        labels=of_level.get("class"),
        groups=of_level.get("group"),
        skipped=tuple(sorted(skipped)),
        notes=(*notes, *note_on_channels(converted, channels), *note_on_white(on_white)),
    )


def _folders(
    keys: Sequence[str], needed: int, drop_top: bool
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return the folders above each file, from the top, and a note if one above all was left out."""
    folders = {key: PurePosixPath(key).parent.parts for key in keys}
    tops = {parts[:1] for parts in folders.values()}
    if not (needed and drop_top and len(tops) == 1 and max(map(len, folders.values())) > needed):
        return folders, ()
    (top,) = tops.pop()
    kept = {key: parts[1:] for key, parts in folders.items()}
    return kept, (f"The folder {top}, which holds all others of the archive, means nothing.",)


def _decoded(
    source: FaceSource, keys: Sequence[str], size: Size | None, channels: int
) -> tuple[dict[str, Pixels], list[tuple[str, str]], int, int, int]:
    """Return the pixels of each picture, `(key, reason)` of those refused, the bits of deep greys, 0 without any, how many
    pictures were grey where colour is wanted, or the other way round, and how many had transparent parts."""
    images: dict[str, Pixels] = {}
    brightest: dict[str, int] = {}
    converted: set[str] = set()
    on_white: set[str] = set()

    def convert(key: str, picture: Image.Image, grey_bits: int = 16) -> None:
        images[key] = to_pixels(picture, size, channels=channels, grey_bits=grey_bits)
        if is_grey(picture) != (channels == 1):
            converted.add(key)
        if is_transparent(picture):
            on_white.add(key)

    def convert_or_measure(key: str, picture: Image.Image) -> None:
        if is_deep_grey(picture):
            brightest[key] = int(np.asarray(picture).max())
        else:
            convert(key, picture)

    skipped = _for_each(source, keys, convert_or_measure)
    if not brightest:
        return images, skipped, 0, len(converted), len(on_white)
    # How many bits are in use shows over all of them together: one dark picture alone would come out too bright.
    depth = filled_bits(max(brightest.values()))
    skipped += _for_each(source, list(brightest), lambda key, picture: convert(key, picture, depth))
    return images, skipped, depth, len(converted), len(on_white)


def _for_each(
    source: FaceSource, keys: Sequence[str], use: Callable[[str, Image.Image], None]
) -> list[tuple[str, str]]:
    """Give each picture to `use`; return `(key, reason)` of those that cannot be decoded."""
    skipped = []
    with warnings.catch_warnings():
        # Pillow warns of files that are skipped, and of others that it reads all the same
        warnings.filterwarnings("ignore", module=r"PIL\.")
        for key, content in source.read(keys):
            try:
                use(key, open_picture(content))
            except ValueError as error:
                skipped.append((key, first_line(error)))
    return skipped
