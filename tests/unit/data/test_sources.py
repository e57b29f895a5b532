"""The forms of `--data` for the thesis, and the embedded images against the official MNIST."""

import hashlib
import importlib.util
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mi_keras.data import mnist
from mi_keras.data.sources import DEFAULT_SOURCE, Source, load_source
from mi_keras.data.splits import image_ids
from tests.processes import REPOSITORY, loaded_by
from tests.unit.data.given import refusal

# Official counts per digit of the 60,000 and the 10,000 images.
OFFICIAL_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
OFFICIAL_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]

message_of = partial(refusal, load_source)


# The door and the embedded images.


@pytest.mark.parametrize(
    "spec", ["", "MNIST", "mnist:", "tfds", "tfds:", "npz:", "cifar10", "http://x/y.npz"]
)
def test_an_unknown_form_lists_the_legal_ones(spec: str) -> None:
    assert message_of(spec) == f"`data` must be mnist, tfds:NAME or npz:FILE; got {spec!r}."


def test_importing_the_door_does_not_import_tensorflow() -> None:
    modules = loaded_by(
        "import mi_keras.data.sources as d, mi_keras.data.splits as s;"
        "s.make_splits(d.load_source('mnist'), s.SplitSettings(), seed=0)"
    )
    assert "mi_keras" in modules
    assert not modules & {"tensorflow", "tensorflow_datasets"}


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


@pytest.mark.slow
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


@pytest.mark.slow
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
