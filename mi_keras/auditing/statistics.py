"""What reconstructions show beyond the class: how often they identify their image, and how much detail they have.

Every number is per image, then averaged over groups (patients, persons): a group with many images counts once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.auditing.intervals import (
    Doubles,
    Estimate,
    group_means,
    jackknife,
    one_less_ratio,
    plain_mean,
)
from mi_keras.auditing.ranks import find_distinct, tell_apart
from mi_keras.types import Ints

LEAST = 100  # images below which a number is not judged
MOST_AMONG = 100
_FEW_GROUPS = "too few: an interval needs images of two groups"


@dataclass(frozen=True)
class Gallery:
    """True images that reconstructions are told from: the attacked ones first, then those of the choice set.

    Attributes:
        embeddings: `(gallery, units)` of pixels, finite.
        classes: `(gallery,)` the class that the target predicts.
        groups: `(gallery,)` any whole numbers; images of one group are not told from each other.

    Raises:
        ValueError: lengths differ, there is no image, or a number is not finite.
    """

    embeddings: NDArray[Any]
    classes: Ints
    groups: Ints

    def __post_init__(self) -> None:
        _check_lengths(self, ("classes", "groups"))

    @cached_property
    def distinct(self) -> NDArray[np.bool_]:
        """`(gallery,)` whether anybody could tell an image from those of its class in other groups."""
        return find_distinct(self.embeddings, self.classes, self.groups)


@dataclass(frozen=True)
class Scored:
    """One attack's reconstructions of the attacked images, in the gallery's order.

    Attributes:
        embeddings: `(images, units)` of pixels, finite.
        mse: `(images,)` mean squared error of the reconstruction.
        class_mse: `(images,)` of the class mean.
        ssim: `(images,)` structural similarity of the reconstruction.
        class_ssim: `(images,)` of the class constant.

    Raises:
        ValueError: lengths differ, there is no image, or a number is not finite or, of an error, negative.
    """

    embeddings: NDArray[Any]
    mse: NDArray[Any]
    class_mse: NDArray[Any]
    ssim: NDArray[Any]
    class_ssim: NDArray[Any]

    def __post_init__(self) -> None:
        _check_lengths(self, ("mse", "class_mse", "ssim", "class_ssim"))
        for name in ("mse", "class_mse"):
            if np.min(getattr(self, name)) < 0:
                raise ValueError(f"`{name}` must be >= 0; got {np.min(getattr(self, name))}.")


@dataclass(frozen=True)
class PerImage:
    """The numbers of each attacked image, `(images,)` each.

    Attributes:
        found: probability to be found, NaN for an image with too few others in its class.
        auc: share of others that are farther, NaN without another.
        mse, class_mse: mean squared errors of the reconstruction and of the class mean.
        classes: predicted classes.
        groups: any numbers.
    """

    found: Doubles
    auc: Doubles
    mse: Doubles
    class_mse: Doubles
    classes: Ints
    groups: Ints

    @property
    def detail(self) -> Doubles:
        """Share of each image's squared distance from the class mean that was recovered, 0 where there is none."""
        whole = self.class_mse
        return 1 - np.divide(self.mse, whole, out=np.ones_like(whole), where=whole > 0)


@dataclass(frozen=True)
class Numbers:
    """What one attack shows of the attacked images at one point.

    Attributes:
        found: among `among` images of its class, baseline 1 / among; None with fewer than 100 images to tell apart.
        auc: share of its class that is farther, baseline 1/2.
        detail: R2, the share of the variance within classes that is recovered, baseline 0.
        ssim_gain: SSIM above that of the class constant, or None.
        each: the numbers per image.
        among: images to tell apart.
        left_out: attacked images of which `found` says nothing: in classes with too few others, or not distinct.
        missing: why a number is None, by its name.
    """

    found: Estimate | None
    auc: Estimate | None
    detail: Estimate | None
    ssim_gain: Estimate | None
    each: PerImage
    among: int
    left_out: int
    missing: Mapping[str, str]


