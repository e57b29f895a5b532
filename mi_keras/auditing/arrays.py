"""Read the images of arrays for an audit: an npz file, the embedded MNIST, NumPy arrays or a tf.data.Dataset."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.auditing.given import IN_MEMORY, Given, Size, note_on_channels, resized, stacked, with_channels
from mi_keras.data.array_rules import as_labels, as_pictures
from mi_keras.data.mnist import read_embedded_mnist
from mi_keras.data.npz_source import read_npz_arrays
from mi_keras.errors import InputError

PARTS = (("x_train", "y_train"), ("x_test", "y_test"))  # as keras.datasets names them
IMAGES, LABELS = ("images", "x"), ("labels", "y")
NPZ_RULE = "must have x_train or x_test, with y_train and y_test, or images (or x), with labels (or y)"
INFINITE = -1  # tf.data.INFINITE_CARDINALITY
GIVEN_MASK = "trained_on, as it was given"  # no key of a file, and so never asked for by one


def read_npz_pool(file: str, *, trained_on: str | None, size: Size | None, channels: int | None) -> Given:
    """Read the images in an npz file.

    Its keys are those of keras.datasets, `x_train`, `y_train`, `x_test` and `y_test`, of which the parts are one pool, or
    `images` or `x` with `labels` or `y`; and `groups`, one for each image of the pool, in that order.

    Args:
        trained_on: the key of the images that the target has seen, `x_train` or `x_test`, or of an array of booleans, one
            for each image of the pool.
        size: what each image is resized to; None for its own size.
        channels: 1 or 3; None for as many as there are.

    Raises:
        InputError: the file or one of its arrays breaks a rule.
    """

    def choose(found: list[str]) -> list[str]:
        wanted = [*itertools.chain(*PARTS), *IMAGES, *LABELS, "groups", *([trained_on] if trained_on else [])]
        return [key for key in found if key in wanted]

    name = f"`data='npz:{file}'`"
    return _of_arrays(f"npz:{file}", name, read_npz_arrays(name, file, choose), trained_on, size, channels)


def read_mnist_pool(*, trained_on: str | None, size: Size | None, channels: int | None) -> Given:
    """Return the 24,000 images that come with the package; arguments as of `read_npz_pool`."""
    source = read_embedded_mnist()
    arrays = {
        "x_train": source.train_images, "y_train": source.train_labels,
        "x_test": source.test_images, "y_test": source.test_labels,
    }  # fmt: skip
    return _of_arrays("mnist", "`data='mnist'`", arrays, trained_on, size, channels)


def read_array_pool(
    data: Any, *, trained_on: NDArray[Any] | str | None, size: Size | None, channels: int | None
) -> Given:
    """Take images in memory.

    Args:
        data: `images`, `(images, labels)`, `(images, labels, groups)` with None for labels that are missing, or
            `((x_train, y_train), (x_test, y_test))` as keras.datasets gives it.
        trained_on: `(count,)` booleans, or "x_train" or "x_test" of the last form.
        size: as of `read_npz_pool`; so is `channels`.

    Raises:
        InputError: an array breaks a rule.
    """
    parts = data if isinstance(data, tuple) else (data,)
    if len(parts) == 2 and all(isinstance(part, tuple) and len(part) == 2 for part in parts):
        keys: Sequence[str] = tuple(itertools.chain(*PARTS))
        parts = tuple(itertools.chain(*parts))
    else:
        keys = ("images", "labels", "groups")
    if len(parts) > len(keys):
        raise InputError(
            f"`data` must be images, (images, labels) or (images, labels, groups); got {len(parts)} parts."
        )
    arrays = {key: np.asarray(part) for key, part in zip(keys, parts, strict=False) if part is not None}
    if trained_on is not None and not isinstance(trained_on, str):
        arrays[GIVEN_MASK], trained_on = np.asarray(trained_on), GIVEN_MASK
    return _of_arrays(IN_MEMORY[0], "`data`", arrays, trained_on, size, channels)


def read_dataset_pool(
    data: Any, *, trained_on: NDArray[Any] | None, size: Size | None, channels: int | None
) -> Given:
    """Take the images of a tf.data.Dataset of `image` or `(image, label)`, batched or not, in memory.

    Raises:
        InputError: it has no end, elements of another form, images of several sizes without `size`, or none.
    """
    if hasattr(data, "cardinality") and int(data.cardinality()) == INFINITE:
        raise InputError("`data` must be finite; got an infinite dataset: leave `.repeat()` out.")
    images: list[NDArray[Any]] = []
    labels: list[Any] = []
    for image, label in _elements(data):
        images.append(image)
        labels.append(label)
    if not images:
        raise InputError("`data` must hold images; got an empty dataset.")
    arrays = {"images": stacked("`data`", images, size)}
    if labels[0] is not None:
        arrays["labels"] = np.stack(labels)
        if arrays["labels"].dtype == object or arrays["labels"].dtype.kind == "S":  # texts come as bytes
            arrays["labels"] = np.array([_text(label) for label in labels])
    if trained_on is not None:
        arrays[GIVEN_MASK] = np.asarray(trained_on)
    mask = None if trained_on is None else GIVEN_MASK
    return _of_arrays(IN_MEMORY[1], "`data`", arrays, mask, size, channels)


def _elements(data: Any) -> Iterator[tuple[NDArray[Any], Any]]:
    """Yield each image as `(height, width, channels)` with its label, or None."""
    for element in data.as_numpy_iterator():
        image, label = element if isinstance(element, tuple) and len(element) == 2 else (element, None)
        if not isinstance(image, np.ndarray) or not 2 <= image.ndim <= 4:
            shown = f"{image.shape}" if isinstance(image, np.ndarray) else f"a {type(image).__name__}"
            raise InputError(f"`data` must have elements of image or (image, label); got {shown}.")
        if image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3)):
            yield image.reshape(*image.shape[:2], -1), label
            continue
        batch = image if image.ndim == 4 else image[..., np.newaxis]  # (batch, height, width, channels)
        yield from zip(batch, itertools.repeat(None) if label is None else label, strict=False)


def _text(label: Any) -> str:
    return label.decode(errors="surrogateescape") if isinstance(label, bytes) else str(label)


def _of_arrays(
    source: str,
    name: str,
    arrays: Mapping[str, NDArray[Any]],
    trained_on: str | None,
    size: Size | None,
    channels: int | None,
) -> Given:
    """Return the pool of the arrays: the parts of keras.datasets one behind the other, or the only part."""
    parts = [(x, y) for x, y in PARTS if x in arrays]
    if not parts:
        parts = [(x, y) for x, y in zip(IMAGES, LABELS, strict=True) if x in arrays]
        parts = [(x, next((key for key in LABELS if key in arrays), y)) for x, y in parts[:1]]
    if not parts:
        raise InputError(f"{name} {NPZ_RULE}; got {', '.join(arrays) or 'none of them'}.")
    images = [_checked_images(f"{name}: {x!r}", arrays[x]) for x, _ in parts]
    sizes = [len(part) for part in images]
    if len({(part.dtype, part.shape[1:]) for part in images}) > 1:
        shown = " and ".join(f"{part.shape[1:]} {part.dtype}" for part in images)
        raise InputError(
            f"{name}: `x_train` and `x_test` must have images of one shape and type; got {shown}."
        )
    labelled = [y for _, y in parts if y in arrays]
    if labelled and len(labelled) < len(parts):
        raise InputError(f"{name} must have `y_train` and `y_test`, or neither; got `{labelled[0]}` alone.")
    labels = [_per_image(f"{name}: {y!r}", _class_numbers(f"{name}: {y!r}", arrays[y]), n) for y, n in zip(labelled, sizes, strict=False)]  # fmt: skip
    together = np.concatenate(images) if len(images) > 1 else images[0]
    groups = arrays.get("groups")
    return Given(
        name=source,
        images=with_channels(name, resized(together, size), channels),
        names=tuple(f"{x}[{row}]" for (x, _), n in zip(parts, sizes, strict=True) for row in range(n)),
        labels=np.concatenate(labels) if labels else None,
        groups=None if groups is None else _per_image(f"{name}: 'groups'", groups, len(together)),
        trained_on=_seen(name, arrays, trained_on, [x for x, _ in parts], sizes),
        notes=note_on_channels(len(together) if channels not in (None, together.shape[3]) else 0, channels),
    )


def _seen(
    name: str, arrays: Mapping[str, NDArray[Any]], trained_on: str | None, keys: list[str], sizes: list[int]
) -> NDArray[np.bool_] | None:
    if trained_on is None:
        return None
    if trained_on in keys:
        return np.repeat([key == trained_on for key in keys], sizes)
    mask = arrays.get(trained_on)
    if mask is None or mask.dtype != np.bool_:
        raise InputError(
            f"`trained_on` must be booleans, one for each image; got {mask.dtype}."
            if mask is not None and trained_on == GIVEN_MASK
            else f"`trained_on` must be {', '.join(keys)}, or a key of booleans, one for each image, of {name}; "
            f"got {trained_on!r}{'' if mask is None else f', {mask.dtype}'}."
        )
    said = "`trained_on`" if trained_on == GIVEN_MASK else f"`trained_on='{trained_on}'`"
    return _per_image(said, mask, sum(sizes))


def _checked_images(name: str, images: NDArray[Any]) -> NDArray[Any]:
    """Return `(count, height, width, channels)` of numbers."""
    pictures = as_pictures(name, images)
    if images.dtype.kind not in "biuf":
        raise InputError(f"{name} must be numbers; got {images.dtype}.")
    return pictures


def _class_numbers(name: str, labels: NDArray[Any]) -> NDArray[Any]:
    """Return `(count,)` or `(count, 1)` numbers or names as they are, and rows with a single 1 as its place."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        if (
            labels.dtype.kind not in "biuf"
            or not ((labels == 0) | (labels == 1)).all()
            or (labels.sum(axis=1) != 1).any()
        ):
            raise InputError(f"{name} must be one class for each image, or rows with a single 1; got {labels.shape} with other rows.")  # fmt: skip
        return np.argmax(labels, axis=1)
    return labels


def _per_image(name: str, values: NDArray[Any], count: int) -> NDArray[Any]:
    """Return `(count,)` values, one for each image."""
    flat = as_labels(values, count)
    if flat.shape != (count,):
        raise InputError(f"{name} must be ({count},), one for each image; got {values.shape}.")
    return flat
