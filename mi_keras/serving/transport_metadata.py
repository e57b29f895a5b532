"""Parses the metadata of TensorFlow Serving, which comes as JSON or as protocol messages."""

from collections.abc import Mapping, Sequence

from mi_keras.serving.contract import DTYPES, Endpoint, ModelSpec, ServedModel, TensorInfo

# Type as types.proto names it, and lengths, of which a negative one is any; None as a whole where the rank is open.
Described = Mapping[str, tuple[str, Sequence[int] | None]]


def is_endpoint(method: str) -> bool:
    """Whether a signature with this method can be asked; how the variables are restored is a signature too."""
    return method.endswith("/predict")


def served_model(
    spec: ModelSpec, version: int, signatures: Mapping[str, tuple[Described, Described]]
) -> ServedModel:
    """Return the version that answered, with the inputs and outputs of its endpoints."""
    endpoints = {
        name: Endpoint(_tensor_infos(inputs), _tensor_infos(outputs))
        for name, (inputs, outputs) in signatures.items()
    }
    return ServedModel(spec.name, version, endpoints)


def _tensor_infos(described: Described) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(
            DTYPES.get(dtype, dtype),
            None if lengths is None else tuple(None if length < 0 else length for length in lengths),
        )
        for name, (dtype, lengths) in described.items()
    }
