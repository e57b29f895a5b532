"""The stages of an audit and how long they take, with those that depend on its results."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mi_keras.auditing.cost import DRAWING, Chosen, shares
from mi_keras.auditing.envelope import Envelope, constant_of, folds_of, stage_of
from mi_keras.auditing.ladder import POOL, Rung
from mi_keras.auditing.shadows import ShadowBench
from mi_keras.auditing.stronger import Climbed
from mi_keras.auditing.subject import ATTACKED, CHOICE, MEMBERS
from mi_keras.defenses.defense import Defense
from mi_keras.experiments.store import Stage

Folds = Sequence[Sequence[Rung]]


def scored(folds: Folds, defense: Defense | None = None) -> Iterator[Stage]:
    """Return what attacks draw of the images of both sides; of who has a pool, of the attacked ones alone."""
    for fold in folds:
        for rung in fold:
            for side in (ATTACKED,) if rung.adversary == POOL else (CHOICE, ATTACKED):
                yield stage_of(rung, side, defense)


def measured(folds: Folds, plan: Chosen, defense: Defense | None = None) -> dict[str, float]:
    """Return the seconds of stages by their keys, as far as the plan of a point has measured them."""
    found: dict[str, float] = {}
    for rung in (rung for fold in folds for rung in fold if plan.costs.get(rung.label)):
        seconds, of = plan.costs[rung.label], shares(rung)
        if isinstance(rung.bench, ShadowBench) and plan.shared:
            number = rung.bench.shadows
            found |= {rung.bench.shadow(each).key: plan.shared / number for each in range(number)}
        for side in (CHOICE, ATTACKED):
            drawn = stage_of(rung, side, defense)
            found[drawn.key] = seconds * of[side]
            # What it learned comes first of what is drawn, see `case.plan`
            found.setdefault(drawn.upstream[0].key, seconds * of[""])
    return found


def later(plans: Iterable[Chosen], folds: int, *, members: bool, seeds: int) -> tuple[int, float]:
    """Return about how many stages follow once it is known which attacks are published, and their seconds."""
    plans = list(plans)
    costliest = sum(max(plan.costs.values(), default=0.0) for plan in plans)
    again = (seeds - 1) * folds
    drawn = DRAWING / 3 * members  # of one side of three
    return len(plans) * (2 * members + 2 * again), costliest * (again + drawn)


def of_published(
    climbed: Climbed, published: Envelope, folds: Folds, others: Iterable[int]
) -> dict[str, Any]:
    """Return what is to be computed once it is known which attacks are published, as JSON values.

    Args:
        folds: of all attacks; `others`: places of those that other attackers try too.
    """
    part = published is climbed.part
    constants = (0, constant_of(folds_of(folds, part)[0]))
    return {
        "part": part,
        "members": sorted({*constants, *published.chosen.values()}),
        "others": sorted(others),
    }


def following(found: Mapping[str, Any], folds: Folds, *, seeds: int) -> Iterator[Stage]:
    """Return the stages that `of_published` tells of; `seeds`: attackers."""
    folds = folds_of(folds, found["part"])
    if MEMBERS in folds[0][0].bench.subject.sides:
        for place in found["members"]:
            yield stage_of(folds[0][place], MEMBERS, None)
    for number in range(2, seeds + 1):
        for fold in folds:
            for place in found["others"]:
                yield stage_of(fold[place].by_attacker(number), ATTACKED, None)
