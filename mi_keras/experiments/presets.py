"""What the settings of all sections share: sizes of a preset, and checks of what may be chosen."""

from dataclasses import fields
from typing import Any

from mi_keras.errors import InputError
from mi_keras.settings import check_whole

MOST_RUNS = 1000


def sized(preset: dict[str, Any], config: type) -> dict[str, Any]:
    """Return the sizes of a preset for the steps that a section takes: those that its `Config` has a field for."""
    names = {field.name for field in fields(config)}
    return {name: size for name, size in preset.items() if name in names}


def check_runs(runs: int) -> None:
    """Raise `InputError` unless the number of repetitions is one that can be meant."""
    check_whole("runs", runs, 1, MOST_RUNS)


def check_choices(
    name: str, chosen: tuple[Any, ...], legal: tuple[Any, ...], *, at_least_one: bool = False
) -> None:
    """Raise `InputError` unless `chosen` names some of `legal`, each once."""
    for choice in chosen:
        if choice not in legal:
            raise InputError(f"`{name}` must be among {', '.join(map(str, legal))}; got {choice!r}.")
    if len(set(chosen)) < len(chosen):
        raise InputError(f"`{name}` must name each once; got {', '.join(map(str, chosen))}.")
    if at_least_one and not chosen:
        raise InputError(f"`{name}` must name at least one; got none.")
