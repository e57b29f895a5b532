"""Warm-up records: requests that TensorFlow Serving answers itself when it loads a version, before any client's."""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.progress import Arrays

MOST_RECORDS = 1000  # TensorFlow Serving refuses a model with more


def check_installed() -> None:
    """Raise `InputError` where the messages of TensorFlow Serving are not installed."""
    if find_spec("tensorflow_serving") is None:
        raise InputError(
            "`tensorflow-serving-api` must be installed for the warm-up records of an export: pip install "
            "'mi-keras[serving]' (beside another package of TensorFlow: pip install --no-deps tensorflow-serving-api)."
        )


def write_warmup(path: Path, model: str, requests: Iterable[tuple[str, Arrays, Sequence[int]]]) -> int:
    """Write a record for each request and number of rows, and return how many there are.

    Args:
        path: new TFRecord file of PredictionLog messages.
        model: name on the server.
        requests: endpoint, inputs by name, and numbers of rows; rows are repeated or left out to make them up.
    """
    import tensorflow as tf  # here, so that `check_installed` needs neither
    from tensorflow_serving.apis import prediction_log_pb2

    count = 0
    with tf.io.TFRecordWriter(str(path)) as writer:
        for endpoint, inputs, sizes in requests:
            for rows in sizes:
                log = prediction_log_pb2.PredictionLog()
                request = log.predict_log.request
                request.model_spec.name, request.model_spec.signature_name = model, endpoint
                for name, array in inputs.items():
                    request.inputs[name].CopyFrom(tf.make_tensor_proto(with_rows(array, rows)))
                writer.write(log.SerializeToString())
                count += 1
    if count > MOST_RECORDS:
        raise ValueError(f"`requests` must make at most {MOST_RECORDS} records; got {count}.")
    return count


def with_rows(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return an array with its first dimension repeated or cut to `rows`."""
    return np.take(array, np.arange(rows) % len(array), axis=0)
