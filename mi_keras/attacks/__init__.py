"""The attacks, and the inputs of attacks: one line each. What is registered here is held to the contract by the tests."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mi_keras.attacks.attack import Described

REGISTERED = (  # module of this package : class
    "activations:Activations",
    "baselines:ClassAverage",
    "baselines:ClassPrototype",
    "baselines:MeanImage",
    "feature_map:LastFeatureMap",
    "gradient:GradientImage",
    "learned:Learned",
)


def registered() -> "tuple[type[Described], ...]":
    """Return the classes. Their modules are imported now, and TensorFlow with them."""
    return tuple(load(path) for path in REGISTERED)


def load(path: str) -> Any:
    """Return the class that a line of `REGISTERED` names; its module is imported now."""
    module, _, name = path.partition(":")
    return getattr(import_module(f"{__name__}.{module}"), name)
