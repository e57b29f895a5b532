"""Every form of `--data`: what it gives, against the official MNIST, and how each failure reads."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mi_keras.data import mnist
from mi_keras.data.sources import DEFAULT_SOURCE, Source, load_source
from mi_keras.data.splits import image_ids
from mi_keras.errors import InputError

REPOSITORY = Path(__file__).parents[3]
# Official counts per digit of the 60,000 and the 10,000 images.
OFFICIAL_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
OFFICIAL_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]

Arrays = dict[str, NDArray[Any]]


def message_of(spec: str, *, offline: bool = True) -> str:
    with pytest.raises(InputError) as caught:
        load_source(spec, offline=offline)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("`--data")
    return text


# The door and the embedded images.


@pytest.mark.parametrize(
    "spec", ["", "MNIST", "mnist:", "tfds", "tfds:", "npz:", "cifar10", "http://x/y.npz"]
)
def test_an_unknown_form_lists_the_legal_ones(spec: str) -> None:
    assert message_of(spec) == f"`--data` must be mnist, tfds:NAME or npz:FILE; got {spec!r}."


def test_importing_the_door_does_not_import_tensorflow() -> None:
    code = (
        "import sys, mi_keras.data.sources, mi_keras.data.splits as s;"
        "s.make_splits(mi_keras.data.sources.load_source('mnist'), s.SplitSettings(), seed=0);"
        "sys.exit('tensorflow' in sys.modules or 'tensorflow_datasets' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_the_default_source_has_the_sizes_of_the_text() -> None:
    source = load_source(DEFAULT_SOURCE, offline=True)
    assert source.train_images.shape == (20000, 28, 28, 1)
    assert source.test_images.shape == (4000, 28, 28, 1)
    assert source.train_images.dtype == source.test_images.dtype == np.uint8
    assert source.train_labels.dtype == source.test_labels.dtype == np.int64
    assert np.bincount(source.train_labels).tolist() == [2000] * 10
    assert np.bincount(source.test_labels).tolist() == [400] * 10
    assert source.class_names == tuple("0123456789")
    both = np.concatenate([image_ids(source.train_images), image_ids(source.test_images)])
    assert len(np.unique(both)) == 24000


def test_the_embedded_file_is_small_and_has_its_licence_beside_it() -> None:
    assert mnist.EMBEDDED_FILE.stat().st_size <= 5_000_000
    licence = (mnist.EMBEDDED_FILE.parent / "LICENSE-MNIST.md").read_text()
    for word in ("Yann LeCun", "Corinna Cortes", "Christopher J.C. Burges", "CC BY-SA 3.0"):
        assert word in licence


@pytest.mark.parametrize("size", [None, 0, 1000])
def test_a_damaged_embedded_file_is_refused(
    size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "mnist_thesis.npz.xz"
    if size is not None:
        copy.write_bytes(mnist.EMBEDDED_FILE.read_bytes()[:size])
    monkeypatch.setattr(mnist, "EMBEDDED_FILE", copy)
    text = message_of("mnist")
    assert "the embedded data file is damaged or missing, reinstall mi-keras" in text
    assert f"({size or 0} bytes)" in text


# Against the official images.


@pytest.fixture(scope="module")
def official_directory() -> str:
    candidates = [os.environ.get("TFDS_DATA_DIR"), str(REPOSITORY.parent / "shared/data/tensorflow_datasets")]
    for directory in filter(None, candidates):
        if Path(directory, "mnist/3.0.1/dataset_info.json").is_file():
            return directory
    pytest.skip("the official MNIST is not prepared: set TFDS_DATA_DIR to where `tfds build mnist` put it")


@pytest.fixture(scope="module")
def official(official_directory: str) -> Source:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", official_directory)
        return load_source("tfds:mnist", offline=True)


def test_tfds_mnist_is_the_official_set(official: Source, official_directory: str) -> None:
    import tensorflow_datasets as tfds

    assert official.name == "tfds:mnist:3.0.1"
    assert official.class_names == tuple("0123456789")
    assert np.bincount(official.train_labels).tolist() == OFFICIAL_TRAIN
    assert np.bincount(official.test_labels).tolist() == OFFICIAL_TEST
    records = tfds.load("mnist", split="train", data_dir=official_directory, shuffle_files=False)
    for position, record in enumerate(records.take(20).as_numpy_iterator()):
        expected = hashlib.sha256(record["image"].tobytes()).digest()
        assert hashlib.sha256(official.train_images[position].tobytes()).digest() == expected
        assert official.train_labels[position] == record["label"]


def test_the_embedded_images_are_official_images_with_their_labels(official: Source) -> None:
    embedded = load_source("mnist")
    for images, labels, official_images, official_labels in (
        (embedded.train_images, embedded.train_labels, official.train_images, official.train_labels),
        (embedded.test_images, embedded.test_labels, official.test_images, official.test_labels),
    ):
        label_of = dict(zip(image_ids(official_images).tolist(), official_labels.tolist(), strict=True))
        assert [label_of[number] for number in image_ids(images).tolist()] == labels.tolist()


def test_the_choice_of_embedded_images_does_not_depend_on_the_order_of_the_records() -> None:
    path = REPOSITORY / "scripts" / "build_embedded_mnist.py"
    specification = importlib.util.spec_from_file_location("build_embedded_mnist", path)
    assert specification
    assert specification.loader
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    generator = np.random.default_rng(5)
    images, labels = generator.integers(0, 256, (30, 4, 4), dtype=np.uint8), np.arange(30) % 3
    order = generator.permutation(30)
    first = script.choose(images, labels, 6, 1)
    second = script.choose(images[order], labels[order], 6, 1)
    np.testing.assert_array_equal(images[first], images[order][second])
    assert np.bincount(labels[first]).tolist() == [6, 6, 6]


# npz:FILE


def good_arrays(**changes: NDArray[Any] | None) -> Arrays:
    generator = np.random.default_rng(0)
    arrays: Arrays = {
        "x_train": generator.integers(0, 256, (12, 5, 4), dtype=np.uint8),
        "y_train": (np.arange(12) % 3).astype(np.uint8),
        "x_test": generator.integers(0, 256, (6, 5, 4), dtype=np.uint8),
        "y_test": (np.arange(6) % 3).astype(np.int32),
    }
    merged = {**arrays, **changes}
    return {key: value for key, value in merged.items() if value is not None}


def saved(path: Path, arrays: Arrays) -> str:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return f"npz:{path}"


@pytest.mark.parametrize(
    ("form", "channels", "dtype"),
    [("bytes", 1, np.uint8), ("colour", 3, np.uint8), ("float64", 1, np.float32), ("float16", 1, np.float32)],
)
def test_npz_gives_what_is_in_the_file(tmp_path: Path, form: str, channels: int, dtype: type) -> None:
    arrays = good_arrays()
    for key in ("x_train", "x_test"):
        if form == "colour":
            arrays[key] = np.stack([arrays[key]] * 3, axis=-1)
        elif form.startswith("float"):
            arrays[key] = (arrays[key] / 255).astype(form)
    spec = saved(tmp_path / "mine.npz", arrays)
    source = load_source(spec)
    assert source.name == spec
    assert source.train_images.shape == (12, 5, 4, channels)
    assert source.train_images.dtype == source.test_images.dtype == dtype
    np.testing.assert_array_equal(
        source.train_images.reshape(arrays["x_train"].shape), arrays["x_train"].astype(dtype)
    )
    np.testing.assert_array_equal(source.test_labels, arrays["y_test"])
    assert source.train_labels.dtype == np.int64
    assert source.class_names == ("0", "1", "2")


def test_the_fingerprint_follows_the_contents_and_not_the_file(tmp_path: Path) -> None:
    first = load_source(saved(tmp_path / "a.npz", good_arrays()))
    same = load_source(saved(tmp_path / "b.npz", good_arrays()))
    changed = good_arrays()
    changed["x_test"][0, 0, 0] ^= 1
    other = load_source(saved(tmp_path / "c.npz", changed))
    assert first.fingerprint == same.fingerprint != other.fingerprint
    assert len(first.fingerprint) == 64


FLOATS = np.full((12, 5, 4), 0.5)
BAD_ARRAYS: list[tuple[dict[str, NDArray[Any] | None], str]] = [
    ({"y_test": None}, "must have the keys x_train, y_train, x_test, y_test; it lacks y_test and has x_train, "),
    ({"x_train": np.zeros((12, 20), np.uint8)}, "`x_train` must be (count, height, width) or (count, height, width, channels), none of them 0; got (12, 20)."),
    ({"x_test": np.zeros((0, 5, 4), np.uint8)}, "`x_test` must be (count, height, width) or"),
    ({"x_train": np.zeros((12, 5, 4), np.int64)}, "`x_train` must be uint8 in 0..255 or floating point in [0, 1]; got int64."),
    ({"x_train": FLOATS * 510}, "`x_train` is floating point and must be in [0, 1], without NaN; got values from 255 to 255."),
    ({"x_train": FLOATS - 1}, "in [0, 1], without NaN; got values from -0.5 to -0.5."),
    ({"x_train": np.where(np.arange(4) == 1, np.nan, FLOATS)}, "without NaN; got values from nan to nan."),
    ({"x_train": FLOATS * np.inf}, "without NaN; got values from inf to inf."),
    ({"x_train": FLOATS}, "`x_train` and `x_test` must have images of one shape and type; got (5, 4, 1) float32 and (5, 4, 1) uint8."),
    ({"x_test": np.zeros((6, 4, 4), np.uint8)}, "must have images of one shape and type; got (5, 4, 1) uint8 and (4, 4, 1) uint8."),
    ({"y_train": np.zeros((12, 1), np.int64)}, "`y_train` must be (count,) class numbers; got shape (12, 1)."),
    ({"y_train": np.zeros(12)}, "`y_train` must be integer class numbers; got float64."),
    ({"y_train": np.zeros(12, bool)}, "`y_train` must be integer class numbers; got bool."),
    ({"y_test": np.arange(6) - 1}, "`y_test` must be class numbers >= 0; got -1."),
    ({"y_train": np.arange(11) % 3}, "`x_train` and `y_train` must have equal lengths; got 12 and 11."),
    ({"y_test": np.arange(6)}, "`y_test` must keep to the classes of `y_train`, 0..2; got 3."),
    ({"y_train": np.arange(12) % 3 * 2}, "`y_train` must use every class number from 0 up, two at least; got no image of class 1."),
    ({"y_train": np.zeros(12, int), "y_test": np.zeros(6, int)}, "two at least; got class 0 alone."),
    ({"y_train": np.arange(12).astype(object)}, "`y_train` must be readable, without pickle; numpy says: Object arrays cannot be loaded when allow_pickle=False."),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), BAD_ARRAYS)
def test_an_npz_that_breaks_a_rule_says_which(
    tmp_path: Path, changes: dict[str, NDArray[Any] | None], message: str
) -> None:
    spec = saved(tmp_path / "mine.npz", good_arrays(**changes))
    text = message_of(spec)
    assert text.startswith(f"`--data {spec}`")
    assert message in text


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    assert f"must be an existing file that can be read; got {tmp_path}/none.npz." in message_of(
        f"npz:{tmp_path}/none.npz"
    )
    assert "must be an existing file that can be read" in message_of(f"npz:{tmp_path}")
    whole = Path(saved(tmp_path / "whole.npz", good_arrays())[4:]).read_bytes()
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.save(tmp_path / "pickled.npy", np.array([{"a": 1}]), allow_pickle=True)
    contents = {"empty": b"", "text": b"hello", "truncated": whole[: len(whole) // 2]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "one.npy", "pickled.npy"):
        text = message_of(f"npz:{tmp_path / name}")
        assert "must be an npz file; got a truncated file or one of another format." in text


def test_an_npz_with_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, **good_arrays())  # type: ignore[arg-type]
    content = bytearray(path.read_bytes())
    start = content.index(b"x_test.npy")
    content[start + 60] ^= 0xFF
    path.write_bytes(content)
    assert "`x_test` must be readable, without pickle; numpy says:" in message_of(f"npz:{path}")


# tfds:NAME, with small sets of our own so that no download is needed.


@pytest.fixture(scope="module")
def own_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three prepared sets: `pets` is whole, `untested` has no test split, `unlabelled` no label."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    root = tmp_path_factory.mktemp("tensorflow_datasets")
    image, label = tfds.features.Image(shape=(5, 4, 1)), tfds.features.ClassLabel(names=["cat", "dog", "eel"])
    arrays = good_arrays()

    def records(part: str, *, labelled: bool = True) -> Any:
        columns = {"image": arrays[f"x_{part}"][..., np.newaxis]}
        if labelled:
            columns["label"] = arrays[f"y_{part}"].astype(np.int64)
        return tf.data.Dataset.from_tensor_slices(columns)

    both = tfds.features.FeaturesDict({"image": image, "label": label})
    alone = tfds.features.FeaturesDict({"image": image})
    store = tfds.dataset_builders.store_as_tfds_dataset
    tfds.disable_progress_bar()
    store("pets", "1.0.0", both, {"train": records("train"), "test": records("test")}, data_dir=root)
    store("untested", "1.0.0", both, {"train": records("train")}, data_dir=root)
    store("unlabelled", "1.0.0", alone, {"train": records("train", labelled=False)}, data_dir=root)
    return root


@pytest.fixture
def tfds_home(own_sets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFDS_DATA_DIR", str(own_sets))
    return own_sets


def test_tfds_gives_a_prepared_set(tfds_home: Path) -> None:
    source = load_source("tfds:pets", offline=True)
    assert source.name == "tfds:pets:1.0.0"
    assert source.class_names == ("cat", "dog", "eel")
    arrays = good_arrays()
    found = {
        image.tobytes(): label for image, label in zip(source.train_images, source.train_labels, strict=True)
    }
    expected = {
        image.tobytes(): label for image, label in zip(arrays["x_train"], arrays["y_train"], strict=True)
    }
    assert found == expected
    assert load_source(source.name, offline=True).fingerprint == source.fingerprint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_set", "must be a set that TensorFlow Datasets knows or that is prepared in "),
        ("no_such_set", "it says: Dataset no_such_set not found."),
        ("mnist:9.9.9", "cannot be loaded at version 9.9.9"),
        ("../pets", "`--data tfds:NAME` must be NAME, NAME/CONFIG or NAME:1.0.0; got '../pets'."),
        (
            "huggingface:mnist",
            "`--data tfds:NAME` must be NAME, NAME/CONFIG or NAME:1.0.0; got 'huggingface:mnist'.",
        ),
        ("untested", "must have the splits train and test; it has train."),
        ("unlabelled", "must have the features `image` and `label` (a class); it has image."),
        ("tf_flowers", "must have uint8 images of one fixed shape; got uint8 (None, None, 3)."),
    ],
)
def test_a_tfds_name_that_breaks_a_rule_says_which(tfds_home: Path, name: str, message: str) -> None:
    assert message in message_of(f"tfds:{name}")


def test_offline_refuses_a_set_that_is_not_prepared_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow_datasets  # noqa: F401  (not part of the time below)

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    start = time.perf_counter()
    text = message_of("tfds:cifar10")
    assert time.perf_counter() - start < 5
    assert text == (
        f"`--data tfds:cifar10` is not prepared in {tmp_path}/cifar10/3.0.2 and --offline forbids the download; "
        f"drop --offline, or first put its official files (cifar-10-binary.tar.gz) in {tmp_path}/downloads/manual "
        "and run once without it."
    )
    assert not list(tmp_path.iterdir())


def test_a_download_that_fails_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nothing listens there
    from tensorflow_datasets.core.download import downloader

    retries, start = downloader.MAX_RETRIES, time.perf_counter()
    text = message_of("tfds:cifar10", offline=False)
    assert time.perf_counter() - start < 60  # with the library's own retries it takes minutes
    assert downloader.MAX_RETRIES == retries > 5
    assert (
        f"`--data tfds:cifar10` could not be prepared in {tmp_path}/cifar10/3.0.2: HTTPSConnectionPool"
        in text
    )
    assert (
        "check the network and that the folder is writable, or put its official files (cifar-10-bin" in text
    )


def test_a_wrong_file_in_the_manual_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "cifar-10-binary.tar.gz").write_bytes(b"a quota page")
    text = message_of("tfds:cifar10", offline=False)
    assert "could not be prepared" in text
    assert "checksum" in text.lower() or "Artifact" in text


def test_a_set_with_a_truncated_file_is_refused(
    tfds_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tfds_home / "pets", tmp_path / "pets")
    (shard,) = (tmp_path / "pets/1.0.0").glob("*train.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:-10])
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    text = message_of("tfds:pets")
    assert (
        f"must be prepared as undamaged tfrecord files; remove {tmp_path}/pets/1.0.0 and prepare it again"
        in text
    )
