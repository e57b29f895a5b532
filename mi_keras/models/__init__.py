"""Functional Keras models; TensorFlow is imported on first use."""

from typing import Any

_HOMES = {
    "build_cnn": "cnn",
    "build_decoder": "decoders",
    "build_split_mobilenet": "mobilenet",
    "build_tcnn": "tcnn",
    "observed_at": "target",
    "points": "target",
}
__all__ = ["build_cnn", "build_decoder", "build_split_mobilenet", "build_tcnn", "observed_at", "points"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `mi_keras.models` has no attribute {name!r}.")
    from importlib import import_module

    return getattr(import_module(f"mi_keras.models.{_HOMES[name]}"), name)
