"""A network that corrects a reconstruction: the target answers the reconstruction, and the difference from the observed
answer shows what is wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.alignment import RIDGE, apply_maps, ridge_maps
from mi_keras.attacks.attack import Attack, Evidence, Fitted
from mi_keras.attacks.canonical import beside_class, canonical_parts, inputs_by, own_of, unpacked
from mi_keras.attacks.drawers import finite
from mi_keras.attacks.drawing import Pairs, drawn_by, fit_network
from mi_keras.data.preprocess import as_unit
from mi_keras.models.cnn import observe
from mi_keras.models.layers import torch_uniform
from mi_keras.models.variables import weights_of, with_weights
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import CORRECTION, LARGEST, InverterSettings, check_not_negative, check_whole
from mi_keras.types import Floats

PREFIX = "corrector."  # of the arrays that hold the network
DARKEST = 0.01  # pixels are changed on the scale log(p / (1 - p)), of which 0 and 1 are the ends
BATCH = 256


@dataclass(frozen=True)
class Corrector(Attack):
    """A network that learns, on shadow models, to correct the reconstructions of a bank's networks.

    Each shadow model plays the target in turn: it answers the images that were reconstructed from its answers. The
    corrector sees the reconstruction, the answer it was made from, the shadow model's answer to the reconstruction, and
    the difference of both answers. Used alone it makes no queries and returns the uncorrected reconstruction;
    `Corrected` queries the target.

    Attributes:
        networks: those of a bank (see `bank.BankInverter`), of mapped answers.
        sources: shadow models of that bank.
        mse: weight of the mean squared error beside 1 - SSIM in the loss.
        settings: sizes of the network (units for the answers, maps made of these, filters of the convolutions) and its
            training.
    """

    networks: Attack
    sources: int = 10
    mse: float = 1.0
    settings: InverterSettings = CORRECTION

    tolerance: ClassVar[float] = 1e-4
    gains_in_half: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("sources", self.sources, 1, LARGEST)
        check_not_negative("mse", self.mse)

    @property
    def label(self) -> str:
        return "corrector"

    @property
    def needs(self) -> Access:
        return Access(True, "surrogate", self.sources)

    @property
    def start(self) -> Attack:
        return self.networks

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Train the corrector; its variables stand beside what the networks learned. Info: `history` of the loss."""
        assert known is not None
        assert before is not None  # as `needs` and `start` ask for them
        arrays, images = before[0], as_unit(held.own_images.images)
        sources = np.random.default_rng(derive(run.seed, "sources")).integers(self.sources, size=len(images))
        inputs = np.empty((len(images), _width(images.shape[1:], arrays)), np.float32)
        parts = canonical_parts(known.observation, arrays)
        total = np.sum([standard for standard, _ in parts], axis=0)
        none = 0 * arrays["map"]
        for number, (model, statistics) in enumerate(zip(held.surrogates, unpacked(arrays), strict=True)):
            of = np.flatnonzero(sources == number)
            if not len(of):
                continue
            standard, classes = parts[number]
            others = (total - standard) / max(len(parts) - 1, 1)
            maps = ridge_maps(standard, others, classes, none, shared=RIDGE, by_class=RIDGE)

            def taken(answers: Floats, within: Any, maps: NDArray[np.float64] = maps) -> Floats:
                mapped = apply_maps(answers, within, maps).astype(np.float32)
                return beside_class(mapped, within, answers.shape[1])

            seen = taken(standard[of], classes[of])
            drawn = np.concatenate(list(drawn_by(arrays, seen, images.shape[1:], label=self.label)))
            own, _ = statistics.canonical(observe(model, drawn).vectors, classes[of])
            inputs[of] = _inputs(drawn, seen, taken(own, classes[of]), len(maps))
        model = _build(inputs.shape[1], images.shape[1:], self.settings, derive(run.seed, "initial"))

        def pairs(epoch: int) -> Pairs:
            return inputs, images

        history = fit_network(model, ("corrector",), pairs, self.settings, run=run, mse_weight=self.mse)
        network = {f"{PREFIX}{name}": array for name, array in weights_of(model).items()}
        return {**arrays, **network}, {"history": history}

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        yield from self.networks.reconstruct(fitted, observed, held, run)


