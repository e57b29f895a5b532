"""Disjointness, sizes, seeds and error messages of `make_splits`, on real and on made images."""

import hashlib
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from mi_keras.data.mnist import read_embedded_mnist
from mi_keras.data.preprocess import preprocess
from mi_keras.data.source import Source
from mi_keras.data.splits import Splits, assert_disjoint, class_counts, image_ids, make_splits
from mi_keras.errors import InputError
from mi_keras.settings import SplitSettings

NAMES = ["target_train", "shadow_train", "target_validation", "shadow_validation", "test"]


@pytest.fixture(scope="module")
def mnist() -> Source:
    return read_embedded_mnist()


@pytest.fixture
def made() -> Source:
    """Three classes with 20 training and 11 test images each, all different."""
    generator = np.random.default_rng(7)
    return Source(
        name="made",
        train_images=generator.integers(0, 256, (60, 6, 6, 1), dtype=np.uint8),
        train_labels=np.arange(60) % 3,
        test_images=generator.integers(0, 256, (33, 6, 6, 1), dtype=np.uint8),
        test_labels=np.arange(33) % 3,
        class_names=("ant", "bee", "cat"),
        fingerprint="made",
    )


def ids_of(splits: Splits) -> dict[str, list[int]]:
    return {name: images.ids.tolist() for name, images in splits.sets.items()}


def held_out(ids: dict[str, list[int]]) -> set[int]:
    return {*ids["target_validation"], *ids["shadow_validation"], *ids["test"]}


@pytest.mark.parametrize("method", ["random", "stratified"])
def test_thesis_sizes_from_the_embedded_images(mnist: Source, method: str) -> None:
    splits = make_splits(mnist, SplitSettings(method=method), seed=0)
    assert {name: len(images) for name, images in splits.sets.items()} == dict(
        zip(NAMES, [10000, 10000, 1333, 1333, 1334], strict=True)
    )
    for first, second in combinations(NAMES, 2):
        assert not set(ids_of(splits)[first]) & set(ids_of(splits)[second])
    every_id = {number for ids in ids_of(splits).values() for number in ids}
    assert len(every_id) == 24000
    for images in splits.sets.values():
        assert images.images.shape[1:] == (32, 32, 1)
        assert images.images.dtype == np.float32
        assert images.images.min() == 0
        assert images.images.max() == 1
    assert (splits.source_name, splits.fingerprint) == ("mnist", mnist.fingerprint)


def test_an_image_keeps_its_pixels_and_its_label(made: Source) -> None:
    splits = make_splits(made, SplitSettings(train_per_class=10, test_per_class=5), seed=4)
    original = {
        int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:8], "big"): (image, label)
        for image, label in zip(made.train_images, made.train_labels, strict=True)
    }
    shadow = splits.shadow_train
    for image, label, number in zip(shadow.images, shadow.labels, shadow.ids.tolist(), strict=True):
        pixels, true_label = original[number]
        assert label == true_label
        np.testing.assert_array_equal(image, preprocess(pixels[np.newaxis])[0])


@pytest.mark.parametrize(("train_per_class", "test_per_class"), [(20, 11), (7, 5), (8, 3), (9, 10)])
def test_stratified_counts_differ_by_one_at_most(
    made: Source, train_per_class: int, test_per_class: int
) -> None:
    settings = SplitSettings(train_per_class, test_per_class, method="stratified")
    splits = make_splits(made, settings, seed=1)
    counts = class_counts(splits)
    for parts, per_class in ((NAMES[:2], train_per_class), (NAMES[2:], test_per_class)):
        table = np.array([counts[name] for name in parts])  # (sets, classes)
        np.testing.assert_array_equal(table.sum(axis=0), per_class)
        assert np.ptp(table, axis=0).max() <= 1
        sizes = table.sum(axis=1).tolist()
        assert sizes == sorted(sizes)
        assert sizes[-1] - sizes[0] <= 1
    at_random = make_splits(made, replace(settings, method="random"), seed=1)
    assert [len(images) for images in at_random.sets.values()] == [
        len(images) for images in splits.sets.values()
    ]


def test_class_counts_equal_a_plain_count(made: Source) -> None:
    splits = make_splits(made, SplitSettings(train_per_class=6, test_per_class=3), seed=0)
    counts = class_counts(splits)
    assert list(counts) == NAMES
    for name, images in splits.sets.items():
        assert counts[name].tolist() == [images.labels.tolist().count(number) for number in range(3)]


@pytest.mark.parametrize("method", ["random", "stratified"])
def test_a_seed_fixes_everything_and_another_changes_every_set(made: Source, method: str) -> None:
    settings = SplitSettings(train_per_class=10, test_per_class=9, method=method)
    first, again = make_splits(made, settings, seed=0), make_splits(made, settings, seed=0)
    for name in NAMES:
        np.testing.assert_array_equal(first.sets[name].images, again.sets[name].images)
        np.testing.assert_array_equal(first.sets[name].ids, again.sets[name].ids)
    other = ids_of(make_splits(made, settings, seed=1))
    assert all(set(other[name]) != set(ids_of(first)[name]) for name in NAMES)


