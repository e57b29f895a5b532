"""`--data npz:FILE`: what it gives, and every rule that a file can break."""

import re
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mi_keras.data import npz_source
from mi_keras.data.sources import load_source
from tests.unit.data.given import Arrays, good_arrays, refusal

message_of = partial(refusal, load_source)


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


def test_labels_of_one_column_are_taken_as_keras_datasets_gives_those_of_cifar(tmp_path: Path) -> None:
    flat = load_source(saved(tmp_path / "flat.npz", good_arrays()))
    column = {
        key: values[:, np.newaxis] if key.startswith("y_") else values
        for key, values in good_arrays().items()
    }
    source = load_source(saved(tmp_path / "column.npz", column))
    np.testing.assert_array_equal(source.train_labels, flat.train_labels)
    assert source.fingerprint == flat.fingerprint


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
    ({"x_train": np.zeros((12, 784), np.uint8)}, "got (12, 784): rows of 784 numbers, which `images.reshape(-1, 28, 28)` makes pictures."),
    ({"x_train": np.zeros((12, 784, 1), np.uint8)}, "`x_train` must be pictures of at least 4 pixels a side; got (12, 784, 1): rows of 784 numbers, which `images.reshape(-1, 28, 28)` makes pictures."),
    ({"x_train": np.zeros((12, 1, 784), np.uint8)}, "which `images.reshape(-1, 28, 28)` makes pictures."),
    ({"x_train": np.zeros((12, 1024, 3), np.uint8)}, "rows of 3072 numbers, which `images.reshape(-1, 32, 32, 3)` makes pictures."),
    ({"x_train": np.zeros((12, 784, 1, 1), np.uint8)}, "which `images.reshape(-1, 28, 28)` makes pictures."),
    ({"x_train": np.zeros((12, 3, 32, 32), np.uint8)}, "at least 4 pixels a side; got (12, 3, 32, 32): `numpy.moveaxis(images, 1, -1)` brings the channels last."),
    ({"x_train": np.zeros((12, 8, 8, 4), np.uint8)}, "`x_train` must have 1 or 3 channels, and the channels stand last; got images of (8, 8, 4): leave the transparency out."),
    ({"x_train": np.zeros((12, 8, 8, 2), np.uint8)}, "`x_train` must have 1 or 3 channels, and the channels stand last; got images of (8, 8, 2)."),
    ({"x_test": np.zeros((0, 5, 4), np.uint8)}, "`x_test` must be (count, height, width) or"),
    ({"x_train": np.zeros((12, 5, 4), np.int64)}, "`x_train` must be uint8 in 0..255 or floating point in [0, 1]; got int64: `images.astype('uint8')` makes bytes of them."),
    ({"x_train": np.full((12, 5, 4), 256, np.uint16)}, "`x_train` must be uint8 in 0..255 or floating point in [0, 1]; got uint16."),
    ({"x_train": FLOATS * 510}, "`x_train` is floating point and must be in [0, 1], without NaN; got values from 255 to 255: use `images / 255` if they are in [0, 255]."),
    ({"x_train": FLOATS - 1}, "in [0, 1], without NaN; got values from -0.5 to -0.5: use `(images + 1) / 2` if they are in [-1, 1]."),
    ({"x_train": np.where(np.arange(4) == 1, np.nan, FLOATS)}, "without NaN; got values from nan to nan."),
    ({"x_train": FLOATS * np.inf}, "without NaN; got values from inf to inf."),
    ({"x_train": FLOATS}, "`x_train` and `x_test` must have images of one shape and type; got (5, 4, 1) float32 and (5, 4, 1) uint8."),
    ({"x_test": np.zeros((6, 4, 4), np.uint8)}, "must have images of one shape and type; got (5, 4, 1) uint8 and (4, 4, 1) uint8."),
    ({"y_train": np.zeros((12, 2), np.int64)}, "`y_train` must be (count,) class numbers; got shape (12, 2)."),
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
    assert text.startswith(f"`data='{spec}'`")
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


def test_an_npz_that_would_unpack_to_gigabytes_is_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz_source, "HARMLESS", 10_000)
    np.savez_compressed(tmp_path / "bomb.npz", **good_arrays(x_train=np.zeros((12, 500, 400), np.uint8)))
    assert re.search(
        r"must hold as much as it declares; `x_train.npy` has [\d,]+ bytes and declares 2,400,",
        message_of(f"npz:{tmp_path}/bomb.npz"),
    )
    with zipfile.ZipFile(tmp_path / "lying.npz", "w") as archive, archive.open("x_train.npy", "w") as member:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**14, 12, 12)}
        np.lib.format.write_array_header_1_0(member, header)
    for key in ("y_train", "x_test", "y_test"):
        with (
            zipfile.ZipFile(tmp_path / "lying.npz", "a") as archive,
            archive.open(f"{key}.npy", "w") as member,
        ):
            np.lib.format.write_array(member, good_arrays()[key])
    assert "`x_train` must be readable, without pickle" in message_of(f"npz:{tmp_path}/lying.npz")


def test_an_npz_with_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, **good_arrays())  # type: ignore[arg-type]
    content = bytearray(path.read_bytes())
    start = content.index(b"x_test.npy")
    content[start + 60] ^= 0xFF
    path.write_bytes(content)
    assert "`x_test` must be readable, without pickle; numpy says:" in message_of(f"npz:{path}")
