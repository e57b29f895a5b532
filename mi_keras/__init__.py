"""Image reconstruction attacks in Keras 3 and TensorFlow, measured against baselines that know the class alone."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.1.0"
