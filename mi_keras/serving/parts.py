"""Answers of a server as images, kept on the disk until all have arrived."""

import errno
import hashlib
import io
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mi_keras.data.preprocess import as_unit
from mi_keras.errors import DamagedFile
from mi_keras.files import map_new_array, read_arrays, write_arrays
from mi_keras.serving.contract import Tensors
from mi_keras.types import Floats
from mi_keras.whole import replace_file

PARTS = "parts"
_LARGEST_SIDE = 4096  # pixels
_WHOLE = "images.npy"
_DIGITS = 16  # of a hash in a name
_OF_A_QUESTION = re.compile(rf"[0-9a-f]{{{_DIGITS}}}")


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
        folder: where each question has a folder of its own; made when the first part is written.
        question: what all requests have in common, such as server, model, version and endpoint. A part is found again
            only for the same question and the same rows of input.
    """

    def __init__(self, folder: Path, question: Sequence[str]) -> None:
        self._all, self._folder = folder, folder / _digest("\0".join(question).encode())

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

    def gather(self, chunks: Mapping[int, Tensors], count: int) -> Part:
        """Put the parts of all chunks together, one in memory at a time.

        Args:
            chunks: input rows by the number of the first.
            count: of all rows.

        Returns:
            All images, mapped from the disk until `clear`, and how many values were clipped.

        Raises:
            ValueError: the images of different parts have different sizes. The message is a few words.
            OSError: a part has gone, or the disk is full.
        """
        whole: Floats | None = None
        clipped = 0
        for number, inputs in chunks.items():
            part = self.load(number, inputs)
            if part is None:
                raise OSError(
                    errno.ENOENT, "a finished part is no longer there", str(self._path(number, inputs))
                )
            if whole is None:
                whole = map_new_array(self._folder / _WHOLE, (count, *part.images.shape[1:]), np.float32)
            if whole.shape[1:] != part.images.shape[1:]:
                raise ValueError("different sizes in different requests")
            whole[number : number + len(part.images)] = part.images
            clipped += part.clipped
        assert whole is not None  # there is at least one row
        return Part(whole, clipped)

    def clear(self) -> None:
        """Remove the parts, those of other questions too, and the folder unless something else is in it."""
        for path in self._all.glob("*"):
            if _OF_A_QUESTION.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)
        if self._all.is_dir() and not any(self._all.iterdir()):
            self._all.rmdir()

    def _path(self, number: int, inputs: Tensors) -> Path:
        content = hashlib.sha256()
        for name, array in sorted(inputs.items()):
            content.update(f"\0{name} {array.dtype.str} {array.shape}\0".encode())
            content.update(np.ascontiguousarray(array).data)
        return self._folder / f"{number:06d}-{content.hexdigest()[:_DIGITS]}.npz"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGITS]


def _decode_png(content: bytes) -> Floats:
    try:
        picture = Image.open(io.BytesIO(content), formats=("PNG",))  # reads the header alone
        if max(picture.size) > _LARGEST_SIDE or picture.mode not in ("L", "RGB"):
            raise ValueError(f"{picture.mode} {picture.size}")
        pixels = np.asarray(picture)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"no whole PNG: {error}") from None
    return as_unit(pixels[..., np.newaxis] if pixels.ndim == 2 else pixels)
