"""What the dataclasses of a result share: rules that name the field they are about, and one form in JSON."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass
from typing import Any, TypeVar

from mi_keras.errors import InputError
from mi_keras.results.metrics import METRICS

T = TypeVar("T")
_ALWAYS = "always stored"


class BrokenRule(InputError):
    """A field of a dataclass breaks a rule; the reader of a file puts the path of the object before the field."""

    def __init__(self, name: str, rule: str, value: object) -> None:
        super().__init__(
            " ".join(f"`{name}` must {rule}; got {value}.".split())
        )  # one line, whatever a file holds
        self.name, self.rule, self.value = name, rule, value


def require(holds: object, name: str, rule: str, value: object) -> None:
    """Raise `BrokenRule`, "`name` must rule; got value.", unless the rule holds."""
    if not holds:
        raise BrokenRule(name, rule, value)


def check_file_name(name: str, value: str) -> None:
    """Check that a name is safe as a path next to the result, as a link and as an anchor of a page."""
    safe = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", value)
    require(safe, name, "be a plain file name of letters, digits, '.', '_' and '-'", repr(value))


def check_metrics(name: str, *values: str) -> None:
    """Check that metrics are known."""
    for value in values:
        require(value in METRICS, name, f"be among {', '.join(METRICS)}", repr(value))


def check_distinct(name: str, values: Sequence[str], what: str = "entries") -> None:
    """Check that no text comes twice."""
    require(len(set(values)) == len(values), name, f"have distinct {what}", ", ".join(values))


def check_one_of(name: str, value: str, legal: Sequence[str]) -> None:
    """Check that a text is one of a few."""
    require(value in legal, name, f"be one of {', '.join(legal)}", repr(value))


def always_stored(default: T) -> T:
    """Return a default for those who write Python: in files the field is there, whatever its value."""
    marked: T = field(default=default, metadata={_ALWAYS: True})
    return marked


def is_optional(entry: Field[Any]) -> bool:
    """Return whether files may leave a field out."""
    return _default(entry) is not MISSING and not entry.metadata.get(_ALWAYS)


def _default(entry: Field[Any]) -> Any:
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def to_json(value: object) -> Any:
    """Return dataclasses as dictionaries and sequences as lists; optional fields at their default are left out."""
    if is_dataclass(value):
        stored = {entry: to_json(getattr(value, entry.name)) for entry in fields(value)}
        return {
            entry.name: content
            for entry, content in stored.items()
            if not (is_optional(entry) and content == to_json(_default(entry)))
        }
    if isinstance(value, Mapping):
        return {key: to_json(content) for key, content in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [to_json(content) for content in value]
    return value
