"""A small MobileNetV3-Large in two parts, and its weights as a file, for the tests of both."""

from pathlib import Path

import pytest

from mi_keras.models.mobilenet import SplitModel, build_split_mobilenet


@pytest.fixture(scope="module")
def split() -> SplitModel:
    return build_split_mobilenet(input_shape=(32, 64, 3), minimalistic=True)


@pytest.fixture(scope="module")
def weights_file(split: SplitModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "model.weights.h5"
    split.whole.save_weights(path)
    return path


@pytest.fixture
def damaged(weights_file: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy.weights.h5"
    copy.write_bytes(weights_file.read_bytes())
    return copy
