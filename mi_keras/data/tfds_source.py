"""Read any image classification set of TensorFlow Datasets; thesis 3.3 uses its `mnist`."""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray

from mi_keras.data.array_rules import check_channels
from mi_keras.data.source import Source, fingerprint, first_line
from mi_keras.display import displayable
from mi_keras.errors import InputError
from mi_keras.quiet import quiet_libraries
from mi_keras.types import Ints

LEGAL_NAME = re.compile(r"\w+(/[\w.+-]+)?(:[\d.*]+)?")  # no namespace: those would read from the network
READ_BATCH = 1024
_LONGEST_PROBE = 10  # seconds


def read_tfds(name: str, *, offline: bool) -> Source:
    """Return both parts of a prepared set, preparing it first where it is not and `offline` allows.

    Sets live under `$TFDS_DATA_DIR`, by default ~/tensorflow_datasets.

    Args:
        name: NAME, NAME/CONFIG, or either with :VERSION.
        offline: refuse, instead of downloading, a set that is not prepared.

    Raises:
        InputError: no such set, not prepared and not to be prepared, or not one image and one label per record
            in the splits train and test.
    """
    with quiet_tensorflow_datasets():
        builder = open_builder(name, offline=offline)
        _check_features(name, builder.info.features)
        if not builder.is_prepared():
            prepare(name, builder, offline=offline, instead="use `data='npz:FILE'`")
        train_images, train_labels = _read_split(name, builder, "train")
        test_images, test_labels = _read_split(name, builder, "test")
        return Source(
            name=f"tfds:{name.partition(':')[0]}:{builder.info.version}",
            train_images=train_images,
            train_labels=train_labels,
            test_images=test_images,
            test_labels=test_labels,
            class_names=tuple(map(displayable, builder.info.features["label"].names)),
            fingerprint=fingerprint(train_images, train_labels, test_images, test_labels),
        )


def open_builder(name: str, *, offline: bool) -> Any:
    """Return the builder of a set, prepared or not; `offline`: without a look at what the network knows of it.

    Raises:
        InputError: `name` is no legal name, or nobody knows it.
    """
    import tensorflow_datasets as tfds

    if not LEGAL_NAME.fullmatch(name):
        raise InputError(f"`data='tfds:NAME'` must be NAME, NAME/CONFIG or NAME:1.0.0; got {name!r}.")
    unknown = f"must be a set that TensorFlow Datasets knows or that is prepared in {_data_dir()}; it says"
    quietly = _no_metadata_from_the_network() if offline else contextlib.nullcontext()
    with quietly, _said_in_one_line(name, (ValueError, AssertionError, ImportError), unknown):
        return tfds.builder(name, data_dir=_data_dir())


@contextlib.contextmanager
def _no_metadata_from_the_network() -> Iterator[None]:
    """Keep TensorFlow Datasets from its bucket, where it may ask for the sizes of a set that is not prepared."""
    from tensorflow_datasets.core.utils import gcs_utils

    before = getattr(gcs_utils, "_is_gcs_disabled", True)
    gcs_utils._is_gcs_disabled = True
    try:
        yield
    finally:
        gcs_utils._is_gcs_disabled = before


def _check_features(name: str, features: Any) -> None:
    import tensorflow_datasets as tfds

    found = dict(features.items())
    image, label = found.get("image"), found.get("label")
    if not isinstance(image, tfds.features.Image) or not isinstance(label, tfds.features.ClassLabel):
        raise InputError(
            f"`data='tfds:{name}'` must have the features `image` and `label` (a class); "
            f"it has {', '.join(sorted(found))}."
        )
    pixel_type = np.dtype(image.np_dtype).name
    if None in image.shape or pixel_type != "uint8":
        raise InputError(
            f"`data='tfds:{name}'` must have uint8 images of one fixed shape; got {pixel_type} {image.shape}."
        )
    check_channels(f"`data='tfds:{name}'`", image.shape)


