"""The signatures of a SavedModel through TensorFlow's C API, as programs in other languages call them; loaded by `replay` alone.

The names and types are those of `tensorflow/c/c_api.h`. Nothing of a session made here is given back: the process ends soon.
"""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import meta_graph_pb2

LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")  # beside the Python package
SERVE = b"serve"  # the tag of what is to be served
TEXT_SIZE = 24  # bytes of a TF_TString
_HANDLES = (
    "TF_NewStatus", "TF_NewGraph", "TF_NewSessionOptions", "TF_NewBuffer", "TF_LoadSessionFromSavedModel", "TF_AllocateTensor",
    "TF_TensorData", "TF_GraphOperationByName", "TF_StringGetDataPointer",
)  # fmt: skip
_PLAIN = {
    "TF_GetCode": ctypes.c_int, "TF_Message": ctypes.c_char_p, "TF_NumDims": ctypes.c_int, "TF_Dim": ctypes.c_int64,
    "TF_TensorType": ctypes.c_int, "TF_TensorByteSize": ctypes.c_size_t, "TF_StringGetSize": ctypes.c_size_t,
}  # fmt: skip


class _Buffer(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p))


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


def load(folder: Path) -> "dict[str, CSignature]":
    """Return the signatures of a SavedModel by name.

    Raises:
        OSError: TensorFlow's libraries are not there.
        ValueError: the C API refuses it; the message is the API's.
    """
    return _Session(folder).signatures()


class _Session:
    def __init__(self, folder: Path) -> None:
        self._libraries = [ctypes.CDLL(str(Path(tf.__file__).with_name(name))) for name in LIBRARIES]
        self._status = self._call("TF_NewStatus")
        self._graph = self._call("TF_NewGraph")
        described = self._call("TF_NewBuffer")
        tags = (ctypes.c_char_p * 1)(SERVE)
        self._session = self._checked(
            "TF_LoadSessionFromSavedModel", self._call("TF_NewSessionOptions"), None, str(folder).encode(), tags, 1,
            self._graph, described,
        )  # fmt: skip
        buffer = _Buffer.from_address(described.value)
        self._described = meta_graph_pb2.MetaGraphDef.FromString(ctypes.string_at(buffer.data, buffer.length))

    def signatures(self) -> "dict[str, CSignature]":
        return {
            name: CSignature(self, name, dict(found.inputs), dict(found.outputs))
            for name, found in self._described.signature_def.items()
            if found.method_name.endswith("/predict")
        }

    def run(self, inputs: Mapping[str, NDArray[Any]], outputs: list[str]) -> list[NDArray[Any]]:
        """Feed tensors by name and return others, all named OPERATION:NUMBER."""
        fed = (_Output * len(inputs))(*map(self._place, inputs))
        values = (ctypes.c_void_p * len(inputs))(*(self._tensor(array).value for array in inputs.values()))
        fetched = (_Output * len(outputs))(*map(self._place, outputs))
        answers = (ctypes.c_void_p * len(outputs))()
        self._checked(
            "TF_SessionRun", self._session, None, fed, values, len(inputs), fetched, answers, len(outputs), None, 0, None
        )  # fmt: skip
        return [self._array(ctypes.c_void_p(answer)) for answer in answers]

    def _place(self, name: str) -> _Output:
        operation, _, index = name.partition(":")
        found = self._call("TF_GraphOperationByName", self._graph, operation.encode())
        if not found.value:
            raise ValueError(f"the graph has no operation {operation}")
        return _Output(found, int(index or 0))

    def _tensor(self, array: NDArray[Any]) -> ctypes.c_void_p:
        lengths = (ctypes.c_int64 * array.ndim)(*array.shape)
        kind = tf.as_dtype(array.dtype).as_datatype_enum
        made = self._call("TF_AllocateTensor", kind, lengths, array.ndim, ctypes.c_size_t(array.nbytes))
        content = np.ascontiguousarray(array)  # kept until it is copied
        ctypes.memmove(self._call("TF_TensorData", made), content.ctypes.data, content.nbytes)
        return made

    def _array(self, tensor: ctypes.c_void_p) -> NDArray[Any]:
        shape = [self._call("TF_Dim", tensor, axis) for axis in range(self._call("TF_NumDims", tensor))]
        kind = tf.as_dtype(self._call("TF_TensorType", tensor))
        data = self._call("TF_TensorData", tensor)
        if kind == tf.string:
            texts = np.empty(int(np.prod(shape)), object)
            texts[:] = [self._text(data.value + TEXT_SIZE * number) for number in range(len(texts))]
            return texts.reshape(shape)
        content = ctypes.string_at(data, self._call("TF_TensorByteSize", tensor))
        return np.frombuffer(content, kind.as_numpy_dtype).reshape(shape)

    def _text(self, address: int) -> bytes:
        text = ctypes.c_void_p(address)
        return ctypes.string_at(
            self._call("TF_StringGetDataPointer", text), self._call("TF_StringGetSize", text)
        )

    def _checked(self, name: str, *given: Any) -> Any:
        """Call a function whose last argument is a status, and raise what that says."""
        result = self._call(name, *given, self._status)
        if self._call("TF_GetCode", self._status):
            raise ValueError(self._call("TF_Message", self._status).decode(errors="replace"))
        return result

    def _call(self, name: str, *given: Any) -> Any:
        library = next(each for each in self._libraries if hasattr(each, name))
        function = getattr(library, name)
        if name in _HANDLES:
            function.restype = ctypes.c_void_p
            return ctypes.c_void_p(function(*given))
        function.restype = _PLAIN.get(name)
        return function(*given)


@dataclass(frozen=True)
class CSignature:
    """One signature, called and described as those that `tf.saved_model.load` returns."""

    session: _Session
    name: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    @property
    def structured_input_signature(self) -> tuple[tuple[()], dict[str, tf.TensorSpec]]:
        return (), {name: _spec(info) for name, info in self.inputs.items()}

    @property
    def structured_outputs(self) -> dict[str, tf.TensorSpec]:
        return {name: _spec(info) for name, info in self.outputs.items()}

    def __call__(self, **arrays: Any) -> dict[str, Any]:
        given = {self.inputs[name].name: np.asarray(array) for name, array in arrays.items()}
        found = self.session.run(given, [info.name for info in self.outputs.values()])
        return dict(zip(self.outputs, map(tf.constant, found), strict=True))


def _spec(info: Any) -> tf.TensorSpec:
    return tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype))
