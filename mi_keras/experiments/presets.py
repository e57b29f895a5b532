"""What the settings of all sections share: sizes of a preset, and checks of what may be chosen."""

from typing import Any

from mi_keras.errors import InputError

MOST_RUNS = 1000


def sized(preset: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return the sizes of a preset for the steps that a section takes."""
    return {name: preset[name] for name in names}


def check_runs(runs: int) -> None:
    """Raise `InputError` unless the number of repetitions is one that can be meant."""
    if not 1 <= runs <= MOST_RUNS:
        raise InputError(f"`runs` must be between 1 and {MOST_RUNS}; got {runs}.")


def check_choices(name: str, chosen: tuple[Any, ...], legal: tuple[Any, ...]) -> None:
    """Raise `InputError` unless `chosen` names some of `legal`, each once."""
    for choice in chosen:
        if choice not in legal:
            raise InputError(f"`{name}` must be among {', '.join(map(str, legal))}; got {choice!r}.")
    if len(set(chosen)) < len(chosen):
        raise InputError(f"`{name}` must name each once; got {', '.join(map(str, chosen))}.")
