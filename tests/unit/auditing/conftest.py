"""Good files that tests change, and the file that malicious models would make."""

from pathlib import Path

import pytest
from model_files import saved, small_model


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(small_model(), tmp_path_factory.mktemp("good") / "small.keras")


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(small_model(), tmp_path_factory.mktemp("legacy") / "small.h5")


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"
