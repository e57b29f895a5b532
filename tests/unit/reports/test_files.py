"""Result files: what is read is checked, what is written is whole, and none of it needs TensorFlow."""

import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.reports import files
from mi_keras.reports.files import load_result, write_reports


def change(directory, **fields):
    path = directory / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_what_is_loaded_is_what_was_stored(result_directory):
    result, arrays = load_result(result_directory)
    assert result == json.loads((result_directory / "result.json").read_text())
    with np.load(result_directory / "arrays.npz") as stored:
        assert set(arrays) == set(stored.files)
        np.testing.assert_array_equal(arrays["ssim.o+x"], stored["ssim.o+x"])


def test_reports_are_written_beside_the_result(result_directory):
    written = write_reports(str(result_directory))
    assert [path.name for path in written] == [
        "table_4.md", "table_4.csv", "best_per_class.png", "class_counts.png",
    ]  # fmt: skip
    assert {path.name for path in result_directory.iterdir()} == {
        "result.json",
        "arrays.npz",
        *(p.name for p in written),
    }
    for path in written[2:]:
        content = path.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", content[16:24])
        assert width == 1200
        assert 250 < height < 2000


def test_the_markdown_holds_table_claims_and_figures(result_directory):
    text = write_reports(result_directory)[0].read_text()
    assert text.startswith(
        "# thesis 5.2: Input combinations of the inversion model\n\nthesis 5.2 · preset quick"
    )
    assert "| combination | SSIM | MSE | paper SSIM | paper MSE | note |" in text
    assert "- **does not hold**: More inputs are worse" in text
    assert "![Title of class_counts](class_counts.png)\n\nCaption of class_counts." in text


def test_reports_are_the_same_bytes_when_written_again(result_directory):
    first = [path.read_bytes() for path in write_reports(result_directory)]
    assert [path.read_bytes() for path in write_reports(result_directory)] == first


def test_an_interrupted_write_leaves_the_old_file_and_no_other(result_directory, monkeypatch):
    path = write_reports(result_directory)[1]
    before = set(result_directory.iterdir())
    path.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        files._write(path, b"new")
    assert path.read_text() == "old"
    assert set(result_directory.iterdir()) == before


@pytest.mark.parametrize("name", ["result.json", "arrays.npz"])
def test_a_missing_file_is_named(result_directory, name):
    os.remove(result_directory / name)
    with pytest.raises(
        InputError, match=rf"^`directory` must hold result.json and arrays.npz; .* without {name}\.$"
    ):
        load_result(result_directory)


@pytest.mark.parametrize("name", ["result.json", "arrays.npz"])
@pytest.mark.parametrize("damage", ["empty", "half", "text", "flipped"])
def test_a_damaged_file_is_named_in_one_line(result_directory, name, damage):
    path = result_directory / name
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes({
        "empty": b"", "half": content[:middle], "text": b"not this format",
        "flipped": content[:middle] + bytes(255 - byte for byte in content[middle : middle + 64]) + content[middle + 64 :],
    }[damage])  # fmt: skip
    with pytest.raises(InputError, match=f"{name}` must be .*; got a damaged file") as caught:
        load_result(result_directory)
    assert "\n" not in str(caught.value)


def test_pickled_arrays_are_not_read(result_directory):
    np.savez(result_directory / "arrays.npz", targets=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="got a damaged file"):
        load_result(result_directory)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schema": "mi_keras.result/2"}, "`schema` of result.json must be 'mi_keras.result/1'; got 'mi_keras.result/2'"),
        ({"runs": "two"}, "`result.runs` must be of type int; got 'two'"),
        ({"rows": None}, "`result.rows` must be of type list; got None"),
        ({"rows": [{"name": "o"}]}, r"`rows\[0\].label` must be of type str; got None"),
        ({"rows": [3]}, r"`rows\[0\]` must be an object; got int"),
        ({"claims": [{"text": "", "source": "", "numbers": "", "holds": "yes"}]}, "must be true, false or null; got 'yes'"),
        ({"table": "../table"}, r"`table` must be a plain file name .*; got '../table'"),
        ({"figures": [{"file": "/tmp/a.png", "kind": "", "title": "", "caption": "", "rows": []}]},
         r"`figures\[0\].file` must be a plain file name"),
    ],
)  # fmt: skip
def test_a_field_that_breaks_the_schema_is_named(result_directory, fields, message):
    change(result_directory, **fields)
    with pytest.raises(InputError, match=message):
        load_result(result_directory)


def test_a_list_is_no_result(result_directory):
    (result_directory / "result.json").write_text("[]")
    with pytest.raises(InputError, match=r"`schema` of result.json must be .*; got 'list'"):
        load_result(result_directory)


def test_rows_are_checked_in_depth(result_directory):
    rows = load_result(result_directory)[0]["rows"]
    for broken, message in (
        ([rows[0] | {"group": "other"}], "group` must be one of attack, baseline; got 'other'"),
        ([rows[0] | {"ssim": {"mean": None}}], r"`rows\[0\].ssim.mean` must be of type float"),
        ([rows[0] | {"mse": {"mean": 0.1, "std": "0"}}], r"`rows\[0\].mse.std` must be of type"),
        ([rows[0] | {"paper": {"table": "Table 4", "ssim": {}}}], r"`rows\[0\].paper.ssim.mean`"),
        ([rows[0], rows[0]], "`rows` must have distinct names; got o, o"),
    ):
        change(result_directory, rows=broken)
        with pytest.raises(InputError, match=message):
            load_result(result_directory)


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("labels", (3,), r"`targets` must be \(images, height, width, channels\) and `labels` \(images,\)"),
        ("reconstruction.o", (20, 8, 8, 1), r"`reconstruction.o` must have the shape \(20, 12, 12, 1\)"),
        ("ssim.o", (20,), r"`ssim.o` of arrays.npz must be \(runs, images\)"),
        ("ssim.o", (1, 19), r"`ssim.o` must be \(runs, 20\)"),
        ("curve.o.loss", (1, 0), r"`curve.o.loss` of arrays.npz must be \(runs, epochs\), none empty"),
        ("gradient_loss.logit_mse", (1, 5, 3), r"`gradient_loss.logit_mse` of arrays.npz must be \(runs, steps, 4 terms\)"),
    ],
)  # fmt: skip
def test_an_array_of_another_shape_is_named(result_directory, key, shape, message):
    _, arrays = load_result(result_directory)
    np.savez(result_directory / "arrays.npz", **arrays | {key: np.zeros(shape)})
    with pytest.raises(InputError, match=message):
        load_result(result_directory)


def test_reports_import_neither_tensorflow_nor_keras_nor_pyplot(result_directory):
    program = (
        "import sys; from mi_keras.reports.files import *; from mi_keras.reports.tables import print_result; "
        "from rich.console import Console; write_reports(sys.argv[1]); "
        "print_result(load_result(sys.argv[1])[0], Console(file=sys.stderr)); "
        "print(sorted({'tensorflow', 'keras', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(result_directory)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
