"""Image reconstruction attacks in Keras 3 and TensorFlow, measured against the baselines that give a score meaning."""

__version__ = "0.1.0"
