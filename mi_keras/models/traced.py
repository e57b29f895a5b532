"""What TensorFlow keeps of functions that it has traced."""

from collections.abc import Iterator
from contextlib import contextmanager

from tensorflow.python.eager import context


@contextmanager
def traced_for_now() -> Iterator[None]:
    """Let go at the end of what TensorFlow has compiled of functions: it keeps that of those that are gone, too.

    As `keras.utils.clear_session` does it, and without what else that resets. Functions that are still there are compiled
    again at their next call; operations such as `tf.random.normal(..., seed=1)` begin their numbers again.
    """
    try:
        yield
    finally:
        context.context().clear_kernel_cache()
