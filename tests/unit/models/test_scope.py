"""Models of ours amid those of the user."""

import keras
import pytest

from mi_keras import audit
from mi_keras.errors import InputError
from mi_keras.models.scope import check_keras, own_models


@pytest.fixture
def mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


def test_the_policy_of_the_user_is_his_own(mixed_precision):
    """An audit after a training in mixed precision ended in a TypeError of its own layer of noise."""
    with own_models():
        assert keras.layers.Dense(1).compute_dtype == "float32"
    assert keras.layers.Dense(1).compute_dtype == "float16"


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


def test_keras_as_ours_is_taken():
    check_keras()


def test_a_keras_that_would_build_other_models_is_refused(channels_first):
    with pytest.raises(
        InputError, match="`image_data_format` of Keras must be channels_last here; got channels_first"
    ):
        audit("model.keras", "images")
