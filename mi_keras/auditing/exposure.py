"""The most exposed images: the most exposed tenth, the worst class, and training images against others."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mi_keras.auditing.intervals import Doubles, Estimate, difference, group_average
from mi_keras.auditing.ranks import count_others, tell_apart
from mi_keras.auditing.statistics import Gallery, Numbers, Scored, check_fit, measure
from mi_keras.metrics.retrieval import Chances
from mi_keras.types import Ints

LEAST_OF_CLASS = 10  # attacked images below which a class is not looked at alone
EXCHANGES, PLACES = 5, 10  # drawn: of reconstructions, and of places for each of these


@dataclass(frozen=True)
class Exposed:
    """The most exposed images.

    Attributes:
        positions: `(count,)` among the attacked images, the most exposed first.
        found: their mean, NaN if none of them has enough others in its class.
        auc: their mean.
        detail: R2 over them, NaN where the class means are the images.

    The three are averages over images that were chosen by these very numbers, and so are too high for any others: no
    interval stands beside them, but what chance alone gives (`exposed_by_chance`).
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
    found, auc, mse, whole = (
        group_average(values[chosen], each.groups[chosen])
        for values in (each.found, each.auc, each.mse, each.class_mse)
    )
    return Exposed(chosen, found, auc, 1 - mse / whole if whole > 0 else np.nan)


def exposed_by_chance(
    scored: Scored, gallery: Gallery, errors: Callable[[Ints], Doubles], *, seed: int, among: int = 10
) -> Exposed:
    """Return what the most exposed tenth would be if reconstructions said nothing of their images.

    Then each of the n + 1 places of a truth among n others is as likely, from which follow "found" and AUC. For the detail
    each image is given what was drawn of an image of another group in its class, images of a group out of one group.
    Both are drawn several times; the positions are those of the last exchange.

    Args:
        errors: returns `(images,)` the mean squared errors if images have the reconstructions at the positions it is given.
    """
    draw, images = np.random.default_rng(seed), len(scored.mse)
    others = count_others(gallery.classes, np.unique(gallery.groups, return_inverse=True)[1])[:images]
    others = np.where(gallery.distinct[:images], others, 0)
    chances, exchanged, placed = Chances(int(others.max()), among), list[Exposed](), list[Exposed]()
    for _ in range(EXCHANGES):
        order = _exchanged(gallery.classes[:images], gallery.groups[:images], draw)
        other = replace(scored, embeddings=scored.embeddings[order], mse=errors(order))
        numbers = measure(other, gallery, among=among)
        exchanged.append(most_exposed(numbers))
        for _ in range(PLACES):
            places = draw.integers(0, others + 1)
            found = np.where(
                others >= among - 1, chances.found(places, np.zeros_like(places), others), np.nan
            )
            auc = 1 - np.divide(places, others, out=np.full(images, np.nan), where=others > 0)
            each = replace(numbers.each, found=found, auc=auc)
            placed.append(most_exposed(replace(numbers, each=each)))
    return Exposed(
        exchanged[-1].positions,
        float(np.mean([one.found for one in placed])),
        float(np.mean([one.auc for one in placed])),
        float(np.mean([one.detail for one in exchanged])),
    )


def _exchanged(classes: Ints, groups: Ints, draw: np.random.Generator) -> Ints:
    """Return for each image a position of another group in its class; of any class where the class has no other."""
    order = np.arange(len(classes))
    for label in np.unique(classes):
        for group in np.unique(groups[classes == label]):
            mine = np.flatnonzero((classes == label) & (groups == group))
            others = np.flatnonzero((classes == label) & (groups != group))
            others = others if len(others) else np.flatnonzero(groups != group)
            if len(others):
                other = draw.choice(np.unique(groups[others]))
                order[mine] = draw.choice(others[groups[others] == other], len(mine))
    return order


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
        of_class[int(label)] = tell_apart(
            queries, truths, np.zeros_like(groups), groups, among, distinct=gallery.distinct[inside]
        )
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
