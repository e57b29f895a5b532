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
INSTALL = 'pip install "mi-keras[ray]"'


def check_address(address: str) -> None:
    """Raise `InputError` unless somebody listens at an address: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdecimal():
        raise InputError(f"{PLACE}; got {address}.")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"{PLACE}; got {address}: {line_of(error)}.") from None


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
