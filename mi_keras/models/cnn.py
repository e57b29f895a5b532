"""The classifier M_T and M_S (thesis 3.1.1, Figure 25)."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from mi_keras.errors import InputError
from mi_keras.models.graph import trace
from mi_keras.models.layers import BitDropout, FusedBatchNormalization, torch_uniform
from mi_keras.models.target import register_fast_path
from mi_keras.seeds import derive
from mi_keras.settings import DEFAULT_HEAD, IMAGE_SIZE, HeadSettings, check_whole
from mi_keras.types import Floats, Observation

ACTIVATION_UNITS = 50


def build_cnn(
    input_shape: tuple[int, int, int] = (IMAGE_SIZE, IMAGE_SIZE, 1),
    classes: int = 10,
    *,
    channels: Sequence[int] = (128, 256, 512),
    head: HeadSettings = DEFAULT_HEAD,
    seed: int = 1,
) -> keras.Model:
    """Build the CNN of Figure 25: three blocks of convolution, batch normalisation, max-pooling and ReLU, two dense layers.

    With another `head` it is another row of Table 1: linear, activation function, dropout, linear.

    Args:
        input_shape: `(height, width, image channels)`, height and width at least 8; images in [0, 1].
        classes: width of the output vector.
        channels: filters of the three blocks; with the default, the thesis's, there are 1,888,560 trainable parameters.
        head: activation and dropout between the two dense layers.
        seed: of the initial weights and of dropout.

    Returns:
        A functional model from `(batch, height, width, image channels)` to a dictionary: `logits`, the output vector O,
        `(batch, classes)`, and `activations`, A^L, `(batch, 50)`, the input of the last dense layer at inference.

    Raises:
        InputError: the image is too small for three poolings.
    """
    if len(input_shape) != 3 or min(input_shape[:2]) < 8 or input_shape[2] < 1:
        raise InputError(
            "`input_shape` must be (height, width, channels) with height and width >= 8, of which three poolings leave "
            f"something; got {input_shape}."
        )
    images = maps = keras.Input(input_shape, name="image")
    fan_in = 9 * input_shape[-1]
    for block, filters in enumerate(channels):
        initial = _torch_initializers(fan_in, derive(seed, "conv", block))
        maps = keras.layers.Conv2D(filters, 3, padding="same", **initial, name=f"conv_{block}")(maps)
        maps = FusedBatchNormalization(name=f"norm_{block}")(maps)
        maps = keras.layers.MaxPool2D(2, name=f"pool_{block}")(maps)
        maps = keras.layers.ReLU(name=f"relu_{block}")(maps)
        fan_in = 9 * filters
    flat = keras.layers.Flatten(name="flatten")(maps)
    function = None if head.activation == "none" else head.activation
    activations = dropped = _dense(flat, ACTIVATION_UNITS, "activations", seed, function)
    if head.dropout:
        dropped = BitDropout(head.dropout, seed=derive(seed, "dropout"), name="dropout")(activations)
    logits = _dense(dropped, classes, "logits", seed)
    return keras.Model(images, {"logits": logits, "activations": activations}, name="cnn")


def last_linear_layer(model: keras.Model, output: str | None = None) -> tuple[Floats, Floats]:
    """Return the weights `(units, classes)` and bias `(classes,)` that map A^L to the output vector (thesis 3.5).

    It is the last dense layer before the output: an activation function behind it or dropout is passed over.

    Args:
        model: the CNN, or any functional or sequential classifier with one input.
        output: name of the output; None, and any name where there is one output only, for that one or "logits" of several.

    Raises:
        InputError: no such output, or something else than a dense layer makes it.
    """
    graph = trace(model)
    if len(graph.outputs) == 1:
        output = next(iter(graph.outputs))
    output = output or "logits"
    if output not in graph.outputs:
        raise InputError(f"`output` must be one of {', '.join(graph.outputs)}; got {output!r}.")
    value = graph.outputs[output]
    for call in reversed(graph.calls):
        if value not in call.outputs:
            continue
        if isinstance(call.operation, keras.layers.Dense):
            weights, *bias = (np.asarray(weight) for weight in call.operation.get_weights()[:2])
            return weights, bias[0] if bias else np.zeros(weights.shape[1], np.float32)
        weighted = getattr(call.operation, "weights", None)
        if weighted or len(call.inputs) != 1 or call.inputs[0].shape != value.shape:
            break
        value = call.inputs[0]
    raise InputError(
        f"`model` must make its output {output!r} by a dense layer; {call.operation.name!r} of class "
        f"{type(call.operation).__name__} makes it."
    )


def observe(cnn: keras.Model, images: Floats, *, batch_size: int = 256) -> Observation:
    """Query a classifier as an outsider: return the logits `(count, classes)` of images `(count, height, width,
    channels)` in [0, 1]."""
    return Observation(_outputs(cnn, images, "logits", batch_size))


def activations_of(cnn: keras.Model, images: Floats, *, batch_size: int = 256) -> Floats:
    """Return A^L of images `(count, height, width, channels)`, `(count, 50)`, as the owner of a classifier reads it.

    Raises:
        InputError: the model is no CNN of `build_cnn`.
    """
    names = list(trace(cnn).outputs)
    if "activations" not in names:
        raise InputError(f"`cnn` must have an output `activations`; {cnn.name!r} has {', '.join(names)}.")
    return _outputs(cnn, images, "activations", batch_size)


def frozen_logits(cnn: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the inference-mode map from images to logits, with constant weights and batch normalisation folded in.

    Optimising images through it is a quarter faster than through the model, and cannot change the model. Convolutions are
    computed in the type that the model's layers compute in, with pooling and ReLU, which choose among values and round none.
    """
    blocks = []
    for block in range(3):
        kernel, bias = cnn.get_layer(f"conv_{block}").get_weights()
        gamma, beta, mean, variance = cnn.get_layer(f"norm_{block}").get_weights()
        scale = gamma / np.sqrt(variance + cnn.get_layer(f"norm_{block}").epsilon)
        folded = (kernel * scale, (bias - mean) * scale + beta)
        blocks.append([tf.cast(values, cnn.get_layer(f"conv_{block}").compute_dtype) for values in folded])
    dense = []
    for name in ("activations", "logits"):
        layer = cnn.get_layer(name)
        dense.append((*map(tf.constant, layer.get_weights()), layer.activation))

    def logits(images: tf.Tensor) -> tf.Tensor:
        maps = images
        for kernel, bias in blocks:
            maps = tf.nn.conv2d(tf.cast(maps, kernel.dtype), kernel, strides=1, padding="SAME")
            maps = tf.nn.bias_add(maps, bias)
            maps = tf.nn.relu(tf.nn.max_pool2d(maps, 2, 2, "VALID"))
        vector = tf.cast(tf.reshape(maps, (-1, dense[0][0].shape[0])), dense[0][0].dtype)
        for weights, bias, activation in dense:
            vector = activation(tf.matmul(vector, weights) + bias)
        return vector

    return logits


