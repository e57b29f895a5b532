"""A line each registers attacks and defences."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any


def load(package: str, line: str) -> Any:
    """Return the class of a line "MODULE:CLASS" of a package; the module is imported now.

    Raises:
        AttributeError: there is no such class; the message has the line.
    """
    module, _, name = line.partition(":")
    found = import_module(f"{package}.{module}")
    if not hasattr(found, name):
        raise AttributeError(f"`REGISTERED` of {package} must name classes as MODULE:CLASS; got {line!r}.")
    return getattr(found, name)


def load_all(package: str, lines: Sequence[str]) -> tuple[Any, ...]:
    """Return the classes of all lines."""
    return tuple(load(package, line) for line in lines)
