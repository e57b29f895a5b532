"""The store loses nothing: to trouble with reading, to other processes, and to a forced run that is cut off."""

import errno
import fcntl
import os
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from mi_keras.experiments import artifacts
from mi_keras.experiments.store import Store
from mi_keras.files import sha256
from mi_keras.whole import temporary_folder


def make_stage(store, calls, **identity):
    def compute(workspace):
        calls.append("thing")
        return {"numbers": np.ones(5)}, {"value": 1.0}

    return store.stage("thing", compute, **identity)


@pytest.mark.parametrize(
    "trouble", [OSError(code, os.strerror(code)) for code in (errno.EIO, errno.EMFILE, errno.EACCES, errno.ENOMEM)] + [MemoryError()]
)  # fmt: skip
@pytest.mark.parametrize("reader", ["numpy.load", "hashlib.file_digest"])
def test_a_stage_that_cannot_be_read_now_is_no_damaged_one(tmp_path, monkeypatch, trouble, reader):
    calls = []
    make_stage(Store(tmp_path), calls, seed=1).computed()
    before = {path: path.read_bytes() for path in tmp_path.rglob("stages/*/*/*")}

    def fails(*_, **__):
        raise trouble

    with monkeypatch.context() as patch:
        patch.setattr(reader, fails)
        with pytest.raises(type(trouble)):
            assert make_stage(Store(tmp_path), calls, seed=1).arrays
    assert {path: path.read_bytes() for path in tmp_path.rglob("stages/*/*/*")} == before
    assert make_stage(Store(tmp_path), calls, seed=1).info == {"value": 1.0}
    assert calls == ["thing"]


def test_what_another_process_left_is_removed_and_what_one_holds_is_spared(tmp_path):
    with temporary_folder(Store(tmp_path).root / "temporary") as held:
        left = held.with_name("0" * 32)
        left.mkdir()
        left.with_suffix(".lock").touch()
        Store(tmp_path)
        assert held.exists()
        assert not left.exists()


@contextmanager
def waiting_for(store, inner, wanted, caplog):
    """Compute `wanted` while another holds `inner`; the block is entered when that was said, and at its end all is computed."""
    with open(store.root / "locks" / inner.key, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting = threading.Thread(target=wanted.computed)
        waiting.start()
        while not caplog.messages:
            time.sleep(0.01)
        assert waiting.is_alive()
        yield
    waiting.join()


def test_who_waits_for_another_process_says_so(tmp_path, caplog):
    store = Store(tmp_path)
    stage = make_stage(store, [], seed=1)
    with waiting_for(store, stage, stage, caplog):
        pass
    assert caplog.messages == ["another process computes thing: waiting for it"]


def test_a_stage_that_waits_for_another_process_is_not_computed_meanwhile(
    tmp_path, caplog, recording_progress
):
    """Else a process that waits would be taken for one that hangs."""
    progress, words = recording_progress(), []
    progress.computing = words.append
    store = Store(tmp_path, progress=progress)
    inner = make_stage(store, [], seed=1)
    outer = store.stage("outer", lambda _: ({}, inner.info))
    with waiting_for(store, inner, outer, caplog):
        assert "outer" in words
        assert words[-1] == ""
    assert words[words.index("outer") :] == ["outer", "", "outer", "thing", "outer", ""]


def test_what_is_left_is_told_once_and_by_the_team(tmp_path, recording_progress):
    progress = recording_progress()
    store = Store(tmp_path, progress=progress)
    stages = [make_stage(store, [], seed=seed) for seed in (1, 2)]
    store.compute(stages)
    assert progress.left == [2, 1, 0]
    store.compute(stages)
    assert progress.left == [2, 1, 0, 0]


def forced_run(root, level, *, force, seen=None, stop_at=None):
    """Three stages of one run; cut off in the one `stop_at`, and ended properly where none is."""
    store = Store(root, force=force, run="a run")

    def compute(name):
        def computed(workspace):
            part = workspace.load("half")
            workspace.save("half", {"level": np.array(level)})
            if seen is not None:
                seen.append((name, part and float(part["level"])))
            if name == stop_at:
                raise KeyboardInterrupt
            return {}, {"level": level if part is None else float(part["level"])}

        return computed

    found = [store.stage(name, compute(name), seed=1).info["level"] for name in ("a", "b", "c")]
    store.renewal.end()
    return found


def test_a_forced_run_that_was_cut_off_goes_on_and_mixes_nothing(tmp_path, caplog):
    """The old part of a stage, and the old stages behind it, are not gone on with; the new ones are, part by part."""
    assert forced_run(tmp_path, 1.0, force=False) == [1, 1, 1]
    with pytest.raises(KeyboardInterrupt):
        forced_run(tmp_path, 2.0, force=True, stop_at="b")
    seen = []
    assert forced_run(tmp_path, 3.0, force=False, seen=seen) == [2, 2, 3]
    assert seen == [("b", 2.0), ("c", None)]
    assert "begun with --force and cut off" in caplog.text
    assert forced_run(tmp_path, 4.0, force=False) == [2, 2, 3]
    with pytest.raises(KeyboardInterrupt):
        forced_run(tmp_path, 5.0, force=True, stop_at="a")
    caplog.clear()
    assert Store(tmp_path, run="another").stage("c", lambda _: ({}, {}), seed=1).info["level"] == 3
    assert "has begun and not ended" in caplog.text
    assert forced_run(tmp_path, 6.0, force=True) == [5, 6, 6]


def test_who_ends_a_forced_run_ends_it_for_another_process_in_it(tmp_path):
    make_stage(Store(tmp_path, run="a run"), [], seed=1).computed()
    calls = []
    one, other = (Store(tmp_path, force=True, run="a run") for _ in range(2))
    make_stage(one, calls, seed=1).computed()
    one.renewal.end()
    make_stage(other, calls, seed=1).computed()
    assert calls == ["thing"]
    make_stage(one, calls, seed=2).computed()  # anew once in the life of an object, also after its run
    assert calls == ["thing"] * 2
    assert not list((tmp_path / "forced").glob("*.json"))


def test_a_result_is_hashed_again_only_when_its_file_has_changed(tmp_path, monkeypatch, caplog):
    hashed, calls = [], []
    monkeypatch.setattr(artifacts, "sha256", lambda path: hashed.append(path.name) or sha256(path))
    store = Store(tmp_path)
    stage = make_stage(store, calls, seed=1).computed()
    path = store.artifacts.folder("thing", stage.key) / "arrays.npz"
    os.utime(path, (1, 1))  # long ago
    hashed.clear()
    for _ in range(3):
        np.testing.assert_array_equal(stage.arrays["numbers"], np.ones(5))
    assert hashed == ["arrays.npz"]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    np.testing.assert_array_equal(stage.arrays["numbers"], np.ones(5))
    assert len(calls) == 2
    assert "damaged" in caplog.text
