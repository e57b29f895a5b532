"""Reads labelled images and divides them into disjoint sets with pixels in [0, 1] (thesis 3.3)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
