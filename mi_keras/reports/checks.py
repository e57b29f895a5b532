"""The rules that fields of a result follow; each check raises a one-line error that names field, rule and value."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mi_keras.errors import InputError
from mi_keras.experiments.result import METRICS

Check = Callable[[str, Any], None]


def check_fields(where: str, holder: Any, fields: Mapping[str, Check]) -> None:
    """Check fields of an object by name; one that is absent counts as null."""
    if not isinstance(holder, dict):
        raise InputError(f"`{where}` must be an object; got {type(holder).__name__}.")
    for name, check in fields.items():
        check(f"{where}.{name}", holder.get(name))


def check_distinct(where: str, what: str, names: Sequence[str]) -> None:
    """Check that no name comes twice."""
    if len(set(names)) < len(names):
        raise InputError(f"`{where}` must have distinct {what}; got {', '.join(names)}.")


def check_file_name(where: str, name: str) -> None:
    """Check that a name is safe as a path next to the result, as a link and as an anchor of a page."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise InputError(
            f"`{where}` must be a plain file name of letters, digits, '.', '_' and '-'; got {name!r}."
        )


def check_metric(where: str, name: str) -> None:
    """Check that a metric is known."""
    if name not in METRICS:
        raise InputError(f"`{where}` must be among {', '.join(METRICS)}; got {name!r}.")


def _must_be(kind: str, rule: Callable[[Any], bool]) -> Check:
    def check(where: str, value: Any) -> None:
        if not rule(value):
            raise InputError(f"`{where}` must be {kind}; got {value!r:.60}.")

    return check


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(value: Any, rule: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(rule, value))


def _or_null(rule: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or rule(value)


def _is_texts(value: Any) -> bool:
    return _is_list(value, _is_text)


def _is_record(value: Any) -> bool:
    return isinstance(value, dict)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


TEXT = _must_be("a string", _is_text)
OPTIONAL_TEXT = _must_be("a string where it is given", _or_null(_is_text))
TEXTS = _must_be("a list of strings", _is_texts)
OPTIONAL_TEXTS = _must_be("a list of strings where it is given", _or_null(_is_texts))
INTEGER = _must_be("an integer", _is_integer)
INTEGER_OR_NULL = _must_be("an integer or null", _or_null(_is_integer))
INTEGERS = _must_be("a list of integers", lambda value: _is_list(value, _is_integer))
OPTIONAL_INTEGERS = _must_be(
    "a list of integers where it is given", _or_null(lambda value: _is_list(value, _is_integer))
)
NUMBER = _must_be("a finite number", _is_number)
SPREAD = _must_be("a number >= 0 or null", _or_null(lambda value: _is_number(value) and value >= 0))
BOOLEAN = _must_be("true or false", _is_boolean)
VERDICT = _must_be("true, false or null", _or_null(_is_boolean))
LIST = _must_be("a list", lambda value: isinstance(value, list))
RECORD = _must_be("an object", _is_record)
RECORD_OR_NULL = _must_be("an object or null", _or_null(_is_record))