def _outputs(cnn: keras.Model, images: Floats, name: str, batch_size: int) -> Floats:
    check_whole("batch_size", batch_size, 1)
    if not len(images):
        raise InputError("`images` must be one or more; got none.")
    batches = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
    return np.concatenate([cnn(batch, training=False)[name].numpy() for batch in batches])


def _fast_path(model: keras.Model, point: str) -> Callable[[tf.Tensor], tf.Tensor] | None:
    """Return `frozen_logits` of a model that is this CNN, whole or up to its logits; None for any other."""
    blocks = [f"{kind}_{block}" for block in range(3) for kind in ("conv", "norm", "pool", "relu")]
    names = [layer.name for layer in model.layers[1:] if layer.name != "dropout"]
    is_ours = names == [*blocks, "flatten", "activations", "logits"] and point == "logits"
    is_ours = is_ours and all(output.dtype == "float32" for output in model.outputs)
    is_ours = is_ours and isinstance(model.get_layer("norm_0"), FusedBatchNormalization)
    return frozen_logits(model) if is_ours else None


register_fast_path(_fast_path)


def _dense(
    inputs: keras.KerasTensor, units: int, name: str, seed: int, activation: str | None = None
) -> keras.KerasTensor:
    """Apply a dense layer; Keras' "gelu" is the exact one, as PyTorch's is."""
    initial = _torch_initializers(inputs.shape[-1], derive(seed, name))
    return keras.layers.Dense(units, activation, **initial, name=name)(inputs)


def _torch_initializers(fan_in: int, seed: int) -> dict[str, keras.initializers.Initializer]:
    return {f"{name}_initializer": torch_uniform(fan_in, derive(seed, name)) for name in ("kernel", "bias")}
