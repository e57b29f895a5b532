"""floors.txt has the lowest version of each dependency that pyproject.toml allows, and nothing else."""

import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def test_the_floors_are_those_of_the_project() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    listed = [
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    asked = dict(
        re.match(r"([\w.-]+)>=([\d.]+)", line).groups() for line in listed if not line.startswith("mi-keras[")
    )
    lines = (REPOSITORY / "floors.txt").read_text().splitlines()
    floors = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert floors == asked
    command = 'python3.11 -m venv .floors && .floors/bin/pip install --constraint floors.txt -e ".[dev]" && .floors/bin/pytest'
    assert command in (REPOSITORY / "CONTRIBUTING.md").read_text()
    assert f"#   {command}" in lines
