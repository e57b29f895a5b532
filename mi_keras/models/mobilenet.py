"""MobileNetV3-Large cut in two: a head on the edge device, a tail on the server (split 4, Table 1 and Figure 2)."""

import hashlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from mi_keras.errors import InputError
from mi_keras.models.graph import require_clean, trace
from mi_keras.models.imagenet import imagenet_file, require_imagenet
from mi_keras.models.target import Function, Target, in_graph, observed_at
from mi_keras.models.weights import FileWeights, copy_weights, read_weights
from mi_keras.seeds import derive
from mi_keras.settings import EncoderSettings

# Where the resolution is about to halve: C1 to C5 are the last feature maps of strides 2 to 32. Named
# by the batch normalisation before the activation, because Keras numbers activations anew in every model it builds.
CUTS = {
    "C1": "expanded_conv_1_expand_bn",
    "C2": "expanded_conv_3_expand_bn",
    "C3": "expanded_conv_6_expand_bn",
    "C4": "expanded_conv_12_expand_bn",
    "C5": "conv_1_bn",
}
ACTIVATION = ":activation"  # "NAME:activation" is the activation function applied to what layer NAME gives
STRIDE = 32  # of the last feature maps: an image of whole multiples has whole maps at every cut


@dataclass(frozen=True, eq=False)
class SplitModel(Target):
    """MobileNetV3-Large observed at a cut: images `(batch, height, width, 3)` in [0, 1] to feature maps, to logits.

    Attributes:
        whole: images to logits, frozen.
        stride: pixels of the image per position of the feature maps; 0 where what is sent is no map.
    """

    whole: keras.Model
    stride: int

    @property
    def cut(self) -> str:
        """Where it was cut, as "NAME" or "NAME:activation", equal for equal cuts."""
        return self.point.name

    @cached_property
    def embed(self) -> Function:
        """Images in [0, 1] to the embedding that the tail makes its answer of, `(batch, 1280)`."""
        return in_graph(build_embedding(self))

    @cached_property
    def weights_digest(self) -> str:
        """SHA-256 of the weights alone, which stored keys are made of."""
        digest = hashlib.sha256()
        for variable in self.whole.weights:  # `variables` would add the random state of dropout
            digest.update(np.ascontiguousarray(variable.numpy()).data)
        return digest.hexdigest()


def build_split_mobilenet(
    cut: str = "C4",
    *,
    input_shape: tuple[int, int, int] = (320, 320, 3),
    minimalistic: bool = False,
    weights: str | Path = "random",
    classes: int = 1000,
    seed: int = 1,
    offline: bool = False,
) -> SplitModel:
    """Build MobileNetV3-Large, frozen, and cut it after a named layer.

    Frozen means not trainable; batch normalisation uses its running statistics and keeps them, even where a training
    loop calls the head in training mode.

    Args:
        cut: one of `CUTS`; the name of a layer; or "NAME:activation", the activation after layer NAME. C4, the choice
            of the split paper, gives `(20, 20, 672)` for images of 320 pixels.
        input_shape: `(height, width, 3)`, height and width multiples of 32.
        minimalistic: build the variant without squeeze-and-excitation, hard-swish and 5x5 kernels.
        weights: "random"; "imagenet", which Keras downloads; or the path of a weights or model file that Keras wrote.
        classes: length of the output vector; 1000 for "imagenet".
        seed: of random weights.
        offline: never download; the weights of "imagenet" must be in the cache of Keras already.

    Raises:
        InputError: an argument breaks its rule, a connection bypasses `cut`, or the weights are not available or of
            another model.
    """
    if classes < 1 or (weights == "imagenet" and classes != 1000):
        raise InputError(f"`classes` must be >= 1, and 1000 with the weights of imagenet; got {classes}.")
    whole = _whole(input_shape, minimalistic, classes)
    layer = cut_layer(whole, cut)  # before the weights: a wrong name should not cost a download
    if weights == "random":
        _draw_weights(whole, minimalistic, seed)
    elif weights == "imagenet":
        copy_weights(whole, _imagenet_weights(minimalistic, offline=offline), "imagenet")
    else:
        copy_weights(whole, read_weights(Path(weights)), str(weights))
    at = observed_at(whole, layer.name)
    point = replace(at.point, name=canonical_cut(cut))  # Keras counts the names of activations up
    stride = _stride(cut, input_shape, layer.output.shape)
    return SplitModel(at.head, at.tail, point, at.identity, whole, stride)


def encoder_of(settings: EncoderSettings, size: int, *, offline: bool = False) -> SplitModel:
    """Return the attacked model of the split attack for images of `size` pixels; `offline`: without a download.

    Raises:
        InputError: a setting breaks its rule, the weights are not to be had, or the cut gives no feature maps.
    """
    with _names_of_settings():
        split = build_split_mobilenet(
            settings.cut, input_shape=(size, size, 3), minimalistic=settings.variant == "minimalistic",
            weights=settings.weights, offline=offline,
        )  # fmt: skip
    if len(split.point.shape) != 3:
        raise InputError(f"`encoder.cut` must give feature maps; got {settings.cut!r}, which gives a vector.")
    return split


def map_count(settings: EncoderSettings, size: int) -> int:
    """Return how many feature maps such an encoder sends, without its weights.

    Raises:
        InputError: the cut is none.
    """
    with _names_of_settings():
        whole = _whole((size, size, 3), settings.variant == "minimalistic", classes=1)
        return int(cut_layer(whole, settings.cut).output.shape[-1])


