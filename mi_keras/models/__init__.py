"""The networks of both papers, and any Keras model as a target that is observed at a point. TensorFlow is imported on
first use."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
