"""Bad input: one line, exit code 2, no traceback, found before any work."""

import time

import numpy as np
import pytest

from mi_keras.cli import main
from tests.integration.command import call
from tests.processes import loaded_by


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "`--section` must be given"),
        (
            ["--section", "9.9"],
            "`--section` of work thesis must be one of: 4.2, 5.1, 5.2, 5.2-pairs, 5.2-search, 5.3, 5.4, 7, all; got 9.9",
        ),
        (
            ["--section", "all", "--set", "gradient.steps=3"],
            "`--set gradient.steps` must name a setting: ",
        ),
        (["--section", "5.4", "--set", "top=11"], "`top` must be at most the number of classes, 10; got 11"),
        (
            ["--section", "5.1", "--set", "search.images=0"],
            "`search.images` must be between 1 and 1000000; got 0",
        ),
        (
            ["exprot"],
            "the first argument must be an option or one of search, audit, export, verify, models, serve-config, invert; got exprot",
        ),
        (
            ["--section", "5.3", "--set", "decimals=9"],
            "`decimals` must be among 0, 1, 2, 3, 4, 5, 6, 7; got 9",
        ),
        (["--section", "4.2", "--set", "variants=tanh"], "`variants` must be among none, none+dropout"),
        (["--section", "5.2", "--preset", "huge"], "--preset"),
        (["--section", "5.2", "--precision", "half"], "--precision"),
        (["--section", "5.2", "--work", "novel"], "--work"),
        (["--section", "5.2", "--runs", "0"], "`--runs` must be between 1 and 1000; got 0"),
        (["--section", "5.2", "--runs", "two"], "--runs"),
        (["--section", "5.2", "--nonsense"], "--nonsense"),
        (["--section", "5.2", "--set", "steps=3"], "`--set steps` must name a setting"),
        (
            ["--section", "5.2", "--set", "gradient.steps=-1"],
            "`gradient.steps` must be >= 0; got -1",
        ),
        (["--section", "5.2", "--set", "combinations=o,q"], "`combinations` must be among"),
        (["--section", "5.2", "--data", "imagenet"], "`--data` must be"),
        (
            ["--section", "5.2", "--data", "tfds:fashion_mnist", "--offline"],
            "`--offline` forbids the download",
        ),
        (["--section", "5.2", "--data", "npz:missing.npz"], "missing.npz"),
        (["--section", "5.2", "--data", "npz:truncated.npz"], "truncated.npz"),
        (["--section", "5.2", "--data", "npz:range.npz"], "x_train"),
        (["--section", "5.2", "--data", "npz:labels.npz"], "y_test"),
        (["--section", "5.2", "--data", "npz:pickled.npz"], "pickled.npz"),
        (["--section", "5.2", "--data", "npz:few.npz"], "train_per_class"),
        (["--section", "5.2", "--out", "blocked/results"], "`--out` must be a folder that can be written"),
    ],
)
def test_bad_input_is_one_line_with_exit_code_2(tmp_path, monkeypatch, refusal_of, arguments, message):
    _write_sources(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MI_KERAS_HOME", str(tmp_path / "store"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    assert message in refusal_of(main, arguments)
    assert not list(tmp_path.glob("store/stages/*"))


@pytest.mark.parametrize(
    "arguments", [["--section", "5.2", "--nonsense"], ["--section", "5.2", "--set", "top=3"]]
)
def test_the_process_too_ends_with_exit_code_2_after_one_line(tmp_path, arguments):
    finished = call(tmp_path, *arguments)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert arguments[-1].partition("=")[0] in finished.stderr
    assert len(finished.stderr.strip().splitlines()) == 1, finished.stderr


@pytest.mark.parametrize("argument", ["--list", "--help"])
def test_list_and_help_answer_within_a_second_without_tensorflow(tmp_path, argument):
    for _ in range(3):  # another process may hold this one up
        started = time.monotonic()
        finished = call(tmp_path, argument)
        if (seconds := time.monotonic() - started) < 1:
            break
    assert finished.returncode == 0
    assert "5.2" in finished.stdout
    assert seconds < 1
    assert not (tmp_path / "store").exists()


def test_the_package_is_the_command_too(tmp_path):
    module = ("-m", "mi_keras")
    assert call(tmp_path, "--list", program=module).stdout == call(tmp_path, "--list").stdout != ""
    refused = call(tmp_path, "audits", program=module)
    assert refused.returncode == 2
    assert refused.stderr.startswith("mi-keras: the first argument must be an option or one of search, audit")


@pytest.mark.parametrize(
    "module", ["mi_keras", "mi_keras.cli", "mi_keras.reports.files", "mi_keras.experiments.registry"]
)
def test_light_modules_import_no_tensorflow(module):
    modules = loaded_by(f"import {module}")
    assert "mi_keras" in modules
    assert not modules & {"tensorflow", "keras"}


def test_an_experiments_file_imports_no_tensorflow():
    code = "from mi_keras.experiments.registry import SECTIONS; [section.load() for section in SECTIONS]"
    assert "tensorflow" not in loaded_by(code)


def _write_sources(folder):
    images, labels = np.zeros((20, 28, 28), np.uint8), np.arange(20) % 2
    images[:, 0, 0], images[:, 0, 1] = np.arange(20), np.arange(20) * 3
    good = {"x_train": images, "y_train": labels, "x_test": images + 100, "y_test": labels}
    np.savez(folder / "few.npz", **good)
    np.savez(folder / "range.npz", **good | {"x_train": images.astype(np.float32)})
    np.savez(folder / "labels.npz", **good | {"y_test": labels + 5})
    np.savez(folder / "pickled.npz", **good | {"y_train": np.array([{}] * 20, dtype=object)})
    (folder / "truncated.npz").write_bytes((folder / "few.npz").read_bytes()[:400])
    (folder / "blocked").write_text("a file where a folder should be")
