"""How many stages an audit is about to compute."""

from collections.abc import Iterable, Sequence

from mi_keras.auditing.ladder import POOL, Rung
from mi_keras.auditing.subject import ATTACKED, CHOICE, MEMBERS
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.store import Stage, Store


def to_compute(folds: Iterable[Sequence[Rung]], store: Store) -> int:
    """Return how many stages attacks take that the store has not, each counted once.

    They are as many at most: images of the training are rebuilt by published attacks alone.
    """
    found: dict[str, Stage] = {}
    pending = [
        plan(Case(rung.attack, images=side), rung.bench).scored
        for fold in folds
        for rung in fold
        for side in ((ATTACKED,) if rung.adversary == POOL else (CHOICE, ATTACKED, MEMBERS))
        if side in rung.bench.subject.sides
    ]
    while pending:
        stage = pending.pop()
        if stage.key not in found:
            found[stage.key] = stage
            pending += stage.upstream
    return sum(not store.has(stage) for stage in found.values())
