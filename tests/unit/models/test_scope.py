"""Models of ours amid those of the user."""

import keras
import pytest

from mi_keras.models.scope import own_models


@pytest.fixture
def mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


def test_the_policy_of_the_user_is_his_own(mixed_precision):
    """An audit after a training in mixed precision ended in a TypeError of its own layer of noise."""
    with pytest.raises(KeyError), own_models():
        assert keras.layers.Dense(1).compute_dtype == "float32"
        raise KeyError
    assert keras.layers.Dense(1).compute_dtype == "float16"
