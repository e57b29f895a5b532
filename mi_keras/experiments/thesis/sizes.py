"""Sizes of the presets that all sections of the thesis share, so that they share stages: `paper` is every default."""

from dataclasses import replace
from typing import Any

from mi_keras.errors import InputError
from mi_keras.settings import (
    ActivationSettings,
    ClassifierSettings,
    GradientSettings,
    InverterSettings,
    PrototypeSettings,
    SplitSettings,
)

MOST_RUNS = 1000

QUICK: dict[str, Any] = {
    "data": SplitSettings(train_per_class=500),
    "classifier": ClassifierSettings(channels=(32, 64, 128), epochs=12),
    "gradient": GradientSettings(steps=60),
    "activation": ActivationSettings(),
    "inverter": InverterSettings(channels=(128, 64, 32), epochs=12),
    "prototype": PrototypeSettings(),
}
SMOKE: dict[str, Any] = {
    "data": replace(QUICK["data"], train_per_class=40, test_per_class=30),
    "classifier": replace(QUICK["classifier"], channels=(8, 16, 32), epochs=2),
    "gradient": replace(QUICK["gradient"], steps=5, learning_rate=0.1),
    "activation": replace(QUICK["activation"], max_steps=200),
    "inverter": replace(QUICK["inverter"], channels=(32, 16, 8), epochs=1),
    "prototype": replace(QUICK["prototype"], steps=20),
}


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
