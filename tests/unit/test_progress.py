"""What a long computation is given: its seeds by name, silence, and a workspace that keeps parts."""

import numpy as np

from mi_keras.progress import MemoryWorkspace, Run, SilentProgress
from mi_keras.seeds import derive


def test_a_named_seed_is_the_one_that_was_drawn_or_follows_from_the_root() -> None:
    run = Run(7, {"start": 3, "zero": 0})
    assert run.named("start") == 3
    assert run.named("zero") == 0
    assert run.named("other") == derive(7, "other") != Run(8).named("other")


def test_a_run_is_silent_and_keeps_nothing_unless_it_is_told_where() -> None:
    run = Run()
    assert run.workspace is None
    assert isinstance(run.progress, SilentProgress)
    with run.progress.bar(run.label, 3, "img") as bar:
        bar.advance(2)
    assert run.seeds == {}


def test_a_workspace_in_memory_keeps_copies_and_large_arrays_as_they_fill() -> None:
    workspace, array = MemoryWorkspace(), np.arange(3.0)
    assert workspace.load("part") is None
    workspace.save("part", {"array": array})
    array[0] = 9
    np.testing.assert_array_equal(workspace.load("part")["array"], [0, 1, 2])
    workspace.large("maps", (2, 3), np.float16)[1] = 5
    np.testing.assert_array_equal(workspace.large("maps", (2, 3), np.float16), [[0] * 3, [5] * 3])
