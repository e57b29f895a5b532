"""Whole or not there: processes are killed at every call to the system, locks end with them, and what is said is on the disk."""

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
import uuid
from contextlib import nullcontext
from pathlib import Path

import pytest

from mi_keras.whole import locked, remove_leftovers, replace_file, replace_files, sync_tree, temporary_folder

REPOSITORY = Path(__file__).parents[2]
# Forks a child for each call to the system, which is killed right before that call; what it leaves is looked at, one line
# each, by `look`, first as it is and then after `clean`.
KILLED_AT_EACH_CALL = """
import builtins, os, shutil, signal, sys
from pathlib import Path

os.fsync = lambda descriptor: None  # what is killed needs no disk, and to wait for one takes a while
CALLS = [(os, name) for name in ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir", "open", "posix_fallocate")]

def killed_before(number):
    left = [number]
    def counted(real):
        def call(*given, **named):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*given, **named)
        return call
    for module, name in [*CALLS, (builtins, "open")]:
        setattr(module, name, counted(getattr(module, name)))
    import io, pathlib
    io.open = builtins.open  # what `Path.write_text` calls

def each(begin, run, look, clean):
    number = 0
    while True:
        number += 1
        folder = Path(str(number))
        folder.mkdir()
        begin(folder)
        child = os.fork()
        if not child:
            killed_before(number)
            run(folder)
            os._exit(0)
        ended = os.waitpid(child, 0)[1]
        print(number, look(folder), clean(folder))
        if ended == 0:
            return
        assert os.WTERMSIG(ended) == signal.SIGKILL, ended
"""


def at_each_call(program: str) -> list[list[str]]:
    """Return the words of every line that the program prints, whose last is of the call that was not cut off."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None  # hundreds of folders are made
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        ended = subprocess.run(
            [sys.executable, "-c", KILLED_AT_EACH_CALL + program], cwd=folder, env=environment, capture_output=True, text=True
        )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return [line.split() for line in ended.stdout.splitlines()]


def test_a_file_is_the_old_or_the_new_one_wherever_the_process_is_killed():
    program = """
from mi_keras.whole import replace_file, replace_files
def halves(path):
    with open(path, "wb") as file:
        file.write(b"n" * 5000)
        file.flush()
        os.fsync(file.fileno())
        file.write(b"n" * 5000)
def old(folder): (folder / "kept").write_bytes(b"o" * 10)
def look(folder): return {b"o" * 10: "old", b"n" * 10000: "new"}[(folder / "kept").read_bytes()]
def clean(folder):
    replace_files(folder, [])
    return look(folder) + "," + ",".join(path.name for path in folder.iterdir())
each(old, lambda folder: replace_file(folder / "kept", halves), look, clean)
"""
    seen = at_each_call(program)
    assert {words[1] for words in seen} == {"old", "new"}
    assert all(words[2] == f"{words[1]},kept" for words in seen)
    assert len(seen) > 6


def test_a_stage_is_whole_or_computed_again_wherever_the_process_is_killed():
    """The process was replacing it, as `--force` does, with a large array in it; afterwards the same is asked for again."""
    program = """
import logging
import numpy as np
from mi_keras.experiments.store import Store
from mi_keras.progress import SilentProgress, fill
logging.disable()
np.memmap.flush = lambda array: None
def stage(folder, level, **options):
    def compute(workspace):
        rows = workspace.large("rows", (60, 2), np.float32)
        fill(rows, lambda part: np.full((len(rows[part]), 2), level), workspace, SilentProgress(), "rows", batch=2)
        return {"x": np.full(3, level)}, {}
    return Store(folder / "store", **options).stage("kind", compute, seed=1)
def values(stage): return {*stage.arrays["x"].tolist(), *stage.large("rows").ravel().tolist()}
def look(folder):
    return "marked" if [*(folder / "store").glob("forced/*.json")] else "unmarked"
def clean(folder):
    (value,) = values(stage(folder, 2.0))
    left = [path.name for part in ("temporary", "unfinished") for path in (folder / "store" / part).glob("*")]
    return f"{value} {len(left)}"
