"""What an interrupted process has left is deleted, what a living one writes is not; and what is written is on the disk."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mi_keras.files import remove_leftovers, sync_tree, temporary_name


def folder_of(pid, root, host=None):
    folder = root / f"{pid}-0123-{host or socket.gethostname()}"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def gone():
    """Return the number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    return ended.pid


def test_only_what_processes_of_this_machine_left_that_are_gone_is_deleted(tmp_path, gone):
    left = folder_of(gone, tmp_path)
    replaced = left.with_name(left.name + "-old")
    replaced.mkdir()
    kept = [folder_of(os.getpid(), tmp_path), folder_of(gone, tmp_path, "elsewhere-b")]
    kept += [
        tmp_path / name for name in ("notes", f"x-y-{socket.gethostname()}", f"²-0-{socket.gethostname()}")
    ]
    for folder in kept:
        folder.mkdir(exist_ok=True)
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_without_proc_a_living_process_is_not_taken_for_gone(tmp_path, monkeypatch, gone):
    live, left = folder_of(os.getpid(), tmp_path), folder_of(gone, tmp_path)
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: not str(path).startswith("/proc") and exists(path))
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [live]
    assert not exists(left)


@pytest.mark.parametrize("error", [PermissionError, OverflowError])
def test_a_process_of_somebody_else_is_not_gone(tmp_path, monkeypatch, error, gone):
    def refuse(*_):
        raise error

    monkeypatch.setattr(os, "kill", refuse)
    folder_of(gone, tmp_path)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir())


def test_a_temporary_name_is_of_this_process(tmp_path):
    (tmp_path / temporary_name()).mkdir()
    remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_every_file_and_folder_is_waited_for(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("top", "a/x", "a/b/y"):
        (tmp_path / name).touch()
    synced = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    sync_tree(tmp_path)
    assert synced == {path.stat().st_ino for path in (tmp_path, *tmp_path.rglob("*"))}
