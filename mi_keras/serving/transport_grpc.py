"""Talks to TensorFlow Serving over gRPC, the faster transport for images."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.quiet import quiet_libraries
from mi_keras.serving.contract import LARGEST_MESSAGE, ModelSpec, ServedModel, ServerError, Tensors, failure
from mi_keras.serving.transport_metadata import Described, is_endpoint, served_model

try:
    with (
        quiet_libraries()
    ):  # the messages of TensorFlow Serving hold tensors, so that all of TensorFlow is loaded
        import grpc
        from google.protobuf.message import DecodeError
        from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
        from tensorflow_serving.apis import (
            get_model_metadata_pb2,
            model_pb2,
            predict_pb2,
            prediction_service_pb2_grpc,
        )
except ImportError as error:
    raise InputError(
        f"`pip install 'mi-keras[serving]'` must come before gRPC (there is no module {error.name}); --rest needs none."
    ) from None

SIGNATURES = "signature_def"  # the only metadata that TensorFlow Serving knows
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.enable_retries", 0),  # the client decides what is tried again
    ("grpc.enable_http_proxy", 0),  # a server on this machine is not behind a proxy
    ("grpc.initial_reconnect_backoff_ms", 100),  # no longer than the pauses of the client
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class GrpcTransport:
    """A channel to one server, in plain text; safe to use from several threads (see `contract.Transport`)."""

    def __init__(self, server: str) -> None:
        self.server = server
        self._channel = grpc.insecure_channel(server, options=CHANNEL_OPTIONS)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def metadata(self, spec: ModelSpec, timeout: float) -> ServedModel:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=_model_spec(spec), metadata_field=[SIGNATURES]
        )
        response = self._call(self._stub.GetModelMetadata, request, spec, timeout)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        try:
            unpacked = response.metadata[SIGNATURES].Unpack(signatures)
        except DecodeError:
            unpacked = False
        if not unpacked:
            raise ServerError(self.server, "the metadata hold no signatures")
        described = {
            name: (_described(found.inputs), _described(found.outputs))
            for name, found in signatures.signature_def.items()
            if is_endpoint(found.method_name)
        }
        return served_model(spec, int(response.model_spec.version.value), described)

    def predict(
        self, spec: ModelSpec, endpoint: str, tensors: Tensors, outputs: tuple[str, ...], timeout: float
    ) -> dict[str, NDArray[Any]]:
        request = predict_pb2.PredictRequest(model_spec=_model_spec(spec, endpoint))
        for name, array in tensors.items():
            request.inputs[name].CopyFrom(encode(array))
        response = self._call(self._stub.Predict, request, spec, timeout)
        answered = int(response.model_spec.version.value)
        if spec.version not in (None, answered):
            raise ServerError(self.server, f"version {answered} answered instead of {spec.version}")
        return {name: self._decode(name, tensor) for name, tensor in response.outputs.items()}

    def close(self) -> None:
        self._channel.close()

    def _call(self, method: Any, request: Any, spec: ModelSpec, timeout: float) -> Any:
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as error:
            said = error.details() or "no reason given"
            raise failure(self.server, spec, error.code().name, said, timeout) from None

    def _decode(self, name: str, tensor: Any) -> NDArray[Any]:
        try:
            return decode(tensor)
        except ValueError as error:
            raise ServerError(self.server, f"the output {name} cannot be read ({error})") from None


def encode(array: NDArray[np.float32]) -> Any:
    """Return a float32 array as a TensorProto with its bytes as they lie in memory."""
    shape = tensor_shape_pb2.TensorShapeProto(
        dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=length) for length in array.shape]
    )
    return tensor_pb2.TensorProto(
        dtype=types_pb2.DT_FLOAT,
        tensor_shape=shape,
        tensor_content=np.ascontiguousarray(array, "<f4").tobytes(),
    )


def decode(tensor: Any) -> NDArray[Any]:
    """Return a TensorProto as an array: float32, or objects that are bytes.

    TensorFlow Serving fills the typed list of values, or with another flag the raw bytes; both are read. A tensor
    that claims more values than it brings is refused before memory is taken for it.

    Raises:
        ValueError: it is of another type, or values and shape do not agree. The message is a few words.
    """
    shape = tuple(int(dim.size) for dim in tensor.tensor_shape.dim)
    if tensor.dtype == types_pb2.DT_STRING:
        values = np.empty(len(tensor.string_val), object)
        values[:] = list(tensor.string_val)
    elif tensor.dtype == types_pb2.DT_FLOAT:
        content = tensor.tensor_content
        if len(content) % 4:
            raise ValueError(f"{len(content)} bytes are no float32 values")
        values = np.frombuffer(content, "<f4") if content else np.array(tensor.float_val, np.float32)
    else:
        raise ValueError(f"type {types_pb2.DataType.Name(tensor.dtype)}")
    if min(shape, default=0) < 0 or math.prod(shape) != values.size:
        raise ValueError(f"{values.size} values for shape {shape}")
    return values.reshape(shape)


def _model_spec(spec: ModelSpec, endpoint: str = "") -> Any:
    message = model_pb2.ModelSpec(name=spec.name, signature_name=endpoint)
    if spec.version is not None:
        message.version.value = spec.version
    elif spec.label is not None:
        message.version_label = spec.label
    return message


def _type_name(number: int) -> str:
    """Return the name of a type in types.proto, which may be of a later release."""
    return types_pb2.DataType.Name(number) if number in types_pb2.DataType.values() else f"type {number}"


def _described(infos: Any) -> Described:
    return {name: (_type_name(info.dtype), _lengths(info.tensor_shape)) for name, info in infos.items()}


def _lengths(shape: Any) -> list[int] | None:
    return None if shape.unknown_rank else [int(dim.size) for dim in shape.dim]
