"""Spread over attackers that differ in their seed alone: beside the numbers, never in a verdict."""

from collections.abc import Sequence

from mi_keras.auditing.cost import Chosen
from mi_keras.auditing.envelope import Envelope, Measured, folds_of, measured, side_of
from mi_keras.auditing.intervals import Estimate
from mi_keras.auditing.ladder import Rung
from mi_keras.auditing.report import Attackers
from mi_keras.auditing.stronger import Climbed
from mi_keras.auditing.subject import ATTACKED

SPREAD = ("found", "detail")


def attackers(
    folds: Sequence[Sequence[Rung]], climbed: Climbed, published: Envelope, *, seeds: int, among: int
) -> Attackers:
    """Train the published attacks again by other random choices, and return how far what they get spreads.

    Which attack is published is not chosen anew. What learns nothing at random is the same for every attacker.

    Args:
        folds: all attacks that were run, for each fold.
        seeds: attackers, the published one among them.
    """
    in_part = published is climbed.part
    folds = folds_of(folds, in_part)
    side, tried = side_of(folds, ATTACKED), [_chosen(published)]
    for number in range(2, seeds + 1):
        repeated = {
            place: measured(
                [_with_attacker(fold, place, number) for fold in folds], place, side, among,
                most=climbed.tried if in_part else 0,
            )
            for place in again(published)
        }  # fmt: skip
        tried.append({name: repeated.get(published.chosen[name], one) for name, one in tried[0].items()})
    rungs = {one.rung.label: one.rung for one in tried[0].values()}
    ranges = {name: _range([getattr(each[name].numbers, name) for each in tried]) for name in SPREAD}
    fixed = tuple(label for label, rung in rungs.items() if not _is_random(rung))
    return Attackers(seeds, tuple(rungs), ranges["found"], ranges["detail"], fixed)


def again(published: Envelope) -> set[int]:
    """Return the places of the published attacks that other attackers try too: those that draw at random."""
    places = {published.chosen[name] for name in SPREAD}
    return {place for place in places if _is_random(published.attacks[place].rung)}


def seconds(plan: Chosen, published: Envelope, *, seeds: int) -> float:
    """Return how long the other attackers take, for one fold, as far as that was measured."""
    rungs = {one.rung.label: one.rung for one in _chosen(published).values()}
    return (seeds - 1) * sum(plan.costs.get(label, 0.0) for label, rung in rungs.items() if _is_random(rung))


def _chosen(published: Envelope) -> dict[str, Measured]:
    return {name: published.attacks[published.chosen[name]] for name in SPREAD}


def _is_random(rung: Rung) -> bool:
    return bool(rung.attack.seed_names)


def _with_attacker(fold: Sequence[Rung], place: int, number: int) -> list[Rung]:
    return [*fold[:place], fold[place].by_attacker(number), *fold[place + 1 :]]


def _range(found: Sequence[Estimate | None]) -> tuple[float, float] | None:
    values = [each.value for each in found if each is not None]
    return (min(values), max(values)) if values else None
