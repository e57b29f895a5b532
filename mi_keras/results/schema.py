"""Reads untrusted JSON into the dataclasses of a result, by their type hints: the one validator of result.json."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from mi_keras.display import displayable
from mi_keras.errors import InputError
from mi_keras.results.result import StoredResult
from mi_keras.results.rules import BrokenRule, is_optional

SCHEMA = "mi_keras.result/2"
T = TypeVar("T")

_LARGEST = 1e300  # JSON has integers that no float holds


def read_result(document: object) -> StoredResult:
    """Return the content of a result.json.

    Raises:
        InputError: `document` is no result of this schema: the path of the field, the rule, and what came.
    """
    found = document.get("schema") if isinstance(document, dict) else type(document).__name__
    if found != SCHEMA:
        hint = ": run the section again" if found == "mi_keras.result/1" else ""
        raise InputError(f"`schema` of result.json must be {SCHEMA!r}; got {found!r:.60}{hint}.")
    return read(StoredResult, document, "result")


def read(cls: type[T], value: object, where: str) -> T:
    """Return a dataclass from an object of JSON, with lists as tuples; fields that `cls` does not have are ignored.

    A field is read by its type hint. One with a default may be absent or null, unless it is `always_stored`; a hint
    with None may be null. The rules of `__post_init__` hold as for everybody.

    Raises:
        InputError: names the field by its path from `where` on, the rule, and what came.
    """
    if not isinstance(value, dict):
        raise _error(where, "an object", value)
    hints, content = get_type_hints(cls), {}
    for entry in fields(cls):  # type: ignore[arg-type]  # it is a dataclass
        given, path, optional = value.get(entry.name), f"{where}.{entry.name}", is_optional(entry)
        if given is not None or not optional:
            words = _words(hints[entry.name]) + (" where it is given" if optional else "")
            content[entry.name] = _read(hints[entry.name], given, path, words)
    try:
        return cls(**content)
    except BrokenRule as broken:
        raise BrokenRule(f"{where}.{broken.name}", broken.rule, broken.value) from None


def _read(hint: Any, value: object, where: str, words: str) -> Any:
    """Return a value of any hint; `words` say what it must be."""
    kinds = [kind for kind in _members(hint) if kind is not NoneType]
    if value is None and len(kinds) < len(_members(hint)):
        return None
    kind = kinds[0] if len(kinds) == 1 else _of_kind(kinds, value, where)
    if kind is Any:
        return _shown(value)
    if kind in _PLAIN:
        if not _PLAIN[kind][1](value):
            raise _error(where, words, value)
        if kind is str:
            return _shown(value)  # on a page, in a figure, on a terminal
        return float(value) if kind is float else value  # type: ignore[arg-type]  # the rule has seen a number
    if get_origin(kind) is Sequence:
        (inner,) = get_args(kind)
        if not isinstance(value, list) or (inner in _PLAIN and not all(map(_PLAIN[inner][1], value))):
            raise _error(where, words, value)
        return tuple(_read(inner, part, f"{where}[{n}]", _words(inner)) for n, part in enumerate(value))
    if get_origin(kind) is tuple:
        return _read_tuple(get_args(kind), value, where, words)
    if not isinstance(value, dict):
        raise _error(where, words, value)
    if get_origin(kind) in (Mapping, dict):
        _, inner = get_args(kind)
        return {
            displayable(key): _read(inner, part, f"{where}.{key}", _words(inner))
            for key, part in value.items()
        }
    return read(kind, value, where)


def _shown(value: object) -> object:
    """Return values of any form, with texts as they may be shown."""
    if isinstance(value, dict):
        return {displayable(key): _shown(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shown(inner) for inner in value]
    return displayable(value) if isinstance(value, str) else value


def _read_tuple(kinds: tuple[Any, ...], value: object, where: str, words: str) -> tuple[Any, ...]:
    """Return a list as a tuple of one kind, or of as many values as there are kinds."""
    if not isinstance(value, list) or (kinds[-1] is not Ellipsis and len(value) != len(kinds)):
        raise _error(where, words, value)
    inner = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
    return tuple(
        _read(k, part, f"{where}[{n}]", _words(k))
        for n, (k, part) in enumerate(zip(inner, value, strict=True))
    )


def _of_kind(kinds: Sequence[Any], value: object, where: str) -> Any:
    """Return the dataclass, of several, whose `kind` an object has."""
    if not isinstance(value, dict):
        raise _error(where, "an object", value)
    by_name = {cls.kind: cls for cls in kinds}
    name = value.get("kind")
    if not isinstance(name, str) or name not in by_name:
        raise _error(f"{where}.kind", f"one of {', '.join(by_name)}", name)
    return by_name[name]


def _words(hint: Any) -> str:
    """Return what a value of this hint must be, in words."""
    kinds = [kind for kind in _members(hint) if kind is not NoneType]
    if len(kinds) < len(_members(hint)):
        return "true, false or null" if kinds[0] is bool else f"{_words(kinds[0])} or null"
    if kinds[0] in _PLAIN:
        return _PLAIN[kinds[0]][0]
    if get_origin(kinds[0]) is tuple and get_args(kinds[0])[-1] is not Ellipsis:
        return f"a list of {len(get_args(kinds[0]))} values"
    if get_origin(kinds[0]) in (Sequence, tuple):
        inner = get_args(kinds[0])[0]
        return f"a list of {_PLURALS[inner]}" if inner in _PLURALS else "a list"
    return "an object"


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _error(where: str, words: str, value: object) -> InputError:
    return InputError(
        " ".join(f"`{where}` must be {words}; got {value!r:.60}.".split())
    )  # keys may have line ends


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    if not isinstance(value, float | int) or isinstance(value, bool):
        return False
    return abs(value) < _LARGEST if isinstance(value, int) else math.isfinite(value)


_PLAIN: Mapping[Any, tuple[str, Callable[[object], bool]]] = {
    str: ("a string", lambda value: isinstance(value, str)),
    int: ("an integer", _is_integer),
    float: ("a finite number", _is_number),
    bool: ("true or false", lambda value: isinstance(value, bool)),
}
_PLURALS = {str: "strings", int: "integers", float: "finite numbers"}
