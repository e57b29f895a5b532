"""Networks that compute their products in bfloat16, for processors with instructions for it: 16 bits, of which 8 are the exponent."""

from typing import Any

import keras

from mi_keras.machine import FLOAT32
from mi_keras.models.layers import DoublingTransposedConv, VectorToMap
from mi_keras.models.upsampling import Doubling

# Normalisation and activation functions are no faster on 16 bits: TensorFlow computes them in float32 anyway, value by value
PRODUCTS = (
    keras.layers.Conv2D, keras.layers.Conv2DTranspose, keras.layers.Dense, DoublingTransposedConv, VectorToMap, Doubling,
)  # fmt: skip


def twin(model: keras.Model, precision: str) -> keras.Model:
    """Return another model of the same layers, whose weights are drawn anew, that computes in a precision.

    In bfloat16 that holds for convolutions and matrix products, forward and backward: what goes in and comes out has 16 bits,
    and oneDNN sums in float32. Weights, normalisation with its statistics, activation functions and each layer that makes an
    output of the model stay in float32, and with them losses, gradients of weights and the optimizer.

    Args:
        model: functional or sequential.
        precision: of `machine.PRECISIONS`.
    """
    if precision == FLOAT32:
        return keras.models.clone_model(model)
    last = {output._keras_history.operation.name for output in keras.tree.flatten(model.outputs)}

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        config: dict[str, Any] = layer.get_config()
        if isinstance(layer, PRODUCTS) and layer.name not in last:
            config["dtype"] = (
                f"mixed_{precision}"  # Keras' name for weights of float32 that are rounded when they are used
            )
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=clone)


def computed_in(model: keras.Model, precision: str) -> keras.Model:
    """Return the model itself, or in another precision than float32 a `twin` with its weights."""
    if precision == FLOAT32:
        return model
    other = twin(model, precision)
    other.set_weights(model.get_weights())
    return other
