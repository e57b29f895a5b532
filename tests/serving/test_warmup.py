"""Warm-up records as TensorFlow Serving's own messages read them."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from mi_keras.errors import InputError
from mi_keras.serving import warmup
from mi_keras.serving.manifest import WARMUP, read_manifest

prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")


def test_there_is_a_record_for_every_endpoint_and_batch_size(export_of):
    exported = export_of("o+a+x")
    records = list(tf.data.TFRecordDataset(str(exported.folder / WARMUP)).as_numpy_iterator())
    requests = [prediction_log_pb2.PredictionLog.FromString(r).predict_log.request for r in records]
    found = {
        (request.model_spec.signature_name, len(_inputs(request)["output_vector"])) for request in requests
    }
    endpoints = ("invert", "invert_from_output", "invert_png", "serving_default")
    both = {(endpoint, rows) for endpoint in endpoints for rows in (1, 4)}
    assert found == both - {("invert_from_output", 4)}  # which takes hundreds of steps a row
    assert len(requests) == read_manifest(exported.folder)["warmup"]["records"] == 7
    assert {request.model_spec.name for request in requests} == {"tiny-o-a-x"}
    direct = next(r for r in requests if r.model_spec.signature_name == "invert")
    for name, array in _inputs(direct).items():
        np.testing.assert_array_equal(array, exported.trained.samples[f"invert/input/{name}"][:1])


def _inputs(request):
    return {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}


def test_rows_are_repeated_to_make_up_a_batch():
    array = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(warmup.with_rows(array, 4), array[[0, 1, 2, 0]])
    np.testing.assert_array_equal(warmup.with_rows(array, 1), array[:1])


def test_without_the_messages_of_the_server_the_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(warmup, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"`tensorflow-serving-api` must be installed .* pip install"):
        warmup.check_installed()
    assert importlib.util.find_spec("tensorflow_serving") is not None
