"""What the process that calls an export compares, case by case, on graphs of a few operations."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

prediction_log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
ROWS, SIDE = 3, 12  # the smallest that SSIM takes is 11
FIELD = {"shape": [None, SIDE, SIDE, 1], "dtype": "float32"}
TOLERANCE = {"largest": 1e-5, "mean": 1e-6, "score": 1e-4, "row": 1e-5}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a SavedModel with an endpoint that halves an image, and some with a fault each."""
    graphs = {
        "half": lambda image: {"image": image / 2},
        "root": lambda image: {"image": tf.sqrt(image - 0.5)},
        "double": lambda image: {"image": 2 * image},
        "centred": lambda image: {"image": image - tf.reduce_mean(image, axis=0)},
        "one_row": lambda image: {"image": image[:1]},
        "fails": lambda image: {"image": tf.debugging.check_numerics(image / 0, "divided by zero")},
    }
    folder = tmp_path_factory.mktemp("graphs")
    spec = tf.TensorSpec(FIELD["shape"], tf.float32, "image")
    signatures = {name: tf.function(call, input_signature=[spec]) for name, call in graphs.items()}
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)
    return folder


@pytest.fixture(scope="module")
def functions(folder):
    return tf.saved_model.load(str(folder)).signatures


IMAGES = np.linspace(0.25, 0.75, ROWS * SIDE * SIDE, dtype=np.float32).reshape(ROWS, SIDE, SIDE, 1)


@dataclass
class Case:
    """A check of one endpoint, and what it is given."""

    check_endpoint: Callable[..., dict[str, Any]]
    functions: Mapping[str, Any]
    endpoint: str
    described: dict[str, Any]
    sample: dict[str, dict[str, Any]]

    def check(self):
        return self.check_endpoint(self.endpoint, self.functions, self.described, self.sample)


@pytest.fixture
def case(script, functions):
    """Return a check of `half` that finds nothing wrong until a test changes what it is given."""
    scores = {
        "ssim": float(tf.reduce_mean(tf.image.ssim(IMAGES / 2, IMAGES, 1.0))), "mse": float(np.mean((IMAGES / 2) ** 2))
    }  # fmt: skip
    described = {
        "inputs": {"image": FIELD | {"range": None}}, "outputs": {"image": FIELD | {"range": [0.0, 1.0]}},
        "tolerance": dict(TOLERANCE), "sample_scores": scores,
    }  # fmt: skip
    sample = {"input": {"image": IMAGES.copy()}, "output": {"image": IMAGES / 2}, "truth": {"": IMAGES}}
    return Case(script["check_endpoint"], functions, "half", described, sample)


def test_what_is_as_described_has_no_problems(case):
    found = case.check()
    assert found["problems"] == []
    assert (found["rows"], found["largest"], found["scores"]["mse"]) == (
        ROWS,
        0.0,
        pytest.approx(0.0677, abs=1e-4),
    )


def only_problem(case):
    (problem,) = case.check()["problems"]
    return problem


@pytest.mark.parametrize(("side", "key"), [("inputs", "shape"), ("outputs", "dtype")])
def test_another_interface_is_found(case, side, key):
    case.described[side]["image"][key] = {"shape": [None, 3], "dtype": "float16"}[key]
    assert only_problem(case).startswith(
        f"{side} are {{'image': ['float32', [None, 12, 12, 1]]}} in place of"
    )
    assert case.check()["largest"] is None


@pytest.mark.parametrize("side", ["input", "output"])
def test_samples_that_are_missing_or_of_another_name_are_found(case, side):
    case.sample[side] = {}
    assert only_problem(case) == f"samples of {side}s are [] in place of ['image']"
    case.sample[side] = {"image": IMAGES, "more": IMAGES}
    assert only_problem(case) == f"samples of {side}s are ['image', 'more'] in place of ['image']"


def test_samples_that_are_no_numbers_are_found(case):
    case.sample["output"]["image"][0, 0, 0] = np.nan
    largest, mean = case.check()["problems"]
    assert largest == "largest distance from the samples is nan, not within 1e-05"
    assert mean == "mean distance from the samples is nan, not within 1e-06"


def test_samples_without_rows_are_found(case):
    case.sample = {
        side: {name: array[:0] for name, array in part.items()} for side, part in case.sample.items()
    }
    assert "cannot be called with the samples" in only_problem(case)


def test_distances_of_one_value_and_of_all_are_found(case):
    case.sample["output"]["image"][1] += np.float32(5e-6)
    assert only_problem(case) == "mean distance from the samples is 5e-06, not within 1e-06"
    case.sample["output"]["image"][1, 0, 0] += np.float32(2e-5)
    assert len(case.check()["problems"]) == 2


def test_answers_that_are_no_numbers_are_found(case):
    case.endpoint = "root"
    assert only_problem(case) == "image holds NaN or infinity"


def test_answers_outside_the_range_are_found(case):
    case.endpoint, case.sample["output"]["image"], case.described["sample_scores"] = "double", 2 * IMAGES, {}
    assert only_problem(case) == "image is from 0.5 to 1.5, not within [0.0, 1.0]"
    case.described["outputs"]["image"]["range"] = None
    assert case.check()["problems"] == []