@dataclass(frozen=True)
class Corrected(Attack):
    """Corrects reconstructions with the target's answers to them: `rounds` queries for each attacked image.

    Attributes:
        aligned: the attack to correct, which uses the target's own statistics and starts from a `Corrector` (see
            `transfer.Transfer`).
        settings: of that corrector.
        queries: the most answers of the target that may be used; each image takes `rounds` of them.
    """

    aligned: Attack
    rounds: int = 1
    queries: int = 10_000
    settings: InverterSettings = CORRECTION

    tolerance: ClassVar[float] = 1e-4

    def __post_init__(self) -> None:
        check_whole("rounds", self.rounds, 1, LARGEST)
        check_whole("queries", self.queries, 1, LARGEST)

    @property
    def label(self) -> str:
        return f"corrected by {self.rounds} {'query' if self.rounds == 1 else 'queries'} an image"

    @property
    def needs(self) -> Access:
        return Access(images=True, queries=self.queries)

    @property
    def start(self) -> Attack:
        return self.aligned

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Return what `aligned` learned: there is nothing more to learn."""
        assert before is not None
        return before

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        assert held.query is not None  # as `needs` asks for it
        arrays, shape = fitted[0], held.image_shape
        network = {name.removeprefix(PREFIX): a for name, a in arrays.items() if name.startswith(PREFIX)}
        model = with_weights(_build(_width(shape, arrays), shape, self.settings, seed=1), network)
        vectors, classes = observed.observation.vectors, observed.observation.predicted_class
        target, maps = own_of(arrays), arrays["map"]
        seen = inputs_by(target, vectors, maps)
        drawn = np.concatenate(list(drawn_by(arrays, seen, shape, label=self.label)))
        for start in range(0, len(drawn), BATCH):
            some, images = slice(start, start + BATCH), drawn[start : start + BATCH]
            for _ in range(self.rounds):
                own = inputs_by(target, held.query(images).vectors, maps, classes[some])
                inputs = _inputs(images, seen[some], own, maps.shape[1])
                images = model(tf.constant(inputs), training=False).numpy()
            yield finite(images, self.label)


def _width(shape: tuple[int, ...], arrays: Mapping[str, NDArray[Any]]) -> int:
    units = arrays["map"].shape[1]
    return int(np.prod(shape)) + 3 * units + len(arrays["map"])


def _inputs(images: Floats, seen: Floats, own: Floats, units: int) -> Floats:
    """Return what the corrector takes in, flat: image, observed answer beside its class, own answer, and the difference."""
    answer = own[:, :units]
    return np.concatenate([images.reshape(len(images), -1), seen, answer, seen[:, :units] - answer], axis=1)


def _build(width: int, shape: tuple[int, ...], settings: InverterSettings, seed: int) -> keras.Model:
    """Build a network from `(batch, width)` to images: answers become maps, convolutions change the image by them."""
    units, maps, filters = settings.channels
    height, columns, channels = shape
    pixels = height * columns * channels
    inputs = keras.Input((width,), name="attack_input")
    image = keras.layers.Reshape(shape, name="drawn")(inputs[:, :pixels])
    hidden = keras.layers.Dense(units, "tanh", **_initial(width - pixels, seed, 1))(inputs[:, pixels:])
    spread = keras.layers.Dense(height * columns * maps, **_initial(units, seed, 2))(hidden)
    spread = keras.layers.Reshape((height, columns, maps))(spread)
    change = keras.layers.Concatenate()([image, spread])
    for number in range(2):
        fan_in = 9 * change.shape[-1]
        change = keras.layers.Conv2D(
            filters, 3, padding="same", activation="tanh", **_initial(fan_in, seed, 3 + number)
        )(change)
    change = keras.layers.Conv2D(channels, 3, padding="same", kernel_initializer="zeros", name="change")(
        change
    )
    clipped = keras.ops.clip(image, DARKEST, 1 - DARKEST)
    scale = keras.ops.log(clipped) - keras.ops.log(1 - clipped)
    return keras.Model(inputs, keras.ops.sigmoid(scale + change), name="corrector")


def _initial(fan_in: int, seed: int, number: int) -> dict[str, Any]:
    return {
        f"{name}_initializer": torch_uniform(fan_in, derive(seed, name, number))
        for name in ("kernel", "bias")
    }