@contextmanager
def _names_of_settings() -> Iterator[None]:
    """Have what is refused named as the user knows it."""
    names = {"cut": "encoder.cut", "weights": "encoder.weights", "minimalistic": "encoder.variant"}
    try:
        yield
    except InputError as error:
        text = re.sub(rf"`({'|'.join(names)})`", lambda match: f"`{names[match[1]]}`", str(error))
        raise InputError(text) from None


def _whole(input_shape: tuple[int, int, int], minimalistic: bool, classes: int) -> keras.Model:
    """Build the model, frozen, with weights as Keras draws them."""
    if len(input_shape) != 3 or min(input_shape) < 1 or any(n % STRIDE for n in input_shape[:2]):
        raise InputError(
            f"`input_shape` must be (height, width, 3) in multiples of {STRIDE}; got {input_shape}."
        )
    if input_shape[2] != 3:
        raise InputError(f"`input_shape` must have 3 channels; got {input_shape[2]}.")
    image = keras.Input(input_shape, name="image")
    scaled = keras.layers.Rescaling(255.0, name="to_bytes")(
        image
    )  # the model's own preprocessing expects 0..255
    published = keras.applications.MobileNetV3Large(
        input_tensor=scaled,
        minimalistic=minimalistic,
        weights=None,
        classes=classes,
        classifier_activation=None,
    )
    whole = keras.Model(image, published.output, name="mobilenet_v3_large")
    whole.trainable = False
    return whole


def canonical_cut(cut: str) -> str:
    """Return the name of the layer that a name of `CUTS` stands for; any other name as it is."""
    return CUTS[cut] + ACTIVATION if cut in CUTS else cut


def build_embedding(split: SplitModel) -> keras.Model:
    """Return the model from images in [0, 1] to what the last layer makes its logits of, `(batch, 1280)`, frozen."""
    last = keras.layers.Flatten(name="embedding")(split.whole.get_layer("logits").input)
    embedding = keras.Model(split.whole.input, last, name="embedding")
    embedding.trainable = False
    return embedding


def cut_layer(model: keras.Model, cut: str) -> keras.layers.Layer:
    """Return the layer that `cut` names, after a look at what would reach the tail beside it."""
    name = canonical_cut(cut)
    by_name = {layer.name: layer for layer in model.layers}
    base = name.removesuffix(ACTIVATION)
    if base not in by_name:
        raise InputError(
            f"`cut` must be one of {', '.join(CUTS)}, the name of a layer, or NAME{ACTIVATION}; got {cut!r}."
        )
    layer = by_name[base]
    if name != base:
        following = [node.operation for node in layer._outbound_nodes]
        activations = [f for f in following if isinstance(f, keras.layers.ReLU | keras.layers.Activation)]
        if len(following) != 1 or not activations:
            raise InputError(f"`cut` must name a layer before an activation; none follows {base!r}.")
        layer = activations[0]
    if layer.output is model.output or isinstance(layer, keras.layers.InputLayer):
        raise InputError(f"`cut` must leave a head and a tail; {cut!r} is an end of the model.")
    require_clean(trace(model), layer.name, "cut")
    return layer


def _stride(cut: str, input_shape: tuple[int, int, int], maps_shape: tuple[int | None, ...]) -> int:
    if len(maps_shape) != 4 or not maps_shape[1] or input_shape[0] % maps_shape[1]:
        return 0
    stride = input_shape[0] // maps_shape[1]
    whole = tuple(maps_shape[1:3]) == (input_shape[0] // stride, input_shape[1] // stride)
    if (
        cut in CUTS
    ):  # what the text's sizes rest on: a Keras that builds another model must not pass unnoticed
        assert whole, (cut, maps_shape)
        assert stride == 2 ** int(cut[1:]), (cut, maps_shape)
        assert cut != "C4" or maps_shape[3] == 672, maps_shape
    return stride if whole else 0


def _draw_weights(model: keras.Model, minimalistic: bool, seed: int) -> None:
    """Draw all kernels, scaled to keep the size of the feature maps; Keras' own draw leaves 1e-7 of an image at C4."""
    for layer in model.layers:
        if not isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            continue
        kernel = layer.kernel
        inputs = kernel.shape[0] * kernel.shape[1]
        if not isinstance(layer, keras.layers.DepthwiseConv2D):
            inputs *= kernel.shape[2]
        # He et al. 2015: 2 for what an activation halves. None follows a projection, but in the full model the gates of
        # squeeze-and-excitation and hard-swish take that much again: there a gain of 1 leaves 0.03 at C4.
        gain = 1.0 if minimalistic and layer.name.endswith("project") else 2.0
        draw = np.random.default_rng(derive(seed, layer.name))
        kernel.assign(draw.standard_normal(kernel.shape, np.float32) * np.float32((gain / inputs) ** 0.5))


def _imagenet_weights(minimalistic: bool, *, offline: bool) -> FileWeights:
    if offline:
        require_imagenet(minimalistic)
    kept = str(imagenet_file(minimalistic))  # opened by Keras without a look at the network
    try:
        with redirect_stdout(sys.stderr):  # its notice of the download is not our output
            source = keras.applications.MobileNetV3Large(
                input_shape=(224, 224, 3), minimalistic=minimalistic, weights=kept if offline else "imagenet"
            )
    except Exception as error:  # Keras raises a bare `Exception` where a download fails
        if not isinstance(error, OSError | ValueError) and "URL fetch failure" not in str(error):
            raise
        raise InputError(
            "`weights` must be at hand for imagenet: Keras could not download them, or what is kept is damaged; connect to "
            f"the network once, put the file in {kept}, give the path of a weights file, or `random` to see the wiring."
        ) from None
    arrays = {layer.name: [w.numpy() for w in layer.weights] for layer in source.layers if layer.weights}
    return FileWeights(arrays, ordered=False)
