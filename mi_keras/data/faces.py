"""Divide pictures into training and held-out ones by name, and load them at one size (split 3 and 4.1)."""

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mi_keras.data.decoding import decode_face
from mi_keras.data.face_source import FaceSource
from mi_keras.errors import InputError
from mi_keras.progress import Progress, SilentProgress
from mi_keras.quiet import quiet_libraries
from mi_keras.settings import FaceSettings

__all__ = ["Loaded", "counts", "decode_face", "load_faces", "split_faces"]

LEAST_TRAINING, LEAST_HELD_OUT = 8, 2
PARALLEL_CALLS = 2
BLOCK_FILES, BLOCK_BYTES = 256, 256 * 1024**2  # held undecoded at a time


@dataclass(frozen=True)
class Loaded:
    """What became of the candidates that were looked at.

    Attributes:
        used: the keys of the images, in their order.
        skipped: `(key, reason)` of each candidate passed over.
    """

    used: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]


def split_faces(
    keys: Sequence[str], settings: FaceSettings, *, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide `keys` into training and held-out candidates by a hash of seed and key.

    One key in `train_share + 1` is held out, by chance of the hash. Where a key goes, and which of two comes first,
    does not depend on the other keys: a set that grows never moves an image from one side to the other.

    Returns:
        `(training, held_out)`, disjoint, together all keys, each in the order of the hash.
    """
    sides: tuple[list[tuple[bytes, str]], list[tuple[bytes, str]]] = ([], [])  # training, held out
    for key in keys:
        digest = hashlib.sha256(f"{seed}/{key}".encode(errors="surrogateescape")).digest()
        is_held_out = int.from_bytes(digest[:8], "big") % (settings.train_share + 1) == 0
        sides[is_held_out].append((digest, key))
    training, held_out = (tuple(key for _, key in sorted(side)) for side in sides)
    return training, held_out


def counts(settings: FaceSettings, training_candidates: int, held_out_candidates: int) -> tuple[int, int]:
    """Return how many training and held-out images to use.

    `faces` in all, `train_share` to 1 and rounded (3,300 faces at 10: 3,000 and 300), and of each side never more than
    the source has.

    Args:
        training_candidates: number of keys on the training side.
        held_out_candidates: number of keys on the held-out side.

    Raises:
        InputError: fewer than 8 training or 2 held-out images would be left.
    """
    wanted = round(settings.faces / (settings.train_share + 1))
    training = min(settings.faces - wanted, training_candidates)
    held_out = min(wanted, held_out_candidates)
    if training < LEAST_TRAINING or held_out < LEAST_HELD_OUT:
        raise InputError(
            f"`faces`, `train_share` and the source must leave at least {LEAST_TRAINING} training and "
            f"{LEAST_HELD_OUT} held-out images; got {training} and {held_out}: `faces` is {settings.faces}, "
            f"`train_share` {settings.train_share}, and the source has "
            f"{training_candidates + held_out_candidates} images."
        )
    return training, held_out


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
    start = 0
    with (progress or SilentProgress()).bar(label, len(images), "image") as bar, warnings.catch_warnings():
        # Pillow warns of files that are skipped, and of others that it reads all the same.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        # As many candidates at a time as images are missing, so that none is read in vain.
        while chunk := candidates[start : start + len(images) - len(used)]:
            start += len(chunk)
            for key, digest, reason, image in _decoded(source.read(chunk), size):
                if reason or digest in seen:
                    skipped.append((key, reason or "same file as another"))
                    continue
                images[len(used)] = image
                used.append(key)
                seen.add(digest)
                bar.advance()
    return Loaded(tuple(used), tuple(skipped))


def _decoded(
    files: Iterable[tuple[str, bytes]], size: int
) -> Iterator[tuple[str, str, str, NDArray[np.uint8]]]:
    """Yield key, SHA-256 of the file, reason to skip it or "", and `(size, size, 3)`, in the order of `files`."""
    with quiet_libraries():
        import tensorflow as tf

    def decode(content: bytes) -> tuple[bytes, bytes, NDArray[np.uint8]]:
        digest = hashlib.sha256(content).hexdigest().encode()
        try:
            return digest, b"", decode_face(content, size)
        except ValueError as error:
            return digest, str(error).encode(), np.zeros((size, size, 3), np.uint8)

    # The files are read in this thread, so that an error of the source arrives as it was raised.
    for block in _blocks(files):
        decoded = (
            tf.data.Dataset.from_tensor_slices([content for _, content in block])
            .map(
                lambda content: tf.numpy_function(decode, [content], (tf.string, tf.string, tf.uint8)),
                num_parallel_calls=PARALLEL_CALLS,
                deterministic=True,
            )
            .prefetch(PARALLEL_CALLS)
        )
        for (key, _), (digest, reason, image) in zip(block, decoded.as_numpy_iterator(), strict=True):
            yield key, digest.decode(), reason.decode(), image


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
