"""Hyperparameter search with keras-tuner. Its name is `mi_keras.tuning`: the package has a link to this folder."""
