"""The store: equal stages shared, damage noticed, nothing half-written."""

import json
import os
from dataclasses import dataclass

import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.experiments.store import DiskWorkspace, Store


@dataclass(frozen=True)
class Settings:
    steps: int = 3
    channels: tuple[int, ...] = (1, 2)


def make_stage(store, calls, *, value=1.0, kind="thing", **identity):
    def compute(workspace):
        calls.append(kind)
        return {"numbers": np.full(5, value)}, {"value": value}

    return store.stage(kind, compute, settings=Settings(), **identity)


def test_a_stage_is_computed_on_first_reading_only_and_read_by_a_later_process(tmp_path):
    calls = []
    stage = make_stage(Store(tmp_path), calls, seed=1)
    assert calls == []
    np.testing.assert_array_equal(stage.arrays["numbers"], np.ones(5))
    assert stage.info == {"value": 1.0}
    again = make_stage(Store(tmp_path), calls, seed=1)
    np.testing.assert_array_equal(again.arrays["numbers"], np.ones(5))
    assert calls == ["thing"]


def test_every_part_of_the_identity_changes_the_key(tmp_path):
    store = Store(tmp_path)
    base = make_stage(store, [], seed=1)
    others = [
        make_stage(store, [], seed=2),
        make_stage(store, [], seed=1, kind="other"),
        make_stage(store, [], seed=1, role="shadow"),
        store.stage("thing", base.compute, settings=Settings(steps=4), seed=1),
        store.stage("thing", base.compute, settings=Settings(), seed=1, upstream=[base]),
    ]
    assert len({base.key, *(other.key for other in others)}) == 6
    assert make_stage(Store(tmp_path / "elsewhere"), [], seed=1).key == base.key


@pytest.mark.parametrize("damage", ["flip", "truncate", "no_meta", "bad_json", "no_arrays"])
def test_a_damaged_artifact_is_noticed_said_and_computed_again(tmp_path, damage, caplog):
    calls = []
    assert make_stage(Store(tmp_path), calls, seed=1).info
    (arrays,) = tmp_path.glob("stages/thing/*/arrays.npz")
    meta = arrays.with_name("meta.json")
    if damage == "flip":
        content = bytearray(arrays.read_bytes())
        content[len(content) // 2] ^= 1
        arrays.write_bytes(content)
    elif damage == "truncate":
        arrays.write_bytes(arrays.read_bytes()[:-20])
    elif damage == "no_meta":
        meta.unlink()
    elif damage == "bad_json":
        meta.write_text("{")
    else:
        arrays.unlink()
    stage = make_stage(Store(tmp_path), calls, seed=1)
    np.testing.assert_array_equal(stage.arrays["numbers"], np.ones(5))
    assert calls == ["thing", "thing"]
    assert "damaged" in caplog.text
    assert "computing it again" in caplog.text
    assert make_stage(Store(tmp_path), calls, seed=1).info == {"value": 1.0}
    assert len(calls) == 2  # mended on disk


def test_a_failing_write_leaves_neither_artifact_nor_temporary_file(tmp_path, monkeypatch):
    store = Store(tmp_path)

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        assert make_stage(store, [], seed=1).arrays
    assert list(tmp_path.glob("stages/*/*")) == []
    assert list((tmp_path / "temporary").iterdir()) == []
    workspace = DiskWorkspace(tmp_path / "unfinished" / "k")
    with pytest.raises(OSError, match="No space left"):
        workspace.save("part", {"a": np.ones(3)})
    assert list(workspace.folder.iterdir()) == []


def test_an_interrupted_stage_finds_its_parts_again_and_clears_them_when_done(tmp_path):
    seen = []

    def compute(workspace):
        part = workspace.load("half")
        seen.append(part)
        if part is None:
            workspace.save("half", {"x": np.arange(3)})
            raise KeyboardInterrupt
        return {"x": part["x"]}, {}

    with pytest.raises(KeyboardInterrupt):
        assert Store(tmp_path).stage("cut", compute, seed=1).arrays
    np.testing.assert_array_equal(Store(tmp_path).stage("cut", compute, seed=1).arrays["x"], np.arange(3))
    assert seen[0] is None
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_damaged_part_counts_as_missing(tmp_path, caplog):
    workspace = DiskWorkspace(tmp_path)
    workspace.save("part", {"x": np.arange(1000)})
    path = tmp_path / "part.npz"
    path.write_bytes(path.read_bytes()[:200])
    assert workspace.load("part") is None
    assert "damaged" in caplog.text


def test_force_computes_anew_once_and_replaces(tmp_path):
    calls = []
    assert make_stage(Store(tmp_path), calls, seed=1).info == {"value": 1.0}
    store = Store(tmp_path, force=True)
    assert make_stage(store, calls, value=2.0, seed=1).info == {"value": 2.0}
    assert make_stage(store, calls, value=3.0, seed=1).info == {"value": 2.0}
    assert make_stage(Store(tmp_path), calls, seed=1).info == {"value": 2.0}
    assert len(calls) == 2


def test_what_a_dead_process_left_is_removed_and_a_living_one_is_spared(tmp_path):
    for name in ("999999999-dead", f"{os.getpid()}-alive"):
        (tmp_path / "temporary" / name).mkdir(parents=True)
    Store(tmp_path)
    assert [path.name for path in (tmp_path / "temporary").iterdir()] == [f"{os.getpid()}-alive"]


def test_pickled_arrays_are_neither_written_nor_read(tmp_path):
    with pytest.raises(ValueError, match=r"[Oo]bject arrays"):
        assert Store(tmp_path).stage("bad", lambda _: ({"x": np.array([{}])}, {}), seed=1).arrays
    assert list(tmp_path.glob("stages/*/*")) == []


def test_the_meta_file_tells_what_the_artifact_is(tmp_path):
    assert make_stage(Store(tmp_path), [], seed=7, role="shadow").info
    (meta,) = tmp_path.glob("stages/thing/*/meta.json")
    written = json.loads(meta.read_text())
    assert written["identity"] == {
        "seed": 7,
        "role": "shadow",
        "upstream": [],
        "settings": {"steps": 3, "channels": [1, 2]},
    }


def test_timings_count_nested_stages_once(tmp_path):
    import time

    store = Store(tmp_path)
    inner = store.stage("inner", lambda _: (time.sleep(0.2), ({}, {}))[1], seed=1)
    outer = store.stage("outer", lambda _: (inner.info, ({}, {}))[1], upstream=[inner], seed=1)
    assert outer.info == {}
    seconds = {entry["stage"].split()[0]: entry["seconds"] for entry in store.timings}
    assert seconds["inner"] >= 0.2
    assert seconds["outer"] < 0.15


def test_a_root_that_cannot_be_written_is_refused(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(InputError, match="`MI_KERAS_HOME` must be a folder that can be written; got"):
        Store(blocker)
