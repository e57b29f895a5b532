"""Keras as the user has set it for his other programs."""

import keras
import pytest

from mi_keras import audit
from mi_keras.errors import InputError
from mi_keras.machine import check_keras


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
