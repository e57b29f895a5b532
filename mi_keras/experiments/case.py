"""One cell of the composition: an attack with an access observes a target behind a defence and reconstructs images.

`plan` turns a `Case` into stages of the store: answers, what the attack derives from them, what it learns, and the scored
reconstruction. It is the only place where they are wired; a `Bench` says what answers, to which images, and how it scores.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

from mi_keras.attacks.access import Access, Holdings, check_access
from mi_keras.attacks.attack import Answers, Attack, Evidence, Fitted, Input, all_needs
from mi_keras.defenses.defense import Defense
from mi_keras.experiments.store import Compute, Stage, Store, all_words
from mi_keras.progress import Arrays, Progress, Run, Workspace
from mi_keras.seeds import derive
from mi_keras.types import Floats, Observation, Rows

TARGET, SHADOW = "target", "shadow"  # who answers


@dataclass(frozen=True)
class Case:
    """What is attacked, and how.

    Attributes:
        defense: what is done to the answers before the adversary sees them.
        answered_by: whose answers are attacked: the `TARGET`'s, or for comparison the `SHADOW` model's own.
        images: the set whose images are reconstructed; "" for the bench's own choice.
        access: the threat model; None for the bench's.
    """

    attack: Attack
    defense: Defense | None = None
    answered_by: str = TARGET
    images: str = ""
    access: Access | None = None


@dataclass(frozen=True)
class Asked:
    """The answers of a model to a set of images, as they are sent: not read yet.

    Attributes:
        images: name of the set.
        stages: they are made from.
        read: returns them.
        identity: what a stage that reads them depends on beside `stages`: a defence that acts as they are read.
        seeds: names of the random choices in such a defence.
        words: of such a defence.
    """

    images: str
    stages: tuple[Stage, ...]
    read: Callable[[], Observation]
    identity: Mapping[str, Any] = field(default_factory=dict)
    seeds: Sequence[tuple[object, ...]] = ()
    words: Sequence[str] = ()


@dataclass(frozen=True)
class Part:
    """What one input of an attack derives from answers: the stage, and how its values are read."""

    stage: Stage
    rows: Callable[[], Rows]


@dataclass(frozen=True)
class Plan:
    """The stages of a case.

    Attributes:
        observed: what the adversary sees.
        seen: what each input derives from it.
        known: what each input derives from the answers to the adversary's own images; empty where it needs none.
        fitted: what the attack learned; None where it learns nothing.
        scored: the reconstructions with their scores.
    """

    case: Case
    observed: Asked
    seen: tuple[Part, ...]
    known: tuple[Part, ...]
    fitted: Stage | None
    scored: Stage

    @cached_property
    def learned(self) -> Stage:
        """What the attack learned.

        Raises:
            ValueError: it learns nothing.
        """
        if self.fitted is None:
            raise ValueError(f"{self.case.attack.label} learns nothing.")
        return self.fitted


class Bench:
    """One run of an experiment's images, target and scores; `plan` composes with it. A work has one subclass.

    Attributes:
        access: the threat model of the work.
        own, attacked: names of the sets that the adversary has and reconstructs.

    Args:
        identity: what every stage of the work depends on, as JSON values.
        seed: root of all random choices.
        run: number of the repetition, from 1.
    """

    access: ClassVar[Access]
    own: ClassVar[str]
    attacked: ClassVar[str]

    def __init__(
        self, store: Store, progress: Progress, identity: Mapping[str, Any], *, seed: int, run: int
    ) -> None:
        self.store, self.progress = store, progress
        self._identity = {**identity, "seed": seed, "run": run}
        self._seed, self._run = seed, run

    # What a work says

    def known(self, attack: Attack, defense: Defense | None) -> Asked:
        """Return the answers to the adversary's own images from which an attack learns."""
        raise NotImplementedError

    def asked(self, answered_by: str, images: str, defense: Defense | None) -> Asked:
        """Return the answers of a model to a set of images."""
        raise NotImplementedError

    def upstream(self, needs: Access, defense: Defense | None) -> list[Stage]:
        """Return the stages of the models that an attack with such needs holds."""
        return []

    def holdings(self, needs: Access, defense: Defense | None) -> Holdings:
        """Return what the adversary holds, as far as `needs` asks for it."""
        raise NotImplementedError

    def score(self, images: Iterable[Floats], subset: str, scores: Sequence[str]) -> Arrays:
        """Return the scores per image of reconstructions of a set, in its order."""
        raise NotImplementedError

    def fit_stage(self, attack: Attack, compute: Compute, /, **described: Any) -> Stage:
        """Describe the stage of what an attack learns."""
        return self.stage(attack.kinds[0], compute, **described)

    def score_stage(
        self, attack: Attack, asked: Asked, scores: Sequence[str], compute: Compute, /, **described: Any
    ) -> Stage:
        """Describe the stage of an attack's reconstructions and their scores."""
        return self.stage(attack.kinds[1], compute, **described)

    # What all have in common

    def derive(self, *names: object) -> int:
        """Return the seed of a random choice of this run, by its names."""
        return derive(self._seed, "run", self._run, *names)

    def label(self, text: str, words: Iterable[str] = ()) -> str:
        """Return what progress bars of this run say."""
        return ", ".join([f"run {self._run}: {text}", *words])

    def stage(
        self,
        kind: str,
        compute: Compute,
        *,
        upstream: Sequence[Stage] = (),
        seeds: Sequence[tuple[object, ...]] = (),
        words: Sequence[str] = (),
        **identity: Any,
    ) -> Stage:
        """Describe a stage of this run: data, seed and number of the run join its identity (see `Store.stage`).

        Args:
            seeds: the names, as of `derive`, of the random choices that `compute` makes.
        """
        derived = {"/".join(map(str, names)): self.derive(*names) for names in seeds}
        return self.store.stage(
            kind, compute, upstream=upstream, seeds=derived, words=words, **identity, **self._identity
        )

    def run_of(self, stage: Stage, workspace: Workspace | None, text: str) -> Run:
        """Return what a computation of a stage needs: the first of its seeds is the root, the others go by their names."""
        first = next(iter(stage.seeds.values()), 1)
        words = [word for word in all_words(stage) if word not in text]
        return Run(first, stage.seeds, workspace, self.progress, self.label(text, words))


