"""The manifest shows every change of an export, and is read without TensorFlow."""

import copy
import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mi_keras.cli import main
from mi_keras.errors import DamagedFile
from mi_keras.files import seal_of
from mi_keras.serving.exports import exports_in
from mi_keras.serving.manifest import EXTRA, MANIFEST, check_files, read_manifest, write_manifest

FIELD = {"shape": [None, 3], "dtype": "float32", "range": None}
CONTENT = {
    "name": "m", "version": 2, "work": "thesis", "section": "5.2", "attack": "M_I(X~)", "preset": "quick",
    "changed": [], "data": "mnist", "seed": 1, "run": 1, "scores": {"ssim": {"mean": 0.4, "std": 0.1, "n": 1334}},
    "baseline": {"name": "class prototype", "ssim": {"mean": 0.43, "std": 0.1, "n": 1334}},
    "default_endpoint": "invert", "warmup": {"records": 2}, "stages": {}, "versions": {},
    "endpoints": {
        "invert": {
            "inputs": {"v": FIELD}, "outputs": {"image": FIELD}, "warmup_rows": [1, 4],
            "tolerance": {"largest": 1e-5, "mean": 1e-6, "score": 1e-4, "row": 1e-5},
        },
    },
    "intended_use": "audits", "licence": "Apache-2.0",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a folder as an export has it, with files that are none of TensorFlow's."""
    folder = tmp_path / "models" / "m" / "2"
    for name in ("saved_model.pb", "variables/variables.index", f"{EXTRA}/samples.npz"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 50)
    write_manifest(folder, CONTENT)
    return folder


def reseal(folder, **changes) -> None:
    """Change the manifest and seal it again, as somebody with bad intentions could."""
    manifest = json.loads((folder / MANIFEST).read_text())
    write_manifest(folder, {k: v for k, v in manifest.items() if k not in ("seal", "files")} | changes)


def write_whatever(folder, **changes) -> None:
    """As `reseal`, with what `write_manifest` would not write: infinity as JSON has it, too large a number."""
    manifest = json.loads((folder / MANIFEST).read_text())
    sealed = {k: v for k, v in manifest.items() if k != "seal"} | changes
    text = json.dumps(sealed | {"seal": seal_of(sealed)})
    (folder / MANIFEST).write_text(text.replace("Infinity", "1e999"))


def refusal(folder) -> str:
    with pytest.raises(DamagedFile) as caught:
        check_files(folder, read_manifest(folder))
    return str(caught.value)


def test_a_whole_export_is_accepted_and_read_back(folder):
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    assert manifest == json.loads(json.dumps(CONTENT)) | {
        "schema": "mi_keras.export/2", "files": manifest["files"],
    }  # fmt: skip
    assert set(manifest["files"]) == {"saved_model.pb", "variables/variables.index", f"{EXTRA}/samples.npz"}


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index", f"{EXTRA}/samples.npz"])
def test_every_changed_cut_or_missing_file_is_named(folder, name):
    path = folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert refusal(folder) == f"{name} was changed: its SHA-256 is another"
    path.write_bytes(whole[:-1])
    assert refusal(folder) == f"{name} has {len(whole) - 1} bytes in place of {len(whole)}"
    path.unlink()
    assert refusal(folder) == f"{name} is missing"


def test_a_file_that_is_not_of_the_export_is_named(folder):
    (folder / "assets").mkdir()
    (folder / "assets" / "more.txt").touch()
    assert refusal(folder) == "assets/more.txt is not of the export"


@pytest.mark.parametrize("target", ["/etc/hosts", "saved_model.pb", "nowhere"])
def test_links_are_refused(folder, target):
    (folder / "variables" / "link").symlink_to(target)
    assert refusal(folder) == "variables/link is a link; an export has none"


def test_a_linked_folder_or_manifest_is_refused_unread(folder, tmp_path):
    (folder / "variables").rename(tmp_path / "variables")
    (folder / "variables").symlink_to(tmp_path / "variables")
    assert refusal(folder) == "variables is a link; an export has none"
    (folder / MANIFEST).rename(tmp_path / "manifest.json")
    (folder / MANIFEST).symlink_to(tmp_path / "manifest.json")
    assert refusal(folder) == f"{MANIFEST} is missing: not written by `mi-keras export`"


def test_a_pipe_is_refused_and_not_waited_for(folder):
    os.mkfifo(folder / "pipe")
    assert refusal(folder) == "pipe is no plain file"


def test_a_manifest_that_was_changed_or_cut_is_refused(folder):
    path = folder / MANIFEST
    whole = path.read_text()
    path.write_text(whole.replace('"n": 1334', '"n": 9999'))
    assert refusal(folder) == f"{MANIFEST} is cut or changed: its content does not match its seal"
    path.write_text(whole[: len(whole) // 2])
    assert refusal(folder).startswith(f"{MANIFEST} is cut or changed: ")
    path.write_text(whole.replace("0.4", "NaN"))
    assert refusal(folder).startswith(f"{MANIFEST} is cut or changed: NaN is no number of JSON")
    for text in ("[]", "{}", "[" * 100_000, " " * (5 * 1024**2), '{"schema": "other/1"}'):
        path.write_text(text)
        assert refusal(folder).startswith(f"{MANIFEST} is cut or changed: ")


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": "1"}, {"scores": {"ssim": {"mean": "high", "n": 1}}}, {"scores": {"ssim": 3}}, {"endpoints": {"invert": []}},
        {"default_endpoint": "nothing"}, {"endpoints": {}},
    ],
)  # fmt: skip
def test_a_manifest_of_another_form_is_refused_though_its_seal_fits(folder, changes):
    reseal(folder, **changes)
    assert refusal(folder).startswith(f"{MANIFEST} is cut or changed: ")


def entry_with(value, *path):
    """Return the one field of the manifest that `path` leads into, with a value there."""
    changed = copy.deepcopy({path[0]: CONTENT[path[0]]})
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


@pytest.mark.parametrize("value", [1e999, -1e999, "0.4", True, None])
@pytest.mark.parametrize(
    "path",
    [
        ("scores", "ssim", "mean"), ("scores", "ssim", "n"), ("baseline", "ssim", "mean"),
        ("endpoints", "invert", "tolerance", "row"), ("endpoints", "invert", "warmup_rows", 0),
    ],
)  # fmt: skip
def test_a_number_that_is_none_is_refused_in_one_line_though_the_seal_fits(folder, path, value):
    write_whatever(folder, **entry_with(value, *path))
    said = refusal(folder)
    assert said.startswith(f"{MANIFEST} is cut or changed: ")
    assert "\n" not in said


def test_a_number_beyond_all_floats_is_refused(folder):
    write_whatever(folder, **entry_with(10**400, "scores", "ssim", "mean"))
    assert refusal(folder).startswith(f"{MANIFEST} is cut or changed: ")


@pytest.mark.parametrize("size", [1e999, 3.5, "450", True])
def test_a_size_that_is_none_is_refused(folder, size):
    files = read_manifest(folder)["files"]
    write_whatever(folder, files=files | {"saved_model.pb": files["saved_model.pb"] | {"bytes": size}})
    assert refusal(folder).startswith(f"{MANIFEST} is cut or changed: {size!r} is no whole number")


@pytest.mark.parametrize("limits", [[0.0], [0.0, "1"], [0.0, 1e999], 3])
def test_a_range_that_is_none_is_refused(folder, limits):
    endpoint = CONTENT["endpoints"]["invert"]
    write_whatever(folder, endpoints={"invert": endpoint | {"outputs": {"image": FIELD | {"range": limits}}}})
    assert refusal(folder).startswith(f"{MANIFEST} is cut or changed: ")


def test_a_version_that_is_true_is_no_number(folder):
    write_whatever(folder.rename(folder.with_name("1")), version=True)
    assert refusal(folder.with_name("1")) == f"{MANIFEST} is cut or changed: it lacks version"


def test_an_export_without_a_graph_is_none(folder):
    (folder / "saved_model.pb").unlink()
    reseal(folder)
    assert refusal(folder) == f"{MANIFEST} is cut or changed: it describes no saved_model.pb"


def test_an_export_under_another_name_or_number_is_refused(folder):
    moved = folder.rename(folder.with_name("3"))
    assert refusal(moved) == f"{MANIFEST} is of m/2, another folder"
    again = moved.rename(folder)
    other = again.parent.rename(again.parent.with_name("other")) / "2"
    assert refusal(other) == f"{MANIFEST} is of m/2, another folder"


def test_a_number_with_zeros_before_it_is_the_same_number(folder):
    assert read_manifest(folder.rename(folder.with_name("002")))["version"] == 2


# mi-keras models


def models(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a process that tells whether TensorFlow was imported."""
    code = (
        "import sys; from mi_keras.cli import main; code = main(sys.argv[1:]); "
        "print('imported:', *(m for m in ('tensorflow', 'keras') if m in sys.modules)); sys.exit(code)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "300"}
    command = [sys.executable, "-c", code, "models", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_models_lists_names_versions_endpoints_scores_and_states_without_tensorflow(folder):
    stranger = folder.parents[1] / "stranger" / "1"
    stranger.mkdir(parents=True)
    (stranger / "saved_model.pb").write_bytes(b"nobody knows")
    ended = models(folder.parents[1])
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "imported:"
    for text in (
        "M_I(X~)",
        "invert",
        "SSIM 0.4000 (0.4300); n = 1,334; in brackets: class prototype",
        "thesis 5.2 quick mnist seed 1 run 1",
        "whole",
    ):
        assert text in ended.stdout, text
    assert f"{MANIFEST} is missing: not written by `mi-keras export`" in ended.stdout
    (folder / "saved_model.pb").write_bytes(b"")
    assert "saved_model.pb has 0 bytes in place of" in models(folder.parents[1]).stdout


def test_models_and_serve_config_say_the_same_of_odd_manifests_and_folders(folder, capsys):
    write_whatever(folder, **entry_with("1334", "scores", "ssim", "n"))
    (folder.parent / "007").mkdir()
    stranger = folder.parents[1] / "Stranger" / "1"
    stranger.mkdir(parents=True)
    (stranger / "saved_model.pb").write_bytes(b"nobody knows")
    (folder.parents[1] / "m2").mkdir()
    listed = models(folder.parents[1])
    assert listed.returncode == 0, listed.stderr
    assert main(["serve-config", "--folder", str(folder.parents[1])]) == 2
    configured = capsys.readouterr().out
    for fault in ("'1334' is no whole number", "the folder must be called 7"):
        assert fault in listed.stdout
        assert fault in configured
    assert re.search(r"^Stranger +1 +- ", listed.stdout, re.MULTILINE)
    assert "Stranger: skipped, the name must be 1 to 100 of a-z, 0-9," in configured


def test_models_prints_no_control_characters_of_a_manifest(folder):
    reseal(folder, attack="\x1b[31mred\nline [bold]x[/bold]")
    ended = models(folder.parents[1])
    assert "\x1b" not in ended.stdout
    assert "[31mred line [bold]x[/bold]" in ended.stdout


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EIO, errno.EACCES])
def test_an_export_that_cannot_be_read_now_is_no_broken_one(folder, monkeypatch, code):
    """Else `serve-config` would take a good model from the server."""

    def fails(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "read_text", fails)
    with pytest.raises(OSError, match=os.strerror(code)):
        list(exports_in(folder.parents[1]))


def test_models_of_nothing(tmp_path):
    assert "No exported models in" in models(tmp_path).stdout
    ended = models(tmp_path / "nowhere")
    assert ended.returncode == 2
    assert ended.stderr.startswith("`folder` must be a folder of exported models; got")
