"""The store: equal stages shared, damage noticed, nothing half-written."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.experiments.stage_words import all_words, describe
from mi_keras.experiments.store import Store, home
from mi_keras.experiments.team import Team
from mi_keras.files import DiskWorkspace
from mi_keras.machine import machine, versions


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


def test_an_artifact_tells_what_it_was_computed_with(tmp_path):
    assert make_stage(Store(tmp_path), [], seed=1).info
    meta = json.loads(next(tmp_path.glob("stages/thing/*/meta.json")).read_text())
    assert (meta["machine"], meta["versions"]) == (machine(), versions())


@pytest.mark.parametrize("damage", ["flip", "cut", "no_meta", "bad_json", "no_arrays", "info", "moved"])
def test_a_damaged_artifact_is_noticed_said_and_computed_again(tmp_path, damage, caplog):
    calls = []
    assert make_stage(Store(tmp_path), calls, seed=1).info
    (arrays,) = tmp_path.glob("stages/thing/*/arrays.npz")
    meta = arrays.with_name("meta.json")
    if damage == "flip":
        content = bytearray(arrays.read_bytes())
        content[len(content) // 2] ^= 1
        arrays.write_bytes(content)
    elif damage == "cut":
        arrays.write_bytes(arrays.read_bytes()[:-20])
    elif damage == "no_meta":
        meta.unlink()
    elif damage == "bad_json":
        meta.write_text("{")
    elif damage == "info":
        meta.write_text(meta.read_text().replace('"value": 1.0', '"value": 7.0'))
    elif damage == "moved":  # a whole artifact of another stage in this one's place
        assert make_stage(Store(tmp_path), [], value=5.0, seed=2).info
        other = next(path for path in tmp_path.glob("stages/thing/*") if path != meta.parent)
        shutil.rmtree(meta.parent)
        other.rename(meta.parent)
    else:
        arrays.unlink()
    stage = make_stage(Store(tmp_path), calls, seed=1)
    np.testing.assert_array_equal(stage.arrays["numbers"], np.ones(5))
    assert calls == ["thing", "thing"]
    assert "damaged" in caplog.text
    assert "computing it again" in caplog.text
    assert make_stage(Store(tmp_path), calls, seed=1).info == {"value": 1.0}
    assert len(calls) == 2  # mended on disk
    assert Store(tmp_path).stage("thing", lambda _: ({}, {}), settings=Settings(), seed=1).info == {
        "value": 1.0
    }


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


@pytest.mark.parametrize("content", ["cut", "empty", "text", "flipped"])
def test_a_damaged_part_counts_as_missing(tmp_path, caplog, content):
    workspace = DiskWorkspace(tmp_path)
    workspace.save("part", {"x": np.arange(1000)})
    path = tmp_path / "part.npz"
    whole = path.read_bytes()
    if content == "flipped":  # anywhere: contents, names, flags, directory
        for position in range(0, len(whole), 97):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
            part = workspace.load("part")
            assert part is None or "x" not in part or np.array_equal(part["x"], np.arange(1000))
    else:
        path.write_bytes({"cut": whole[:200], "empty": b"", "text": b"not an archive"}[content])
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


def test_force_does_not_go_on_from_what_an_earlier_process_left_unfinished(tmp_path):
    seen = []

    def compute(workspace):
        seen.append(workspace.load("half"))
        workspace.save("half", {"x": np.arange(3)})
        return {}, {}

    stage = Store(tmp_path, force=True).stage("cut", compute, seed=1)
    DiskWorkspace(tmp_path / "unfinished" / stage.key).save("half", {"x": np.arange(9)})
    assert stage.info == {}
    assert seen == [None]


def test_two_processes_that_need_a_stage_compute_it_once(tmp_path):
    program = (
        "import sys, time, numpy as np; from pathlib import Path; from mi_keras.experiments.store import Store\n"
        "def compute(_):\n"
        "    open('computed', 'a').write('x'); time.sleep(1); return {'n': np.arange(4)}, {'v': 1}\n"
        "stage = Store(Path('store')).stage('slow', compute, seed=1)\n"
        "assert stage.arrays['n'].tolist() == [0, 1, 2, 3] and stage.info == {'v': 1}\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert (tmp_path / "computed").read_text() == "x"
    assert list((tmp_path / "store" / "temporary").iterdir()) == []


@pytest.mark.parametrize("value", [{"a": {1}}, Settings, np.float32(1)])
def test_an_identity_that_is_no_json_value_is_refused(tmp_path, value):
    found = value["a"] if isinstance(value, dict) else value
    rule = f"a stage's identity must be JSON values and settings dataclasses; got {found!r}."
    with pytest.raises(TypeError, match=f"^{re.escape(rule)}$"):
        Store(tmp_path).stage("thing", lambda _: ({}, {}), settings=value)


def test_settings_within_settings_count_with_all_of_their_fields(tmp_path):
    stage = Store(tmp_path).stage("thing", lambda _: ({}, {}), nested={"all": [Settings(steps=4)]})
    assert stage.identity == {"nested": {"all": [{"steps": 4, "channels": [1, 2]}]}, "upstream": []}


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
    store = Store(tmp_path)
    inner = store.stage("inner", lambda _: (time.sleep(0.5), ({}, {}))[1], seed=1)
    outer = store.stage("outer", lambda _: (inner.info, ({}, {}))[1], upstream=[inner], seed=1)
    assert outer.info == {}
    seconds = {entry["stage"].split()[0]: entry["seconds"] for entry in store.timings}
    assert seconds["inner"] >= 0.5
    assert seconds["outer"] < 0.5


def test_each_record_tells_what_its_own_part_of_the_work_used(tmp_path):
    """A stage that one section computed is reused by the next, and named in the records of both."""
    store = Store(tmp_path)
    shared, later = (store.stage(kind, lambda _: ({}, {}), seed=1) for kind in ("shared", "later"))
    shared.computed()
    assert [(entry["stage"], entry["reused"]) for entry in store.timings] == [("shared", False)]
    store.start_record()
    for stage in (shared, later, later):
        stage.computed()
    assert [(entry["stage"], entry["reused"]) for entry in store.timings] == [
        ("shared", True),
        ("later", False),
    ]


def test_forced_work_is_done_once_for_all_sections(tmp_path):
    calls = []
    Store(tmp_path).stage("kind", lambda _: (calls.append(1), ({}, {}))[1], seed=1).computed()
    store = Store(tmp_path, force=True)
    for _ in range(2):
        store.stage("kind", lambda _: (calls.append(1), ({}, {}))[1], seed=1).computed()
        store.start_record()
    assert len(calls) == 2


def test_stages_are_told_apart_in_words(tmp_path):
    store = Store(tmp_path)
    words = ["activation relu", "dropout 0.0"]
    head = store.stage("classifier", lambda _: ({}, {}), role="target", words=words, run=2)
    assert describe(head) == "classifier target activation relu dropout 0.0 (run 2)"
    kept = store.stage(
        "defended", lambda _: ({}, {}), subset="test", defense="truncation", top=3, words=["largest 3"], run=1
    )
    after = store.stage("inverter", lambda _: ({}, {}), upstream=[kept, kept, head], combination="x", run=1)
    assert describe(kept) == "defended test largest 3 (run 1)"
    assert describe(after) == "inverter x largest 3 activation relu dropout 0.0 (run 1)"
    assert all_words(after) == ["largest 3", *words]


@pytest.mark.parametrize("apart", [True, False])
def test_what_comes_first_is_sent_elsewhere_at_once_or_computed_here(tmp_path, apart):
    calls, asked = [], []
    team = Team()
    team.apart, team.meets = apart, lambda wanted: asked.append([stage.key for stage in wanted])
    store = Store(tmp_path, team=team)
    stages = [make_stage(store, calls, seed=seed) for seed in (1, 2)]
    store.compute_first(iter(stages))
    assert asked == ([[stage.key for stage in stages]] if apart else [])
    assert calls == ([] if apart else ["thing", "thing"])


def test_a_root_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing" / "folder")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("file", "nowhere", "circle"):
        with pytest.raises(InputError, match="`MI_KERAS_HOME` must be a folder that can be written; got"):
            Store(tmp_path / name)


def test_an_empty_variable_is_none(monkeypatch):
    monkeypatch.setenv("MI_KERAS_HOME", "")
    assert home() == Path(".mi_keras")
