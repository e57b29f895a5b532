"""Who is exposed most: the most exposed tenth of the images, the worst class, members of the training set or others."""

from dataclasses import dataclass

import numpy as np

from mi_keras.auditing.intervals import Estimate, difference
from mi_keras.auditing.ranks import tell_apart
from mi_keras.auditing.statistics import Gallery, Numbers, Scored, check_fit
from mi_keras.types import Ints

LEAST_OF_CLASS = 10  # attacked images below which a class is not looked at alone


@dataclass(frozen=True)
class Exposed:
    """The most exposed images.

    Attributes:
        positions: `(count,)` among the attacked images, the most exposed first.
        found: their mean, NaN if none of them has enough others in its class.
        auc: their mean.
        detail: R2 over them, NaN where the class means are the images.

    The three are means over images that were chosen by these very numbers, and so are too high for any others: no
    interval stands beside them.
    """

    positions: Ints
    found: float
    auc: float
    detail: float


@dataclass(frozen=True)
class WorstClass:
    """The class whose images are told apart best.

    Attributes:
        label: the predicted class.
        number: "found", or "auc" where no class has enough images for it.
        estimate: of that number; the interval is that of the largest of all classes compared (Bonferroni).
    """

    label: int
    number: str
    estimate: Estimate


def by_exposure(numbers: Numbers) -> Ints:
    """Return positions of the attacked images, the most exposed first: by AUC, and equal ones by their detail.

    Images without another in their class come last.
    """
    each = numbers.each
    auc = np.where(np.isnan(each.auc), -1.0, each.auc)
    order: Ints = np.lexsort((-each.detail, -auc))
    return order


def most_exposed(numbers: Numbers, *, part: float = 0.1) -> Exposed:
    """Return the most exposed tenth of the images, at least one.

    Raises:
        ValueError: `part` is not in (0, 1].
    """
    if not 0 < part <= 1:
        raise ValueError(f"`part` must be above 0 and at most 1; got {part!r}.")
    each = numbers.each
    chosen = by_exposure(numbers)[: max(1, round(part * len(each.auc)))]
    found, auc = ([*values[chosen][~np.isnan(values[chosen])]] for values in (each.found, each.auc))
    whole = each.class_mse[chosen].sum()
    return Exposed(
        chosen,
        float(np.mean(found)) if found else np.nan,
        float(np.mean(auc)) if auc else np.nan,
        float(1 - each.mse[chosen].sum() / whole) if whole > 0 else np.nan,
    )


def worst_class(scored: Scored, gallery: Gallery, *, among: int = 10) -> WorstClass | None:
    """Return the class with the highest value of those with at least 10 attacked images of two groups, or None.

    Classes are compared by "found" where one has enough images for it, else by AUC.

    Raises:
        ValueError: `among` is outside its range, or the shapes do not fit.
    """
    check_fit(scored, gallery, among)
    images = len(scored.mse)
    labels, counts = np.unique(gallery.classes[:images], return_counts=True)
    of_class = {}
    for label in labels[counts >= LEAST_OF_CLASS]:
        inside = np.flatnonzero(gallery.classes == label)
        groups = np.unique(gallery.groups[inside], return_inverse=True)[1]
        queries, truths = scored.embeddings[inside[inside < images]], gallery.embeddings[inside]
        of_class[int(label)] = tell_apart(queries, truths, np.zeros_like(groups), groups, among)
    for index, name in enumerate(("found", "auc")):
        shares = {label: pair[index] for label, pair in of_class.items() if pair[index].groups >= 2}
        if shares:
            label = max(shares, key=lambda label: shares[label].value)
            estimate = shares[label].estimate(comparisons=len(shares))
            return WorstClass(label, name, estimate) if estimate else None
    return None


def compare_members(members: Numbers, others: Numbers) -> dict[str, Estimate]:
    """Return by how much images that the target was trained on show more than others, for each number both have."""
    both = {
        name: (getattr(members, name), getattr(others, name))
        for name in ("found", "auc", "detail", "ssim_gain")
    }
    return {name: difference(*pair) for name, pair in both.items() if None not in pair}
