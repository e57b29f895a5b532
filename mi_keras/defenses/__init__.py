"""What a model's owner does before others see the answers: one line each in `__init__.pyi`, imported on first use.

What stands there is held to the contract by the tests.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
