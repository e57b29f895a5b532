"""What processes show: which modules some code loads, and what a command says on standard error."""

import os
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that are loaded once `code` has run."""
    program = f"{code}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    finished = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=60
    )  # fmt: skip
    return set(finished.stdout.split())


def complaints(said: str) -> str:
    """Return what a command said on standard error beside the lines of finished stages, which it says where no bar is drawn."""
    return "".join(
        line
        for line in said.splitlines(keepends=True)
        if not re.fullmatch(r".*: \d+\.\d s( \(.*\))?\n", line)
    )
