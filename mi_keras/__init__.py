"""Image reconstruction attacks in Keras 3 and TensorFlow, measured against the baselines that give a score meaning."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mi_keras.auditing.audit import audit
    from mi_keras.auditing.options import Options

__version__ = "0.1.0"
__all__ = ["Options", "__version__", "audit"]

_LAZY = {
    "audit": "mi_keras.auditing.audit",
    "Options": "mi_keras.auditing.options",
}  # TensorFlow takes seconds to import


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
