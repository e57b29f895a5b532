"""Load pictures at one size (split 3 and 4.1); `face_division` says which."""

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mi_keras.data.decoding import Face, decode_face
from mi_keras.data.face_source import FaceSource
from mi_keras.display import displayable
from mi_keras.progress import Progress, SilentProgress
from mi_keras.quiet import quiet_libraries

PARALLEL_CALLS = 2
BLOCK_FILES, BLOCK_BYTES = 256, 256 * 1024**2  # held undecoded at a time


@dataclass(frozen=True)
class Loaded:
    """What became of the candidates that were looked at.

    Attributes:
        used: the keys of the images, in their order.
        skipped: `(name, reason)` of each candidate passed over, the name as it may be shown.
        on_white: how many of the images had transparent parts, which were laid on white.
        equal: by key of an image, the keys of the files passed over that have its content.
    """

    used: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    on_white: int = 0
    equal: Mapping[str, Sequence[str]] = field(default_factory=dict)


def load_faces(
    source: FaceSource,
    candidates: Sequence[str],
    images: NDArray[np.uint8],
    *,
    seen: set[str] | None = None,
    progress: Progress | None = None,
    label: str = "images",
) -> Loaded:
    """Fill `images` with the first readable, distinct images among `candidates`, in their order.

    What cannot be decoded is passed over, and so is a file with the content of an earlier one.

    Args:
        candidates: keys of `source`.
        images: `(count, size, size, 3)` uint8, a memory map for instance; written in place.
        seen: SHA-256 of the files met before, in hexadecimal; grows by those used here. Give one set for training and
            held-out images, and none is in both.
        label: what the progress bar says.

    Returns:
        Loaded: fewer than `count` are used where the candidates run out; the rest of `images` is left as it was.

    Raises:
        ValueError: `images` has another shape or type.
    """
    size = images.shape[1] if images.ndim == 4 else -1
    if images.shape[1:] != (size, size, 3) or images.dtype != np.uint8:
        raise ValueError(f"`images` must be (count, size, size, 3) uint8; got {images.shape} {images.dtype}.")
    seen = set() if seen is None else seen
    used: list[str] = []
    skipped: list[tuple[str, str]] = []
    first: dict[str, str] = {}  # by digest, the key of the image
    equal: dict[str, list[str]] = {}
    start = on_white = 0
    with (progress or SilentProgress()).bar(label, len(images), "image") as bar, warnings.catch_warnings():
        # Pillow warns of files that are skipped, and of others that it reads all the same.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        # As many candidates at a time as images are missing, so that none is read in vain.
        while chunk := candidates[start : start + len(images) - len(used)]:
            start += len(chunk)
            for key, digest, reason, face in _decoded(source.read(chunk), size):
                if reason or digest in seen:
                    skipped.append((displayable(key), reason or "same file as another"))
                    if not reason and digest in first:
                        equal.setdefault(first[digest], []).append(key)
                    continue
                images[len(used)] = face.pixels
                on_white += bool(face.laid_on_white)
                used.append(key)
                seen.add(digest)
                first[digest] = key
                bar.advance()
    return Loaded(tuple(used), tuple(skipped), on_white, equal)


def _decoded(files: Iterable[tuple[str, bytes]], size: int) -> Iterator[tuple[str, str, str, Face]]:
    """Yield key, SHA-256 of the file, reason to skip it or "", and the picture, in the order of `files`."""
    with quiet_libraries():
        import tensorflow as tf

    def decode(content: bytes) -> tuple[bytes, bytes, NDArray[np.uint8], bool]:
        digest = hashlib.sha256(content).hexdigest().encode()
        try:
            return digest, b"", *decode_face(content, size)
        except ValueError as error:
            return digest, str(error).encode(), np.zeros((size, size, 3), np.uint8), False

    # The files are read in this thread, so that an error of the source arrives as it was raised.
    for block in _blocks(files):
        decoded = (
            tf.data.Dataset.from_tensor_slices([content for _, content in block])
            .map(
                lambda content: tf.numpy_function(
                    decode, [content], (tf.string, tf.string, tf.uint8, tf.bool)
                ),
                num_parallel_calls=PARALLEL_CALLS,
                deterministic=True,
            )
            .prefetch(PARALLEL_CALLS)
        )
        for (key, _), (digest, reason, *face) in zip(block, decoded.as_numpy_iterator(), strict=True):
            yield key, digest.decode(), reason.decode(), Face(*face)


def _blocks(files: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """Yield `files` in lists of bounded length and size."""
    block: list[tuple[str, bytes]] = []
    size = 0
    for key, content in files:
        block.append((key, content))
        size += len(content)
        if len(block) == BLOCK_FILES or size >= BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block
