"""What adversaries of growing knowledge do at one point, and the best that any of them gets: the envelope.

Each adversary may do all that a weaker one does. Of the attacks it may run, the one that did best on the choice set is
published, for each number its own: a loss that shows detail is not the one that finds the image.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.attack import Attack
from mi_keras.attacks.learned import Learned
from mi_keras.attacks.within_class import LinearWithinClass, NetworkWithinClass
from mi_keras.auditing.bench import AuditBench, Sent
from mi_keras.auditing.options import ADVERSARIES
from mi_keras.auditing.shadows import ShadowBench, is_public
from mi_keras.auditing.sizes import Sizes
from mi_keras.auditing.statistics import Gallery, Numbers, Scored, measure
from mi_keras.auditing.subject import ATTACKED, CHOICE, MEMBERS
from mi_keras.auditing.views import View
from mi_keras.defenses.defense import Defense
from mi_keras.experiments.case import Case, plan
from mi_keras.settings import DecoderSettings
from mi_keras.types import Floats

CLASS, SHADOW, QUERIES, UNLIMITED, WHITE_BOX, POOL = ADVERSARIES
MOST_NUMBERS = 100_000_000  # in all maps together, for an attack that holds them in memory
NUMBERS = ("found", "detail", "ssim_gain")


@dataclass(frozen=True)
class Rung:
    """One attack of one adversary, on what it sees, with so many `answers` to its own images; 0: to all, or none."""

    adversary: str
    attack: Attack
    bench: AuditBench
    label: str
    answers: int = 0


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
        members: the same choice on images that the model was trained on; None where these are not known.
        drawn: what the attack chosen for "detail" drew of the attacked images, uint8.
        of_class: the class mean of each, uint8.
    """

    scored: Scored
    gallery: Gallery
    numbers: Numbers
    chosen: Mapping[str, int]
    attacks: tuple[Measured, ...]
    members: Numbers | None
    drawn: NDArray[np.uint8]
    of_class: NDArray[np.uint8]


def rungs(
    bench: AuditBench, adversaries: Sequence[str], sizes: Sizes, queries: Sequence[int] = ()
) -> list[Rung]:
    """Return the attacks of some adversaries at the point of a bench, those of weaker ones first.

    Who has the weights, or a pool, has more still (`stronger.beyond`); the first has all answers too.
    """
    columns = bench.subject.classes
    of_class = _class_bench(bench)
    found = [Rung(CLASS, LinearWithinClass(columns), of_class, "class mean")]
    found += [
        Rung(CLASS, attack, of_class, f"class alone, {attack.label}")
        for attack in _networks(columns, sizes, 0)
    ]
    public = SHADOW in adversaries and is_public(bench)
    if SHADOW in adversaries and not public:
        known = shadow_bench(bench, sizes)
        found += [Rung(SHADOW, a, known, a.label) for a in known.attacks(_attacks(bench, sizes, 0))]
    asked = sorted(set(queries or [sizes.queries])) if QUERIES in adversaries else []
    own = len(bench.own_images())
    for most in [count for count in asked if count < own]:
        found += [
            Rung(QUERIES, attack, bench, f"{most:,} answers, {attack.label}", most)
            for attack in _attacks(bench, sizes, most)
        ]
    # As many answers as there are images are all
    if public:  # the weakest who has them asks nothing
        found += [
            Rung(SHADOW, a, bench, f"public weights, no query: {a.label}") for a in _attacks(bench, sizes, 0)
        ]
    elif {UNLIMITED, WHITE_BOX} & {*adversaries} or any(count >= own for count in asked):
        found += [Rung(UNLIMITED, attack, bench, attack.label) for attack in _attacks(bench, sizes, 0)]
    return found


def shadow_bench(bench: AuditBench, sizes: Sizes) -> ShadowBench:
    """Return the bench of who asks nothing, at the same point."""
    return ShadowBench(bench, sizes.shadows, sizes.shadow_epochs, sizes.shadow_steps)


def control_rungs(bench: AuditBench, controlled: AuditBench, sizes: Sizes) -> list[Rung]:
    """Return the attacks by which a control is judged, at what it sends, behind the class mean."""
    found = [Rung(CLASS, LinearWithinClass(bench.subject.classes), _class_bench(bench), "class mean")]
    attacks = _attacks(controlled, sizes, 0)[:2]
    if bench.of_maps and not controlled.of_maps:
        attacks[1:] = [decoder(sizes, 0)]  # of the components, in the place of maps
    return found + [Rung(UNLIMITED, attack, controlled, attack.label) for attack in attacks]


def _class_bench(bench: AuditBench) -> AuditBench:
    return bench.at(Sent(bench.subject.output_name, View("label")))