def prepare(name: str, builder: Any, *, offline: bool, instead: str) -> None:
    """Download and convert, or say in one line what to do.

    Args:
        offline: refuse at once.
        instead: the way around the download that the message ends with.

    Raises:
        InputError: `offline`, no network, a full disk, a quota page in place of a file, and the like.
    """
    import tensorflow as tf
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError
    from tensorflow_datasets.core.download.util import DownloadError

    files = [info.filename for info in (builder.url_infos or {}).values() if info.filename]
    manual = os.path.join(_data_dir(), "downloads", "manual")
    by_hand = f"put its official files ({', '.join(files[:6]) or 'see the TFDS catalogue'}) in {manual}"
    if offline:
        raise InputError(
            f"`data='tfds:{name}'` is not prepared in {builder.data_dir} and `offline` forbids the download; "
            f"drop `offline`, or first {by_hand} and run once without it."
        )
    missing = (OSError, DownloadError, NonMatchingChecksumError)  # no network, a full disk, a quota page
    refused = (AssertionError, ImportError, tf.errors.OpError)  # files to fetch by hand, an extra to install
    failed = f"could not be prepared in {builder.data_dir}"
    way_out = f"; check the network and that the folder is writable, or {by_hand}, or {instead}"
    with (
        _said_in_one_line(name, (*missing, *refused), failed, way_out),
        contextlib.redirect_stdout(sys.stderr),  # its notice of the download is not our output
        _no_retries_without_network(),
    ):
        builder.download_and_prepare()


@contextlib.contextmanager
def _said_in_one_line(
    name: str, errors: tuple[type[Exception], ...], what: str, way_out: str = ""
) -> Iterator[None]:
    """Turn `errors` into an `InputError`: what is wrong with the set, the error's first line, and the way out."""
    try:
        yield
    except errors as error:
        raise InputError(f"`data='tfds:{name}'` {what}: {first_line(error)}{way_out}.") from error


@contextlib.contextmanager
def _no_retries_without_network() -> Iterator[None]:
    """Let TensorFlow Datasets try once where no host is found: it would try every file again for minutes.

    It still has to be asked, as files put there by hand need no network.
    """
    from tensorflow_datasets.core.download import downloader

    retries = downloader.MAX_RETRIES
    try:
        urlopen("https://storage.googleapis.com", timeout=_LONGEST_PROBE).close()
    except HTTPError:  # an answer all the same
        pass
    except OSError:
        downloader.MAX_RETRIES = 0
    try:
        yield
    finally:
        downloader.MAX_RETRIES = retries


def _read_split(name: str, builder: Any, split: str) -> tuple[NDArray[np.uint8], Ints]:
    """Return `(count, height, width, channels)` and `(count,)` in the order of the prepared files."""
    import tensorflow_datasets as tfds

    if split not in builder.info.splits:
        found = ", ".join(builder.info.splits)
        raise InputError(f"`data='tfds:{name}'` must have the splits train and test; it has {found}.")
    count = builder.info.splits[split].num_examples
    images = np.empty((count, *builder.info.features["image"].shape), np.uint8)
    labels = np.empty(count, np.int64)
    filled = 0
    with undamaged(name, builder):
        records = builder.as_dataset(
            split=split,
            shuffle_files=False,
            batch_size=READ_BATCH,
            decoders=tfds.decode.PartialDecoding({"image": True, "label": True}),
        )
        for record in records.as_numpy_iterator():
            end = filled + len(record["label"])
            images[filled:end], labels[filled:end] = record["image"], record["label"]
            filled = end
    if filled != count or (count and labels.min() < 0):
        raise InputError(
            f"`data='tfds:{name}'` must have a label for each of {count} records of split {split}; "
            f"got {np.sum(labels[:filled] >= 0)}."
        )
    return images, labels


def _data_dir() -> str:
    return os.environ.get("TFDS_DATA_DIR") or os.path.expanduser("~/tensorflow_datasets")


@contextlib.contextmanager
def undamaged(name: str, builder: Any) -> Iterator[None]:
    """Turn what TensorFlow raises on damaged or unknown files of a prepared set into an `InputError`."""
    import tensorflow as tf

    damaged = f"must be prepared as undamaged tfrecord files; remove {builder.data_dir} and prepare it again"
    with _said_in_one_line(name, (tf.errors.OpError, NotImplementedError), damaged):
        yield


@contextlib.contextmanager
def quiet_tensorflow_datasets() -> Iterator[None]:
    """Hold back progress bars and everything below an error; urllib3 may still say that it retries."""
    with quiet_libraries():
        import tensorflow  # noqa: F401
        import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
