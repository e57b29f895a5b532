"""Calls an export in a process of its own: run as a file by `verify`, never imported; NumPy and TensorFlow are all it has.

Arguments: the folder of the version, a file for the answer, and `python` or `c`: which API of TensorFlow calls it. The answer is JSON: for each endpoint its name, the
number of rows, distances from the samples, scores, and `problems`, in words; and the same of the warm-up records.
"""

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# An export must load without the packages that made it. TensorFlow itself would import Keras where it finds it.
sys.modules["keras"] = sys.modules["mi_keras"] = None  # type: ignore[assignment]

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from google.protobuf.message import DecodeError  # noqa: E402
from tensorflow.core.framework import tensor_pb2  # noqa: E402

EXTRA = "assets.extra"
DEFAULT_ENDPOINT = "serving_default"
# What TensorFlow and the reading of messages raise on samples and records that are none of the endpoint's
UNUSABLE = (tf.errors.OpError, DecodeError, KeyError, IndexError, TypeError, ValueError)


def main(folder: Path, answer: Path, runtime: str = "python") -> None:
    manifest = json.loads((folder / EXTRA / "manifest.json").read_text(encoding="utf-8"))
    with np.load(folder / EXTRA / "samples.npz", allow_pickle=False) as archive:
        samples = {name: archive[name] for name in archive.files}
    functions = signatures_of(folder, runtime)
    described = manifest["endpoints"]
    endpoints = {**{name: name for name in described}, DEFAULT_ENDPOINT: manifest["default_endpoint"]}
    report = {
        "tensorflow": tf.__version__,
        "endpoints": [
            check_endpoint(name, functions, described[origin], part_of(samples, origin))
            for name, origin in endpoints.items()
        ],
        "warmup": check_warmup(folder / EXTRA / "tf_serving_warmup_requests", manifest, functions),
    }
    if more := sorted(set(functions) - set(endpoints)):
        report["endpoints"][0]["problems"].append(f"endpoints that the manifest lacks: {', '.join(more)}")
    answer.write_text(json.dumps(report), encoding="utf-8")


def signatures_of(folder: Path, runtime: str) -> Any:
    """Return what calls the endpoints, by name."""
    if runtime == "python":
        return tf.saved_model.load(str(folder)).signatures
    return runpy.run_path(str(Path(__file__).with_name("c_runtime.py")))["load"](folder)


def part_of(samples: dict[str, Any], endpoint: str) -> dict[str, dict[str, Any]]:
    """Return the samples of one endpoint: `input` and `output` by name, and the truth."""
    found: dict[str, dict[str, Any]] = {"input": {}, "output": {}, "truth": {"": samples["truth"]}}
    for key, array in samples.items():
        owner, _, rest = key.partition("/")
        if owner == endpoint:
            side, _, name = rest.partition("/")
            found[side][name] = array
    return found


def check_endpoint(name: str, functions: Any, described: Any, sample: Any) -> dict[str, Any]:
    """Compare an endpoint's interface with the manifest, and its answers with the samples."""
    entry: dict[str, Any] = {
        "name": name, "rows": 0, "largest": None, "mean": None, "scores": {}, "problems": [],
    }  # fmt: skip
    if name not in functions:
        return entry | {"problems": ["there is no such endpoint"]}
    function, problems = functions[name], entry["problems"]
    problems += compare_fields("inputs", function.structured_input_signature[1], described["inputs"])
    problems += compare_fields("outputs", function.structured_outputs, described["outputs"])
    for side in ("input", "output"):
        if set(sample[side]) != set(described[f"{side}s"]):
            problems.append(
                f"samples of {side}s are {sorted(sample[side])} in place of {sorted(described[f'{side}s'])}"
            )
    if problems:
        return entry
    try:
        whole = call(function, sample["input"])
        alone = call(function, {key: array[:1] for key, array in sample["input"].items()})
        for output, expected in sample["output"].items():
            answers = whole[output], alone[output], in_floats(expected)
            problems += check_output(output, answers, sample["truth"][""], described, entry)
    except UNUSABLE as error:
        problems.append(f"cannot be called with the samples: {in_words(error)}")
    return entry | {"rows": len(sample["truth"][""])}


def check_output(output: str, answers: Any, truth: Any, described: Any, entry: dict[str, Any]) -> list[str]:
    """Say how the answers of all rows, and of the first alone, are not as the samples; add distances and scores to `entry`."""
    whole, alone, wanted = answers
    if whole.shape != wanted.shape or alone.shape != wanted[:1].shape:
        return [f"{output} has the shape {whole.shape} in place of {wanted.shape}"]
    if not (np.isfinite(whole).all() and np.isfinite(alone).all()):
        return [f"{output} holds NaN or infinity"]
    entry |= distances(whole, wanted)
    problems, tolerance = [], described["tolerance"]
    if limits := described["outputs"][output]["range"]:
        least, greatest = float(whole.min()), float(whole.max())
        if not limits[0] <= least <= greatest <= limits[1]:
            problems.append(f"{output} is from {least:.4g} to {greatest:.4g}, not within {limits}")
    for measure in ("largest", "mean"):
        if not entry[measure] <= tolerance[measure]:  # NaN is not, either
            problems.append(
                f"{measure} distance from the samples is {entry[measure]:.2g}, not within {tolerance[measure]:.2g}"
            )
    apart = distances(alone, whole[:1])["largest"]
    if not apart <= tolerance["row"]:
        problems.append(
            f"a row alone and in a batch differ by {apart:.2g}, not within {tolerance['row']:.2g}"
        )
    if stated := described.get("sample_scores"):
        entry["scores"] = scores_of(whole, truth)
        for metric, score in stated.items():
            found = entry["scores"].get(metric, np.nan)
            if not abs(found - score) <= tolerance["score"]:
                problems.append(f"{metric} is {found:.4f} in place of {score:.4f}")
    return problems


