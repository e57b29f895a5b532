"""Pools of arrays: npz files, the embedded MNIST, NumPy arrays and tf.data, and every rule that they can break."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mi_keras.auditing.pool import read_pool
from tests.unit.auditing.pictures import facts, folder_of, message_of
from tests.unit.data.given import encoded, good_arrays

IMAGES = np.random.default_rng(5).integers(0, 256, (12, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


def npz_of(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return f"npz:{path}"


def rows_of(pool: Any, images: Any) -> list[int]:
    """Return where in `images` each image of the pool stands."""
    return [int(np.flatnonzero((images == image).all(axis=(1, 2, 3)))[0]) for image in pool.images]


# npz


def test_the_parts_of_keras_datasets_are_one_pool(tmp_path: Path) -> None:
    arrays = good_arrays()
    arrays["y_train"] = arrays["y_train"][:, np.newaxis]  # as cifar10 has it
    arrays["y_test"] = arrays["y_test"][:, np.newaxis]
    pool = read_pool(npz_of(tmp_path / "a.npz", **arrays))
    assert pool.images.shape == (18, 5, 4, 1)
    assert pool.trained_on is None
    together = np.concatenate([arrays["x_train"], arrays["x_test"]])[..., np.newaxis]
    rows = rows_of(pool, together)
    assert sorted(rows) == list(range(18))
    assert rows != sorted(rows)  # the order is of the contents
    assert pool.labels is not None
    np.testing.assert_array_equal(pool.labels, np.concatenate([np.arange(12), np.arange(6)])[rows] % 3)
    assert pool.names[rows.index(13)] == "x_test[1]"
    assert pool.class_names == ("0", "1", "2")


def test_what_the_target_was_trained_on_can_be_named(tmp_path: Path) -> None:
    arrays: dict[str, Any] = good_arrays()
    mask = np.arange(18) % 2 == 0
    data = npz_of(tmp_path / "a.npz", **arrays, seen=mask)
    pool = read_pool(data, trained_on="x_train")
    assert pool.trained_on is not None
    assert [name.startswith("x_train") for name in pool.names] == pool.trained_on.tolist()
    rows = rows_of(pool, np.concatenate([arrays["x_train"], arrays["x_test"]])[..., np.newaxis])
    by_mask = read_pool(data, trained_on="seen")
    np.testing.assert_array_equal(by_mask.trained_on, mask[rows])
    assert len({pool.fingerprint, by_mask.fingerprint, read_pool(data).fingerprint}) == 3
    for name in ("y_train", "nothing"):
        text = message_of(read_pool, data, trained_on=name)
        assert "`trained_on` must be x_train, x_test, or a key of booleans" in text
    bad = npz_of(tmp_path / "b.npz", **arrays, seen=mask[:5])
    assert "`trained_on='seen'` must be (18,)" in message_of(read_pool, bad, trained_on="seen")


def test_groups_and_the_other_names_of_keys(tmp_path: Path) -> None:
    people = np.array(["b", "a", "c"])[np.arange(12) // 4]
    first = read_pool(npz_of(tmp_path / "a.npz", images=IMAGES, labels=LABELS, groups=people))
    second = read_pool(
        npz_of(tmp_path / "b.npz", x=IMAGES[::-1], y=LABELS[::-1], groups=11 - np.arange(12) // 4 * 5)
    )
    wanted = facts(first)
    assert wanted[4] != []
    assert [facts(second)[place] for place in (0, 1, 2, 4)] == [wanted[place] for place in (0, 1, 2, 4)]
    names = [first.group_names[group] for group in first.groups]
    assert names == people[rows_of(first, IMAGES)].tolist()


def test_a_folder_and_an_npz_of_the_same_pixels_are_equal(tmp_path: Path) -> None:
    files = {f"{'abc'[label]}/{row}.png": encoded(IMAGES[row]) for row, label in enumerate(LABELS)}
    of_folder = read_pool(folder_of(tmp_path / "f", files), labels="folder")
    names = np.array(["a", "b", "c"])[LABELS]
    assert facts(read_pool(npz_of(tmp_path / "a.npz", x=IMAGES, y=names))) == facts(of_folder)


FLOATS = np.full((12, 6, 5, 3), 0.5)
BAD: list[tuple[dict[str, Any], str]] = [
    ({"z": IMAGES}, "must have x_train or x_test, with y_train and y_test, or images (or x), with labels (or y); got none"),
    ({"x": IMAGES[0, 0]}, "'x' must be (count, height, width) or"),
    ({"x": IMAGES.astype(str)}, "'x' must be numbers; got <U"),
    ({"x": IMAGES, "y": LABELS[:5]}, "'y' must be (12,), one for each image; got (5,)"),
    ({"x": IMAGES, "y": LABELS + 0.5}, "must have labels that are class numbers or names; got float64"),
    ({"x": IMAGES, "y": LABELS - 1}, "must have class numbers >= 0; got -1"),
    ({"x": IMAGES, "y": np.ones((12, 3))}, "'y' must be one class for each image, or rows with a single 1"),
    ({"x": IMAGES, "groups": LABELS[:3]}, "'groups' must be (12,), one for each image; got (3,)"),
    ({"x": IMAGES, "groups": LABELS / 2}, "must have groups that are whole numbers or names; got float64"),
    ({"x_train": IMAGES, "x_test": IMAGES[:, :4]}, "`x_train` and `x_test` must have images of one shape and type"),
    ({"x_train": IMAGES, "x_test": IMAGES, "y_train": LABELS}, "must have `y_train` and `y_test`, or neither; got `y_train` alone"),
    ({"x": FLOATS}, "`pixels` must be declared for"),
    ({"x": np.array([{}], object)}, "`x` must be readable, without pickle"),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "said"), BAD)
def test_an_npz_that_breaks_a_rule_is_refused(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    assert said in message_of(read_pool, npz_of(tmp_path / "a.npz", **arrays))


def test_mnist_needs_no_file() -> None:
    pool = read_pool("mnist", trained_on="x_train", channels=3)
    assert pool.images.shape == (24_000, 28, 28, 3)
    assert pool.trained_on is not None
    assert pool.trained_on.sum() == 20_000
    assert pool.class_names == tuple("0123456789")
    assert (pool.images[..., :1] == pool.images).all()


# In memory


def test_arrays_in_memory_equal_the_file(tmp_path: Path) -> None:
    wanted = facts(read_pool(npz_of(tmp_path / "a.npz", x=IMAGES, y=LABELS)))
    assert facts(read_pool((IMAGES, LABELS))) == wanted
    assert facts(read_pool((IMAGES, np.eye(3)[LABELS]))) == wanted  # one place of each row is 1
    assert facts(read_pool(((IMAGES[:8], LABELS[:8]), (IMAGES[8:], LABELS[8:])))) == wanted
    assert read_pool(IMAGES).labels is None
    grouped = read_pool((IMAGES, None, LABELS))
    assert grouped.labels is None
    assert sorted(grouped.group_names) == ["0", "1", "2"]
    seen = read_pool(IMAGES, trained_on=LABELS == 0).trained_on
    assert seen is not None
    assert seen.sum() == 4


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        ((IMAGES, LABELS, LABELS, LABELS), {}, "`data` must be images, (images, labels) or (images, labels, groups); got 4"),
        (IMAGES.transpose(0, 3, 1, 2), {"channels": 3}, "got (12, 3, 6, 5): `numpy.moveaxis(images, 1, -1)` brings the channels last"),
        (IMAGES, {"labels": "folder"}, "`labels='folder'` must go with a folder or a zip file; got arrays"),
        ((IMAGES, LABELS), {"class_names": ("a", "b")}, "`class_names` must name every class of `data`, 3 at least; got 2"),
        (IMAGES, {"trained_on": LABELS}, "`trained_on` must be booleans, one for each image; got int64."),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(data: Any, options: dict[str, Any], said: str) -> None:
    assert said in message_of(read_pool, data, **options)


def test_size_and_channels_are_as_of_files(tmp_path: Path) -> None:
    data = folder_of(tmp_path, {f"{row}.png": encoded(image) for row, image in enumerate(IMAGES)})
    for options in ({"size": (9, 4), "channels": 3}, {"channels": 1}, {"size": (3, 3), "channels": 3}):
        of_arrays, of_files = read_pool(IMAGES, **options), read_pool(data, **options)  # type: ignore[arg-type]
        assert facts(of_arrays) == facts(of_files)
        assert of_arrays.notes == of_files.notes
        assert bool(of_arrays.notes) == (options["channels"] == 1)  # the images are colour


def test_resized_floats_stay_in_their_range() -> None:
    floats = (IMAGES > 127).astype(np.float64)
    pool = read_pool(floats, size=(17, 13), pixels="0..1")
    assert pool.images.shape == (12, 17, 13, 3)
    assert pool.images.dtype == np.float32
    assert pool.images.min() == 0
    assert pool.images.max() == 1
    bytes_pool = read_pool((floats * 255).astype(np.uint8), size=(17, 13))
    assert abs(bytes_pool.images.mean() / 255 - pool.images.mean()) < 0.002


# tf.data


def dataset(*parts: Any) -> Any:
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0])


FORMS: list[Callable[[Any], Any]] = [
    lambda data: data,
    lambda data: data.batch(5),
    lambda data: data.shuffle(12, seed=1).batch(5),
]


@pytest.mark.parametrize("form", FORMS)
def test_a_dataset_gives_what_its_arrays_give(form: Callable[[Any], Any]) -> None:
    assert facts(read_pool(form(dataset(IMAGES, LABELS)))) == facts(read_pool((IMAGES, LABELS)))
    assert facts(read_pool(form(dataset(IMAGES)))) == facts(read_pool(IMAGES))
    grey = IMAGES[..., 0]
    assert facts(read_pool(form(dataset(grey, LABELS)))) == facts(read_pool((grey, LABELS)))
    names = np.array(["a", "b", "c"])[LABELS]
    assert facts(read_pool(form(dataset(IMAGES, names)))) == facts(read_pool((IMAGES, names)))


def test_a_dataset_of_floats_must_be_declared() -> None:
    floats = IMAGES.astype(np.float32)
    text = message_of(read_pool, dataset(floats))
    assert "`pixels` must be declared for `data`" in text
    assert "`pixels='0..255'` fits them" in text
    assert read_pool(dataset(floats), pixels="0..255").pixels == "0..255"


def test_a_dataset_without_end_or_images_is_refused() -> None:
    assert "must be finite; got an infinite dataset" in message_of(read_pool, dataset(IMAGES).repeat())
    assert "got an empty dataset" in message_of(read_pool, dataset(IMAGES).take(0))
    assert "must have elements of image or (image, label); got a dict" in message_of(
        read_pool, dataset({"image": IMAGES})
    )
    assert "must have elements of image or (image, label); got a tuple" in message_of(
        read_pool, dataset(IMAGES, LABELS, LABELS)
    )
    assert "must have elements" in message_of(read_pool, dataset(LABELS))


def test_anything_with_the_iterator_is_taken_and_sizes_may_differ() -> None:
    class Stream:
        def as_numpy_iterator(self) -> Any:
            yield from (IMAGES[0], IMAGES[1, :4], IMAGES[2])

    assert "`size=(H, W)` must be given" in message_of(read_pool, Stream())
    assert read_pool(Stream(), size=(6, 5)).images.shape == (3, 6, 5, 3)


def test_a_zero_with_a_sign_changes_nothing() -> None:
    images = np.random.default_rng(0).random((8, 6, 6, 1), np.float32)
    images[:, 0] = 0
    signed = np.where(images == 0, np.float32(-0.0), images)
    assert read_pool(images, pixels="0..1").fingerprint == read_pool(signed, pixels="0..1").fingerprint


@pytest.mark.parametrize("shape", [(8, 784, 1), (8, 1, 784)])
def test_rows_of_numbers_are_no_pictures(shape: tuple[int, ...]) -> None:
    said = message_of(read_pool, np.zeros(shape, np.uint8))
    assert "rows of 784 numbers, which `images.reshape(-1, 28, 28)` makes pictures" in said
