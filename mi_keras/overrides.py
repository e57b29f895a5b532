"""`--set key=value` on nested frozen settings: typed by the field it replaces, refused when it does not fit."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from mi_keras.errors import InputError

T = TypeVar("T")
Tree = dict[str, Any]  # values by field, and trees of those within
_IN_WORDS = {int: "a whole number", float: "a number"}


def apply_overrides(config: T, assignments: Iterable[str]) -> T:
    """Return `config` with every `key=value` applied, keys like `gradient.steps`.

    A value is read as the type of the value it replaces: a number, a text, or a comma-separated list. All are read first and
    then put in together, so that rules hold for what is asked for as a whole, in whatever order; of a key that comes twice
    the last value counts.

    Raises:
        InputError: no `=`, an unknown key, a value of another type, or one outside the field's rule.
    """
    wanted: Tree = {}
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or not key:
            raise InputError(f"`overrides` must be key=value; got {assignment!r}.")
        _collect(config, wanted, key.strip(), key.strip().split("."), text.strip())
    return _built(config, wanted, "")


def changed_keys(config: object, base: object) -> list[str]:
    """Return "key=value" of every setting in which `config` differs from `base`."""
    before = dict(list_keys(base))
    return [f"{key}={_as_text(value)}" for key, value in list_keys(config) if value != before[key]]


def list_keys(config: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key that `--set` takes, with its present value."""
    for item in fields(config):  # type: ignore[arg-type]
        value = getattr(config, item.name)
        if is_dataclass(value):
            yield from list_keys(value, f"{prefix}{item.name}.")
        else:
            yield f"{prefix}{item.name}", value


def settings_json(config: object) -> dict[str, object]:
    """Return all settings as in the result file."""
    return asdict(config)  # type: ignore[call-overload]


def _collect(config: Any, wanted: Tree, key: str, path: list[str], text: str) -> None:
    """Put a value, of the type of its field, where it belongs in the tree of what is wanted."""
    names = [item.name for item in fields(config)]
    if path[0] not in names or is_dataclass(getattr(config, path[0])) != (len(path) > 1):
        legal = ", ".join(name for name, _ in list_keys(config))
        raise InputError(f"`overrides={key}` must name a setting: {legal}; got {'.'.join(path)!r}.")
    if len(path) > 1:
        _collect(getattr(config, path[0]), wanted.setdefault(path[0], {}), key, path[1:], text)
    else:
        wanted[path[0]] = _parse(key, get_type_hints(type(config))[path[0]], text)


def _built(config: T, wanted: Tree, prefix: str) -> T:
    """Return settings with all that is wanted of them; those within them first."""
    changes = {
        name: _built(getattr(config, name), value, f"{prefix}{name}.")
        if is_dataclass(getattr(config, name))
        else value
        for name, value in wanted.items()
    }
    try:
        return replace(config, **changes)  # type: ignore[type-var]
    except InputError as error:
        text = str(error)
        for item in fields(config):  # type: ignore[arg-type]
            text = text.replace(f"`{item.name}`", f"`{prefix}{item.name}`") if prefix else text
        raise InputError(text) from None


def _parse(key: str, kind: Any, text: str) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise InputError(f"`overrides={key}` must be true or false; got {text!r}.")
        return text.lower() == "true"
    if get_origin(kind) is tuple:
        return tuple(_parse(key, get_args(kind)[0], part.strip()) for part in text.split(",") if part.strip())
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"`overrides={key}` must be {_IN_WORDS[kind]}; got {text!r}.") from None


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
