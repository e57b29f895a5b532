"""The command line of the searches: a whole search at the smallest size, and one line for everything that is wrong."""

import json
import runpy
import sys
import tomllib

import numpy as np
import pytest

from mi_keras import cli
from mi_keras.reports.files import load_result
from mi_keras.tuning.search import main
from tests.processes import REPOSITORY, complaints

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner.*")
SMALL = ("--preset", "smoke", "--set", "data.method=stratified", "--set", "data.train_per_class=4",
         "--set", "classifier.epochs=1", "--set", "gradient.steps=2")  # fmt: skip
TRIALS = ("--set", "search.coarse_trials=3", "--set", "search.fine_trials=2", "--set", "search.images=8")


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MI_KERAS_HOME", str(tmp_path / "store"))
    return tmp_path / "store"


def test_a_search_prints_and_writes_every_trial_and_the_best_pair(tmp_path, capsys):
    command = [*SMALL, *TRIALS, "--out", str(tmp_path)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    folder = tmp_path / "search" / "gradient" / "smoke"
    result, arrays = load_result(folder)
    (table,) = result.tables
    assert [row.label for row in table.rows] == ["coarse 1", "coarse 2", "coarse 3", "fine 1", "fine 2"]
    assert all(row.label in printed for row in table.rows)
    assert "5 trials, 0 of them failed." in printed
    best = max(table.rows, key=lambda row: row.values["ssim"].mean).values
    assert f"Best weights: L2 {best['l2_weight'].mean:.4g}" in printed
    np.testing.assert_array_equal(
        np.concatenate([arrays["search.coarse.ssim"], arrays["search.fine.ssim"]]),
        [row.values["ssim"].mean for row in table.rows],
    )
    assert (folder / "figure_8.png").stat().st_size > 10_000
    written = (folder / "arrays.npz").stat().st_mtime_ns
    assert main(command) == 0  # the second time nothing is computed
    assert capsys.readouterr().out == printed
    timings = json.loads((folder / "result.json").read_text())["timings"]
    assert len(timings) > 1
    assert all(entry["reused"] for entry in timings if entry["stage"] != "all")
    assert (folder / "arrays.npz").stat().st_mtime_ns > written


def test_a_search_of_the_inverter_shows_the_settings_of_every_trial(tmp_path, capsys):
    trial = ("--set", "search.trials=1", "--set", "search.combination=o")
    assert main([*SMALL, *trial, "--space", "inverter", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for word in ("learning rate", "input noise", "dropout", "width", "Best settings", "1 trials, 0 of them"):
        assert word in printed


def test_workers_that_do_not_get_on_are_one_line_with_exit_code_1(tmp_path, capsys):
    command = [*SMALL, *TRIALS, "--out", str(tmp_path), "--workers", "2", "--patience", "0.01"]
    assert main(command) == 1
    message = complaints(capsys.readouterr().err)
    assert message.startswith("stopped: no trial of coarse finished within 0.01 seconds; the logs are in: ")
    assert message.count("\n") == 1
    assert "run the same command again" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "-1"], "`--workers` must be between 0 and 64; got -1."),
        (["--patience", "0"], "`--patience` must be above 0 seconds; got 0.0."),
        (["--ray", "auto", "--workers", "2"], "`--workers` must be left out with `--ray`; got 2."),
        (["--gpus-per-stage", "1"], "`--gpus-per-stage` and `--memory-per-stage` must go with `--ray`; got none."),
        (["--ray", "127.0.0.1:1"], "`--ray` must be auto or HOST:PORT of a cluster that this machine is part of; got 127.0.0.1:1: "),
        (["--set", "search.images=0"], "`search.images` must be between 1 and 1000000; got 0."),
        (["--set", "search.images=999"], "`images` must be at most the number of shadow training images, 200; got 999."),
        (["--set", "search.objective=z"], "`search.objective` must be one of logit_mse, cross_entropy; got 'z'."),
        (["--space", "inverter", "--set", "search.combination=z"], "`search.combination` must be one of o, a, x"),
        (["--set", "steps=1"], "`--set steps` must name a setting: runs, data.train_per_class"),
        (["--data", "imagenet"], "`--data` must be"),
        (["--out", "/proc/nowhere"], "`--out` must be a folder that can be written; got '/proc/nowhere"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_with_exit_code_2(tmp_path, refusal_of, store, arguments, message):
    assert refusal_of(main, ["--preset", "smoke", "--out", str(tmp_path), *arguments]).startswith(message)
    assert not list(store.glob("stages/*"))


@pytest.mark.parametrize(
    "arguments", [["--preset", "huge"], ["--space", "novel"], ["--workers", "two"], ["--precision", "half"]]
)
def test_arguments_that_do_not_parse_are_one_line_with_exit_code_2(refusal_of, arguments):
    assert arguments[0] in refusal_of(main, arguments)


def test_the_search_is_a_command_everywhere_and_a_module_of_a_checkout(capsys, monkeypatch):
    """The folder `tuning` is `mi_keras.tuning` where it is installed: no module of that general a name is."""
    monkeypatch.setattr("sys.argv", ["search", "--help"])
    said = []
    for entry in (
        lambda: cli.main(["search", "--help"]),
        lambda: runpy.run_module("tuning.search", run_name="__main__"),
    ):
        with pytest.raises(SystemExit) as ended:
            entry()
        assert ended.value.code == 0
        said.append(capsys.readouterr().out)
    assert said[0].startswith("usage: mi-keras search")
    assert said[0] == said[1]
    assert not [name for name in sys.modules if name.startswith("tuning.") and name != "tuning.search"]


def test_what_is_installed_has_one_top_level_name():
    setuptools = pytest.importorskip("setuptools")
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    found = setuptools.find_packages(REPOSITORY, **settings["tool"]["setuptools"]["packages"]["find"])
    assert {name.partition(".")[0] for name in found} == {"mi_keras"}
    assert "mi_keras.tuning" in found
    assert (REPOSITORY / "mi_keras" / "tuning").samefile(REPOSITORY / "tuning")
