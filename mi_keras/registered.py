"""What attacks and defences have in common: a line each registers them, and each shows small instances of itself."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Self


class Registered:
    """A class that a line registers."""

    @property
    def of_maps(self) -> bool:
        """Whether it is for feature maps, and not for output vectors."""
        return False

    @classmethod
    def example(cls) -> Self:
        """Return an instance for tests and documents, small where it trains or searches."""
        return cls()

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Return instances, one for each way to use it that tests should see; `example` is the first."""
        return (cls.example(),)


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