def test_a_row_that_depends_on_its_batch_is_found(case):
    centred = IMAGES - IMAGES.mean(axis=0)
    case.endpoint, case.sample["output"]["image"] = "centred", centred
    case.described |= {"sample_scores": {}, "outputs": {"image": FIELD | {"range": None}}}
    case.described["tolerance"] |= {"largest": 1e-3, "mean": 1e-3}
    assert only_problem(case) == "a row alone and in a batch differ by 0.17, not within 1e-05"


def test_answers_of_another_shape_are_found(case):
    case.endpoint = "one_row"
    assert only_problem(case) == "image has the shape (1, 12, 12, 1) in place of (3, 12, 12, 1)"


@pytest.mark.parametrize("stated", [{"mse": 0.5}, {"mse": float("nan")}, {"unheard_of": 0.1}])
def test_other_scores_than_stated_are_found(case, stated):
    case.described["sample_scores"] |= stated
    (metric,) = stated
    assert only_problem(case).startswith(f"{metric} is ")


def test_what_fails_when_it_is_called_is_a_problem_of_that_endpoint(case):
    case.endpoint = "fails"
    assert "divided by zero" in only_problem(case)
    case.endpoint, case.sample["input"]["image"] = "half", IMAGES.astype(np.float64)
    assert only_problem(case).startswith("cannot be called with the samples: ")
    case.endpoint = "nowhere"
    assert only_problem(case) == "there is no such endpoint"


def test_endpoints_that_nobody_described_are_found(case, script, folder, tmp_path):
    manifest = {
        "name": "m",
        "default_endpoint": "half",
        "endpoints": {"half": case.described | {"warmup_rows": [1]}},
    }
    extra = folder / "assets.extra"
    extra.mkdir()
    (extra / "manifest.json").write_text(json.dumps(manifest))
    (extra / "tf_serving_warmup_requests").touch()
    samples = {f"half/{side}/image": case.sample[side]["image"] for side in ("input", "output")}
    np.savez(extra / "samples.npz", truth=IMAGES, **samples)
    script["main"](folder, tmp_path / "answer")
    report = json.loads((tmp_path / "answer").read_text())
    assert [(entry["name"], entry["problems"]) for entry in report["endpoints"]] == [
        ("half", ["endpoints that the manifest lacks: centred, double, fails, one_row, root"]),
        ("serving_default", ["there is no such endpoint"]),
    ]
    assert report["warmup"]["records"] == 0
    assert len(report["warmup"]["problems"]) == 1


# Warm-up records


def record_of(rows=2, model="m", endpoint="half", name="image"):
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = model, endpoint
    request.inputs[name].CopyFrom(tf.make_tensor_proto(IMAGES[:rows]))
    return log.SerializeToString()


@pytest.fixture
def replayed(tmp_path, script, functions):
    manifest = {"name": "m", "default_endpoint": "half", "endpoints": {"half": {"warmup_rows": [1, 2]}}}
    endpoints = {name: functions[name] for name in ("root", "half")} | {"serving_default": functions["half"]}

    def replay(*records, cut=0):
        path = tmp_path / "records"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)
        path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
        return script["check_warmup"](path, manifest, endpoints)

    return replay


WHOLE = [record_of(rows, endpoint=endpoint) for endpoint in ("half", "serving_default") for rows in (1, 2)]


def test_a_whole_warmup_file_has_no_problems(replayed):
    assert replayed(*WHOLE) == {"records": 4, "problems": []}


def test_a_missing_record_is_named(replayed):
    (problem,) = replayed(*WHOLE[:3])["problems"]
    assert problem.startswith(
        "records are for [('half', 1), ('half', 2), ('serving_default', 1)] in place of "
    )
    assert replayed()["problems"]


def nested(*fields):
    """Return a message whose only field, of a number below 16, holds a message whose only field holds another one."""
    message = b""
    for number in reversed(fields):
        message = bytes([number << 3 | 2, len(message)]) + message
    return message


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (nested(1), "KeyError"),  # a log of another kind
        (b"", "KeyError"),
        (b"\xff\xff", "IndexError"),
        (nested(6, 1, 2), "KeyError"),  # an input without a name
        (b"\x32\x0a\x0a\x08\x12\x06\x0a\x01v\x12\x01\xff", "DecodeError"),  # an input that is no tensor
        (b"\x32\x07\x0a\x05\x0a\x03\x0a\x01\xff", "UnicodeDecodeError"),
        (record_of(model="other"), "it is for half of other"),
        (record_of(endpoint="gone"), "it is for gone of m"),
        (record_of(name="picture"), "TypeError"),
        (record_of(endpoint="root"), "root answers 2 rows wrongly"),
    ],
)
def test_a_record_that_is_none_is_a_problem_and_the_others_are_replayed(replayed, record, problem):
    found = replayed(WHOLE[0], record, *WHOLE[1:])
    assert found["records"] == 5
    (said,) = found["problems"]
    assert said.startswith("record 2 cannot be replayed: ")
    assert problem in said


def test_a_file_that_is_cut_is_a_problem(replayed):
    (problem,) = replayed(*WHOLE, cut=3)["problems"]
    assert problem.startswith("record 4 cannot be read: ")
