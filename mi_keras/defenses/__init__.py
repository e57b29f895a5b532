"""What a model's owner does before others see the answers: one line each, which the tests hold to the contract."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mi_keras.defenses.defense import Defense

REGISTERED = (  # module of this package : class
    "answers:Noise",
    "answers:Rounding",
    "answers:Truncation",
    "maps:KeptMaps",
    "maps:NoisyMaps",
    "maps:QuantizedMaps",
    "training:Distillation",
)


def registered() -> "tuple[type[Defense], ...]":
    """Return the classes. Their modules are imported now."""
    return tuple(load(path) for path in REGISTERED)


def load(path: str) -> Any:
    """Return the class that a line of `REGISTERED` names; its module is imported now."""
    module, _, name = path.partition(":")
    return getattr(import_module(f"{__name__}.{module}"), name)
