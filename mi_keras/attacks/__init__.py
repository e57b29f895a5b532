"""Attacks, their inputs, and the classes to write new ones with.

Each is listed by one line in `__init__.pyi` and imported on first use; the tests hold every listed one to the contract
of `Attack` or `Input`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