def test_the_method_does_not_change_which_images_are_selected(made: Source) -> None:
    settings = SplitSettings(train_per_class=10, test_per_class=6)
    selections = []
    for method in ("random", "stratified"):
        ids = ids_of(make_splits(made, replace(settings, method=method), seed=0))
        selections.append(({*ids["target_train"], *ids["shadow_train"]}, held_out(ids)))
    assert selections[0] == selections[1]


def test_the_order_of_the_file_does_not_matter(made: Source) -> None:
    order, test_order = np.random.default_rng(1).permutation(60), np.random.default_rng(2).permutation(33)
    shuffled = replace(
        made,
        train_images=made.train_images[order],
        train_labels=made.train_labels[order],
        test_images=made.test_images[test_order],
        test_labels=made.test_labels[test_order],
    )
    settings = SplitSettings(train_per_class=10, test_per_class=6)
    assert ids_of(make_splits(made, settings, seed=0)) == ids_of(make_splits(shuffled, settings, seed=0))


def test_duplicates_are_dropped_before_selection(made: Source) -> None:
    train_images, test_images = made.train_images.copy(), made.test_images.copy()
    train_images[3] = train_images[0]  # twice in train, class 0
    test_images[4] = test_images[1]  # twice in test, class 1
    test_images[2] = train_images[5]  # in both parts, class 2
    source = replace(made, train_images=train_images, test_images=test_images)
    splits = make_splits(source, SplitSettings(train_per_class=19, test_per_class=10), seed=0)
    ids = [number for part in ids_of(splits).values() for number in part]
    assert len(ids) == len(set(ids)) == 3 * 29
    assert int(image_ids(test_images)[2]) not in held_out(ids_of(splits))

    with pytest.raises(
        InputError, match=r"class 'ant' of made has 19, got 20; use `overrides=data.train_per_class=19` or"
    ):
        make_splits(source, SplitSettings(train_per_class=20, test_per_class=10), seed=0)
    with pytest.raises(
        InputError, match=r"class 'bee' of made has 10, got 11; use `overrides=data.test_per_class=10` or"
    ):
        make_splits(source, SplitSettings(train_per_class=19, test_per_class=11), seed=0)


def test_a_class_too_small_names_itself_and_a_size_that_works(made: Source) -> None:
    kept = np.flatnonzero((made.train_labels != 1) | (np.arange(60) < 15))
    scarce = replace(made, train_images=made.train_images[kept], train_labels=made.train_labels[kept])
    message = (
        "`data.train_per_class` must be at most the number of distinct train images of every class: "
        "class 'bee' of made has 5, got 2000; use `overrides=data.train_per_class=5` or less."
    )
    with pytest.raises(InputError) as caught:
        make_splits(scarce, SplitSettings(), seed=0)
    assert str(caught.value) == message
    make_splits(scarce, SplitSettings(train_per_class=5, test_per_class=3), seed=0)


def test_a_class_that_cannot_be_cut_at_all_says_so(made: Source) -> None:
    kept = np.flatnonzero(made.test_labels != 2)
    lacking = replace(made, test_images=made.test_images[kept], test_labels=made.test_labels[kept])
    with pytest.raises(
        InputError, match=r"'cat' of made has 0, got 3; 3 is the least that can be cut, so use another"
    ):
        make_splits(lacking, SplitSettings(train_per_class=2, test_per_class=3), seed=0)


def test_sets_that_share_an_image_are_refused(made: Source) -> None:
    splits = make_splits(made, SplitSettings(train_per_class=4, test_per_class=3), seed=0)
    with pytest.raises(ValueError, match=r"`first` and `second` must be disjoint; they share 6 images."):
        assert_disjoint({"first": splits.target_train, "second": splits.target_train})
    assert_disjoint(splits.sets)


def test_random_halves_that_lack_a_class_are_refused_with_the_remedy():
    images = np.arange(4 * 6 * 4, dtype=np.uint8).reshape(-1, 2, 2, 1)
    labels = np.repeat(np.arange(4), 6)
    source = Source("tiny", images, labels, images[::-1] + 100, labels, tuple("abcd"), "0")
    settings = SplitSettings(train_per_class=2, test_per_class=3)

    def many_seeds() -> None:
        for seed in range(50):
            make_splits(source, settings, seed=seed)

    with pytest.raises(
        InputError,
        match=r"`data.method` random left class '.' out of .*_train; use `overrides=data.method=stratified`",
    ):
        many_seeds()
    make_splits(source, replace(settings, method="stratified"), seed=1)


def test_a_zero_with_a_sign_is_the_same_pixel() -> None:
    images = np.zeros((2, 4, 4, 1), np.float32)
    images[1] = -0.0
    assert images[0].tobytes() != images[1].tobytes()
    first, second = image_ids(images)
    assert first == second
