"""What a process of its own shows that this one cannot: which modules some code loads."""

import os
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
