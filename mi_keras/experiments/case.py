"""One cell of the composition: an attack with an access observes a target behind a defence and reconstructs images.

`plan` turns a `Case` into stages of the store: answers, what the attack derives from them, what it learns, and the scored
reconstruction. It is the only place where they are wired; a `Bench` says what answers, to which images, and how it scores.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from mi_keras.attacks.access import Access, check_access
from mi_keras.attacks.attack import Answers, Attack, Described, Evidence, Fitted, Input, all_needs
from mi_keras.defenses.defense import Defense
from mi_keras.errors import InputError
from mi_keras.experiments.bench import TARGET, Asked, Bench
from mi_keras.experiments.stage_words import all_words
from mi_keras.experiments.store import Stage
from mi_keras.progress import Workspace
from mi_keras.types import Rows

SPENT = "queries"  # of what a fit tells: images that the target answered
# What stages carry beside the settings of an attack or defence
RESERVED = {
    "kind", "compute", "upstream", "seeds", "words", "subset", "role", "meaning", "data", "encoder", "seed", "run", "scores",
    "repetition", "counted", "attacker", "told", "half", "precision",
}  # fmt: skip


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
class Part:
    """What one input of an attack derives from answers: the stage, and how its values are read."""

    stage: Stage
    values: Callable[[], Rows]


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


def plan(case: Case, bench: Bench, *, scores: Sequence[str] = ()) -> Plan:
    """Describe the stages of a case; nothing is computed.

    Args:
        scores: which to take, where the bench knows more than are wanted; all by default.

    Raises:
        InputError: the attack needs more than the threat model grants or the bench has, or the defence is for another
            kind of answers.
    """
    attack, needs = case.attack, case.attack.needs
    access = case.access or bench.access
    for granted in (access, bench.supplies):
        check_access(attack.label, all_needs(attack), granted)
    _check(case, bench)
    subset = case.images or bench.attacked
    observed = bench.asked(case.answered_by, subset, case.defense)
    expected = case.defense if access.defense else None  # what the adversary reckons with
    by = [] if case.answered_by == TARGET else [f"answered by the {case.answered_by} model"]
    seen = parts(attack.inputs, observed, expected, bench, by)
    known, fitted = _fitted(case, observed, expected, bench) if attack.kinds[0] else ((), None)

    def compute(workspace: Workspace) -> Fitted:
        learned: Fitted = (fitted.arrays, fitted.info) if fitted else ({}, {})
        spent = int(learned[1].get(SPENT, 0))
        held = bench.holdings(needs, case.defense, expected, subset=subset, phase="reconstruct", spent=spent)
        run = bench.run_of(scored, workspace, f"{attack.label} on {subset}")
        # of its own: the stage's seeds, if it has any, are those of the defence
        run = replace(run, seed=bench.derive("reconstruct", attack.label, subset))
        images = attack.reconstruct(learned, evidence(observed, seen), held, run)
        return bench.score(images, subset, scores), {}

    before = [*([fitted] if fitted else []), *(part.stage for part in seen)]
    scored = bench.score_stage(
        attack, observed, scores, compute, upstream=[*before, *bench.upstream(needs, case.defense, expected)],
        seeds=observed.seeds, words=[attack.label, *observed.words, *by],
        told=", ".join([*_said(attack, observed, before), *by, f"scored on {subset.replace('_', ' ')}"]),
        **({} if fitted else attack.identity),
    )  # fmt: skip
    return Plan(case, observed, seen, known, fitted, scored)


def parts(
    inputs: Sequence[Input], asked: Asked, expected: Defense | None, bench: Bench, by: Sequence[str] = ()
) -> tuple[Part, ...]:
    """Describe what inputs of an attack derive from answers.

    Args:
        expected: the defence that the adversary reckons with.
        by: who answered, in words, where that is not the target.
    """
    return tuple(_part(each, asked, expected, bench, by) for each in inputs)


def evidence(asked: Asked, found: Sequence[Part]) -> Evidence:
    """Read what the inputs of an attack derived from answers, computing it if need be."""
    return Evidence(asked.read(), [part.values() for part in found])


def _said(attack: Attack, asked: Asked | None, made_from: Sequence[Stage]) -> list[str]:
    """Return in words whose answers pass which defence to an attack, after the attack itself."""
    name = ", ".join(attack.words) or attack.label
    texts = [text for each in attack.inputs for text in (*_texts(each), *_texts(each.for_own))]
    answers = [*asked.words, *all_words(*asked.stages)] if asked else []
    return [
        word
        for word in dict.fromkeys([name, *texts, *answers, *all_words(*made_from)])
        if word not in attack.words[1:]
    ]


def _texts(described: Described) -> list[str]:
    """Return what tells an input from others of its label, such as the objective of X~."""
    return [text.replace("_", " ") for text in described.identity.values() if isinstance(text, str)]


def _check(case: Case, bench: Bench) -> None:
    attack, defense = case.attack, case.defense
    inputs = [one for each in attack.inputs for one in (each, each.for_own)]
    if any(each.needs.queries or each.needs.pool or each.needs.population for each in inputs):
        raise InputError(
            f"`inputs` must need no more than answers, own images and models; those of {attack.label} do not."
        )
    if defense is not None and defense.of_maps != bench.of_maps:
        kinds = {True: "feature maps", False: "output vectors"}
        raise InputError(
            f"`defense` must be for {kinds[bench.of_maps]}, which are sent here; {defense.words} is for {kinds[defense.of_maps]}."
        )
    described: list[Described | Defense] = [attack, *inputs, *([defense] if defense else [])]
    for part in described:
        if taken := sorted(RESERVED & part.identity.keys()):
            raise InputError(
                f"a field of {type(part).__name__} must not be called {taken[0]!r}: stages have it already."
            )


def _part(each: Input, asked: Asked, expected: Defense | None, bench: Bench, by: Sequence[str]) -> Part:
    if isinstance(each, Answers):  # they need no stage of their own
        return Part(asked.stages[0], lambda: asked.read().values)

    def compute(workspace: Workspace) -> Fitted:
        held = bench.holdings(each.needs, expected, expected)
        return each.derive(
            asked.read(), held, bench.run_of(stage, workspace, f"{each.label} of {asked.images}")
        )

    stage = bench.stage(
        each.kind, compute, upstream=[*asked.stages, *bench.upstream(each.needs, expected, expected)],
        seeds=[*each.seed_names(asked.images), *asked.seeds], words=asked.words, half=each.gains_in_half,
        told=bench.label(
            f"{each.label} of {asked.images.replace('_', ' ')}", [*_texts(each), *asked.words, *all_words(*asked.stages), *by]
        ),
        **asked.identity, **each.identity,
    )  # fmt: skip
    return Part(stage, lambda: stage.arrays[each.array])


def _fitted(
    case: Case, observed: Asked, expected: Defense | None, bench: Bench
) -> tuple[tuple[Part, ...], Stage]:
    attack, needs = case.attack, case.attack.needs
    asked = bench.known(attack, expected) if needs.answers != "nobody" else None
    known = parts([each.for_own for each in attack.inputs], asked, expected, bench) if asked else ()
    behind = attack.starts_behind
    begun = (
        replace(case, attack=attack.start, defense=case.defense if behind else None) if attack.start else None
    )
    start = _fitted(begun, observed, expected if behind else None, bench)[1] if begun else None

    def compute(workspace: Workspace) -> Fitted:
        held = bench.holdings(needs, case.defense, expected, subset=observed.images)
        held = replace(held, population=observed.read()) if needs.population else held
        before: Fitted | None = (start.arrays, start.info) if start else None
        run = bench.run_of(stage, workspace, attack.label)
        arrays, info = attack.fit(evidence(asked, known) if asked else None, held, run, before)
        return arrays, info if held.query is None else {**info, SPENT: held.query.asked}

    models = bench.upstream(needs, case.defense, expected)
    stage = bench.fit_stage(
        attack, compute,
        upstream=[
            *(part.stage for part in known), *models, *([start] if start else []),
            *(observed.stages if needs.population else ()),
        ],
        seeds=[*attack.seed_names, *(asked.seeds if asked else ())],
        words=[*attack.words, *(asked.words if asked else ())], half=attack.gains_in_half,
        told=", ".join([*_said(attack, asked, models), "learned"]),
        **(asked.identity if asked else {}), **attack.identity,
    )  # fmt: skip
    return known, stage
