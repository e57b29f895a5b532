"""Defences: what a model's owner does to the model, or to its answers, before others see them.

Each is listed by one line in `__init__.pyi` and imported on first use; the tests hold every listed one to the contract
of `Defense`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
