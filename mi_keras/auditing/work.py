"""What an audit computes, in one process or in several that do the same: every attack on every point."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.shadows import FromShadows
from mi_keras.auditing import controls, steps
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.contract import Contract, inspect
from mi_keras.auditing.cost import Chosen, choose
from mi_keras.auditing.defence_specs import Spec
from mi_keras.auditing.defences import Tried, parse_defences, tried
from mi_keras.auditing.ladder import CLASS, POOL, WHITE_BOX, Rung
from mi_keras.auditing.loading import content_of, load_model
from mi_keras.auditing.options import DEFAULT_ADVERSARIES, Options
from mi_keras.auditing.points import sent_at
from mi_keras.auditing.pool import Pool
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.sizes import SIZES
from mi_keras.auditing.stronger import attacks
from mi_keras.auditing.subject import BATCH, MEMBERS
from mi_keras.display import displayable
from mi_keras.errors import InputError
from mi_keras.experiments.store import Stage, Store, open_store
from mi_keras.experiments.team import Team
from mi_keras.models.scope import check_keras
from mi_keras.progress import Progress, SilentProgress

MODEL, DATA = "model", "data"  # what other machines are brought: bytes of the file, images as read


def work_of(
    model: keras.Model | str | Path, data: Any, options: Options, *, store: Store | None = None,
    progress: Progress | None = None, name: str | None = None, imports: Sequence[str] = (),
    content: NDArray[np.uint8] | None = None,
) -> "Work":  # fmt: skip
    """Describe an audit, of which nothing is computed yet; arguments and errors as of `audit.audit`.

    Args:
        content: of the file at `model`, where that is on another machine.
    """
    check_keras()
    if not isinstance(model, keras.Model | str | Path):
        raise InputError(f"`model` must be a Keras model or the path of one; got a {type(model).__name__}.")
    team = store.team if store else Team()

    def checked() -> Contract:
        if isinstance(model, keras.Model):
            return inspect(model, displayable(name or model.name), data, options)

        def bring(pool: Pool) -> None:
            team.bring(DATA, lambda: pool)

        # Once: what is checked here is what others are brought
        read = content_of(str(model)) if team.apart and content is None else content
        loaded = load_model(str(model), imports=imports, content=read)
        team.bring(MODEL, lambda: read)
        return inspect(loaded, displayable(name or Path(model).name), data, options, bring)

    contract = team.remember(checked)
    sent = sent_at(contract.subjects[0], options.at)
    defended = parse_defences(options.defend, sent, contract.subjects[0])
    store, progress = store or open_store(), progress or SilentProgress()
    contract.agree_on_code(store.agree)
    return Work(contract, sent, defended, options, store, progress)


class Work:
    """One audit: `begin` and `end` compute, each process of a team meets both.

    Attributes, from `begin` on:
        plans: what is run at each point; `kept`: those attacks, fold by fold; `tried`: those behind its defences.
    """

    def __init__(
        self,
        contract: Contract,
        sent: Sequence[Sent],
        defended: Mapping[Sent, Sequence[Spec]],
        options: Options,
        store: Store,
        progress: Progress,
    ) -> None:
        self.contract, self.options, self.sent, self.defended = contract, options, sent, defended
        self.store, self.progress = store, progress
        sizes = SIZES[options.preset]
        self.sizes = sizes if options.adversaries else replace(sizes, white_box=sizes.at_layers)

    def begin(self) -> None:
        """Compute what attacks draw of the images of both sides: at every point, behind its defences, and for the controls."""
        self._answers()  # first, as other processes that start would make the attacks look slow that are timed next
        self.plans = {sent: self._plan(sent) for sent in self.sent}
        self.kept = {
            sent: [[fold[place] for place in plan.places] for fold in self._rungs(sent)]
            for sent, plan in self.plans.items()
        }
        self.tried = {sent: self._tried(sent) for sent in self.sent}
        ran = {sent: on_answers(folds[0]) for sent, folds in self.kept.items()}
        plans = list(self.plans.values())
        anywhere = replace(plans[0], costs={k: cost for plan in plans for k, cost in plan.costs.items()})
        groups = [
            *((folds, self.plans[sent], None) for sent, folds in self.kept.items()),
            (list(controls.planned(ran, self.benches, self.sizes)), anywhere, None),
            *((each.folds, self.plans[sent], each.defense) for sent, found in self.tried.items() for each in found),
        ]  # fmt: skip
        stages, seconds = list[Stage](), dict[str, float]()
        for folds, plan, defense in groups:
            stages += steps.scored(folds, defense)
            seconds |= steps.measured(folds, plan, defense)
        subjects, seeds = self.contract.subjects, self.options.attacker_seeds
        members = MEMBERS in subjects[0].sides
        later = steps.later(plans, len(subjects), members=members, seeds=seeds)
        self.store.compute(stages, measured=seconds, later=later)

    def end(self, published: Callable[[], list[dict[str, Any]]]) -> None:
        """Compute what depends on which attacks are published: `steps.of_published`, for each point.

        Args:
            published: returns it; called in one process for all.
        """
        found, seeds = self.store.agree(published), self.options.attacker_seeds
        points = zip(found, self.kept.values(), strict=True)
        self.store.compute(
            stage for each, folds in points for stage in steps.following(each, folds, seeds=seeds)
        )

    def adversaries(self, *sents: Sent) -> tuple[str, ...]:
        """Return who attacks at some points: who was asked for, and else at layers who has the weights too."""
        if self.options.adversaries:
            return self.options.adversaries
        any_layer = not all(self.benches(sent)[0].is_output for sent in sents)
        return (*DEFAULT_ADVERSARIES, *([WHITE_BOX] if any_layer and self.sizes.white_box else []))

    def benches(self, sent: Sent) -> list[AuditBench]:
        return [
            AuditBench(subject, sent, self.store, self.progress, seed=self.options.seed, fold=number)
            for number, subject in enumerate(self.contract.subjects, start=1)
        ]

    def _answers(self) -> None:
        """Ask the model at all points before anything learns from what it sends: what cannot be asked is known at once.

        All images are sent where the answers are stored, else one batch of each side.
        """
        asked = [
            (bench, point, subset)
            for sent in self.sent
            for bench in self.benches(sent)
            for subset in bench.subject.sides
            for point in (bench.subject.output_name, sent.point)
        ]
        self.store.compute_first(
            bench.raw(point, subset) for bench, point, subset in asked if bench.stores(point, subset)
        )

        def ask_once() -> None:
            for bench, point, subset in asked:
                if not bench.stores(point, subset):
                    _ = bench.values(point, subset)[:BATCH]

        self.store.agree(ask_once)  # in one process for all

    def _rungs(self, sent: Sent) -> list[list[Rung]]:
        benches, queries = self.benches(sent), self.options.queries
        return [
            attacks(bench, self.adversaries(sent), self.sizes, folds=len(benches), queries=queries)
            for bench in benches
        ]

    def _plan(self, sent: Sent) -> Chosen:
        """Say what is run at a point within its part of the budget."""
        folds = self._rungs(sent)
        return choose(folds[0], budget=self.options.budget, folds=len(folds))

    def _tried(self, sent: Sent) -> list[Tried]:
        specs, benches = self.defended.get(sent, ()), self.benches(sent)
        return tried(
            specs, benches, self.plans[sent], adversaries=self.adversaries(sent), options=self.options, sizes=self.sizes
        )  # fmt: skip


def on_answers(rungs: Sequence[Rung]) -> set[str]:
    attacks = [rung.attack for rung in rungs if rung.adversary not in (CLASS, POOL)]
    return {(each.inner if isinstance(each, FromShadows) else each).label for each in attacks}
