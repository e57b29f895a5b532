"""Models of ours amid those of the user."""

import subprocess
import sys

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


def test_idle_threads_sleep_unless_it_is_too_late():
    """In a process of its own, as TensorFlow reads it once; told afterwards, its configuration says what it works with."""
    code = (
        "import tensorflow as tf; from tensorflow.python.eager import context\n"
        "from mi_keras.models.scope import let_idle_threads_sleep\n"
        "def sleeps(): return context.context().config.experimental.disable_thread_spinning\n"
        "let_idle_threads_sleep(); tf.config.threading.set_intra_op_parallelism_threads(3); tf.zeros(1)\n"
        "assert sleeps() and context.context().config.intra_op_parallelism_threads == 3\n"
        "context.context()._config = None; let_idle_threads_sleep()\n"
        "assert not sleeps()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
