"""The trials of a search as stages of their own, where stages are computed on other machines.

Settings are drawn at random, so that those of a trial depend on no other trial of its phase: all of a phase can be computed at the same
time. A later phase needs all of the phase before. The stage of the search is the same as without, by its key and its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from mi_keras.tuning.trials import Records, Trial

if TYPE_CHECKING:
    import keras_tuner

    from mi_keras.experiments.bench import Bench
    from mi_keras.experiments.store import Stage
    from mi_keras.progress import Arrays, Workspace
    from mi_keras.tuning.distributed import Task


@dataclass(frozen=True)
class Phase:
    """Trials that are drawn from one space.

    Attributes:
        name: as of `tuner.search`; so are `trials` and `seed`.
        space: returns it, from the trials of the phase before.
    """

    name: str
    space: Callable[[Sequence[Trial]], keras_tuner.HyperParameters]
    trials: int
    seed: int


def with_trials(search: Stage, task: Callable[[], Task], phases: Sequence[Phase], bench: Bench) -> Stage:
    """Return the stage of a search, made from a stage of each trial where its team computes elsewhere.

    Args:
        task: returns what trials are run on; called where one is.
        phases: in their order.
    """
    if not search.store.team.apart:
        return search
    stages: dict[Phase, list[Stage]] = {}
    for phase in phases:
        before = list(stages.values())[-1] if stages else []
        stages[phase] = [
            _trial(search, task, phase, number, before, bench) for number in range(1, phase.trials + 1)
        ]

    def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
        for phase, of_phase in stages.items():
            records = Records(workspace.folder, phase.name)
            for trial in _finished(of_phase):
                records.save(trial)
        return search.compute(workspace)

    trials = [stage for of_phase in stages.values() for stage in of_phase]
    return replace(search, compute=compute, upstream=(*search.upstream, *trials))


def _trial(
    search: Stage, task: Callable[[], Task], phase: Phase, number: int, before: Sequence[Stage], bench: Bench
) -> Stage:
    """Describe a trial. Info: the fields of `Trial`; nothing where the space has fewer settings."""

    def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
        from mi_keras.tuning.tuner import drawn, run_trial

        settings = drawn(phase.space(_finished(before)), trials=number, seed=phase.seed)
        if len(settings) < number:
            return {}, {}
        return {}, asdict(run_trial(task().load(), number, settings[-1]))

    return search.store.stage(
        "search_trial", compute, upstream=[*search.upstream, *before], search=search.identity, phase=phase.name, number=number,
        words=[f"{phase.name} {number}"], told=bench.label(f"{phase.name} search, trial {number}"),
    )  # fmt: skip


def _finished(stages: Sequence[Stage]) -> list[Trial]:
    return [Trial(**stage.info) for stage in stages if stage.info]
