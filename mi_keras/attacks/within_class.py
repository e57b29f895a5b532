"""Attacks that learn, within each predicted class, how differences of images depend on differences of their answers.

What the class alone gives away is removed first: answers are standardised within their class, and images are learned as
differences from the mean of their class. So a model whose answers differ little within a class is attacked as well as
one whose answers differ much (Teterwak et al. 2021: logits hold detail of the image).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Attack, Evidence, Fitted
from mi_keras.attacks.drawers import DrawerPool
from mi_keras.attacks.ridge import (
    MOST_COMPONENTS,
    class_means,
    less_class_means,
    moments,
    principal_axes,
    ridge_by_class,
)
from mi_keras.data.preprocess import as_unit
from mi_keras.errors import InputError
from mi_keras.metrics.image import mse, ssim
from mi_keras.models.tcnn import build_tcnn
from mi_keras.models.variables import weights_of
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import check_whole
from mi_keras.training.loop import Examples, FitSettings, FitterPool
from mi_keras.training.schedules import cosine
from mi_keras.types import Floats, Ints, Observation, Redrawn, Rows, redrawn

LEAST_OF_CLASS = 8  # images of a class that give it a mean and a deviation of its own
MOST_DEVIATIONS = 6.0  # standardised answers are clipped there: a rare one must not outweigh all others
BATCH = 256
DRAWS = 4  # of answers that are drawn anew each time, to which a linear map is fitted
MOST_DRAWN = 20_000_000  # numbers in all of these: 160 MB
LOSSES = ("mse", "ssim")


@dataclass(frozen=True)
class LinearWithinClass(Attack):
    """The best affine map from standardised answers to images: ridge regression, shared by the classes and then by class.

    Where answers say nothing beyond the class, it gives the class mean. The two ridges are chosen on a fifth of the
    adversary's own images. Images are drawn by their principal components, 256 at most, which hold nearly all that
    differs between them. Where answers are drawn anew each time, the map is fitted to several draws of them. Their
    noise on the diagonal of the Gram matrix would be exact for noise on the features alone; noise on logits that are
    shown as probabilities, that changes the class or is clipped is none.

    Attributes:
        class_columns: number of last columns of an answer that hold the class as one-hot; 0: the class is the answer's
            largest value.
        images: how many of the adversary's own images to use, at most; 0: all.
        maps: whether answers are feature maps, which hold no class; they are flattened.
    """

    class_columns: int = 0
    images: int = 0
    maps: bool = False

    label: ClassVar[str] = "linear map"
    seed_names: ClassVar[list[tuple[object, ...]]] = []
    tolerance: ClassVar[float] = 1e-4

    @property
    def of_maps(self) -> bool:
        return self.maps

    def __post_init__(self) -> None:
        check_whole("class_columns", self.class_columns, 0)
        check_whole("images", self.images, 0)

    @property
    def needs(self) -> Access:
        return Access(images=True, answers="surrogate")

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Solve for the maps; arrays as of `_Canonical`, `weights` `(classes or 1, features, components)` and `basis`."""
        pairs = _pairs(known, held, self)
        canonical = _Canonical.of(pairs)
        rest = pairs.within(pairs.images - canonical.means[pairs.classes], pairs.classes)
        basis = principal_axes(rest.reshape(len(rest), -1), MOST_COMPONENTS)
        inputs, outputs, classes = [], [], []
        for number in range(_draws(pairs)):
            features, of = pairs.drawn(number)
            rest = pairs.within(pairs.images - canonical.means[of], of).reshape(len(of), -1)
            inputs.append(pairs.within(canonical.features(features, of), of))
            outputs.append(rest @ basis.T)
            classes.append(of)
        weights = ridge_by_class(
            np.concatenate(inputs), np.concatenate(outputs), np.concatenate(classes), len(canonical.means),
            images=len(pairs.images), groups=pairs.groups,
        )  # fmt: skip
        return {**canonical.arrays, "weights": weights, "basis": basis}, {}

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        canonical = _Canonical(fitted[0])
        weights, basis = fitted[0]["weights"], fitted[0]["basis"]
        for start in range(0, len(observed), BATCH):
            batch = Observation(
                observed.observation.values[start : start + BATCH], observed.observation.point
            )
            features, classes = _split(batch, self)
            inputs, images = canonical.features(features, classes), canonical.means[classes].copy()
            for number in np.unique(classes):
                of = classes == number
                rest = inputs[of] @ weights[number % len(weights)] @ basis
                images[of] += rest.reshape(-1, *images.shape[1:])
            yield np.clip(images, 0, 1)


