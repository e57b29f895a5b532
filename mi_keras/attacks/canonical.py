"""Canonical answers: output vectors in a form that is comparable between models of one architecture.

Two trained models give an image different logits: they differ in offset, in temperature, and in the mean and standard
deviation of each logit within a class. An answer minus its own mean, divided by the model's overall scale and
standardised per predicted class with the model's own statistics, can be compared with another model's answer. A
target's statistics come from the answers that were observed; where these are few they are drawn towards those of the
adversary's shadow models, as one-way random effects have it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.alignment import apply_maps
from mi_keras.types import Floats, Ints, Observation, redrawn

LEAST_OF_CLASS = 8  # answers of a class that give it statistics of its own
MOST_DEVIATIONS = 6.0  # a standardised logit is clipped there: a rare one must not outweigh all others
ALONE = 10.0  # answers that the statistics of a single shadow count as: how models differ is then not known
FLOOR = 1e-6

Doubles = NDArray[np.float64]
Named = Mapping[str, NDArray[Any]]
Told = tuple[Ints, int]  # the class of each answer, and how many classes there are


@dataclass(frozen=True, eq=False)
class Statistics:
    """What standardises the answers of one model.

    Attributes:
        scale: root mean square of its logits, less the mean of each vector.
        centres, deviations: `(classes, units)` of the logits over `scale`, within each predicted class.
    """

    scale: float
    centres: Doubles
    deviations: Doubles

    def canonical(self, vectors: Floats, classes: Ints | None = None) -> tuple[Floats, Ints]:
        """Return answers `(count, units)` standardised within `classes`, by default those that they predict, and these."""
        classes = np.argmax(vectors, axis=1).astype(np.int64) if classes is None else classes
        rest = _centred(vectors) / self.scale - self.centres[classes]
        standard = np.clip(rest / self.deviations[classes], -MOST_DEVIATIONS, MOST_DEVIATIONS)
        return standard.astype(np.float32), classes


def statistics_of(vectors: Floats, told: Told | None = None) -> Statistics:
    """Return the statistics of answers `(count, units)`; a class of too few takes the deviations of all.

    Args:
        told: the class of each answer and how many there are, where the largest unit does not say it.
    """
    scale, sizes, centres, variances = _moments(vectors, told)
    scaled = _centred(vectors) / scale
    within = (sizes[:, None] * variances).sum(axis=0) / max(len(vectors), 1)
    few = sizes < LEAST_OF_CLASS
    variances[few] = within
    for number in np.flatnonzero(few & (sizes == 0)):
        centres[number] = scaled.mean(axis=0) if len(vectors) else 0.0
    return Statistics(scale, centres, np.sqrt(np.maximum(variances, FLOOR)))


def shrunk(vectors: Floats, known: Sequence[Statistics], told: Told | None = None) -> Statistics:
    """Return the statistics of observed answers, drawn towards those of known models as far as these agree.

    The scale is drawn on a logarithm, a centre as a mean under a normal prior, a variance as scaled inverse chi-squared:
    each with the spread between the known models as the prior's, and the number of answers as the weight of what was seen.
    `told` as of `statistics_of`.
    """
    scales = np.log([each.scale for each in known])
    centres = np.stack([each.centres for each in known])
    logs = np.log(np.stack([each.deviations for each in known]) ** 2)
    prior_variance = np.exp(logs.mean(axis=0))
    if len(known) > 1:
        spread = scales.var(ddof=1) + FLOOR
        between = centres.var(axis=0, ddof=1) + FLOOR
        degrees = 2 / max(float(logs.var(axis=0, ddof=1).mean()), FLOOR)
    else:
        spread, between, degrees = 1 / ALONE, prior_variance / ALONE, ALONE
    squares = np.square(_centred(vectors)).mean(axis=1)
    noise = float(np.var(np.log(np.maximum(squares, FLOOR))) / 4) if len(vectors) > 1 else 1.0
    seen = len(vectors) * spread / (len(vectors) * spread + noise + FLOOR)
    own = 0.5 * np.log(max(float(squares.mean()), FLOOR)) if len(vectors) else scales.mean()
    scale = float(np.exp(scales.mean() + seen * (own - scales.mean())))

    _, sizes, means, variances = _moments(vectors, told, scale)
    weight = (sizes[:, None] * between) / (sizes[:, None] * between + prior_variance)
    mean = centres.mean(axis=0) + weight * (means - centres.mean(axis=0))
    total = degrees * prior_variance + sizes[:, None] * (variances + weight * (means - mean) ** 2)
    return Statistics(scale, mean, np.sqrt(np.maximum(total / (degrees + sizes[:, None]), FLOOR)))


def packed(known: Sequence[Statistics]) -> dict[str, NDArray[np.float64]]:
    """Return statistics of several models as arrays."""
    return {
        "scales": np.array([each.scale for each in known]),
        "centres": np.stack([each.centres for each in known]),
        "deviations": np.stack([each.deviations for each in known]),
    }


def unpacked(arrays: Named) -> list[Statistics]:
    """Return what `packed` was given."""
    parts = zip(*(arrays[name] for name in ("scales", "centres", "deviations")), strict=True)
    return [Statistics(float(scale), centres, deviations) for scale, centres, deviations in parts]


def beside_class(standard: Floats, classes: Ints, count: int) -> Floats:
    """Return canonical answers beside their class as one-hot, `(count, units + classes)`."""
    return np.concatenate([standard, np.eye(count, dtype=np.float32)[classes]], axis=1)


def canonical_parts(known: Observation, arrays: Named) -> list[tuple[Floats, Ints]]:
    """Return the canonical answers and classes of each shadow model whose statistics stand among arrays."""
    vectors = vectors_of(known, len(arrays["scales"]))
    return [each.canonical(answers) for each, answers in zip(unpacked(arrays), vectors, strict=True)]


def vectors_of(known: Observation, count: int) -> list[Floats]:
    """Return the answers `(count, units)` of each of so many shadow models, which are a draw each."""
    return [np.asarray(redrawn(known.values, number)[:], np.float32) for number in range(count)]


def with_own(own: Statistics) -> dict[str, NDArray[np.float64]]:
    """Return a target's statistics under names beside those of the shadow models."""
    return {f"own.{name}": array for name, array in packed([own]).items()}


