"""Trained attacks as SavedModels for TensorFlow Serving: writing and checking them, and asking a server."""
