"""`FaceSource`: what every reader of pictures for the split attack returns (split 3)."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
LARGEST_FILE = 64 * 1024**2  # bytes; no photograph of a face needs more


@dataclass(frozen=True)
class FaceSource:
    """Image files with a name each, not yet decoded.

    Attributes:
        name: where they came from, in the form that `--data` takes.
        keys: one stable name per image, sorted: a path relative to the folder with "/", the name in the archive, the
            id that TensorFlow Datasets gives, or photograph and place of a tile.
        read: yields `(key, content of the image file)` for the keys that it is given, which must be of `keys`, in
            their order; the content is b"" where the file cannot be read any more or is damaged. It is lazy.
        fingerprint: SHA-256 in hexadecimal of what names and tells the contents apart cheaply: in an archive checksums and
            sizes, in a folder sizes and times of change, of a set of TensorFlow Datasets its version and counts.
        others: the names of files beside them that are not read, as they do not end as an image or are links that lead out
            of a folder; sorted, without hidden ones.
        note: one sentence about what the pictures are, for the tables; "" where the name says it.
    """

    name: str
    keys: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[tuple[str, bytes]]]
    fingerprint: str
    note: str = ""
    others: tuple[str, ...] = ()


def is_image(path: str) -> bool:
    """Whether `path`, with "/", ends as an image does and no part of it is hidden or made by macOS."""
    return path.lower().endswith(ENDINGS) and not is_hidden(path)


def is_hidden(path: str) -> bool:
    """Whether a part of `path`, with "/", is hidden or made by macOS."""
    return any(part == "__MACOSX" or part.startswith(".") for part in path.split("/") if part != ".")


def hash_rows(rows: Iterable[Sequence[object]]) -> str:
    """Return the SHA-256 of rows of texts and numbers, in order, in hexadecimal."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row).encode() + b"\n")  # JSON: no text can be taken for the end of a field
    return digest.hexdigest()
