"""A scope for building our models in the user's process: Keras' global settings do not affect them, and they leave no
state behind."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from tensorflow.core.protobuf.config_pb2 import ConfigProto
from tensorflow.python.eager import context

from mi_keras.errors import InputError

KERAS = {"backend": "tensorflow", "floatx": "float32", "image_data_format": "channels_last"}


def check_keras() -> None:
    """Raise `InputError` where Keras is set to build other models than ours: the user's keras.json may say so."""
    for name, needed in KERAS.items():
        if (found := getattr(keras.config, name)()) != needed:
            raise InputError(
                f"`{name}` of Keras must be {needed} here; got {found} (from keras.json in ~/.keras or $KERAS_HOME, "
                "the environment, or `keras.config`)."
            )


def let_idle_threads_sleep() -> None:
    """Have TensorFlow's threads sleep while they have nothing to do; of no effect once it works.

    By itself it lets them look for work again and again, which takes time from other processes of the same cores: docs/performance.md.
    No result depends on it.
    """
    process = context.context()  # nothing public reaches it, and it is made when TensorFlow is loaded
    is_untouched = process._config is None and process._context_handle is None
    if is_untouched:  # else somebody has set their own, or it works
        process._config = ConfigProto(experimental=ConfigProto.Experimental(disable_thread_spinning=True))


@contextmanager
def own_models() -> Iterator[None]:
    """Build models in single precision whatever policy the user has set, and let go at the end of what was compiled.

    TensorFlow keeps what it compiles of functions that are gone, too, and drops it as in `keras.utils.clear_session`, without what
    else that resets. Functions that are still there are compiled again at their next call; operations such as
    `tf.random.normal(..., seed=1)` begin their numbers again.
    """
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        context.context().clear_kernel_cache()
