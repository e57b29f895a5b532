"""Ray itself: whether it is there, where a cluster can be, and what it would change of this process (see `ray_tasks`)."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from mi_keras.display import line_of
from mi_keras.errors import InputError

AUTO = "auto"
PLACE = f"`ray` must be {AUTO} or HOST:PORT of a cluster that this machine is part of"
ANSWER = 10.0  # seconds in which what listens there must answer, however busy its machine
INSTALL = 'pip install "mi-keras[ray]"'


def check_address(address: str) -> None:
    """Raise `InputError` unless somebody listens at an address: Ray would try for a minute, and write its own lines."""
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise InputError(f"{PLACE}; got {address}.")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"{PLACE}; got {address}: {line_of(error)}.") from None


def check_answer(address: str) -> None:
    """Raise `InputError` unless what listens at an address answers as a cluster of the Ray that is installed here does.

    It is asked what every process that joins asks first. Ray can be told to ask for a token: a refusal for want of one is an answer too.
    """
    try:
        import grpc
        from ray.core.generated.gcs_service_pb2 import GetClusterIdRequest
        from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceStub
    except ImportError:  # of a Ray that has them elsewhere, which tries for itself
        return
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return
    refused = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            NodeInfoGcsServiceStub(channel).GetClusterId(GetClusterIdRequest(), timeout=ANSWER)
        except grpc.RpcError as error:
            if error.code() not in refused:
                raise InputError(f"{PLACE}; got {address}, where no Ray answers.") from None


def library(*, alone: bool) -> Any:
    """Import Ray so that it sends nothing home and, where it is started for this process alone, listens on the loopback alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if alone:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # its name for it, on Linux too
    try:
        import ray
    except ImportError as error:
        raise InputError(
            f"`ray` needs Ray, which cannot be imported ({line_of(error)}): {INSTALL}."
        ) from None
    return ray


@contextmanager
def signals_kept() -> Iterator[None]:
    """Undo what Ray does to how this process ends."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        with suppress(ValueError):  # not in the main thread, where nothing was changed
            signal.signal(signal.SIGTERM, before)
