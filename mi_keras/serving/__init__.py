"""Trained attacks as SavedModels for TensorFlow Serving: writing and checking them, and asking a server."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
