"""`--data tfds:NAME` of both works, with small sets of our own so that no download is needed."""

import io
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mi_keras.data.face_sources import open_faces
from mi_keras.data.sources import load_source
from mi_keras.errors import InputError
from tests.unit.data.given import good_arrays, refusal

CELEBA_FILES = (
    "list_eval_partition.txt", "img_align_celeba.zip", "list_attr_celeba.txt", "list_landmarks_align_celeba.txt",
    "identity_CelebA.txt",
)  # fmt: skip
PIXELS = np.random.default_rng(1).integers(0, 256, (9, 6, 5, 3), dtype=np.uint8)  # of `people`


@pytest.fixture(scope="module")
def own_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven prepared sets.

    `pets` has images, labels and both splits; `untested` has no test split, `unlabelled` no label, `layered` four channels. `people` has images
    and an attribute in two splits; `wide` has 16-bit images, `plain` no image.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    root = tmp_path_factory.mktemp("tensorflow_datasets")
    features, arrays = tfds.features, good_arrays()
    tfds.disable_progress_bar()

    def store(name: str, described: dict[str, Any], **splits: dict[str, NDArray[Any]]) -> None:
        records = {split: tf.data.Dataset.from_tensor_slices(columns) for split, columns in splits.items()}
        tfds.dataset_builders.store_as_tfds_dataset(
            name, "1.0.0", features.FeaturesDict(described), records, data_dir=root
        )

    image, label = features.Image(shape=(5, 4, 1)), features.ClassLabel(names=["cat", "dog", "eel"])
    train, test = (
        {"image": arrays[f"x_{part}"][..., np.newaxis], "label": arrays[f"y_{part}"].astype(np.int64)}
        for part in ("train", "test")
    )
    store("pets", {"image": image, "label": label}, train=train, test=test)
    store("untested", {"image": image, "label": label}, train=train)
    store("unlabelled", {"image": image}, train={"image": train["image"]})
    layered = {"image": features.Image(shape=(5, 4, 4), encoding_format="png"), "label": label}
    store("layered", layered, train={"image": np.repeat(train["image"], 4, axis=-1), "label": train["label"]})

    image, young = features.Image(shape=(None, None, 3), encoding_format="png"), np.ones(9, np.bool_)
    train, test = ({"image": PIXELS[part], "young": young[part]} for part in (slice(6), slice(6, None)))
    store("people", {"image": image, "young": np.bool_}, train=train, test=test)
    image = features.Image(shape=(6, 5, 1), dtype=np.uint16)
    store("wide", {"image": image}, train={"image": PIXELS[..., :1].astype(np.uint16)})
    store("plain", {"young": np.bool_}, train={"young": young})
    return root


@pytest.fixture
def tfds_home(own_sets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFDS_DATA_DIR", str(own_sets))
    return own_sets


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


# A set as it is


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


def test_tfds_gives_the_pictures_of_all_splits(tfds_home: Path) -> None:
    import tensorflow_datasets as tfds

    source = open_faces("tfds:people", offline=True)
    assert source.name == "tfds:people"
    assert len(source.keys) == 9
    assert list(source.keys) == sorted(source.keys)
    expected = {}  # read by the library itself, decoded
    for split in ("train", "test"):
        records = tfds.load(
            "people", split=split, data_dir=tfds_home, read_config=tfds.ReadConfig(add_tfds_id=True)
        )
        for record in records.as_numpy_iterator():
            expected[record["tfds_id"].decode()] = record["image"]
    wanted = [source.keys[place] for place in (8, 0, 4, 7, 1)]
    read = list(source.read(wanted))
    assert [key for key, _ in read] == wanted
    for key, content in read:
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), expected[key])
    assert {image.tobytes() for image in expected.values()} == {image.tobytes() for image in PIXELS}
    assert len(dict(source.read(source.keys))) == 9


def test_the_fingerprint_of_a_set_is_its_name_version_and_sizes(tfds_home: Path) -> None:
    first = open_faces("tfds:people", offline=True)
    again = open_faces("tfds:people:1.0.0", offline=True)
    assert first.fingerprint == again.fingerprint
    assert first.keys == again.keys
    sizes = tfds_home / "people" / "1.0.0" / "dataset_info.json"
    stored = sizes.read_text()
    changed = stored.replace('"6"', '"5"')
    assert changed != stored
    try:
        sizes.write_text(changed)
        assert open_faces("tfds:people", offline=True).fingerprint != first.fingerprint
    finally:
        sizes.write_text(stored)
    assert open_faces("tfds:pets", offline=True).fingerprint != first.fingerprint


# What is refused


