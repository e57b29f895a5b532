"""Result files: what is read is checked, what is written is whole, and none of it needs TensorFlow."""

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.reports import files
from mi_keras.reports.files import load_result, write_reports
from mi_keras.results import read_result


def change(directory, **fields):
    path = directory / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_what_is_loaded_is_what_was_stored(result_directory):
    result, arrays = load_result(result_directory)
    assert result == read_result(json.loads((result_directory / "result.json").read_text()))
    with np.load(result_directory / "arrays.npz") as stored:
        assert set(arrays) == set(stored.files)
        np.testing.assert_array_equal(arrays["ssim.o+x"], stored["ssim.o+x"])


def test_the_code_for_readers_of_results_runs(result_directory, tmp_path, monkeypatch, capsys):
    (tmp_path / "results/5.2").mkdir(parents=True)
    (tmp_path / "results/5.2/quick").symlink_to(result_directory)
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[3] / "docs/result_schema.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    exec(code.replace("write_reports(", "pages = write_reports("), names := {"__name__": "reader"})
    assert 0 < float(capsys.readouterr().out) < 1
    assert result_directory / "index.html" in [path.resolve() for path in names["pages"]]


def test_reports_are_written_beside_the_result_and_other_files_are_left_alone(result_directory):
    (result_directory / "table_4.md").write_text("of an earlier schema")
    written = write_reports(str(result_directory))
    assert [path.name for path in written] == [
        "index.html", "index.md", "images.html", "table_4.csv", "table_2.csv", "trials.csv", "class_images.png", "class_counts.png",
    ]  # fmt: skip
    assert {path.name for path in result_directory.iterdir()} == {
        "result.json",
        "arrays.npz",
        "table_4.md",
        *(p.name for p in written),
    }
    assert (result_directory / "table_4.md").read_text() == "of an earlier schema"
    for path in written[-2:]:
        content = path.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", content[16:24])
        assert width == 1200
        assert 250 < height < 2000


def test_reports_are_the_same_bytes_when_written_again(result_directory):
    first = [path.read_bytes() for path in write_reports(result_directory)]
    assert [path.read_bytes() for path in write_reports(result_directory)] == first


def test_nothing_is_written_where_a_figure_asks_for_what_is_not_there(result_directory):
    figure = {
        "file": "a.png",
        "kind": "chosen_images",
        "title": "",
        "caption": "",
        "rows": [],
        "images": [20],
    }
    change(result_directory, figures=[figure])
    with pytest.raises(InputError, match=r"`images` of a.png must be below 20; got 20\."):
        write_reports(result_directory)
    assert {path.name for path in result_directory.iterdir()} == {"result.json", "arrays.npz"}


def test_an_interrupted_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "table_4.csv"
    path.write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        files._write(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


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


def test_arrays_of_another_run_are_refused(result_directory):
    change(result_directory, arrays_sha256="0" * 64)
    with pytest.raises(InputError, match=r"arrays.npz` must be the file that result.json describes"):
        load_result(result_directory)


def test_both_files_are_checked(result_directory):
    _, arrays = load_result(result_directory)
    np.savez(result_directory / "arrays.npz", **arrays | {"labels": np.zeros(3)})
    with pytest.raises(InputError, match=r"`labels` of arrays.npz must be"):
        load_result(result_directory)
    change(result_directory, schema="mi_keras.result/1")
    with pytest.raises(InputError, match=r"got 'mi_keras.result/1': run the section again\.$"):
        load_result(result_directory)


def test_reports_import_neither_tensorflow_nor_keras_nor_pyplot(result_directory):
    program = (
        "import sys; from mi_keras.reports.files import *; from mi_keras.reports.tables import print_result; "
        "from mi_keras.reports.html import write_overview; from rich.console import Console; "
        "report = read_report(sys.argv[1]); write_reports(sys.argv[1], report); write_overview([report], sys.argv[1] + '/all.html'); "
        "print_result(load_result(sys.argv[1])[0], Console(file=sys.stderr)); "
        "print(sorted({'tensorflow', 'keras', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(result_directory)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
