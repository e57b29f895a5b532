"""Small gRPC and REST servers that answer as TensorFlow Serving does: for tests and measurements, on 127.0.0.1 only."""

import argparse
import errno
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.command import OneLineErrors, guarded
from mi_keras.quiet import quiet_libraries
from mi_keras.serving.contract import DEFAULT_ENDPOINT, LOOPBACK
from mi_keras.serving.loopback_models import LoadedModels, LoadedVersion, Refusal, load_models
from mi_keras.serving.loopback_rest import RestHandler
from mi_keras.serving.transport_grpc import CHANNEL_OPTIONS, SIGNATURES, decode, encode

with quiet_libraries():
    import grpc
    from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )


class _Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models: LoadedModels) -> None:
        self._models = models

    def Predict(self, request: Any, context: Any) -> Any:
        with _refusing(context):
            model = self._find(request.model_spec)
            endpoint = request.model_spec.signature_name or DEFAULT_ENDPOINT
            inputs = {name: decode(tensor) for name, tensor in request.inputs.items()}
            outputs = self._models.predict(model, endpoint, inputs)
        response = predict_pb2.PredictResponse()
        _fill_spec(response.model_spec, request.model_spec.name, model, endpoint)
        for name, array in outputs.items():
            response.outputs[name].CopyFrom(
                encode(array) if array.dtype == np.float32 else _encode_bytes(array)
            )
        return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        with _refusing(context):
            model = self._find(request.model_spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        _fill_spec(response.model_spec, request.model_spec.name, model, "")
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=dict(model.signatures))
        response.metadata[SIGNATURES].Pack(signatures)
        return response

    def _find(self, spec: Any) -> LoadedVersion:
        version = spec.version.value if spec.HasField("version") else None
        return self._models.find(spec.name, version, spec.version_label or None)


class _StatusServicer(model_service_pb2_grpc.ModelServiceServicer):
    """What clients of others ask first; ours asks for the metadata."""

    def __init__(self, models: LoadedModels) -> None:
        self._models = models

    def GetModelStatus(self, request: Any, context: Any) -> Any:
        with _refusing(context):
            if not request.HasField("model_spec"):
                raise Refusal("INVALID_ARGUMENT", "Missing ModelSpec")
            spec = request.model_spec
            version = spec.version.value if spec.HasField("version") else None
            if spec.version_label:
                version = self._models.find(spec.name, label=spec.version_label).version
            versions = self._models.status(spec.name, version)
        response = get_model_status_pb2.GetModelStatusResponse()
        for number in versions:  # its status is OK, which is what nothing in the message means
            response.model_version_status.add(version=number, state="AVAILABLE").status.SetInParent()
        return response


class _RestServer(ThreadingHTTPServer):
    request_queue_size = 128  # connections that arrive together are not refused

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that has gone is no trouble of ours
            super().handle_error(request, client_address)


@contextmanager
def serve_grpc(models: LoadedModels, port: int = 0, *, workers: int = 8) -> Iterator[str]:
    """Serve until the block ends; gives the address. Port 0 is any that is free."""
    options = [*CHANNEL_OPTIONS, ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(workers), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Servicer(models), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_StatusServicer(models), server)
    try:
        port = server.add_insecure_port(f"{LOOPBACK}:{port}")
    except RuntimeError:  # all that gRPC says
        raise OSError(errno.EADDRINUSE, "the port cannot be had", f"{LOOPBACK}:{port}") from None
    server.start()
    try:
        yield f"{LOOPBACK}:{port}"
    finally:
        server.stop(None).wait()


@contextmanager
def serve_rest(models: LoadedModels, port: int = 0) -> Iterator[str]:
    """Serve until the block ends; gives the address. Port 0 is any that is free."""
    try:
        server = _RestServer((LOOPBACK, port), type("Handler", (RestHandler,), {"models": models}))
    except OSError as error:
        raise OSError(error.errno, "the port cannot be had", f"{LOOPBACK}:{port}") from None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> int:
    """Serve a folder until the process is ended, and return the exit code (see `command.guarded`)."""
    parser = OneLineErrors(
        prog="python -m mi_keras.serving.loopback",
        description=f"{__doc__} Serves every version, knows no labels, and EXECUTES the graphs in the folder.",
    )
    parser.add_argument("folder", type=Path, help="of exported models")
    parser.add_argument("--grpc-port", type=int, default=0, metavar="N", help="default: any that is free")
    parser.add_argument("--rest-port", type=int, default=0, metavar="N", help="default: any that is free")
    options = parser.parse_args()
    return guarded(lambda: _serve(options))


def _serve(options: argparse.Namespace) -> None:
    """Print the gRPC and the REST address, one a line, and answer until a signal comes."""
    models = LoadedModels(load_models(options.folder))
    ended = threading.Event()
    with (
        _heard(lambda *_: ended.set()),
        serve_grpc(models, options.grpc_port) as over_grpc,
        serve_rest(models, options.rest_port) as over_rest,
    ):
        print(over_grpc, over_rest, sep="\n", flush=True)
        while not ended.wait(
            0.2
        ):  # the signal may reach another thread, which would not end a wait without limit
            pass


@contextmanager
def _heard(handler: Callable[..., object]) -> Iterator[None]:
    """Call `handler` at Ctrl-C and SIGTERM, until the block ends."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def _refusing(context: Any) -> Iterator[None]:
    try:
        yield
    except Refusal as refusal:
        context.abort(grpc.StatusCode[refusal.status], str(refusal))
    except ValueError as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


def _fill_spec(spec: Any, name: str, model: LoadedVersion, endpoint: str) -> None:
    spec.name, spec.signature_name, spec.version.value = name, endpoint, model.version


def _encode_bytes(array: NDArray[Any]) -> Any:
    shape = tensor_shape_pb2.TensorShapeProto(
        dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=length) for length in array.shape]
    )
    return tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=list(array.ravel())
    )


if __name__ == "__main__":
    sys.exit(main())
