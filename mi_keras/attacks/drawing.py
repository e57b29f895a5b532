"""Networks from canonical answers to images: training on pairs that are drawn anew in each epoch, and the mean of
several networks."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.attacks.drawers import finite
from mi_keras.metrics.image import mse, ssim
from mi_keras.models.tcnn import build_tcnn
from mi_keras.models.variables import weights_of
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import InverterSettings
from mi_keras.training.loop import Examples, FitSettings, FitterPool
from mi_keras.training.schedules import cosine
from mi_keras.types import Floats, Redrawn

BATCH = 256
NETWORK = "network"  # prefix of the arrays that hold one
Pairs = tuple[Floats, Floats]  # inputs `(count, width)` and images


def train(
    draw: Callable[[int], Pairs],
    settings: InverterSettings,
    *,
    run: Run,
    mse_weight: float = 0.0,
    start: Mapping[str, NDArray[Any]] | None = None,
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Train a network on the pairs that `draw` returns for each epoch, with a cosine schedule.

    Args:
        mse_weight: of the mean squared error beside 1 - SSIM in the loss.
        start: a network to go on from; None for new weights.

    Returns:
        Its variables by position, and `history` of the loss.

    Raises:
        FloatingPointError: a loss is not finite.
    """
    inputs, images = draw(0)
    shape: tuple[int, int, int] = images.shape[1:]
    model = _build(inputs.shape[1], shape, settings, derive(run.seed, "initial"))
    if start is not None:
        _begin(model, start)
    history = fit_network(model, ("drawing",), draw, settings, run=run, mse_weight=mse_weight)
    return weights_of(model), {"history": history}


def fit_network(
    model: keras.Model,
    kind: tuple[str],
    draw: Callable[[int], Pairs],
    settings: InverterSettings,
    *,
    run: Run,
    mse_weight: float,
) -> dict[str, list[float]]:
    """Train a network of a kind in place on the pairs that `draw` returns for each epoch; return its loss curve."""
    inputs, images = draw(0)
    drawn = _Drawn(draw, (inputs, images))

    def loss(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        dissimilarity = 1.0 - ssim(targets, outputs)
        return dissimilarity + mse_weight * mse(targets, outputs) if mse_weight else dissimilarity

    return _fitters.fit(
        model, (kind, settings.channels, settings.dropout, mse_weight, inputs.shape[1], images.shape[1:]),
        Examples(Redrawn(inputs, drawn.inputs), Redrawn(images, drawn.images)),
        FitSettings(settings.epochs, settings.batch_size, settings.learning_rate, cosine(settings.epochs)),
        loss=loss, run=run,
    )  # fmt: skip


def named(network: Mapping[str, NDArray[Any]], number: int) -> dict[str, NDArray[Any]]:
    """Return the variables of a network under names that several can stand under."""
    return {f"{NETWORK}.{number}.{name}": array for name, array in network.items()}


def networks_of(arrays: Mapping[str, NDArray[Any]]) -> list[dict[str, NDArray[Any]]]:
    """Return the networks among arrays, in their order."""
    found: dict[int, dict[str, NDArray[Any]]] = {}
    for key, array in arrays.items():
        if key.startswith(f"{NETWORK}."):
            _, number, name = key.split(".")
            found.setdefault(int(number), {})[name] = array
    return [found[number] for number in sorted(found)]


def last_network(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return arrays without any network among them but the last."""
    others = {key: array for key, array in arrays.items() if not key.startswith(f"{NETWORK}.")}
    return {**others, **named(networks_of(arrays)[-1], 0)}


def widened(network: Mapping[str, NDArray[Any]], more: int) -> dict[str, NDArray[Any]]:
    """Return a network that takes in `more` numbers behind the others, and does not look at them yet."""
    first = min(name for name, array in network.items() if array.ndim == 4)
    kernel = network[first]
    return {**network, first: np.concatenate([kernel, np.zeros((more, *kernel.shape[1:]), kernel.dtype)])}


def drawn_by(
    arrays: Mapping[str, NDArray[Any]], inputs: Floats, shape: tuple[int, int, int], *, label: str
) -> Iterator[Floats]:
    """Yield the mean of what the networks among arrays draw of inputs, `(batch, height, width, channels)` in [0, 1].

    Raises:
        FloatingPointError: as of `drawers.finite`, which names `label`.
    """
    models = [loaded(network, inputs.shape[1], shape) for network in networks_of(arrays)]
    for start in range(0, len(inputs), BATCH):
        batch = tf.constant(inputs[start : start + BATCH])
        yield finite(np.mean([model(batch, training=False).numpy() for model in models], axis=0), label)


class _Drawn:
    """Draws each pair once, for inputs and images apart."""

    def __init__(self, draw: Callable[[int], Pairs], first: Pairs) -> None:
        self._draw, self._number, self._pairs = draw, 0, first

    def inputs(self, number: int) -> Floats:
        return self._at(number)[0]

    def images(self, number: int) -> Floats:
        return self._at(number)[1]

    def _at(self, number: int) -> Pairs:
        if number != self._number:
            self._number, self._pairs = number, self._draw(number)
        return self._pairs


def _build(width: int, shape: tuple[int, int, int], settings: InverterSettings, seed: int) -> keras.Model:
    return build_tcnn(width, shape, channels=settings.channels, dropout=settings.dropout, seed=seed)


def loaded(network: Mapping[str, NDArray[Any]], width: int, shape: tuple[int, int, int]) -> keras.Model:
    """Rebuild a network that takes in `width` numbers, and whose own widths its kernels tell: members of an ensemble may differ in them."""
    kernels = [array for _, array in sorted(network.items()) if array.ndim == 4]
    channels = (kernels[0].shape[-1], *(kernel.shape[2] for kernel in kernels[1:-1]))
    model = build_tcnn(width, shape, channels=channels, dropout=(0.0,) * len(channels))
    _begin(model, network)
    return model


def _begin(model: keras.Model, network: Mapping[str, NDArray[Any]]) -> None:
    """Give a model the weights of a network that may differ in its dropout, whose random states are no weights."""
    weights = [array for _, array in sorted(network.items()) if array.dtype.kind == "f"]
    variables = [variable for variable in model.variables if variable.dtype.startswith("float")]
    for variable, array in zip(variables, weights, strict=True):
        variable.assign(array)


_fitters = FitterPool(size=4)  # small ones: networks of a bank and a corrector take turns