@dataclass(frozen=True)
class NetworkWithinClass(Attack):
    """A transposed CNN that draws the image from standardised answers and the class.

    Attributes:
        loss: "mse", or "ssim" for 1 - SSIM; each shows other details that leak.
        channels: of the network (see `build_tcnn`).
        epochs, batch_size, learning_rate: of training, with a cosine schedule.
        noise: standard deviation of the Gaussian noise on the standardised answers in training, against overfitting.
        class_columns, images: see `LinearWithinClass`.
    """

    loss: str = "mse"
    channels: tuple[int, ...] = (128, 64, 32)
    epochs: int = 16
    batch_size: int = 64
    learning_rate: float = 2e-3
    noise: float = 0.15
    class_columns: int = 0
    images: int = 0

    tolerance: ClassVar[float] = 1e-4
    gains_in_half: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise InputError(f"`loss` must be one of {', '.join(LOSSES)}; got {self.loss!r}.")
        for name, least in (("epochs", 1), ("batch_size", 2), ("class_columns", 0), ("images", 0)):
            check_whole(name, getattr(self, name), least)

    @property
    def label(self) -> str:
        return f"network, {'MSE' if self.loss == 'mse' else '1 - SSIM'}"

    @property
    def needs(self) -> Access:
        return Access(images=True, answers="surrogate")

    @property
    def seed_names(self) -> list[tuple[object, ...]]:
        return [(type(self).__name__, self.loss)]

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Train the network; arrays as of `_Canonical` beside its variables. Info: `history` of the loss."""
        pairs = _pairs(known, held, self)
        canonical = _Canonical.of(pairs)
        inputs: Rows = canonical.joined(pairs.features, pairs.classes)
        if pairs.is_redrawn:
            inputs = Redrawn(inputs, lambda number: canonical.joined(*pairs.drawn(number)))
        shape: tuple[int, int, int] = pairs.images.shape[1:]
        model = self._build(inputs.shape[1], shape, derive(run.seed, "initial"))
        history = _fitters.fit(
            model, (self.loss, self.channels, self.noise, inputs.shape[1], shape),
            Examples(inputs, pairs.images, pairs.weights), FitSettings(self.epochs, self.batch_size, self.learning_rate, cosine(self.epochs)),
            loss=_LOSS[self.loss], run=run,
        )  # fmt: skip
        return {**canonical.arrays, **weights_of(model)}, {"history": history}

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        canonical = _Canonical(fitted[0])
        inputs = canonical.joined(*_split(observed.observation, self))
        shape: tuple[int, int, int] = canonical.means.shape[1:]
        variables = {name: array for name, array in fitted[0].items() if name not in _Canonical.names}
        width = inputs.shape[1]
        return _drawers.draw(
            (self.channels, self.noise, width, inputs.dtype, shape), lambda: self._build(width, shape, seed=1),
            lambda model, batch: model(batch, training=False), variables, inputs,
            batch=BATCH, label=self.label, epochs=self.epochs,
        )  # fmt: skip

    def _build(self, width: int, image_shape: tuple[int, int, int], seed: int) -> keras.Model:
        return build_tcnn(
            width, image_shape, channels=self.channels, dropout=(0.0,) * len(self.channels),
            input_noise=self.noise, seed=seed,
        )  # fmt: skip


@dataclass(frozen=True)
class _Pairs:
    features: Floats  # (count, features)
    classes: Ints
    images: Floats
    count: int  # of classes
    drawn: Callable[[int], tuple[Floats, Ints]]  # another draw of features and classes
    is_redrawn: bool  # it differs from the first
    groups: Ints | None  # None: each image is its own
    weights: NDArray[np.float64] | None  # by which each group counts the same

    def within(self, rows: Floats, classes: Ints) -> Floats:
        """Return differences from the mean over groups as differences from the plain mean of the class.

        Every image says as much of how images vary with answers, whichever group it is of; only of what is usual in a
        class those of a large group say less.
        """
        return rows if self.groups is None else less_class_means(rows, classes)


class _Canonical:
    """What standardises answers within their class, and the mean image of each class.

    A class of few images takes statistics of all, as far as it has none.
    """

    names: ClassVar[tuple[str, ...]] = ("centres", "deviations", "means")

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.arrays: dict[str, NDArray[Any]] = {name: arrays[name] for name in self.names}
        self.centres, self.deviations, self.means = self.arrays.values()

    @classmethod
    def of(cls, pairs: _Pairs) -> "_Canonical":
        width = pairs.features.shape[1]
        centre, deviation = np.zeros(width), np.zeros(width)
        if width:
            centre, deviation = moments(pairs.features, pairs.weights)
        centres, deviations = np.tile(centre, (pairs.count, 1)), np.tile(deviation, (pairs.count, 1))
        for number in range(pairs.count):
            of = pairs.classes == number
            if of.sum() >= LEAST_OF_CLASS and width:
                weights = None if pairs.weights is None else pairs.weights[of]
                centres[number], deviations[number] = moments(pairs.features[of], weights)
        # Below this a feature is constant within the class up to the rounding of float32
        floor = 1e-6 * np.maximum(np.abs(centres), 1e-30)
        deviations = np.where(deviations > floor, deviations, np.inf)
        means = class_means(pairs.images, pairs.classes, pairs.count, pairs.groups)
        float32 = {"centres": centres, "deviations": deviations, "means": means}
        return cls({name: array.astype(np.float32) for name, array in float32.items()})

    def features(self, features: Floats, classes: Ints) -> Floats:
        standard = (features - self.centres[classes]) / self.deviations[classes]
        return np.clip(standard, -MOST_DEVIATIONS, MOST_DEVIATIONS)

    def joined(self, features: Floats, classes: Ints) -> Floats:
        """Return the features beside the class as one-hot, `(count, features + classes)`."""
        of = np.eye(len(self.means), dtype=np.float32)[classes]
        return np.concatenate([self.features(features, classes), of], axis=1)


def _pairs(known: Evidence | None, held: Holdings, attack: LinearWithinClass | NetworkWithinClass) -> _Pairs:
    if known is None:
        raise ValueError("`known` must hold the answers to the adversary's own images; got None.")
    most = min(attack.images or len(held.own_images), len(held.own_images))
    own = held.own_images.first(most)
    values, point = known.observation.values, known.observation.point

    def drawn(number: int) -> tuple[Floats, Ints]:
        return _split(Observation(redrawn(values, number)[:most], point), attack)

    count = attack.class_columns or (1 if attack.of_maps else values.shape[1])
    return _Pairs(
        *drawn(0), as_unit(own.images), count, drawn, isinstance(values, Redrawn), own.groups, own.weights
    )


def _draws(pairs: _Pairs) -> int:
    """Return how many draws a linear map is fitted to: as many as memory is there for."""
    return min(DRAWS, max(1, MOST_DRAWN // max(pairs.features.size, 1))) if pairs.is_redrawn else 1


def _split(observation: Observation, attack: LinearWithinClass | NetworkWithinClass) -> tuple[Floats, Ints]:
    """Return what answers say beside the class, and the class."""
    if attack.of_maps:
        values = np.asarray(observation.values[:], np.float32)
        return values.reshape(len(values), -1), np.zeros(len(values), np.int64)
    vectors, columns = observation.vectors, attack.class_columns
    if not columns:
        return vectors, observation.predicted_class
    return vectors[:, :-columns], np.argmax(vectors[:, -columns:], axis=1).astype(np.int64)


def _dissimilarity(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    return 1.0 - ssim(targets, outputs)


_LOSS = {"mse": mse, "ssim": _dissimilarity}
_fitters = FitterPool(size=2)  # one for each loss
_drawers = DrawerPool(size=1)
