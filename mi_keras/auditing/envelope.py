"""The best that any of several attacks gets at a point: the envelope.

Of the attacks that an adversary may run, the one that did best on the choice set is published, for each number its own: a
loss that shows detail is not the one that finds the image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.intervals import group_average
from mi_keras.auditing.ladder import CLASS, POOL, WHITE_BOX, Rung
from mi_keras.auditing.statistics import Gallery, Numbers, Scored, measure
from mi_keras.auditing.subject import ATTACKED, CHOICE, MEMBERS
from mi_keras.defenses.defense import Defense
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.store import Stage
from mi_keras.types import Floats

NUMBERS = ("found", "detail", "ssim_gain")


@dataclass(frozen=True)
class Drawn:
    """What an attack drew of the images of one side, with its scores per image: arrays as of `AuditBench.score`."""

    ssim: Floats
    mse: Floats
    embedding: Floats
    images: NDArray[np.uint8]


@dataclass(frozen=True)
class Measured:
    """The numbers of one attack on one side, with what they are made from."""

    rung: Rung
    scored: Scored
    numbers: Numbers


@dataclass(frozen=True)
class Envelope:
    """The best of several attacks, for each number the one that the choice set preferred.

    Attributes:
        scored, numbers: on the attacked images.
        chosen: by number, the place among `attacks`.
        attacks: all of them, on the attacked images.
        drawn: what the attack chosen for "detail" drew of the attacked images, uint8.
        of_class: the class mean of each, uint8.
    """

    scored: Scored
    gallery: Gallery
    numbers: Numbers
    chosen: Mapping[str, int]
    attacks: tuple[Measured, ...]
    drawn: NDArray[np.uint8]
    of_class: NDArray[np.uint8]


def climb(
    folds: Sequence[Sequence[Rung]],
    *,
    among: int,
    defense: Defense | None = None,
    most: int = 0,
) -> Envelope:
    """Run the attacks and return their envelope. Who has a pool is measured too, and never chosen.

    Args:
        folds: the same attacks for each fold of the images.
        among: images to tell apart.
        defense: what stands between the model and the adversary, who knows it.
        most: attacked images of each side that count, the first ones, of one fold; 0: all.
    """
    places = [place for place, rung in enumerate(folds[0]) if rung.adversary != POOL]
    sides = {subset: side_of(folds, subset) for subset in (CHOICE, ATTACKED)}
    tried = {place: measured(folds, place, sides[CHOICE], among, defense, most) for place in places}
    attacked = [
        measured(folds, place, sides[ATTACKED], among, defense, most) for place in range(len(folds[0]))
    ]
    choice, gallery = sides[CHOICE].gallery, sides[ATTACKED].gallery
    chosen = {name: max(places, key=lambda place: _value(tried[place], choice, name)) for name in NUMBERS}
    scored = _composed([each.scored for each in attacked], chosen)
    drawn, of_class = (
        np.concatenate([_drawn(fold[place], ATTACKED, defense).images for fold in folds])[: len(scored.mse)]
        for place in (chosen["detail"], 0)
    )
    numbers = measure(scored, gallery, among=among)
    return Envelope(scored, gallery, numbers, chosen, tuple(attacked), drawn, of_class)


def on_members(
    published: Envelope, folds: Sequence[Sequence[Rung]], *, among: int, most: int = 0
) -> Numbers | None:
    """Return what the chosen attacks get of images that the model was trained on; None where these are not known.

    Args:
        folds, among, most: that made the envelope.
    """
    if MEMBERS not in folds[0][0].bench.subject.sides:
        return None
    side = side_of(folds[:1], MEMBERS)  # once: every fold has the same
    found = {
        place: measured(folds[:1], place, side, among, most=most).scored
        for place in set(published.chosen.values())
    }
    return measure(_composed(found, published.chosen), side.gallery, among=among)


def folds_of(folds: Sequence[Sequence[Rung]], part: bool) -> list[list[Rung]]:
    """Return the attacks of an envelope: all on the images on which the white box was tried, else all but that."""
    return [[rung for rung in fold if part or rung.adversary != WHITE_BOX] for fold in folds]


@dataclass(frozen=True)
class Against:
    """What all attacks on one side are held against: `constants` of each fold, as of `_constants`."""

    subset: str
    gallery: Gallery
    constants: Sequence[tuple[Floats, Floats]]


def side_of(folds: Sequence[Sequence[Rung]], subset: str) -> Against:
    """Return what attacks on a side are held against; the class mean stands first in each fold."""
    return Against(
        subset,
        _gallery([fold[0].bench for fold in folds], subset),
        [_constants(fold, subset) for fold in folds],
    )


def measured(
    folds: Sequence[Sequence[Rung]], place: int, side: Against, among: int, defense: Defense | None = None,
    most: int = 0,
) -> Measured:  # fmt: skip
    """Return the numbers of one attack on one side, all folds together."""
    drawn, constants = [_drawn(fold[place], side.subset, defense) for fold in folds], side.constants
    few = slice(most or None)
    scored = Scored(
        np.concatenate([d.embedding[few] for d in drawn]), np.concatenate([d.mse[few] for d in drawn]),
        np.concatenate([c[0][few] for c in constants]), np.concatenate([d.ssim[few] for d in drawn]),
        np.concatenate([c[1][few] for c in constants]),
    )  # fmt: skip
    return Measured(folds[0][place], scored, measure(scored, side.gallery, among=among))


def _constants(fold: Sequence[Rung], subset: str) -> tuple[Floats, Floats]:
    """Return the error of the class mean, and the similarity of the class constant that the choice set prefers."""
    return _drawn(fold[0], subset, None).mse, _drawn(fold[constant_of(fold)], subset, None).ssim


def constant_of(fold: Sequence[Rung]) -> int:
    """Return the place of the class constant that the choice set prefers."""
    groups = fold[0].bench.subject.sides[CHOICE].groups
    places = [place for place, rung in enumerate(fold) if rung.adversary == CLASS]
    return max(places, key=lambda place: group_average(_drawn(fold[place], CHOICE, None).ssim, groups))


def _gallery(benches: Sequence[AuditBench], subset: str) -> Gallery:
    """Return the images of a side, then those that they are told from: the other side that no attack learned from.

    Classes are numbered by fold: of what one fold attacks the others have learned, and draw it rather than what is new.
    """
    other = CHOICE if subset != CHOICE else ATTACKED
    parts = [(number, bench, side) for side in (subset, other) for number, bench in enumerate(benches)]
    return Gallery(
        np.concatenate([bench.subject.embeddings(side) for _, bench, side in parts]),
        np.concatenate([number * bench.classes + bench.classes_of(side) for number, bench, side in parts]),
        np.concatenate([bench.subject.sides[side].groups for _, bench, side in parts]),
    )


def stage_of(rung: Rung, subset: str, defense: Defense | None) -> Stage:
    """Return the stage of what an attack draws of the images of one side; behind a defence the class is the same."""
    seen = defense if rung.adversary != CLASS else None
    return plan(Case(rung.attack, seen, images=subset), rung.bench).scored


def _drawn(rung: Rung, subset: str, defense: Defense | None) -> Drawn:
    arrays = stage_of(rung, subset, defense).arrays
    return Drawn(arrays["ssim"], arrays["mse"], arrays["embedding"], arrays["images"])


def _composed(scored: Sequence[Scored] | Mapping[int, Scored], chosen: Mapping[str, int]) -> Scored:
    picks, details, alike = (scored[chosen[name]] for name in NUMBERS)
    return replace(picks, mse=details.mse, ssim=alike.ssim)


def _value(found: Measured, gallery: Gallery, name: str) -> float:
    """Return what attacks are ranked by; for "found" the AUC, which has values where classes are small too.

    Averages over groups, as the numbers are, without their intervals: a choice set of one group has none, and attacks must
    be ranked all the same.
    """
    scored, auc = found.scored, found.numbers.each.auc
    values = {"found": auc, "detail": -scored.mse, "ssim_gain": scored.ssim}[name]
    average = group_average(values, gallery.groups[: len(values)])
    return 0.0 if np.isnan(average) else average
