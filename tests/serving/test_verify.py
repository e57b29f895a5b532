"""`verify`: files first, then the answers, in a process that has TensorFlow only."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mi_keras.cli import main
from mi_keras.errors import InputError
from mi_keras.machine import machine
from mi_keras.serving import verify as module
from mi_keras.serving.manifest import MANIFEST, SAMPLES, WARMUP, read_manifest, write_manifest
from mi_keras.serving.verify import verify


@pytest.fixture
def no_process(monkeypatch) -> None:
    """Fail the test where a process is started: nothing may be executed."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "run", refuse)


def reseal(folder: Path) -> None:
    """Write the manifest anew for the files as they are now: what hashes cannot show must be seen in the answers."""
    manifest = read_manifest(folder)
    write_manifest(
        folder, {name: value for name, value in manifest.items() if name not in ("files", "schema")}
    )


def test_a_whole_export_is_verified_without_mi_keras_or_keras(export_of, capsys):
    folder = export_of("o+a+x").folder
    assert main(["verify", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "Verified." in printed
    assert "7 records replayed" in printed
    assert printed.count("as stated") == 4


def test_the_split_export_is_verified(split_export):
    verification = verify(split_export.folder.parent)  # a model stands for its highest version
    assert verification.problems == []
    assert {entry["name"] for entry in verification.endpoints} == {
        "reconstruct", "features", "reconstruct_png", "serving_default",
    }  # fmt: skip
    assert all(entry["rows"] == 2 for entry in verification.endpoints)


@pytest.mark.slow
def test_an_export_is_verified_with_other_kernels_and_threads_which_are_said(export_of, monkeypatch):
    folder, ours = export_of("o+a+x").folder, machine()["oneDNN"]
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    verification = verify(folder)
    assert verification.problems == []
    assert verification.machine["oneDNN"] == "off"
    assert verification.manifest["machine"]["oneDNN"] == ours


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("seconds", ["nan", "inf", "0", "-1"])
def test_seconds_that_are_no_time_are_refused(refusal_of, seconds, no_process):
    said = refusal_of(main, ["verify", "x", f"--timeout={seconds}"])
    assert said == f"`--timeout` must be above 0 and at most 86400 seconds; got {float(seconds)}.\n"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: flip(folder / "saved_model.pb"), "saved_model.pb was changed"),
        (lambda folder: flip(folder / "variables/variables.data-00000-of-00001"), "variables.data-00000-of-00001 was changed"),
        (lambda folder: flip(folder / WARMUP), "tf_serving_warmup_requests was changed"),
        (lambda folder: flip(folder / MANIFEST), "manifest.json is cut or changed"),
        (lambda folder: (folder / "saved_model.pb").write_bytes(b""), "saved_model.pb has 0 bytes in place of"),
        (lambda folder: (folder / MANIFEST).unlink(), "manifest.json is missing: not written by `mi-keras export`"),
        (lambda folder: (folder / "variables/more").symlink_to("/etc/hosts"), "variables/more is a link"),
    ],
)  # fmt: skip
def test_a_damaged_export_is_refused_with_the_reason_and_not_executed(
    copy_of_x, no_process, damage, reason, refusal_of
):
    damage(copy_of_x)
    said = refusal_of(main, ["verify", str(copy_of_x.parent)])
    assert reason in said
    assert said.strip().endswith("It was not loaded.")


def test_what_is_no_export_is_refused(tmp_path, no_process):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="`export` must be a folder NAME or NAME/VERSION"):
            verify(path)


def test_other_answers_and_records_are_found_though_all_hashes_fit(
    copy_of_x, replay_here, monkeypatch, capsys
):
    monkeypatch.setattr(module, "replay", replay_here)
    with np.load(copy_of_x / SAMPLES) as archive:
        samples = {name: archive[name] for name in archive.files}
    samples["invert/output/image"] = samples["invert/output/image"] + np.float32(0.01)
    np.savez(copy_of_x / SAMPLES, **samples)
    shutil.copy(copy_of_x / "saved_model.pb", copy_of_x / WARMUP)
    reseal(copy_of_x)
    assert main(["verify", str(copy_of_x)]) == 1
    printed = capsys.readouterr().out
    assert "wrong: invert: largest distance from the samples is 0.01, not within 1e-05" in printed
    assert "wrong: warm-up: record 1 cannot be read" in printed
    assert "Not verified" in printed


def test_a_process_that_fails_or_takes_too_long_is_one_line(copy_of_x, monkeypatch, capsys):
    assert main(["verify", str(copy_of_x), "--timeout", "0.01"]) == 1
    assert "the endpoints took more than 0.01 seconds (--timeout)" in capsys.readouterr().err
    script = copy_of_x.parent / "script.py"
    script.write_text("import sys; sys.exit('out of order')")
    monkeypatch.setattr(module, "REPLAY", script)
    assert main(["verify", str(copy_of_x)]) == 1
    assert "the process that called it ended with code 1 (out of order)" in capsys.readouterr().err
