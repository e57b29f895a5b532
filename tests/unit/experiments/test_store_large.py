"""Large arrays of the store: mapped while they are filled, resumed, and never half an artifact."""

import errno
import os
import shutil

import numpy as np
import pytest

from mi_keras.experiments.store import Store
from mi_keras.progress import flush

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