def own_of(arrays: Named) -> Statistics:
    """Return what `with_own` was given."""
    (own,) = unpacked({name: arrays[f"own.{name}"] for name in ("scales", "centres", "deviations")})
    return own


def inputs_by(own: Statistics, vectors: Floats, maps: Doubles, classes: Ints | None = None) -> Floats:
    """Return what networks take in for answers of a model with such statistics and maps, within `classes`."""
    standard, classes = own.canonical(vectors, classes)
    mapped = apply_maps(standard, classes, maps).astype(np.float32)
    return beside_class(mapped, classes, vectors.shape[1])


def _centred(vectors: Floats) -> Doubles:
    wide = vectors.astype(np.float64)
    return wide - wide.mean(axis=1, keepdims=True) if wide.shape[1] > 1 else wide


def _moments(
    vectors: Floats, told: Told | None, scale: float = 0.0
) -> tuple[float, Doubles, Doubles, Doubles]:
    """Return scale, sizes of the classes, and mean and variance of each `(classes, units)`, 0 without an answer."""
    rest, units = _centred(vectors), vectors.shape[1]
    classes, count = told or (np.argmax(vectors, axis=1), units)
    scale = scale or float(np.sqrt(max(np.square(rest).mean(), FLOOR)))
    rest /= scale
    sizes = np.bincount(classes, minlength=count).astype(np.float64)
    means, variances = np.zeros((count, units)), np.zeros((count, units))
    for number in np.flatnonzero(sizes):
        of = rest[classes == number]
        means[number], variances[number] = of.mean(axis=0), of.var(axis=0)
    return scale, sizes, means, variances
