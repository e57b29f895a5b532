"""Divides a source into five sets that share no image (thesis 3.3.1)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mi_keras.data.preprocess import preprocess
from mi_keras.data.source import Source
from mi_keras.errors import InputError
from mi_keras.seeds import derive
from mi_keras.settings import SplitSettings
from mi_keras.types import Floats, Images, Ints


@dataclass(frozen=True)
class Splits:
    """Five disjoint sets of images, resized and with pixels in [0, 1].

    Attributes:
        target_train: D_T^T, half of the training selection.
        shadow_train: D_T^S, the other half.
        target_validation: D_V^T, a third of the test selection.
        shadow_validation: D_V^S, another third.
        test: D_F, the last third.
        class_names: one name per class number.
        source_name: name of the source, in the form that `--data` takes.
        fingerprint: SHA-256 of the source's images and labels; settings and seed do not change it.
    """

    target_train: Images
    shadow_train: Images
    target_validation: Images
    shadow_validation: Images
    test: Images
    class_names: tuple[str, ...]
    source_name: str
    fingerprint: str

    @property
    def sets(self) -> dict[str, Images]:
        """The five sets by name, in the order of the thesis."""
        return {
            "target_train": self.target_train,
            "shadow_train": self.shadow_train,
            "target_validation": self.target_validation,
            "shadow_validation": self.shadow_validation,
            "test": self.test,
        }


def make_splits(source: Source, settings: SplitSettings, *, seed: int) -> Splits:
    """Select images per class, then cut the training part in two and the test part in three.

    An image that occurs twice counts once, and one that occurs in both parts counts as a training image.
    Parts that do not divide evenly differ by one image, the last ones being larger: 1333, 1333, 1334.

    Raises:
        InputError: a class has fewer distinct images than `settings` asks for.
    """
    train_ids, test_ids = image_ids(source.train_images), image_ids(source.test_images)
    train = _distinct(train_ids)
    test = _distinct(test_ids)
    test = test[~np.isin(test_ids[test], train_ids)]

    chosen_train = _select(source, "train", train, settings.train_per_class, seed)
    chosen_test = _select(source, "test", test, settings.test_per_class, seed)
    halves = _cut(chosen_train, 2, settings.method, derive(seed, "splits", "halves"))
    thirds = _cut(chosen_test, 3, settings.method, derive(seed, "splits", "thirds"))

    splits = Splits(
        target_train=_image_set(source.train_images, source.train_labels, train_ids, halves[0]),
        shadow_train=_image_set(source.train_images, source.train_labels, train_ids, halves[1]),
        target_validation=_image_set(source.test_images, source.test_labels, test_ids, thirds[0]),
        shadow_validation=_image_set(source.test_images, source.test_labels, test_ids, thirds[1]),
        test=_image_set(source.test_images, source.test_labels, test_ids, thirds[2]),
        class_names=source.class_names,
        source_name=source.name,
        fingerprint=source.fingerprint,
    )
    assert_disjoint(splits.sets)
    _check_classes_present(splits)
    return splits


def image_ids(images: NDArray[np.uint8] | Floats) -> NDArray[np.uint64]:
    """Return `(count,)`: the first 8 bytes of the SHA-256 of each image's bytes, most significant first.

    Equal images have equal bytes: a zero counts without its sign.
    """
    heads = b"".join(hashlib.sha256((image + image.dtype.type(0)).tobytes()).digest()[:8] for image in images)
    return np.frombuffer(heads, ">u8").astype(np.uint64)


def assert_disjoint(sets: Mapping[str, Images]) -> None:
    """Raise ValueError where two of `sets` share an image, by its id."""
    for first, second in combinations(sets, 2):
        shared = np.intersect1d(sets[first].ids, sets[second].ids)
        if len(shared):
            raise ValueError(f"`{first}` and `{second}` must be disjoint; they share {len(shared)} images.")


def class_counts(splits: Splits) -> dict[str, Ints]:
    """Return for each set by name the `(classes,)` number of images of each class (thesis figure 3)."""
    classes = len(splits.class_names)
    return {name: np.bincount(images.labels, minlength=classes) for name, images in splits.sets.items()}


def _check_classes_present(splits: Splits) -> None:
    """Refuse a training half without an image of some class: random halves of very few images can be so."""
    counts = class_counts(splits)
    for name in ("target_train", "shadow_train"):
        if counts[name].min() == 0:
            raise InputError(
                f"`data.method` random left class {splits.class_names[int(counts[name].argmin())]!r} out of {name}; "
                "use `overrides=data.method=stratified` or a larger data.train_per_class."
            )


def _distinct(ids: NDArray[np.uint64]) -> Ints:
    """Return the position of the first image of each id, by rising id: no trace of the file's order is left."""
    return np.unique(ids, return_index=True)[1]


def _select(source: Source, part: str, candidates: Ints, per_class: int, seed: int) -> Ints:
    """Return `(classes * per_class,)` positions among `candidates`, class after class, random within each."""
    labels = (source.train_labels if part == "train" else source.test_labels)[candidates]
    available = np.bincount(labels, minlength=len(source.class_names))
    _check_available(source, part, available, per_class)
    generator = np.random.default_rng(derive(seed, "splits", part))
    by_class = [candidates[labels == number] for number in range(len(available))]
    return np.concatenate([generator.choice(one_class, per_class, replace=False) for one_class in by_class])


def _check_available(source: Source, part: str, available: Ints, per_class: int) -> None:
    scarcest = int(np.argmin(available))
    if available[scarcest] >= per_class:
        return
    least = 2 if part == "train" else 3
    remedy = (
        f"use `overrides=data.{part}_per_class={available[scarcest]}` or less"
        if available[scarcest] >= least
        else f"{least} is the least that can be cut, so use another `data`"
    )
    raise InputError(
        f"`data.{part}_per_class` must be at most the number of distinct {part} images of every class: class "
        f"{source.class_names[scarcest]!r} of {source.name} has {available[scarcest]}, got {per_class}; {remedy}."
    )


def _cut(chosen: Ints, parts: int, method: str, seed: int) -> list[Ints]:
    """Deal positions like cards; sorted by class as `_select` leaves them, every class is dealt evenly too."""
    generator = np.random.default_rng(seed)
    if method == "random":
        chosen = generator.permutation(chosen)
    return [generator.permutation(chosen[start::parts]) for start in reversed(range(parts))]


def _image_set(
    images: NDArray[np.uint8] | Floats, labels: Ints, ids: NDArray[np.uint64], positions: Ints
) -> Images:
    return Images(images=preprocess(images[positions]), labels=labels[positions], ids=ids[positions])
