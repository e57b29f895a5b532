"""How exports are published: numbered, whole or not there, and safe on the disk before they have their name."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mi_keras.errors import InputError
from mi_keras.serving.layout import UNFINISHED, find_version, publish, versions_of


def number_of(tmp_path, version=None):
    return publish(tmp_path, "m", version, lambda _: None, lambda *_: None).name


def test_versions_count_up_and_a_taken_one_is_refused(tmp_path):
    assert number_of(tmp_path) == "1"
    (tmp_path / "m" / "junk").mkdir()
    (tmp_path / "m" / "007").mkdir()
    assert number_of(tmp_path) == "8"
    assert number_of(tmp_path, 3) == "3"
    for taken in (3, 7):
        with pytest.raises(InputError, match=rf"`--version` must be free; .*m/{taken} is there already\."):
            number_of(tmp_path, taken)
    with pytest.raises(InputError, match=r"`--version` must be from 1 to 9223372036854775807; got 0\."):
        number_of(tmp_path, 0)
    assert list(versions_of(tmp_path / "m")) == [1, 3, 7, 8]
    assert find_version(tmp_path / "m").name == "8"
    assert find_version((tmp_path / "m").rename(tmp_path / "2024")) == tmp_path / "2024" / "8"
    assert find_version(tmp_path / "2024" / "3") == tmp_path / "2024" / "3"
    assert not list((tmp_path / UNFINISHED).iterdir())


def test_two_that_take_the_same_number_get_one_each(tmp_path):
    numbers = []

    def seal(folder: Path, number: int) -> None:
        numbers.append(number)
        (folder / "number").write_text(str(number))
        if number == 1:  # another process is faster
            (tmp_path / "m" / "1").mkdir(parents=True)
            (tmp_path / "m" / "1" / "theirs").touch()

    folder = publish(tmp_path, "m", None, lambda _: None, seal)
    assert (folder.name, (folder / "number").read_text(), numbers) == ("2", "2", [1, 2])


def test_everything_is_on_the_disk_before_the_version_has_its_name(tmp_path, monkeypatch):
    synced, before = set(), set()
    rename = os.rename

    def fill(folder):
        (folder / "variables").mkdir()
        (folder / "variables" / "data").touch()
        (folder / "saved_model.pb").touch()

    def renamed(source, target):
        before.update(synced)
        synced.clear()
        rename(source, target)

    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    monkeypatch.setattr(os, "rename", renamed)
    version = publish(tmp_path, "m", None, fill, lambda *_: None)
    assert {path.stat().st_ino for path in (version, *version.rglob("*"))} <= before
    assert {path.stat().st_ino for path in (tmp_path / "m", tmp_path / UNFINISHED, tmp_path)} <= synced


def test_killed_while_writing_leaves_no_version_and_the_next_export_cleans_up(tmp_path):
    code = f"""
import os, signal
from pathlib import Path
from mi_keras.serving.layout import publish
def fill(folder):
    (folder / "saved_model.pb").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
publish(Path({str(tmp_path)!r}), "m", None, fill, lambda *_: None)
"""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "m").exists()
    assert len(list((tmp_path / UNFINISHED).iterdir())) == 2  # the folder, and its lock
    assert number_of(tmp_path) == "1"
    assert not list((tmp_path / UNFINISHED).iterdir())


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"`--out` must be a folder that can be written"):
        number_of(tmp_path / "file")
