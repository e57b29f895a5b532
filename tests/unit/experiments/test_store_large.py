"""Large arrays of the store: mapped while they are filled, resumed, and never half an artifact."""

import errno
import os
import shutil

import numpy as np
import pytest

from mi_keras.experiments.store import Store
from mi_keras.progress import SilentProgress, fill, flush

FILLED = [0, 0, 2, 2, 4, 4, 6, 6, 8, 8]  # by `large_stage`


def large_stage(root, calls, *, stop_at=None):
    """Fills ten rows of a large array, two at a time; is interrupted before the row `stop_at`."""

    def compute(workspace):
        rows = workspace.large("rows", (10, 3), np.float16)
        saved = workspace.load("progress")
        for start in range(int(saved["done"]) if saved else 0, 10, 2):
            if start == stop_at:
                raise KeyboardInterrupt
            calls.append(start)
            rows[start : start + 2] = start
            flush(rows)
            workspace.save("progress", {"done": np.int64(start + 2)})
        return {}, {}

    return Store(root).stage("large", compute, seed=1)


def test_a_large_array_is_mapped_resumed_and_kept(tmp_path):
    calls = []
    with pytest.raises(KeyboardInterrupt):
        large_stage(tmp_path, calls, stop_at=6).computed()
    rows = large_stage(tmp_path, calls).large("rows")
    assert isinstance(rows, np.memmap)
    assert calls == [0, 2, 4, 6, 8]
    np.testing.assert_array_equal(rows[:, 1], FILLED)
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 1
    large_stage(tmp_path, calls).large("rows")
    assert len(calls) == 5
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_a_damaged_large_array_is_noticed_and_computed_again(tmp_path, caplog):
    calls = []
    large_stage(tmp_path, calls).computed()
    (path,) = (tmp_path / "stages" / "large").glob("*/rows.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert large_stage(tmp_path, calls).large("rows")[9, 2] == 8
    assert calls == 2 * [0, 2, 4, 6, 8]
    assert "damaged" in caplog.text


def test_an_array_that_the_disk_has_no_room_for_is_refused_before_it_is_begun(tmp_path):
    def compute(workspace):
        workspace.large("rows", (shutil.disk_usage(tmp_path).free + 2**33,), np.uint8)
        return {}, {}

    with pytest.raises(OSError) as caught:
        Store(tmp_path).stage("large", compute, seed=1).computed()
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.glob("unfinished/*/*")) == []


def test_an_interruption_between_the_large_arrays_and_the_end_starts_over(tmp_path, monkeypatch):
    """Else the record of what was filled would speak of an array that is a new, empty one."""
    real = os.replace

    def interrupted(source, destination):
        real(source, destination)
        if str(destination).endswith("rows.npy"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            large_stage(tmp_path, []).computed()
    calls = []
    rows = large_stage(tmp_path, calls).large("rows")
    assert calls == [0, 2, 4, 6, 8]
    np.testing.assert_array_equal(rows[:, 1], FILLED)


def filled_stage(root, *, stop_at=None, progress=None):
    """As `large_stage`, through `fill`, with a second array that a part fills a row of."""

    def compute(workspace):
        rows, beside = (
            workspace.large("rows", (100, 30), np.float32),
            workspace.large("beside", (50, 3), np.float32),
        )

        def answer(part):
            if part.start == stop_at:
                raise KeyboardInterrupt
            beside[part.start // 2] = rows[part] = part.start + 1
            return rows[part]

        fill(rows, answer, workspace, progress or SilentProgress(), "rows", batch=2, beside=beside)
        return {}, {}

    return Store(root).stage("filled", compute, seed=1)


def cut(path):
    path.write_bytes(path.read_bytes()[: 128 + 41 * 120])  # after row 41, in the second block


def other_header(path):
    np.save(path, np.zeros((100, 31), np.float32))


def one_bit(path):
    content = bytearray(path.read_bytes())
    content[-15 * 120] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(("damage", "name", "again"), [
    (cut, "rows", 40), (other_header, "rows", 80), (one_bit, "rows", None), (one_bit, "beside", None), (other_header, "beside", 80),
])  # fmt: skip
def test_an_unfinished_large_array_that_was_changed_is_computed_again_from_there(
    tmp_path, damage, name, again, recording_progress
):
    with pytest.raises(KeyboardInterrupt):
        filled_stage(tmp_path, stop_at=90).computed()
    (path,) = tmp_path.glob(f"unfinished/*/{name}.npy")
    if damage is one_bit and name == "beside":
        path.write_bytes(path.read_bytes()[:140] + b"\xff" + path.read_bytes()[141:])
        again = 80
    else:
        damage(path)
    progress = recording_progress()
    stage = filled_stage(tmp_path, progress=progress)
    expected = np.repeat(np.arange(1, 101, 2), 2)
    assert (stage.large("rows") == expected[:, None]).all()
    assert (stage.large("beside") == np.arange(1, 101, 2)[:, None]).all()
    found = [f"rows: {again} of 100 are no longer as they were saved; computing them again."] if again else []
    assert progress.said == found
    assert progress.bars[0][3] == 80 - (again or 0)


def test_a_large_array_that_was_cut_after_its_check_is_computed_again(tmp_path):
    stage = filled_stage(tmp_path).computed()
    (path,) = tmp_path.glob("stages/*/*/rows.npy")
    cut(path)
    assert stage.large("rows")[99, 0] == 99


def test_a_large_array_that_cannot_be_opened_now_is_left_as_it_is(tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        filled_stage(tmp_path, stop_at=90).computed()
    (path,) = tmp_path.glob("unfinished/*/rows.npy")
    before = path.read_bytes()

    def fails(*_, **__):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(np.lib.format, "open_memmap", fails)
    with pytest.raises(OSError, match="Too many open files"):
        filled_stage(tmp_path).computed()
    assert path.read_bytes() == before