def _attacks(bench: AuditBench, sizes: Sizes, images: int) -> list[Attack]:
    """Return the attacks of an adversary with the answers to so many images, 0 for all, the cheapest first."""
    if bench.of_maps:
        wide = len(bench.own_images()) * math.prod(n or 0 for n in bench.point.shape) > MOST_NUMBERS
        linear = [] if wide else [LinearWithinClass(images=images, maps=True)]
        return [*linear, decoder(sizes, images)]
    if bench.sent.view.form == "label":
        return []  # those of the class alone are all that there is to try
    columns = bench.subject.classes if bench.sent.with_class else 1
    return [LinearWithinClass(columns, images), *_networks(columns, sizes, images)]


def climb(
    folds: Sequence[Sequence[Rung]], *, among: int, defense: Defense | None = None, most: int = 0
) -> Envelope:
    """Run the attacks and return their envelope. Who has a pool is measured too, and never chosen.

    Args:
        folds: the same attacks for each fold of the images.
        among: images to tell apart.
        defense: what stands between the model and the adversary, who knows it.
        most: attacked images of each side that count, the first ones, of one fold; 0: all.
    """
    places = [place for place, rung in enumerate(folds[0]) if rung.adversary != POOL]
    sides = {subset: _side(folds, subset) for subset in (CHOICE, ATTACKED)}
    choice = {place: _measured(folds, place, sides[CHOICE], among, defense, most) for place in places}
    attacked = [
        _measured(folds, place, sides[ATTACKED], among, defense, most) for place in range(len(folds[0]))
    ]
    chosen = {name: max(places, key=lambda place: _value(choice[place], name)) for name in NUMBERS}
    gallery = sides[ATTACKED].gallery
    scored = _composed([measured.scored for measured in attacked], chosen)
    members = None
    if MEMBERS in folds[0][0].bench.subject.sides:
        side = _side(folds[:1], MEMBERS)  # once: every fold has the same
        of_members = {
            place: _measured(folds[:1], place, side, among, defense, most) for place in set(chosen.values())
        }
        composed = _composed({place: m.scored for place, m in of_members.items()}, chosen)
        members = measure(composed, side.gallery, among=among)
    drawn, of_class = (
        np.concatenate([_drawn(fold[place], ATTACKED, defense).images for fold in folds])[: len(scored.mse)]
        for place in (chosen["detail"], 0)
    )
    numbers = measure(scored, gallery, among=among)
    return Envelope(scored, gallery, numbers, chosen, tuple(attacked), members, drawn, of_class)


def _networks(columns: int, sizes: Sizes, images: int) -> list[NetworkWithinClass]:
    return [
        NetworkWithinClass(
            loss, channels=sizes.channels, epochs=sizes.epochs, class_columns=columns, images=images
        )
        for loss in ("mse", "ssim")
    ]


def decoder(sizes: Sizes, images: int) -> Learned:
    settings = DecoderSettings(
        "compact", epochs=sizes.map_epochs, batch_size=32, learning_rate=2e-3, schedule="cosine", mse=1.0,
        noise_mean=0.0, noise_variance=0.0,
    )  # fmt: skip
    return Learned(settings=settings, images=images or None)


@dataclass(frozen=True)
class _Side:
    """What all attacks on one side are held against: `constants` of each fold, as of `_constants`."""

    subset: str
    gallery: Gallery
    constants: Sequence[tuple[Floats, Floats]]


def _side(folds: Sequence[Sequence[Rung]], subset: str) -> _Side:
    return _Side(
        subset,
        _gallery([fold[0].bench for fold in folds], subset),
        [_constants(fold, subset) for fold in folds],
    )


def _measured(
    folds: Sequence[Sequence[Rung]], place: int, side: _Side, among: int, defense: Defense | None, most: int
) -> Measured:
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
    of_class = [rung for rung in fold if rung.adversary == CLASS]
    best = max(of_class, key=lambda rung: float(_drawn(rung, CHOICE, None).ssim.mean()))
    return _drawn(of_class[0], subset, None).mse, _drawn(best, subset, None).ssim


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


def _drawn(rung: Rung, subset: str, defense: Defense | None) -> Drawn:
    seen = defense if rung.adversary != CLASS else None
    arrays = plan(Case(rung.attack, seen, images=subset), rung.bench).scored.arrays
    return Drawn(arrays["ssim"], arrays["mse"], arrays["embedding"], arrays["images"])


def _composed(scored: Sequence[Scored] | Mapping[int, Scored], chosen: Mapping[str, int]) -> Scored:
    picks, details, alike = (scored[chosen[name]] for name in NUMBERS)
    return replace(picks, mse=details.mse, ssim=alike.ssim)


def _value(measured: Measured, name: str) -> float:
    """Return what attacks are ranked by; for "found" the AUC, which has values where classes are small too.

    Plain means over images: a choice set of one group has no interval, and attacks must be ranked all the same.
    """
    scored, auc = measured.scored, measured.numbers.each.auc
    if name == "found":
        return float(np.nanmean(auc)) if not np.isnan(auc).all() else 0.0
    if name == "detail":
        return -float(np.mean(scored.mse, dtype=np.float64))
    return float(np.mean(scored.ssim, dtype=np.float64))