def measure(scored: Scored, gallery: Gallery, *, among: int = 10) -> Numbers:
    """Return the numbers of one attack, with intervals over groups.

    found: C(n - r, among - 1) / C(n, among - 1), with r of n others of the class nearer to the reconstruction than
    the truth; AUC: 1 - r / n; R2: 1 - sum MSE / sum MSE of the class mean. Others are of other groups.

    Args:
        scored: reconstructions of the first images of `gallery`.
        gallery: the true images.
        among: images to tell apart, in 2..100.

    Raises:
        ValueError: `among` is outside its range, or the shapes do not fit.
    """
    check_fit(scored, gallery, among)
    images = len(scored.mse)
    groups = np.unique(gallery.groups, return_inverse=True)[1]
    count, attacked = int(groups.max()) + 1, groups[:images]
    found, auc = tell_apart(
        scored.embeddings, gallery.embeddings, gallery.classes, groups, among, distinct=gallery.distinct
    )
    estimates: dict[str, Estimate | None] = {
        "found": found.estimate(),
        "auc": auc.estimate(),
        "detail": _detail(scored, attacked, count),
        "ssim_gain": _gain(scored, attacked, count),
    }
    missing = {name: _FEW_GROUPS for name, estimate in estimates.items() if estimate is None}
    if found.n < LEAST:
        estimates["found"] = None
        told = "" if gallery.distinct[:images].all() else " that can be told apart,"
        missing["found"] = (
            f"too few: {found.n} images{told} in classes of at least {among}, fewer than {LEAST}"
        )
    if "detail" in missing and "ssim_gain" not in missing:
        missing["detail"] = "the class means are the images: no detail to show"
    each = PerImage(
        found.each,
        auc.each,
        np.asarray(scored.mse, np.float64),
        np.asarray(scored.class_mse, np.float64),
        gallery.classes[:images],
        gallery.groups[:images],
    )
    return Numbers(**estimates, each=each, among=among, left_out=images - found.n, missing=missing)


def check_fit(scored: Scored, gallery: Gallery, among: int = 2) -> None:
    """Raise ValueError unless `scored` is of the first images of `gallery` and `among` in 2..100."""
    if not 2 <= among <= MOST_AMONG:
        raise ValueError(f"`among` must be between 2 and {MOST_AMONG}; got {among!r}.")
    mine, theirs = np.shape(scored.embeddings), np.shape(gallery.embeddings)
    if mine[0] > theirs[0] or mine[1] != theirs[1]:
        raise ValueError(
            f"`scored` must be of the first images of `gallery`, equally wide; got {mine}, {theirs}."
        )


def _detail(scored: Scored, groups: Ints, count: int) -> Estimate | None:
    errors = group_means(np.asarray(scored.mse, np.float64), groups, count)
    wholes = group_means(np.asarray(scored.class_mse, np.float64), groups, count)
    errors, wholes = errors[~np.isnan(errors)], wholes[~np.isnan(wholes)]
    rest = wholes.sum() - wholes
    if len(errors) < 2 or rest.min() <= 0:
        return None
    spread = jackknife((errors.sum() - errors) / rest)
    return one_less_ratio(float(errors.sum() / wholes.sum()), spread, len(groups), len(errors))


def _gain(scored: Scored, groups: Ints, count: int) -> Estimate | None:
    means = group_means(np.asarray(scored.ssim, np.float64) - scored.class_ssim, groups, count)
    means = means[~np.isnan(means)]
    if len(means) < 2:
        return None
    spread = jackknife((means.sum() - means) / (len(means) - 1))
    return plain_mean(float(means.mean()), spread, len(groups), len(means))


def _check_lengths(values: Gallery | Scored, names: tuple[str, ...]) -> None:
    shape = np.shape(values.embeddings)
    if len(shape) != 2 or not shape[0] or not np.isfinite(values.embeddings).all():
        raise ValueError(f"`embeddings` must be (images, units), finite, of at least one image; got {shape}.")
    for name in names:
        numbers = np.asarray(getattr(values, name))
        if numbers.shape != shape[:1] or not np.isfinite(numbers).all():
            raise ValueError(f"`{name}` must be {shape[0]} finite numbers; got {numbers.shape}.")
