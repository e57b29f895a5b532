"""What is seen of long work: bars on a terminal; in a log a line for each stage and one a minute, and never more."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from mi_keras import console as module
from mi_keras.console import TerminalProgress
from mi_keras.experiments.store import Store


@pytest.fixture
def log(monkeypatch):
    """Return a console that writes into no terminal, its text, and a clock that is set by hand."""
    text, clock = io.StringIO(), [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    return Console(file=text, force_terminal=False, width=20), text, clock


def test_a_log_has_a_line_for_each_stage_that_was_computed(log, tmp_path):
    console, text, _ = log
    store = Store(tmp_path, progress=TerminalProgress(console))
    inner = store.stage("classifier", lambda _: ({"x": np.ones(1)}, {}), role="target", run=1)
    outer = store.stage("inversion", lambda _: ({"x": inner.arrays["x"]}, {}), upstream=[inner], run=1)
    for _ in range(2):
        assert outer.arrays
    assert (
        re.sub(r"\d+\.\d s", "T", text.getvalue()) == "classifier target (run 1): T\ninversion (run 1): T\n"
    )


def test_a_log_says_how_far_long_work_is_once_a_minute(log):
    console, text, clock = log
    with TerminalProgress(console).bar("classifier target", 200, "img", 20) as bar:
        for _ in range(18):
            clock[0] += 25
            bar.advance(10)
    assert text.getvalue().splitlines() == [f"classifier target: {share}%" for share in (25, 40, 55, 70, 85)]


def test_a_log_counts_stages_and_minutes_where_they_are_expected(log):
    console, text, clock = log
    progress = TerminalProgress(console)
    clock[0] = 5
    progress.finished("the model", 5.0)
    progress.expect(3, 150)
    for seconds, left in ((60, (2, 120.0)), (20, None), (4000, (1, 30.0)), (1, (0, 0.0)), (1, None)):
        clock[0] += seconds
        progress.finished("linear map, learned", float(seconds), left)
    assert text.getvalue().splitlines() == [
        "the model: 5.0 s",
        "linear map, learned: 60.0 s (step 1 of about 3, 1:05 so far, about 2:00 left)",
        "linear map, learned: 20.0 s (1:25 so far, about 1:40 left)",
        "linear map, learned: 4000.0 s (step 2 of about 3, 1:08:05 so far, about 0:30 left)",
        "linear map, learned: 1.0 s (step 3 of about 3, 1:08:06 so far)",
        "linear map, learned: 1.0 s (1:08:07 so far)",
    ]


def test_a_terminal_has_a_bar_for_each_thing_that_is_done_and_one_for_all_of_them(tmp_path):
    text = io.StringIO()
    progress = TerminalProgress(Console(file=text, force_terminal=True, width=100))
    progress.finished("the model", 5.0)
    progress.expect(4, 600)
    progress.finished("answers", 1.0, (3, 599.0))
    with progress.bar("target model", 2, "img") as bar, progress.bar("shadow model", 4, "img") as other:
        bar.advance(2)
        other.advance(1)
    shown = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", text.getvalue())
    assert re.search(
        r"^answers: 1.0 s \(step 1 of about 4, 0:00 so far, about 9:59 left\)", shown, re.MULTILINE
    )
    assert re.search(
        r"step 2 of about 4 .* 9:5\d left *\ntarget model .* 100 % .*\nshadow model .* 25 %", shown
    )
