"""The command `scripts/reproduce.py` as a user gives it: in a process of its own, with a store in the folder it runs in."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "reproduce.py"
COLUMNS = "120"  # of the terminal that the tables are printed for
LONGEST = 1200  # seconds of a command, on a slow machine beside other tests


def call(folder, *arguments, program=(SCRIPT,), timeout=LONGEST):
    """Return the finished process, however it ended."""
    environment = os.environ | {"MI_KERAS_HOME": str(folder / "store"), "COLUMNS": COLUMNS}
    return subprocess.run(
        [sys.executable, *map(str, program), *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def reproduce(folder, *arguments, timeout=LONGEST):
    finished = call(folder, *arguments, timeout=timeout)
    assert finished.returncode == 0, finished.stderr
    return finished


def load(folder, section, preset="smoke"):
    """Return what `reproduce` has written of a section."""
    return json.loads((folder / "results" / section / preset / "result.json").read_text())