BROKEN_RULES = {
    load_source: [
        ("no_such_set", "must be a set that TensorFlow Datasets knows or that is prepared in "),
        ("no_such_set", "it says: Dataset no_such_set not found."),
        ("mnist:9.9.9", "cannot be loaded at version 9.9.9"),
        ("../pets", "`data='tfds:NAME'` must be NAME, NAME/CONFIG or NAME:1.0.0; got '../pets'."),
        (
            "huggingface:mnist",
            "`data='tfds:NAME'` must be NAME, NAME/CONFIG or NAME:1.0.0; got 'huggingface:mnist'.",
        ),
        ("untested", "must have the splits train and test; it has train."),
        (
            "layered",
            "must have 1 or 3 channels, and the channels stand last; got images of (5, 4, 4): leave the transparency out.",
        ),
        ("unlabelled", "must have the features `image` and `label` (a class); it has image."),
        ("tf_flowers", "must have uint8 images of one fixed shape; got uint8 (None, None, 3)."),
    ],
    open_faces: [
        ("no_such_set", "must be a set that TensorFlow Datasets knows or that is prepared in "),
        ("../people", "`data='tfds:NAME'` must be NAME, NAME/CONFIG or NAME:1.0.0; got '../people'."),
        ("wide", "must have the feature `image`, of uint8; it has image."),
        ("plain", "must have the feature `image`, of uint8; it has young."),
    ],
}


@pytest.mark.parametrize(
    ("door", "name", "message"),
    [(door, *rule) for door, rules in BROKEN_RULES.items() for rule in rules],
)
def test_a_tfds_name_that_breaks_a_rule_says_which(
    tfds_home: Path, door: Callable[..., object], name: str, message: str
) -> None:
    assert message in refusal(door, f"tfds:{name}")


@pytest.mark.parametrize(
    ("door", "name", "version", "files"),
    [
        (load_source, "cifar10", "3.0.2", ["cifar-10-binary.tar.gz"]),
        (open_faces, "celeb_a", "2.1.0", CELEBA_FILES),
    ],
)
def test_offline_refuses_a_set_that_is_not_prepared_at_once(
    empty_home: Path, door: Callable[..., object], name: str, version: str, files: list[str]
) -> None:
    import tensorflow_datasets  # noqa: F401  (not part of the time below)

    start = time.perf_counter()
    text = refusal(door, f"tfds:{name}")
    assert time.perf_counter() - start < 5
    (listed,) = re.findall(r"its official files \((.*)\) in ", text)
    assert sorted(listed.split(", ")) == sorted(files)
    assert text == (
        f"`data='tfds:{name}'` is not prepared in {empty_home}/{name}/{version} and `offline` forbids the download; "
        f"drop `offline`, or first put its official files ({listed}) in {empty_home}/downloads/manual "
        "and run once without it."
    )
    assert not list(empty_home.iterdir())


def test_a_download_that_fails_says_what_to_do(empty_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "urllib.request._opener", None
    )  # it keeps the proxies of its first use, for other tests too
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nothing listens there
    from tensorflow_datasets.core.download import downloader

    retries, start = downloader.MAX_RETRIES, time.perf_counter()
    text = refusal(load_source, "tfds:cifar10", offline=False)
    assert time.perf_counter() - start < 60  # with the library's own retries it takes minutes
    assert downloader.MAX_RETRIES == retries > 5
    assert (
        f"`data='tfds:cifar10'` could not be prepared in {empty_home}/cifar10/3.0.2: HTTPSConnectionPool"
        in text
    )
    assert (
        "check the network and that the folder is writable, or put its official files (cifar-10-bin" in text
    )


def test_a_wrong_file_in_the_manual_folder_is_refused(empty_home: Path) -> None:
    manual = empty_home / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "cifar-10-binary.tar.gz").write_bytes(b"a quota page")
    text = refusal(load_source, "tfds:cifar10", offline=False)
    assert "could not be prepared" in text
    assert "checksum" in text.lower() or "Artifact" in text


def test_celeba_that_cannot_be_prepared_says_what_to_do(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Network is unreachable")

    monkeypatch.setattr("tensorflow_datasets.core.download.downloader._Downloader.download", unreachable)
    manual = empty_home / "downloads" / "manual"
    manual.mkdir(parents=True)

    def said() -> str:
        text = refusal(open_faces, "tfds:celeb_a", offline=False)
        assert f"`data='tfds:celeb_a'` could not be prepared in {empty_home}/celeb_a/2.1.0: " in text
        assert all(file in text for file in CELEBA_FILES)
        assert text.endswith(
            f" in {manual}, or give the pictures themselves: `data='zip:PATH'`, or `data='folder:PATH'` once unzipped."
        )
        return text

    assert "Network is unreachable" in said()
    for file in CELEBA_FILES:
        (manual / file).write_bytes(b"Quota exceeded")
    assert ": Artifact https://drive.google.com" in said()  # what the library says of a wrong checksum


def read_pets() -> None:
    load_source("tfds:pets", offline=True)


def read_people() -> None:
    source = open_faces("tfds:people", offline=True)
    list(source.read(source.keys))


@pytest.mark.parametrize(("name", "read"), [("pets", read_pets), ("people", read_people)])
def test_a_set_with_a_truncated_file_is_refused(
    own_sets: Path, empty_home: Path, name: str, read: Callable[[], None]
) -> None:
    folder = shutil.copytree(own_sets / name, empty_home / name) / "1.0.0"
    (shard,) = folder.glob("*train.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(InputError) as caught:
        read()
    assert str(caught.value).startswith(
        f"`data='tfds:{name}'` must be prepared as undamaged tfrecord files; remove {folder} and prepare it again: "
    )
    assert "\n" not in str(caught.value)
