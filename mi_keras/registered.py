"""What a package exports stands in its `__init__.pyi`: a line there registers an attack, an input or a defence."""

from importlib import import_module
from typing import TypeVar

Base = TypeVar("Base")


def registered(package: str, *bases: type[Base]) -> tuple[type[Base], ...]:
    """Return the classes that a package exports of one of `bases`, these left out; their modules are imported now."""
    module = import_module(package)
    exported = (getattr(module, name) for name in module.__all__)
    return tuple(
        each for each in exported if isinstance(each, type) and issubclass(each, bases) and each not in bases
    )
