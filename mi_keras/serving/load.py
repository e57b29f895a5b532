"""Load figures of an exported model: images per second and latency, in process and through gRPC on loopback."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.command import OneLineErrors, guarded
from mi_keras.display import line_of
from mi_keras.errors import InputError
from mi_keras.progress import Run
from mi_keras.quiet import quiet_libraries
from mi_keras.serving.checks import choose_endpoint
from mi_keras.serving.client import Client
from mi_keras.serving.contract import ServedModel, ServerError, Tensors
from mi_keras.serving.warmup import check_installed
from mi_keras.settings import InverterSettings
from mi_keras.types import Floats

BATCHES = (1, 8, 64)
SERVER = "own Python servicer on 127.0.0.1, in a process of its own; not tensorflow_model_server"
SERVER_MODULE = "mi_keras.serving.loopback"
_WARM_UP = 5
_CLASSES, _SIZE = 10, 32


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement; return the exit code (see `command.guarded`)."""
    options = _parser().parse_args(arguments)
    return guarded(lambda: print(json.dumps(measure(options.model, options.requests))))


def measure(model: Path | None = None, requests: int = 200) -> dict[str, Any]:
    """Time single requests, one after the other and in process and over gRPC by turns, at every batch size.

    Args:
        model: `<name>/<version>` of an exported model; None is a TCNN of the thesis's size with random weights.
        requests: timed requests of each kind.

    Returns:
        The figures: for each way and batch size images per second, and p50 and p99 of the latency in milliseconds.

    Raises:
        InputError: `requests` is below 1, `model` is no exported model, or the messages of TensorFlow Serving are missing.
        ServerError: the server of this measurement does not come up.
    """
    if requests < 1:
        raise InputError(f"`requests` must be >= 1; got {requests}.")
    check_installed()
    with quiet_libraries():
        import tensorflow as tf

    with tempfile.TemporaryDirectory() as scratch:
        folder = random_export(Path(scratch)) if model is None else _link(model, Path(scratch))
        name, version = folder.parent.name, int(folder.name)
        with _server(folder.parent.parent) as address, Client(address, name, version) as client:
            served = client.describe()
            endpoint = _endpoint(served)
            run = tf.saved_model.load(str(folder)).signatures[endpoint]
            figures: dict[str, Any] = {
                "tensorflow": tf.__version__, "cpus": os.cpu_count() or 1, "model": f"{name}/{version}",
                "weights": "random, thesis size" if model is None else "exported", "endpoint": endpoint,
                "grpc_server": SERVER, "requests": requests,
            }  # fmt: skip
            for batch in BATCHES:
                inputs = _random_inputs(served, endpoint, batch)
                tensors = {key: tf.constant(array) for key, array in inputs.items()}
                ways: dict[str, Callable[[], object]] = {
                    "in_process": partial(_run_here, run, tensors),
                    "grpc": partial(client.predict, endpoint, inputs),
                }
                for way, seconds in _times(ways, requests).items():
                    figures[f"{way}_batch_{batch}"] = summary(seconds, batch)
    return figures


def summary(seconds: NDArray[np.float64], batch: int) -> dict[str, float]:
    """Return images per second over all requests, and median and 99th percentile of one, in milliseconds."""
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    rate = batch * len(seconds) / seconds.sum()
    return {"images_s": round(float(rate), 1), "p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def random_export(folder: Path) -> Path:
    """Write a TCNN of the thesis's size with random weights into `folder`, as `mi-keras export` writes M_I(O); return its path."""
    with quiet_libraries():
        import keras

        from mi_keras.attacks.access import Holdings
        from mi_keras.attacks.attack import Answers
        from mi_keras.attacks.learned import Learned
        from mi_keras.models.tcnn import build_tcnn
        from mi_keras.serving.signatures import Field, inversion_signatures

        out, archive = folder / "random" / "1", keras.export.ExportArchive()
        vector, image = Field((_CLASSES,)), Field((_SIZE, _SIZE, 1), range=(0.0, 1.0))
        attack = Learned((Answers(),), InverterSettings())
        solvers = [Answers().in_graph(Holdings(), Run())]
        for signature in inversion_signatures(
            attack, build_tcnn(_CLASSES), "o", {"o": vector}, image, solvers
        ):
            archive.add_endpoint(signature.name, signature.call, signature.specs())
        archive.write_out(str(out), verbose=False)
    return out


def _run_here(run: Callable[..., Any], tensors: dict[str, Any]) -> list[NDArray[Any]]:
    return [output.numpy() for output in run(**tensors).values()]


def _times(ways: Mapping[str, Callable[[], object]], requests: int) -> dict[str, NDArray[np.float64]]:
    """Time every way in turn, so that what else the machine does meets all of them alike."""
    seconds = {way: np.empty(requests) for way in ways}
    for number in range(-_WARM_UP, requests):
        for way, call in ways.items():
            start = time.perf_counter()
            call()
            if number >= 0:
                seconds[way][number] = time.perf_counter() - start
    return seconds


def _endpoint(served: ServedModel) -> str:
    names = {name for endpoint in served.endpoints.values() for name in endpoint.inputs}
    return choose_endpoint(served, dict.fromkeys(names, np.empty(0)))  # only the names matter


def _random_inputs(served: ServedModel, endpoint: str, batch: int) -> Tensors:
    draw = np.random.default_rng(batch)
    inputs: dict[str, Floats] = {}
    for name, info in served.endpoints[endpoint].inputs.items():
        if info.shape is None or None in info.shape[1:]:
            raise InputError(f"`model` must have inputs of known lengths; got {name} as {info}.")
        inputs[name] = draw.random((batch, *(length or 1 for length in info.shape[1:])), np.float32)
    return inputs


def _link(model: Path, folder: Path) -> Path:
    """Show the server one version and nothing else."""
    if not (model / "saved_model.pb").is_file() or not model.name.isdecimal():
        raise InputError(f"`model` must be the folder NAME/VERSION of an exported model; got {model}.")
    link = folder / model.resolve().parent.name / model.name
    link.parent.mkdir()
    link.symlink_to(model.resolve(), target_is_directory=True)
    return link


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", SERVER_MODULE, str(folder)]
    with tempfile.TemporaryFile("w+") as said:  # not a pipe: nobody reads it while the server runs
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                code = process.wait()
                said.seek(0)
                words = line_of((said.read().splitlines() or ["nothing"])[-1])
                raise ServerError(
                    SERVER_MODULE, f"the server ended with {code} while it loaded the model and said: {words}"
                )
            yield address
        finally:
            process.kill()  # it holds nothing that could be lost
            process.communicate()


def _parser() -> argparse.ArgumentParser:
    parser = OneLineErrors(prog="bench.py --serving", description=__doc__)
    parser.add_argument("--serving", action="store_true", help="this measurement")
    parser.add_argument("--model", type=Path, metavar="PATH", help="exported_models/NAME/VERSION (default: a TCNN of the "
        "thesis's size with random weights)")  # fmt: skip
    parser.add_argument(
        "--requests", type=int, default=200, help="timed requests of each kind (default: 200)"
    )
    return parser