each(lambda folder: stage(folder, 1.0).computed(), lambda folder: end(stage(folder, 2.0, force=True)), look, clean)
""".replace("each(", "def end(made):\n    values(made)\n    made.store.renewal.end()\neach(", 1)
    seen = at_each_call(program)
    states = [words[1] for words in seen]
    first, last = states.index("marked"), len(states) - states[::-1].index("marked")
    assert states == ["unmarked"] * first + ["marked"] * (last - first) + ["unmarked"] * (len(states) - last)
    assert [words[2] for words in seen] == ["1.0"] * first + ["2.0"] * (len(seen) - first)
    assert {words[3] for words in seen} == {"0"}
    assert len(seen) > 20


def test_what_is_written_is_on_the_disk_before_it_has_its_name_and_then_the_name(tmp_path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            assert os.path.isdir(f"/proc/self/fd/{descriptor}"), (
                "Windows waits only for files open for writing"
            )
        done.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def renamed(source, target):
        assert os.stat(source).st_ino in done
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    replace_files(tmp_path, [(name, lambda path: path.write_bytes(b"x")) for name in ("a", "b")])
    assert done == [*((tmp_path / name).stat().st_ino for name in "ab"), tmp_path.stat().st_ino]


@pytest.mark.parametrize(("code", "fails"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_that_waits_for_files_alone_will_do(tmp_path, monkeypatch, code, fails):
    fsync = os.fsync

    def files_alone(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", files_alone)
    with pytest.raises(OSError, match="Input/output") if fails else nullcontext():
        replace_file(tmp_path / "file", lambda path: path.write_text("new"))
    assert (tmp_path / "file").read_text() == "new"


def test_every_file_and_folder_is_waited_for(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("top", "a/x", "a/b/y"):
        (tmp_path / name).touch()
    synced = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.add(os.fstat(descriptor).st_ino))
    sync_tree(tmp_path)
    assert synced == {path.stat().st_ino for path in (tmp_path, *tmp_path.rglob("*"))}


def test_what_is_being_written_is_left_alone_and_what_nobody_holds_is_deleted(tmp_path):
    """Whatever numbers processes have: another container has its own."""
    left = uuid.uuid4().hex
    (tmp_path / left).mkdir()
    (tmp_path / left / "content").touch()
    (tmp_path / f"{left}.lock").touch()
    (tmp_path / f".x.npz-{left}.tmp").touch()
    others = {"notes", f"{left}.txt", f"x-{left}.tmp", uuid.uuid4().hex}
    for name in others:
        (tmp_path / name).touch()

    def watched(path):
        path.write_text("mine")
        remove_leftovers(tmp_path)
        assert path.exists()

    with temporary_folder(tmp_path) as folder:
        (folder / "mine").touch()
        replace_file(tmp_path / "file", watched)
        assert (folder / "mine").exists()
    assert {path.name for path in tmp_path.iterdir()} == others | {"file"}


def test_a_folder_of_the_users_keeps_what_is_named_like_a_claim(tmp_path):
    """Named by an MD5 sum, as caches name theirs: files are written beside it, and it is none of ours."""
    name = "d41d8cd98f00b204e9800998ecf8427e"
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").touch()
    (tmp_path / f"{name}.lock").touch()
    replace_file(tmp_path / "result.json", lambda path: path.write_text("{}"))
    assert (tmp_path / name / "thesis.txt").exists()
    assert (tmp_path / f"{name}.lock").exists()


def test_a_failing_write_leaves_the_old_file_alone(tmp_path):
    (tmp_path / "file").write_text("old")

    def fails(path):
        path.write_text("half")
        raise OSError(errno.EIO, "broken", str(path))

    with pytest.raises(OSError, match="broken"):
        replace_file(tmp_path / "file", fails)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


def test_a_lock_is_waited_for_and_that_is_said(tmp_path):
    said = []
    path = tmp_path / "lock"
    held = open(path, "ab")  # noqa: SIM115
    fcntl.flock(held, fcntl.LOCK_EX)

    def busy():
        said.append("busy")
        held.close()

    with locked(path, busy), locked(tmp_path / "other", lambda: said.append("never")):
        pass
    with locked(path, lambda: said.append("never")):
        path.unlink()  # as who is done may
    assert said == ["busy"]


def test_a_file_system_without_locks_is_named_where_one_is_needed_and_does_without_where_not(
    tmp_path, monkeypatch
):
    def refused(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(OSError, match="no lock can be had here") as caught, locked(tmp_path / "lock", list):
        pass
    assert caught.value.filename == str(tmp_path / "lock")
    with temporary_folder(tmp_path) as folder:
        remove_leftovers(tmp_path)
        assert folder.exists()
        replace_file(tmp_path / "file", lambda path: path.write_text("new"))
    assert (tmp_path / "file").read_text() == "new"


def test_where_there_are_no_locks_nothing_is_waited_for_nor_taken_for_left_behind(tmp_path, monkeypatch):
    """As on Windows, which renames no file that is open."""
    monkeypatch.setattr("mi_keras.whole.fcntl", None)
    left = tmp_path / f".x-{uuid.uuid4().hex}.tmp"
    left.touch()
    replace = os.replace

    def closed_alone(source, target):
        opened = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
        assert str(Path(source).resolve()) not in opened
        replace(source, target)

    monkeypatch.setattr(os, "replace", closed_alone)
    with locked(tmp_path / "lock", list), temporary_folder(tmp_path) as folder:
        replace_file(tmp_path / "file", lambda path: path.write_text("new"))
        assert folder.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"file", left.name}