def compare_fields(side: str, found: Any, described: Any) -> list[str]:
    """Say which names, shapes and types differ."""
    seen = {name: [spec.dtype.name, spec.shape.as_list()] for name, spec in found.items()}
    wanted = {name: [field["dtype"], field["shape"]] for name, field in described.items()}
    return [] if seen == wanted else [f"{side} are {seen} in place of {wanted}"]


def call(function: Any, inputs: Any) -> dict[str, Any]:
    answers = function(**{name: tf.constant(array) for name, array in inputs.items()})
    return {name: in_floats(array.numpy()) for name, array in answers.items()}


def in_words(error: Exception) -> str:
    """Return the first line of what an error says, and its kind."""
    said = (str(getattr(error, "message", error)).strip().splitlines() or ["no message"])[0]
    return f"{said} ({type(error).__name__})"


def in_floats(array: Any) -> Any:
    """Return numbers as they are, bytes and PNG files as images in [0, 1]."""
    if array.dtype == object:
        array = np.stack([tf.io.decode_png(file).numpy() for file in array])
    return array.astype(np.float32) / np.float32(255) if array.dtype == np.uint8 else array


def distances(first: Any, second: Any) -> dict[str, float]:
    """Return the largest absolute difference, and the largest mean one of a row."""
    difference = np.abs(first.astype(np.float64) - second)
    return {
        "largest": float(difference.max()),
        "mean": float(difference.reshape(len(difference), -1).mean(axis=1).max()),
    }


def scores_of(images: Any, truth: Any) -> dict[str, float]:
    """Return mean SSIM and MSE, by TensorFlow's own functions."""
    similarity = tf.image.ssim(tf.constant(images), tf.constant(truth), max_val=1.0)
    return {
        "ssim": float(tf.reduce_mean(similarity)),
        "mse": float(np.mean((images.astype(np.float64) - truth) ** 2)),
    }


def check_warmup(path: Path, manifest: Any, functions: Any) -> dict[str, Any]:
    """Send every warm-up record through the signature that it names, as the server does when it loads the model."""
    problems, seen, count = [], set(), 0
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            count += 1
            try:
                seen.add(check_record(record, manifest["name"], functions))
            except UNUSABLE as error:
                problems.append(f"record {count} cannot be replayed: {in_words(error)}")
    except tf.errors.OpError as error:  # the file itself
        problems.append(f"record {count + 1} cannot be read: {in_words(error)}")
    described = manifest["endpoints"]
    wanted = {(name, rows) for name, endpoint in described.items() for rows in endpoint["warmup_rows"]}
    wanted |= {(DEFAULT_ENDPOINT, rows) for rows in described[manifest["default_endpoint"]]["warmup_rows"]}
    if not problems and seen != wanted:
        problems.append(f"records are for {sorted(seen)} in place of {sorted(wanted)}")
    return {"records": count, "problems": problems}


def check_record(record: bytes, name: str, functions: Any) -> tuple[str, int]:
    """Return endpoint and number of rows of a warm-up record that is answered in as many finite rows.

    Raises:
        ValueError, or another of `UNUSABLE`: it is not, or the record is none.
    """
    model, endpoint, inputs = read_request(record)
    if model != name or endpoint not in functions:
        raise ValueError(f"it is for {endpoint} of {model}")
    answers = call(functions[endpoint], inputs)
    rows = len(next(iter(inputs.values())))
    if not all(len(array) == rows and np.isfinite(array).all() for array in answers.values()):
        raise ValueError(f"{endpoint} answers {rows} rows wrongly")
    return endpoint, rows


def read_request(record: bytes) -> tuple[str, str, dict[str, Any]]:
    """Return model, signature and inputs of a PredictionLog message; the numbers of its fields are in TF Serving's
    prediction_log.proto, predict.proto and model.proto."""
    request = dict(fields_of(dict(fields_of(record))[6]))[1]  # predict_log, then its request
    model, endpoint, inputs = "", "", {}
    for number, value in fields_of(request):
        if number == 1:
            spec = dict(fields_of(value))
            model, endpoint = spec.get(1, b"").decode(), spec.get(3, b"").decode()
        elif number == 2:
            pair = dict(fields_of(value))
            tensor = tensor_pb2.TensorProto.FromString(pair[2])
            inputs[pair[1].decode()] = tf.make_ndarray(tensor)
    return model, endpoint, inputs


def fields_of(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of a protocol buffer's fields; all that are needed here are of variable length."""
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
            if byte < 128:
                return value

    while place < len(message):
        tag = number()
        length = {0: 0, 1: 8, 5: 4}.get(tag & 7)
        if tag & 7 == 0:
            number()
        if length is None:
            length = number()
            yield tag >> 3, message[place : place + length]
        place += length


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
