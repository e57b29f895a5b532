"""From feature maps to pixels without a query: positions of the mean feature map are paired with positions of the mean
image.

Who intercepts the maps of many images knows their mean at each position, and knows the mean of its own images there.
Where images are aligned, as faces are, these means are pairs, one for each position. A linear map learned from the
pairs translates what a single image's maps differ by from the mean.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Attack, Evidence, Fitted, Input
from mi_keras.attacks.ridge import Ridge
from mi_keras.data.preprocess import as_unit
from mi_keras.errors import InputError
from mi_keras.progress import Run
from mi_keras.settings import check_whole
from mi_keras.types import Floats, Rows

BATCH = 50  # maps, or images, at a time
BLOCKS = 4  # along either side: places that are held out together, since neighbours are alike
WITHIN = 1.05  # of the least error on held-out places: of ridges that do as well, the largest is taken
RIDGES = tuple(10.0**power for power in range(-5, 2))
LEAST = 1e-6  # deviation of a map that varies


@dataclass(frozen=True)
class PlaceMeans(Attack):
    """The mean of its own images, plus a linear map of an answer's difference from the mean of the observed answers.

    Each position of the maps gives one patch of pixels. The linear map is a ridge regression from the mean observed map
    (in standard deviations of each channel) to the patches of the mean image; the ridge is chosen on held-out blocks of
    positions.

    Attributes:
        images: how many of the adversary's own images to use, at most; 0: all.
    """

    images: int = 0

    label: ClassVar[str] = "means of places"
    needs: ClassVar[Access] = Access(images=True, population=True)
    seed_names: ClassVar[list[tuple[object, ...]]] = []
    inputs: ClassVar[tuple[Input, ...]] = ()
    of_maps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_whole("images", self.images, 0)

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Solve for the map.

        Returns:
            `weights` `(channels, values of a patch)` of maps as they are, `sent` the mean map, `image` the mean image. Info:
            `ridge`, and `errors` on held-out places by ridge, mean squared.

        Raises:
            ValueError: there is no population.
            InputError: the image is no whole multiple of the maps, or they have one place alone.
        """
        if held.population is None:
            raise ValueError("`population` must hold the observed answers; got None.")
        values = held.population.values
        own = held.own_images.images
        image = _mean(own[: self.images] if self.images else own)
        sent, spread = _moments(values)
        rows, columns, channels = sent.shape
        if image.shape[0] % rows or image.shape[1] % columns:
            raise InputError(
                f"`image_shape` must be whole multiples of the maps, {rows} x {columns}; got {image.shape}."
            )
        if rows * columns < 2:
            raise InputError(f"`maps` must have two places at least, to be paired; got {rows} x {columns}.")
        places = ((sent - sent.mean(axis=(0, 1))) / spread).reshape(-1, channels)
        patches = _patches(image[None], rows, columns)[0].reshape(len(places), -1)
        patches = patches - patches.mean(axis=0)
        block = np.arange(rows)[:, None] * BLOCKS // rows * BLOCKS + np.arange(columns) * BLOCKS // columns
        errors = _held_out_errors(places, patches, block.ravel())
        least = min(errors.values())
        ridge = max(each for each, error in errors.items() if error <= WITHIN * least)
        weights = Ridge(places, patches).weights(ridge * len(places)) / spread[:, None]
        arrays = {"weights": weights, "sent": sent, "image": image}
        told = {f"{each:g}": error for each, error in errors.items()}
        return {name: array.astype(np.float32) for name, array in arrays.items()}, {
            "ridge": ridge,
            "errors": told,
        }

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        weights, sent, image = (fitted[0][name] for name in ("weights", "sent", "image"))
        values = observed.observation.values
        for start in range(0, len(values), BATCH):
            away = np.asarray(values[start : start + BATCH], np.float32) - sent
            yield np.clip(image + _laid_out(away @ weights, image.shape), 0, 1)


def _moments(values: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean map `(height, width, channels)`, and the deviation of each channel over images and places."""
    total = np.zeros(values.shape[1:])
    squares = np.zeros(values.shape[-1])
    for start in range(0, len(values), BATCH):
        part = np.asarray(values[start : start + BATCH], np.float64)
        total += part.sum(axis=0)
        squares += np.square(part).sum(axis=(0, 1, 2))
    mean = total / len(values)
    count = len(values) * mean.shape[0] * mean.shape[1]
    deviation = np.sqrt(np.maximum(squares / count - np.square(mean.mean(axis=(0, 1))), 0))
    return mean, np.where(deviation > LEAST, deviation, np.inf)  # what never varies says nothing


def _mean(images: Rows) -> NDArray[np.float64]:
    total = np.zeros(images.shape[1:])
    for start in range(0, len(images), BATCH):
        total += as_unit(images[start : start + BATCH]).sum(axis=0, dtype=np.float64)
    return total / len(images)


def _held_out_errors(
    places: NDArray[np.float64], patches: NDArray[np.float64], block: NDArray[np.int64]
) -> dict[float, float]:
    """Return the mean squared error on blocks of places that are held out in turn, by ridge."""
    missed = dict.fromkeys(RIDGES, 0.0)
    for number in np.unique(block):
        out = block == number
        fitted = Ridge(places[~out], patches[~out])
        for ridge in RIDGES:
            away = patches[out] - places[out] @ fitted.weights(ridge * float((~out).sum()))
            missed[ridge] += float(np.square(away).sum())
    return {ridge: error / patches.size for ridge, error in missed.items()}


def _patches(images: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """Return `(count, rows, columns, values)` of images `(count, height, width, channels)`."""
    count, height, width, channels = images.shape
    split = images.reshape(count, rows, height // rows, columns, width // columns, channels)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(count, rows, columns, -1)


def _laid_out(patches: Floats, shape: tuple[int, ...]) -> Floats:
    """Return images `(count, *shape)` of patches `(count, rows, columns, values)`."""
    (count, rows, columns, _), (height, width, channels) = patches.shape, shape
    split = patches.reshape(count, rows, columns, height // rows, width // columns, channels)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(count, *shape)
