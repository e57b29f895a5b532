"""The whole of section 5.2 at its smallest, as a user runs it: in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import structural_similarity

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, str(REPOSITORY / "scripts" / "reproduce.py")]
TINY = [
    "--section", "5.2", "--preset", "smoke", "--set", "data.train_per_class=12", "--set", "data.test_per_class=9",
    "--set", "combinations=o,x", "--set", "second_combinations=x", "--set", "prototype.steps=3",
]  # fmt: skip
LONGER = [
    *TINY, "--set", "combinations=a,x", "--set", "classifier.epochs=12", "--set", "classifier.channels=32,32,32",
]  # fmt: skip


def reproduce(folder, *arguments, check=True):
    environment = os.environ | {"MI_KERAS_HOME": str(folder / "store"), "COLUMNS": "120"}
    finished = subprocess.run(
        [*COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    if check:
        assert finished.returncode == 0, finished.stderr
    return finished


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    folder = tmp_path_factory.mktemp("smoke")
    started = time.monotonic()
    finished = reproduce(folder, "--section", "5.2", "--preset", "smoke", "--runs", "2")
    finished.seconds = time.monotonic() - started
    return folder, finished


def test_the_table_shows_all_rows_with_the_papers_values_and_the_claims(smoke):
    _, finished = smoke
    for text in (
        "M_I(O + A^L + X~)",
        "0.3727",
        "0.0966",
        "class prototype",
        "class average",
        "smoke",
        "Adding inputs",
    ):
        assert text in finished.stdout, text
    assert "Traceback" not in finished.stderr


def test_the_result_file_follows_its_schema(smoke):
    folder, _ = smoke
    result = json.loads((folder / "results/5.2/smoke/result.json").read_text())
    assert result["schema"] == "mi_keras.result/2"
    names = [row["name"] for row in result["tables"][0]["rows"]]
    assert {"o", "a", "x", "o+a", "o+x", "a+x", "o+a+x"} <= set(names)
    assert {"class_average", "class_prototype", "gradient_reconstruction"} <= set(names)
    for row in result["tables"][0]["rows"]:
        for metric in ("ssim", "mse"):
            assert row["values"][metric]["n"] == 2
            assert row["values"][metric]["std"] >= 0
    assert result["settings"]["gradient"]["tv_weight"] == 9.48785e-3
    assert {"python", "tensorflow", "keras", "numpy", "mi-keras"} <= set(result["versions"])


def test_means_are_the_means_of_the_kept_images_as_scikit_image_scores_them(smoke):
    folder, _ = smoke
    result = json.loads((folder / "results/5.2/smoke/result.json").read_text())
    with np.load(folder / "results/5.2/smoke/arrays.npz") as arrays:
        targets = arrays["targets"].astype(np.float64)
        for row in result["tables"][0]["rows"]:
            images = arrays[f"reconstruction.{row['name']}"].astype(np.float64)
            per_image = [
                _valid_ssim(a[..., 0], b[..., 0]) for a, b in zip(images[:10], targets[:10], strict=True)
            ]
            np.testing.assert_allclose(
                arrays[f"ssim.{row['name']}"][0, :10], per_image, atol=3e-3
            )  # float16 images
            np.testing.assert_allclose(
                arrays[f"mse.{row['name']}"][0, :10],
                ((images - targets) ** 2).mean(axis=(1, 2, 3))[:10],
                atol=1e-3,
            )
            assert row["values"]["ssim"]["mean"] == pytest.approx(
                arrays[f"ssim.{row['name']}"].mean(), abs=1e-6
            )


def test_tables_and_figures_are_written(smoke):
    folder, _ = smoke
    present = {path.name for path in (folder / "results/5.2/smoke").iterdir()}
    figures = {f"figure_{n}.png" for n in ("3", "13_14", "27", "28", "29", "30", "31", "32")}
    assert {
        "result.json",
        "arrays.npz",
        "index.html",
        "index.md",
        "table_4.csv",
        "training_curves.png",
        *figures,
    } <= present
    assert not [name for name in present if name.startswith(".") or name.endswith(".tmp")]


def test_the_second_run_reads_everything_from_the_store_and_says_the_same(smoke):
    folder, first = smoke
    started = time.monotonic()
    second = reproduce(folder, "--section", "5.2", "--preset", "smoke", "--runs", "2")
    assert time.monotonic() - started < 0.6 * first.seconds  # of a preset that computes next to nothing
    assert second.stdout == first.stdout
    result = json.loads((folder / "results/5.2/smoke/result.json").read_text())
    assert all(entry["reused"] for entry in result["timings"] if entry["stage"] != "all")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, reproduce(folder, *LONGER)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, uninterrupted, sent):
    cut = tmp_path
    environment = os.environ | {"MI_KERAS_HOME": str(cut / "store")}
    process = subprocess.Popen(
        [*COMMAND, *LONGER], cwd=cut, env=environment, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list((cut / "store").glob("unfinished/*/fit.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (130 if sent == signal.SIGINT else -signal.SIGKILL)
    if sent == signal.SIGINT:
        assert "run the same command again" in errors
        assert "Traceback" not in errors
    assert not (cut / "results/5.2/smoke/result.json").exists()
    reproduce(cut, *LONGER)
    with (
        np.load(uninterrupted[0] / "results/5.2/smoke/arrays.npz") as a,
        np.load(cut / "results/5.2/smoke/arrays.npz") as b,
    ):
        assert a.files == b.files
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_a_changed_setting_shows_in_table_and_files(uninterrupted):
    folder, finished = uninterrupted
    assert (
        "preset smoke, changed: combinations=a,x, second_combinations=x" not in finished.stdout
    )  # x is the preset's
    assert "preset smoke, changed: combinations=a,x, data.train_per_class=12" in finished.stdout
    assert "changed: combinations=a,x" in (folder / "results/5.2/smoke/index.md").read_text()


def test_force_computes_again_and_json_goes_to_standard_output(uninterrupted):
    folder, _ = uninterrupted
    forced = reproduce(folder, *LONGER, "--force", "--json")
    assert forced.stdout == (folder / "results/5.2/smoke/result.json").read_text()
    result = json.loads(forced.stdout)
    assert result["section"] == "5.2"
    assert len(result["timings"]) > 10
    assert not any(entry["reused"] for entry in result["timings"])


@pytest.mark.slow
def test_the_quick_preset_gives_scores_of_the_expected_size(tmp_path):
    """Bounds from independent measurements on other MNIST subsets: class average 0.316, prototype 0.426, X~ 0.26."""
    environment = os.environ | {"MI_KERAS_HOME": str(tmp_path / "store")}
    subprocess.run([*COMMAND, "--section", "5.2"], cwd=tmp_path, env=environment, check=True, timeout=1800)
    result = json.loads((tmp_path / "results/5.2/quick/result.json").read_text())
    ssim = {row["name"]: row["values"]["ssim"]["mean"] for row in result["tables"][0]["rows"]}
    assert ssim["class_average"] == pytest.approx(0.316, abs=0.01)
    assert ssim["class_prototype"] == pytest.approx(0.426, abs=0.02)
    assert ssim["gradient_reconstruction"] == pytest.approx(0.26, abs=0.05)
    assert ssim["x"] > ssim["gradient_reconstruction"] + 0.05
    assert max(value for name, value in ssim.items() if name not in ("class_prototype",)) < 0.5


def test_a_source_of_another_shape_and_number_of_classes_runs(tmp_path):
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 14)
    images = draw.random((42, 20, 24, 3)).astype(np.float32) * 0.5 + labels[:, None, None, None] / 6
    np.savez(
        tmp_path / "colour.npz", x_train=images, y_train=labels, x_test=images[::-1] * 0.9, y_test=labels[::-1]
    )  # fmt: skip
    finished = reproduce(tmp_path, *TINY, "--data", "npz:colour.npz")
    assert "npz:colour.npz" in finished.stdout
    with np.load(tmp_path / "results/5.2/smoke/arrays.npz") as arrays:
        assert arrays["targets"].shape[1:] == (32, 32, 3)


def _valid_ssim(first, second):
    _, full = structural_similarity(
        first, second, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    return full[5:-5, 5:-5].mean()
