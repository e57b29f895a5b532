"""Asks a model on TensorFlow Serving, over gRPC or REST, and believes nothing that comes back unchecked."""

import logging
import random
import time
from collections.abc import Callable
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self, TypeVar

from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.serving.checks import checked_inputs, checked_outputs, find_endpoint
from mi_keras.serving.contract import (
    GRPC_PORT,
    LOOPBACK,
    REST_PORT,
    ModelSpec,
    NotFound,
    ServedModel,
    Tensors,
    Transport,
    Unavailable,
)
from mi_keras.serving.layout import HIGHEST_VERSION

TIMEOUT = 60.0  # seconds a request
RETRIES = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds
_LONGEST_TIMEOUT = 86400  # seconds

Answer = TypeVar("Answer")
_warned: set[str] = set()


class Client:
    """One model on one server; safe to use from several threads, and as a context manager.

    All answers come from one version: the one that `version` or `label` names, else the newest at the first request.

    Args:
        server: `HOST:PORT`, over REST also `http://HOST:PORT` or `https://HOST:PORT`. None is this machine.
        model: its name on the server.
        version: which version.
        label: which label of the server's configuration, in place of a version.
        timeout: seconds for each request.
        retries: how often a request is tried again if, and only if, the server is not reachable or says that it cannot
            take requests now; the pause before it doubles each time.
        rest: use REST in place of gRPC.

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
        if not 0 < timeout <= _LONGEST_TIMEOUT:
            raise InputError(
                f"`timeout` must be above 0 and at most {_LONGEST_TIMEOUT} seconds; got {timeout}."
            )
        if not 0 <= retries <= 100:
            raise InputError(f"`retries` must be between 0 and 100; got {retries}.")
        if not model:
            raise InputError("`model` must be the name of a model; got ''.")
        server = server or f"{LOOPBACK}:{REST_PORT if rest else GRPC_PORT}"
        _host_of(server)
        self._spec = ModelSpec(model, version, label)
        self._timeout, self._retries = timeout, retries
        self._transport = _transport(server, rest)
        self._served: ServedModel | None = None
        _warn_of_plain_text(server)

    @property
    def server(self) -> str:
        """The address that is asked."""
        return self._transport.server

    def describe(self) -> ServedModel:
        """Return version and signatures, asked once and remembered.

        Raises:
            InputError: the server has no such model, version or label.
            ServerError: it is not reachable, too slow, or answers something else.
        """
        if self._served is None:
            try:
                self._served = self._metadata(self._spec)
            except NotFound:
                if self._spec.version is None:
                    raise
                newest = self._metadata(
                    ModelSpec(self._spec.name)
                ).version  # raises if it is the name that is wrong
                raise InputError(
                    f"`version` of {self._spec.name} must be loaded by {self.server}, whose newest is {newest}; "
                    f"got {self._spec.version}."
                ) from None
        return self._served

    def predict(self, endpoint: str, arrays: Tensors) -> dict[str, NDArray[Any]]:
        """Run one batch through an endpoint.

        Args:
            endpoint: name of a signature, such as `invert`.
            arrays: the inputs by name, `(rows, ...)` numbers, sent as float32.

        Returns:
            The outputs by name, `(rows, ...)`: float32 and finite, or objects that are bytes.

        Raises:
            InputError: endpoint or inputs are not those of the model, or the batch is too large for the server.
            ServerError: the server is not reachable, too slow, or answers something else.
        """
        served = self.describe()
        signature = find_endpoint(served, endpoint)
        inputs = checked_inputs(endpoint, signature, arrays)
        spec = ModelSpec(served.name, served.version)
        outputs = self._again(
            lambda: self._transport.predict(spec, endpoint, inputs, tuple(signature.outputs), self._timeout)
        )
        return checked_outputs(self.server, signature, len(next(iter(inputs.values()))), outputs)

    def close(self) -> None:
        """Give the connection back."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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


def _host_of(server: str) -> str:
    address = server.rpartition("://")[2].rstrip("/")
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise InputError(f"`server` must be HOST:PORT; got {server}.")
    return host.strip("[]")


def _warn_of_plain_text(server: str) -> None:
    host = _host_of(server)
    try:
        near = ip_address(host).is_loopback
    except ValueError:
        near = host == "localhost"
    if not near and not server.startswith("https://") and server not in _warned:
        _warned.add(server)
        logging.getLogger(__name__).warning(
            "%s is another machine: outputs and images travel there in plain text. An SSH tunnel to its loopback "
            "address keeps them private.",
            server,
        )
