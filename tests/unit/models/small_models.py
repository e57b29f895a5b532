"""Small models with a skip connection, a layer called twice and two outputs, and images for them."""

import keras
import numpy as np

SHAPE = (8, 8, 3)


def random_images(shape: tuple[int, ...] = SHAPE, count: int = 2) -> np.ndarray:
    return np.random.default_rng(0).random((count, *shape), np.float32)


def stirred(model: keras.Model) -> keras.Model:
    """Draw weights with which the image comes through to the answer, and statistics and biases that matter.

    As Keras draws them, the answers of deep models do not depend on the image, and statistics are zeros and ones.
    """
    rng = np.random.default_rng(1)
    for layer in model._flatten_layers():
        for weight in layer._trainable_variables + layer._non_trainable_variables:
            shape = tuple(weight.shape)
            if weight.name in ("moving_mean", "beta", "bias"):
                weight.assign(0.1 * rng.standard_normal(shape))
            elif weight.name == "moving_variance":
                weight.assign(rng.uniform(0.5, 1, shape))
            elif weight.name == "kernel":
                depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
                inputs = np.prod(shape[:2] if depthwise else shape[:-1])
                weight.assign(rng.standard_normal(shape) * (2 / inputs) ** 0.5)
    return model


def residual() -> keras.Model:
    image = keras.Input(SHAPE, name="photo")
    first = keras.layers.Conv2D(4, 3, padding="same", name="first")(image)
    inside = keras.layers.ReLU(name="inside")(first)
    added = keras.layers.Add(name="sum")([first, inside])
    flat = keras.layers.Flatten(name="flat")(2.0 * added + 1.0)
    return keras.Model(image, keras.layers.Dense(3, name="answer")(flat))


def twice() -> keras.Model:
    image = keras.Input(SHAPE)
    shared = keras.layers.Conv2D(3, 3, padding="same", name="shared")
    maps = keras.layers.ReLU(name="between")(shared(image))
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pooled")(shared(maps)))


def two_outputs() -> keras.Model:
    image = keras.Input(SHAPE)
    trunk = keras.layers.Flatten(name="trunk")(image)
    left = keras.layers.Dense(4, name="left")(trunk)
    right = keras.layers.Dense(3, name="right")(keras.layers.ReLU(name="only_right")(trunk))
    return keras.Model(image, {"b": left, "a": right})
