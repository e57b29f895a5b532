"""A whole section at its smallest: read again, forced, interrupted and resumed, and on images of another shape."""

import io
import json
import signal
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from mi_keras.cli import main
from mi_keras.files import DiskWorkspace
from tests.integration.command import COLUMNS, call, load, reproduce
from tests.integration.interrupted import sending
from tests.processes import complaints

INTERRUPTED = Path(__file__).with_name("interrupted.py")
TINY = [
    "--section", "5.2", "--preset", "smoke", "--set", "data.train_per_class=12", "--set", "data.test_per_class=9",
    "--set", "combinations=a,x", "--set", "second_combinations=x", "--set", "prototype.steps=3",
]  # fmt: skip
TWO_RUNS = [*TINY, "--runs", "2"]


def here(folder, *arguments, code=0):
    """Run the command in this process until it ends with a code; return what it prints, and what it complains of."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(folder)
        patch.setenv("MI_KERAS_HOME", str(folder / "store"))
        patch.setenv("COLUMNS", COLUMNS)
        assert main(arguments) == code
    return out.getvalue(), complaints(err.getvalue())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Return the folder of a run, and what it printed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, here(folder, *TINY)[0]


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_runs")
    return folder, here(folder, *TWO_RUNS)[0]


def assert_same_arrays(first, second):
    with (
        np.load(first / "results/5.2/smoke/arrays.npz") as a,
        np.load(second / "results/5.2/smoke/arrays.npz") as b,
    ):
        assert a.files == b.files
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.slow
def test_each_score_has_its_number_of_runs_and_their_spread(two_runs):
    folder, _ = two_runs
    with np.load(folder / "results/5.2/smoke/arrays.npz") as arrays:
        for row in load(folder, "5.2")["tables"][0]["rows"]:
            for metric in ("ssim", "mse"):
                of_each_run = arrays[f"{metric}.{row['name']}"].mean(axis=1)
                assert row["values"][metric]["n"] == len(of_each_run) == 2
                assert row["values"][metric]["mean"] == pytest.approx(of_each_run.mean(), abs=1e-6)
                assert row["values"][metric]["std"] >= 0


@pytest.mark.slow
def test_a_changed_setting_shows_in_table_and_files(two_runs):
    folder, printed = two_runs
    data, chosen = "data.train_per_class=12, data.test_per_class=9", "combinations=a,x"
    changed = f"changed: runs=2, {data}, prototype.steps=3, {chosen}"
    assert f"preset smoke, {changed}" in printed
    assert "second_combinations=" not in printed  # x is the preset's
    assert changed in (folder / "results/5.2/smoke/index.md").read_text()


def test_the_second_run_reads_everything_from_the_store_and_says_the_same(uninterrupted):
    folder, printed = uninterrupted
    stored = {path: path.stat().st_mtime_ns for path in (folder / "store" / "stages").rglob("*")}
    again, said = here(folder, *TINY)
    timings = [entry for entry in load(folder, "5.2")["timings"] if entry["stage"] != "all"]
    assert len(timings) > 10
    assert again == printed
    assert said == "Nothing was computed: all of it was stored already.\n"
    assert all(entry["reused"] for entry in timings)
    assert {path: path.stat().st_mtime_ns for path in (folder / "store" / "stages").rglob("*")} == stored


@pytest.mark.slow
def test_stopped_and_killed_and_resumed_equals_uninterrupted(tmp_path, monkeypatch, uninterrupted):
    """Stopped by Ctrl-C it says how to go on; killed it cannot."""

    def check_unfinished():
        assert list((tmp_path / "store").glob("unfinished/*/*.npz"))
        assert not (tmp_path / "results/5.2/smoke/result.json").exists()

    with monkeypatch.context() as patch:
        patch.setattr(DiskWorkspace, "save", sending(signal.SIGINT))
        _, said = here(tmp_path, *TINY, code=130)
    assert "run the same command again" in said
    assert said.count("\n") == 1
    check_unfinished()
    killed = call(tmp_path, *TINY, program=(INTERRUPTED, int(signal.SIGKILL)))
    assert killed.returncode == -signal.SIGKILL
    check_unfinished()
    here(tmp_path, *TINY)
    assert_same_arrays(tmp_path, uninterrupted[0])


@pytest.mark.slow
def test_force_computes_again_and_json_goes_to_standard_output(two_runs):
    folder, _ = two_runs
    before = load(folder, "5.2")
    forced, _ = here(folder, *TWO_RUNS, "--force", "--json")
    assert forced == (folder / "results/5.2/smoke/result.json").read_text()
    result = json.loads(forced)
    assert result["section"] == "5.2"
    assert len(result["timings"]) > 10
    assert not any(entry["reused"] for entry in result["timings"])
    assert result["tables"] == before["tables"]


@pytest.mark.slow
def test_the_quick_preset_gives_scores_of_the_expected_size(tmp_path):
    """Bounds from independent measurements on other MNIST subsets: class average 0.316, prototype 0.426, X~ 0.26."""
    reproduce(tmp_path, "--section", "5.2", timeout=1800)
    result = load(tmp_path, "5.2", "quick")
    ssim = {row["name"]: row["values"]["ssim"]["mean"] for row in result["tables"][0]["rows"]}
    assert ssim["class_average"] == pytest.approx(0.316, abs=0.01)
    assert ssim["class_prototype"] == pytest.approx(0.426, abs=0.02)
    assert ssim["gradient_reconstruction"] == pytest.approx(0.26, abs=0.05)
    assert ssim["x"] > ssim["gradient_reconstruction"] + 0.05
    assert max(value for name, value in ssim.items() if name not in ("class_prototype",)) < 0.5


@pytest.mark.slow
def test_a_source_of_another_shape_and_number_of_classes_runs(tmp_path):
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 14)
    images = draw.random((42, 20, 24, 3)).astype(np.float32) * 0.5 + labels[:, None, None, None] / 6
    np.savez(
        tmp_path / "colour.npz", x_train=images, y_train=labels, x_test=images[::-1] * 0.9, y_test=labels[::-1]
    )  # fmt: skip
    chosen = ("--set", "combinations=o,x", "--data", "npz:colour.npz")
    assert "npz:colour.npz" in here(tmp_path, *TINY, *chosen)[0]
    with np.load(tmp_path / "results/5.2/smoke/arrays.npz") as arrays:
        assert arrays["targets"].shape[1:] == (32, 32, 3)
