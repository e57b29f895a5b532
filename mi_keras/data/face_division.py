"""Which pictures are trained on and which are held out (split 3 and 4.1): by file name or by content."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath

from mi_keras.data.face_source import FaceSource
from mi_keras.errors import InputError
from mi_keras.settings import FaceSettings

LEAST_TRAINING, LEAST_HELD_OUT = 8, 2


@dataclass(frozen=True)
class FaceDivision:
    """Candidates of either side, in the order in which they are taken.

    Attributes:
        training, held_out: keys of the source, disjoint, together all of them.
        fingerprint: of the names and sizes that the division is of, or of contents and groups.
        group_of: by key a name of its group; empty where the division is by name, which knows no groups.
    """

    training: tuple[str, ...]
    held_out: tuple[str, ...]
    fingerprint: str
    group_of: Mapping[str, str] = field(default_factory=dict)


def identity_of(settings: FaceSettings) -> dict[str, object]:
    """Return the settings that a stored stage depends on: those of a division by name are older than there being another."""
    newer = ("division", "groups") if settings.division == "name" else ()
    return {key: value for key, value in asdict(settings).items() if key not in newer}


def divide_faces(source: FaceSource, settings: FaceSettings, *, seed: int) -> FaceDivision:
    """Divide the pictures of a source as `settings` say.

    By name: see `split_faces`. By content: files are read and hashed, and whole groups go to a side by a hash of the seed
    and of their files' contents. So the division is the same from a folder and from an archive, under whatever names, and a
    group, which is one file or all files of one folder, is never on both sides.

    Raises:
        InputError: the files of all folders are one group.
    """
    if settings.division == "name":
        return FaceDivision(*split_faces(source.keys, settings, seed=seed), source.fingerprint)
    groups: dict[str, list[tuple[str, str]]] = {}
    for key, digest in _digests(source):
        groups.setdefault(_group(key) if settings.groups == "folder" else digest, []).append((digest, key))
    sides: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])  # training, held out
    named: dict[str, list[tuple[str, str]]] = {}  # folders with the same files are one group
    for files in groups.values():
        contents = "".join(sorted({digest for digest, _ in files}))  # a copy within a group changes nothing
        named.setdefault(hashlib.sha256(contents.encode()).hexdigest(), []).extend(files)
    if settings.groups == "folder" and len(named) < 2:
        raise InputError(
            f"`groups='folder'` must find a folder for each group; {source.name} has {len(groups)} in all."
        )
    group_of: dict[str, str] = {}
    for name, files in named.items():
        place = hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()
        sides[_is_held_out(bytes.fromhex(place), settings)].append((place, name))
        group_of |= {key: name for _, key in files}
    training, held_out = (
        tuple(key for _, name in sorted(side) for _, key in sorted(named[name])) for side in sides
    )
    fingerprint = hashlib.sha256("".join(sorted(named)).encode()).hexdigest()
    return FaceDivision(training, held_out, fingerprint, group_of)


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
        sides[_is_held_out(digest, settings)].append((digest, key))
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


def _is_held_out(digest: bytes, settings: FaceSettings) -> bool:
    return int.from_bytes(digest[:8], "big") % (settings.train_share + 1) == 0


def _digests(source: FaceSource) -> Iterator[tuple[str, str]]:
    """Yield each key with the SHA-256 of its file, in hexadecimal."""
    # Numbers in their order: a set of TensorFlow Datasets is read from the start to the last wanted record
    ordered = sorted(source.keys, key=lambda key: [part.zfill(12) for part in re.split(r"(\d+)", key)])
    return ((key, hashlib.sha256(content).hexdigest()) for key, content in source.read(ordered))


def _group(key: str) -> str:
    """Return the folder that a file is in; a name is the same composed and decomposed."""
    return unicodedata.normalize("NFC", str(PurePosixPath(key).parent))
