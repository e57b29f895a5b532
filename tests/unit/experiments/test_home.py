"""A URL as the user's store: results of one disk are read on another, and trusted when their checksums are right."""

import json
import sys
import uuid
from pathlib import Path

import fsspec
import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.experiments.home import home, shelf_at_home
from mi_keras.experiments.store import open_store


@pytest.fixture(params=["memory", "file"])
def url(request, tmp_path, monkeypatch):
    """Set the store to an empty place of a kind, and return its URL."""
    place = f"memory://{uuid.uuid4().hex}" if request.param == "memory" else (tmp_path / "far").as_uri()
    monkeypatch.setenv("MI_KERAS_HOME", place)
    return place


@pytest.fixture
def computed(tmp_path, monkeypatch):
    """Return a function that reads a stage on a disk, and the list of disks that have computed it."""
    calls = []

    def read(disk, value=1.0, **options):
        def compute(workspace):
            calls.append(disk)
            filled = workspace.large("filled", (6, 2), np.float32)
            filled[:] = value
            filled.flush()
            return {"numbers": np.full(5, value)}, {"value": value}

        monkeypatch.setenv("MI_KERAS_CACHE", str(tmp_path / disk))
        stage = open_store(**options).stage("thing", compute, seed=1)
        np.testing.assert_array_equal(stage.large("filled"), np.full((6, 2), stage.info["value"]))
        return float(stage.arrays["numbers"][0]), stage

    read.calls = calls
    return read


def files_of(url):
    files, root = fsspec.core.url_to_fs(url)
    return files, {Path(path).name: path for path in files.find(root)}


def test_what_one_disk_has_computed_another_reads(url, computed, tmp_path, recording_progress):
    progress = recording_progress()
    assert computed("one", progress=progress)[0] == 1.0
    assert computed("other")[0] == 1.0
    assert computed.calls == ["one"]
    assert sorted(files_of(url)[1]) == ["arrays.npz", "filled.npy", "meta.json"]
    assert progress.said == [f"Results are kept at {url}, and a copy of those in use in {tmp_path / 'one'}."]
    _, stage = computed("other")
    for path in stage.store.artifacts.files("thing", stage.key):
        assert path.read_bytes() == (tmp_path / "one" / path.relative_to(tmp_path / "other")).read_bytes()


@pytest.mark.parametrize("name", ["arrays.npz", "filled.npy", "meta.json"])
def test_what_is_damaged_there_is_computed_again_and_replaced(url, computed, name, caplog, tmp_path):
    computed("one")
    files, paths = files_of(url)
    content = files.cat_file(paths[name])
    files.pipe_file(paths[name], content[:-20] + b"?" * 20)
    assert computed("other", 2.0)[0] == 2.0
    assert "a stored stage is damaged" in caplog.text
    assert list((tmp_path / "other" / "temporary").iterdir()) == []
    assert computed("third")[0] == 2.0
    assert computed.calls == ["one", "other"]


def test_a_forced_result_is_there_for_others(url, computed):
    computed("one")
    assert computed("one", 3.0, force=True)[0] == 3.0
    assert computed("other")[0] == 3.0


def test_no_file_is_written_where_its_name_leads(url, computed, tmp_path, caplog):
    computed("one")
    files, paths = files_of(url)
    meta = json.loads(files.cat_file(paths["meta.json"]))
    meta["large"]["../../../stolen.npy"] = meta["large"].pop("filled.npy")
    files.pipe_file(paths["meta.json"], json.dumps(meta).encode())
    assert computed("other", 2.0)[0] == 2.0
    assert "'../../../stolen.npy' is no name of an array" in caplog.text
    assert not list(tmp_path.rglob("stolen.npy"))


def test_a_place_that_cannot_be_reached_any_more_costs_a_line_and_no_result(
    url, computed, monkeypatch, caplog
):
    _, stage = computed("one")

    def fail(*arguments):
        raise RuntimeError("no\nnetwork")

    files = type(stage.store.artifacts.shelf._files)
    monkeypatch.setattr(files, "put_file", fail)
    monkeypatch.setattr(files, "get_file", fail)
    assert computed("other", 2.0)[0] == 2.0
    line = f"{url} cannot be read now (no network): what is not on this disk is computed"
    assert caplog.messages.count(line) == 1
    assert f"as {url} cannot be written: no network" in caplog.text
    assert computed("other")[0] == 2.0
    assert computed.calls == ["one", "other"]


@pytest.mark.parametrize("secret", ["name:pass@", "name:p@ss@", "token@"])
def test_a_password_in_the_url_is_not_shown(secret, monkeypatch):
    monkeypatch.setenv("MI_KERAS_HOME", f"nonsense://{secret}host/path")
    with pytest.raises(InputError, match="got nonsense://host/path:") as found:
        shelf_at_home()
    assert "ss@" not in str(found.value)
    assert "token" not in str(found.value)


def test_a_url_of_no_known_kind_is_refused(monkeypatch):
    monkeypatch.setenv("MI_KERAS_HOME", "nowhere://a/b")
    with pytest.raises(InputError, match="`MI_KERAS_HOME` must be a folder or a URL; got nowhere://a/b: "):
        open_store()


def test_without_fsspec_a_line_says_what_to_install(url, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(InputError, match=r'needs fsspec: pip install "mi-keras\[remote\]"'):
        open_store()


def test_the_folder_in_front_of_a_url_is_its_own(monkeypatch):
    monkeypatch.delenv("MI_KERAS_CACHE", raising=False)
    folders = set()
    for url in ("memory://a", "memory://b"):
        monkeypatch.setenv("MI_KERAS_HOME", url)
        folders.add(home())
    assert len(folders) == 2
    assert {folder.parent for folder in folders} == {Path(".mi_keras/remote")}
