"""The shadow model that the stored PyTorch runs of the attacks used."""

import keras
import pytest
from oracles import torch_weights

from mi_keras.models.cnn import build_cnn


@pytest.fixture(scope="module")
def shadow() -> keras.Model:
    return torch_weights.as_in("cnn", build_cnn(channels=(4, 6, 8)))
