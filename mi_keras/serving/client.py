"""A client of TensorFlow Serving, over gRPC or REST, that checks every answer."""

import random
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.serving.address import host_of, warn_of_plain_text
from mi_keras.serving.checks import checked_inputs, checked_outputs, find_endpoint
from mi_keras.serving.contract import (
    GRPC_PORT,
    LONGEST_TIMEOUT,
    LOOPBACK,
    REST_PORT,
    ModelSpec,
    NotFound,
    ServedModel,
    ServerError,
    Tensors,
    Transport,
    Unavailable,
)
from mi_keras.serving.layout import HIGHEST_VERSION

TIMEOUT = 60.0  # seconds a request
RETRIES = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds

Answer = TypeVar("Answer")


class Client:
    """A client of one model on one server. It is thread-safe, and a context manager.

    All answers come from the same version: that of `version` or `label`, else the newest one at the first request.

    Args:
        server: `HOST:PORT`, over REST also `http://HOST:PORT` or `https://HOST:PORT`. None: this machine, at the usual
            port.
        model: name of the model on the server.
        version: number of the version; None: see above.
        label: label of a version in the server's configuration, instead of a number.
        timeout: seconds for each request.
        retries: how often a request is repeated, only where the server is not reachable or says that it is unavailable;
            the pause doubles each time.
        rest: use REST instead of gRPC.

    Raises:
        InputError: an argument breaks a rule.
    """

    def __init__(
        self,
        server: str | None,
        model: str,
        version: int | None = None,
        label: str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        rest: bool = False,
    ) -> None:
        if version is not None and label is not None:
            raise InputError(f"`version` must not go with `label`; got {version} and {label}.")
        if version is not None and not 0 <= version <= HIGHEST_VERSION:
            raise InputError(f"`version` must be between 0 and {HIGHEST_VERSION}; got {version}.")
        if not 0 < timeout <= LONGEST_TIMEOUT:
            raise InputError(
                f"`timeout` must be above 0 and at most {LONGEST_TIMEOUT} seconds; got {timeout}."
            )
        if not 0 <= retries <= 100:
            raise InputError(f"`retries` must be between 0 and 100; got {retries}.")
        for argument, name in (("model", model), ("label", label)):
            if name is not None and not (name and name.isprintable()):
                raise InputError(f"`{argument}` must be the name of a {argument}; got {name!r}.")
        server = server or f"{LOOPBACK}:{REST_PORT if rest else GRPC_PORT}"
        host_of(server)  # raises if it is none
        self._spec = ModelSpec(model, version, label)
        self._timeout, self._retries = timeout, retries
        self._transport = _transport(server, rest)
        self._served: ServedModel | None = None
        self._describing = threading.Lock()
        warn_of_plain_text(server)

    @property
    def server(self) -> str:
        """The address of the server."""
        return self._transport.server

    def describe(self) -> ServedModel:
        """Return the version and its signatures; the server is asked once.

        Raises:
            InputError: the server has no such model, version or label.
            ServerError: the server is not reachable, too slow, or gives an unusable answer.
        """
        with self._describing:  # threads that ask first at the same time get one answer, of one version
            if self._served is None:
                self._served = self._ask_for_description()
            return self._served

    def predict(self, endpoint: str, arrays: Tensors) -> dict[str, NDArray[Any]]:
        """Run one batch through an endpoint.

        Args:
            endpoint: name of a signature, such as `invert`.
            arrays: the inputs by name, `(rows, ...)` numbers, sent as float32.

        Returns:
            The outputs by name, `(rows, ...)`: finite float32, or an object array of `bytes` (PNG files).

        Raises:
            InputError: the model has no such endpoint or other inputs, or the batch is too large for the server.
            ServerError: the server is not reachable, too slow, has unloaded the version, or gives an unusable answer.
        """
        served = self.describe()
        signature = find_endpoint(served, endpoint)
        inputs = checked_inputs(endpoint, signature, arrays)
        spec = ModelSpec(served.name, served.version)
        try:
            outputs = self._again(
                lambda: self._transport.predict(
                    spec, endpoint, inputs, tuple(signature.outputs), self._timeout
                )
            )
        except NotFound:  # no wrong input: the server had it when it described it
            kept = f"finished parts are kept for --version {spec.version}"
            raise ServerError(self.server, f"{spec} was unloaded; {kept}") from None
        return checked_outputs(self.server, signature, len(next(iter(inputs.values()))), outputs)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask_for_description(self) -> ServedModel:
        spec = self._spec
        try:
            return self._metadata(spec)
        except NotFound:
            if spec.version is None and spec.label is None:
                raise
            newest = self._metadata(ModelSpec(spec.name)).version  # raises if it is the name that is wrong
            if spec.version is None:
                raise
            raise InputError(
                f"`version` of {spec.name} must be loaded by {self.server}, whose newest is {newest}; got {spec.version}."
            ) from None

    def _metadata(self, spec: ModelSpec) -> ServedModel:
        return self._again(lambda: self._transport.metadata(spec, self._timeout))

    def _again(self, ask: Callable[[], Answer]) -> Answer:
        for attempt in range(self._retries):
            try:
                return ask()
            except Unavailable:
                pause = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE)
                time.sleep(
                    pause * random.uniform(0.5, 1)
                )  # clients that failed together do not come back together
        return ask()


def _transport(server: str, rest: bool) -> Transport:
    if rest:
        from mi_keras.serving.transport_rest import RestTransport

        return RestTransport(server)
    if "://" in server:
        raise InputError(f"`server` must be HOST:PORT for gRPC; got {server}.")
    from mi_keras.serving.transport_grpc import GrpcTransport  # here: it loads TensorFlow

    return GrpcTransport(server)
