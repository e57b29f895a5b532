"""What client, transports and test servers share: signatures, limits, and the errors of a request."""

import errno
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from mi_keras.display import line_of
from mi_keras.errors import InputError

LONGEST_TIMEOUT = 86400  # seconds
LOOPBACK = "127.0.0.1"
GRPC_PORT, REST_PORT = 8500, 8501
LARGEST_BATCH = 64  # rows; `max_batch_size` of exported_models/batching.config
# Rows of a request where nobody chose, if not the most: each row is solved for by itself, in about 3 CPU-seconds at the
# text's 400 steps, and a request has 60.
SMALL_BATCHES = {"invert_from_output": 4}
# Bytes. 64 images of 320 x 320 x 3 float32 are 78.6 MB, and gRPC alone would stop at 4 MB.
LARGEST_MESSAGE = 96 * 1024**2
DEFAULT_ENDPOINT = "serving_default"
DTYPES = {
    "DT_FLOAT": "float32", "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_INT32": "int32", "DT_INT64": "int64",
    "DT_UINT8": "uint8", "DT_BOOL": "bool", "DT_STRING": "string",
}  # fmt: skip
LOGITS, UNIT_PIXELS, FEATURE_MAPS = "logits", "pixels in [0, 1]", "feature maps"
# What the inputs of our endpoints hold, by name: a server tells their type and shape alone.
INPUT_KINDS = {
    "output_vector": LOGITS, "activations": "activations of the last hidden layer", "gradient_reconstruction": UNIT_PIXELS,
    "feature_maps": FEATURE_MAPS, "image": UNIT_PIXELS,
}  # fmt: skip
_TOO_MANY_ROWS = re.compile(r"task size (\d+) is larger than maximum input batch size (\d+)", re.IGNORECASE)

Tensors = Mapping[str, NDArray[Any]]  # strings are object arrays of bytes


@dataclass(frozen=True)
class TensorInfo:
    """Type and shape of one input or output.

    Attributes:
        dtype: as NumPy names it, or `string`; in TensorFlow's own words where it is none of `DTYPES`.
        shape: lengths, None where any length goes; None as a whole where even the rank is open.
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.dtype} of any shape"
        lengths = ["any" if length is None else str(length) for length in self.shape[1:]]
        return f"{self.dtype} ({', '.join(['rows', *lengths])})"


@dataclass(frozen=True)
class Endpoint:
    """One signature of a model: its inputs and outputs by name."""

    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]


@dataclass(frozen=True)
class ServedModel:
    """One loaded version of a model, as the server describes it."""

    name: str
    version: int
    endpoints: Mapping[str, Endpoint]


@dataclass(frozen=True)
class ModelSpec:
    """Which model to ask: its name, and a version or a label; with neither, the newest version."""

    name: str
    version: int | None = None
    label: str | None = None

    def __str__(self) -> str:
        if self.label is not None:
            return f"{self.name} label {self.label}"
        return self.name if self.version is None else f"{self.name} version {self.version}"


class Transport(Protocol):
    """One way to reach a server. Every method raises what `failure` returns, and nothing else."""

    server: str

    def metadata(self, spec: ModelSpec, timeout: float) -> ServedModel:
        """Ask for version and signatures."""

    def predict(
        self, spec: ModelSpec, endpoint: str, tensors: Tensors, outputs: tuple[str, ...], timeout: float
    ) -> dict[str, NDArray[Any]]:
        """Run one batch; `outputs` names what the endpoint returns."""

    def close(self) -> None:
        """Give connections back."""


class ServerError(OSError):
    """A server gave no usable answer. The message names the reason and, as `filename`, the server."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(errno.EIO, reason, server)


class Unavailable(ServerError):
    """The server is not reachable or unavailable now; only this failure is retried."""


class NotFound(InputError):
    """The server has no such model or version."""


def failure(server: str, spec: ModelSpec, status: str, said: str, timeout: float) -> Exception:
    """Return the error for a request that a server, or the way to it, answered with a status other than OK.

    Args:
        server: its address, for the message.
        spec: the model that was asked.
        status: name of a gRPC status code.
        said: the words that came with it; repeated on one line and with what cannot be printed escaped.
        timeout: seconds that the request was given.

    Returns:
        An `InputError` where the request was wrong, an `Unavailable` where it may be tried again, else a `ServerError`.
    """
    said = line_of(said)
    if status == "NOT_FOUND":
        return NotFound(f"`model` must be one that {server} serves; got {spec} (server: {said}).")
    if status == "INVALID_ARGUMENT" and "version label" in said:
        return NotFound(f"`label` must be one that {server} knows; got {spec} (server: {said}).")
    if rows := _TOO_MANY_ROWS.search(said):
        return InputError(
            f"`batch` must be at most {rows[2]}, the most rows that {server} takes; got {rows[1]}."
        )
    if status in ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"):
        return InputError(f"`input` must be what {spec} accepts; {server} says: {said}.")
    if status in (
        "UNAVAILABLE",
        "CANCELLED",
    ):  # a server that is ended cancels what it was asked; we cancel nothing
        hint = "; without --rest it must be the gRPC port" if "HTTP/2" in said else ""
        return Unavailable(server, f"no answer from the server{hint} ({said})")
    if status == "DEADLINE_EXCEEDED":
        return ServerError(
            server,
            f"no answer within {timeout:g} seconds; allow more with --timeout or send less with --batch",
        )
    if status == "RESOURCE_EXHAUSTED" and "larger than max" in said:
        return InputError(f"`batch` must be smaller: the message is too large for {server} ({said}).")
    return ServerError(server, f"the server failed with {status} ({said})")
