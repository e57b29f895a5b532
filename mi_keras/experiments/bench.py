"""A bench: one run of an experiment's images, target and scores. A work has one subclass; `case.plan` composes with it."""

import copy
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from mi_keras.attacks.access import Access, Holdings, Queries
from mi_keras.attacks.attack import Attack
from mi_keras.defenses.defense import Defense
from mi_keras.experiments.stage_words import all_words
from mi_keras.experiments.store import Compute, Stage, Store
from mi_keras.machine import FLOAT32
from mi_keras.progress import Arrays, Progress, Run, Workspace
from mi_keras.seeds import derive
from mi_keras.types import Floats, Images, Observation

if TYPE_CHECKING:
    import keras

    from mi_keras.models.target import Target

TARGET, SHADOW = "target", "shadow"  # who answers
PRECISION = "precision"  # in the identity of what was not computed in float32


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


class Bench:
    """What `plan` composes with.

    Attributes:
        access: the threat model of the work.
        supplies: all that it can give an adversary, whatever the threat model.
        own, attacked: names of the sets that the adversary has and reconstructs.
        of_maps: what is sent are feature maps.
        image_shape: `(height, width, channels)`.
        classes: that the target tells apart; 0 where what it sends is no answer by class.

    Args:
        identity: what every stage of the work depends on, as JSON values.
        seed: root of all random choices.
        run: number of the repetition, from 1.
    """

    access: ClassVar[Access]
    supplies: ClassVar[Access]
    own: ClassVar[str]
    attacked: ClassVar[str]
    of_maps: ClassVar[bool]
    image_shape: tuple[int, int, int]
    classes: int = 0

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

    def upstream(self, needs: Access, defense: Defense | None, expected: Defense | None) -> list[Stage]:
        """Return the stages of the models that an attack with such needs holds (see `holdings`)."""
        return []

    def own_images(self) -> Images:
        """Return the adversary's own images."""
        raise NotImplementedError

    def surrogates(self, needs: Access, defense: Defense | None) -> Sequence["keras.Model"]:
        """Return as many of the adversary's own models as are needed, hardened as it takes the target to be."""
        return ()

    def target(self, defense: Defense | None) -> "Target":
        """Return the attacked model where it is observed."""
        raise NotImplementedError

    def answer(self, images: Floats, defense: Defense | None, seed: int) -> Observation:
        """Return what the target sends an outsider, behind the defence."""
        raise NotImplementedError

    def truth(self, subset: str) -> Floats:
        """Return the images of a set, `(count, height, width, channels)` in [0, 1]."""
        raise NotImplementedError

    def score(self, images: Iterable[Floats], subset: str, scores: Sequence[str]) -> Arrays:
        """Return the scores per image of reconstructions of a set, in its order."""
        raise NotImplementedError

    def fit_stage(self, attack: Attack, compute: Compute, /, **described: Any) -> Stage:
        """Describe the stage of what an attack learns."""
        described["told"] = self.label(described["told"])
        return self.stage(attack.kinds[0], compute, **described)

    def score_stage(
        self, attack: Attack, asked: Asked, scores: Sequence[str], compute: Compute, /, **described: Any
    ) -> Stage:
        """Describe the stage of an attack's reconstructions and their scores."""
        described["told"] = self.label(described["told"])
        return self.stage(attack.kinds[1], compute, subset=asked.images, **described, **asked.identity)

    # What all have in common

    def derive(self, *names: object) -> int:
        """Return the seed of a random choice of this run, by its names."""
        return derive(self._seed, "run", self._run, *names)

    def of_run(self, run: int) -> Self:
        """Return the bench of another run on the same data."""
        other = copy.copy(self)
        other._run, other._identity = run, {**self._identity, "run": run}
        return other

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
        told: str = "",
        half: bool = False,
        **identity: Any,
    ) -> Stage:
        """Describe a stage of this run: data, seed and number of the run join its identity (see `Store.stage`).

        Args:
            seeds: the names, as of `derive`, of the random choices that `compute` makes.
            half: it computes in the store's precision, which then joins the identity where it is not float32.
        """
        if half and self.store.precision != FLOAT32:
            identity[PRECISION] = self.store.precision
        derived = {"/".join(map(str, names)): self.derive(*names) for names in seeds}
        return self.store.stage(
            kind,
            compute,
            upstream=upstream,
            seeds=derived,
            words=words,
            told=told,
            **identity,
            **self._identity,
        )

    def holdings(
        self,
        needs: Access,
        defense: Defense | None = None,
        expected: Defense | None = None,
        *,
        subset: str = "",
        phase: str = "fit",
        spent: int = 0,
    ) -> Holdings:
        """Return what the adversary holds, as far as `needs` asks for it.

        Args:
            defense: what stands between the target and the adversary.
            expected: the defence that the adversary reckons with when it makes models of its own.
            subset: the attacked images, which a pool holds in another order.
            phase, spent: when the target is asked, and how many questions were asked before.
        """
        query = None
        if needs.queries:
            calls = itertools.count()
            query = Queries(
                lambda images: self.answer(images, defense, self.derive("query", phase, next(calls))),
                needs.queries - spent,
            )
        return Holdings(
            images=self.own_images() if needs.images else None,
            surrogates=self.surrogates(needs, expected) if needs.surrogates else (),
            query=query,
            target=self.target(defense) if needs.weights else None,
            pool=np.random.default_rng(self.derive("pool")).permutation(self.truth(subset))
            if needs.pool
            else None,
            image_shape=self.image_shape,
            classes=self.classes,
        )

    def run_of(self, stage: Stage, workspace: Workspace | None, text: str) -> Run:
        """Return what a computation of a stage needs: seeds, of which the first is the root, precision and devices."""
        first = next(iter(stage.seeds.values()), 1)
        words = [word for word in all_words(stage) if word not in text]
        return Run(
            first, stage.seeds, workspace, self.progress, self.label(text, words), str(stage.identity.get(PRECISION, FLOAT32)),
            self.store.devices,
        )  # fmt: skip
