"""Read the pictures of a set of TensorFlow Datasets, undecoded; split 3 uses CelebA, `tfds:celeb_a`."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mi_keras.data.face_source import FaceSource, hash_rows
from mi_keras.data.tfds_source import open_builder, prepare, quiet_tensorflow_datasets, undamaged
from mi_keras.errors import InputError


def open_tfds(name: str, *, offline: bool) -> FaceSource:
    """List the pictures of all splits of a set, preparing it first where it is not and `offline` allows.

    A set cannot be read at a place of choice: `read` of the result goes through each split that holds a wanted picture,
    from its start to the last wanted one, and keeps the undecoded files (10 kB each for CelebA) until their turn.

    Args:
        name: NAME, NAME/CONFIG, or either with :VERSION.
        offline: refuse, instead of downloading, a set that is not prepared.

    Raises:
        InputError: no such set, not prepared and not to be prepared, or no feature `image` of 8 bits.
    """
    with quiet_tensorflow_datasets():
        builder = open_builder(name, offline=offline)
        _check_image(name, builder.info.features)
        if not builder.is_prepared():
            pictures = (
                "give the pictures themselves: `data='zip:PATH'`, or `data='folder:PATH'` once unzipped"
            )
            prepare(name, builder, offline=offline, instead=pictures)
    splits = {split: _keys(info) for split, info in sorted(builder.info.splits.items())}

    def read(wanted: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        needed = set(wanted)
        waiting = {split: needed.intersection(keys) for split, keys in splits.items()}
        held: dict[str, bytes] = {}
        turn = 0
        for key, content in _stream(name, builder, waiting):
            held[key] = content
            while turn < len(wanted) and wanted[turn] in held:
                yield wanted[turn], held.pop(wanted[turn])
                turn += 1
        for key in wanted[turn:]:  # the files on disk have changed since they were listed
            yield key, held.pop(key, b"")

    rows = [(builder.info.full_name,), *((split, len(keys)) for split, keys in splits.items())]
    keys = tuple(sorted(key for keys in splits.values() for key in keys))
    return FaceSource(f"tfds:{name}", keys, read, hash_rows(rows))


def _check_image(name: str, features: Any) -> None:
    import tensorflow_datasets as tfds

    found = dict(features.items()) if hasattr(features, "items") else {}
    image = found.get("image")
    if not isinstance(image, tfds.features.Image) or np.dtype(image.np_dtype) != np.uint8:
        raise InputError(
            f"`data='tfds:{name}'` must have the feature `image`, of uint8; "
            f"it has {', '.join(sorted(found)) or 'no named feature'}."
        )


def _keys(split: Any) -> list[str]:
    """Return the ids of a split's records: file and place in it, which the set's description tells without a read."""
    return [
        f"{file.basename()}__{place}"
        for file in split.file_instructions
        for place in range(file.skip, file.skip + file.take)
    ]


def _stream(name: str, builder: Any, waiting: dict[str, set[str]]) -> Iterator[tuple[str, bytes]]:
    """Yield the pictures in `waiting`, split by split, in the order of the prepared files."""
    import tensorflow_datasets as tfds

    # Partial, or every landmark and attribute would be parsed as well.
    undecoded = tfds.decode.PartialDecoding({"image": True}, decoders={"image": tfds.decode.SkipDecoding()})
    for split, keys in waiting.items():
        if not keys:
            continue
        with quiet_tensorflow_datasets(), undamaged(name, builder):
            records = builder.as_dataset(
                split=split,
                shuffle_files=False,
                read_config=tfds.ReadConfig(add_tfds_id=True),
                decoders=undecoded,
            ).as_numpy_iterator()
        left = len(keys)
        while left:
            with undamaged(name, builder):
                record = next(records, None)
            if record is None:
                break
            key = record["tfds_id"].decode()
            if key in keys:
                left -= 1
                yield key, record["image"]