def plan(case: Case, bench: Bench, *, scores: Sequence[str] = ()) -> Plan:
    """Describe the stages of a case; nothing is computed.

    Args:
        scores: which to take, where the bench knows more than are wanted; all by default.

    Raises:
        InputError: the attack needs more than the threat model grants.
    """
    attack = case.attack
    check_access(attack.label, all_needs(attack), case.access or bench.access)
    observed = bench.asked(case.answered_by, case.images or bench.attacked, case.defense)
    seen = parts(attack.inputs, observed, case.defense, bench)
    known, fitted = _fitted(attack, case.defense, bench) if attack.kinds[0] else ((), None)

    def compute(workspace: Workspace) -> Fitted:
        learned: Fitted = (fitted.arrays, fitted.info) if fitted else ({}, {})
        held = bench.holdings(attack.needs, case.defense)
        run = bench.run_of(scored, workspace, f"{attack.label} on {observed.images}")
        # of its own: the stage's seeds, if it has any, are those of the defence
        run = replace(run, seed=bench.derive("reconstruct", attack.label, observed.images))
        images = attack.reconstruct(learned, evidence(observed, seen), held, run)
        return bench.score(images, observed.images, scores), {}

    upstream = [
        *([fitted] if fitted else []),
        *(part.stage for part in seen),
        *bench.upstream(attack.needs, case.defense),
    ]
    scored = bench.score_stage(
        attack, observed, scores, compute, upstream=upstream, seeds=observed.seeds, words=observed.words,
        **({} if fitted else attack.identity),
    )  # fmt: skip
    return Plan(case, observed, seen, known, fitted, scored)


def parts(inputs: Sequence[Input], asked: Asked, defense: Defense | None, bench: Bench) -> tuple[Part, ...]:
    """Describe what inputs of an attack derive from answers."""
    return tuple(_part(each, asked, defense, bench) for each in inputs)


def evidence(asked: Asked, found: Sequence[Part]) -> Evidence:
    """Read what the inputs of an attack derived from answers, computing it if need be."""
    return Evidence(asked.read(), [part.rows() for part in found])


def _part(each: Input, asked: Asked, defense: Defense | None, bench: Bench) -> Part:
    if isinstance(each, Answers):  # they need no stage of their own
        return Part(asked.stages[0], lambda: asked.read().values)

    def compute(workspace: Workspace) -> Fitted:
        held = bench.holdings(each.needs, defense)
        return each.derive(
            asked.read(), held, bench.run_of(stage, workspace, f"{each.label} of {asked.images}")
        )

    stage = bench.stage(
        each.kind, compute, upstream=[*asked.stages, *bench.upstream(each.needs, defense)],
        seeds=[*each.seed_names(asked.images), *asked.seeds], words=asked.words, **asked.identity, **each.identity,
    )  # fmt: skip
    return Part(stage, lambda: stage.arrays[each.array])


def _fitted(attack: Attack, defense: Defense | None, bench: Bench) -> tuple[tuple[Part, ...], Stage]:
    asked = bench.known(attack, defense) if attack.needs.answers != "nobody" else None
    known = parts(attack.inputs, asked, defense, bench) if asked else ()
    start = _fitted(attack.start, None, bench)[1] if attack.start else None

    def compute(workspace: Workspace) -> Fitted:
        held = bench.holdings(attack.needs, defense)
        run = bench.run_of(stage, workspace, attack.label)
        before: Fitted | None = (start.arrays, start.info) if start else None
        return attack.fit(evidence(asked, known) if asked else None, held, run, before)

    stage = bench.fit_stage(
        attack, compute,
        upstream=[*(part.stage for part in known), *bench.upstream(attack.needs, defense), *([start] if start else [])],
        seeds=[*attack.seed_names, *(asked.seeds if asked else ())],
        words=[*attack.words, *(asked.words if asked else ())],
        **(asked.identity if asked else {}), **attack.identity,
    )  # fmt: skip
    return known, stage
