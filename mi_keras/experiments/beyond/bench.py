"""The thesis's attack with one adversary against many targets: its bank of shadow models, and shadows that play the target."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import keras
import numpy as np

from mi_keras.attacks.access import UNLIMITED, Access
from mi_keras.attacks.attack import Attack, all_needs
from mi_keras.data.splits import Splits
from mi_keras.defenses.defense import Defense
from mi_keras.experiments.bench import SHADOW, TARGET, Asked, Bench
from mi_keras.experiments.beyond.sizes import AMONG
from mi_keras.experiments.store import Compute, Stage, Store
from mi_keras.experiments.thesis.bench import EVERYTHING, ThesisBench
from mi_keras.metrics.classification import accuracy
from mi_keras.metrics.retrieval import image_embedding
from mi_keras.metrics.within_class import found_within_class
from mi_keras.models.architectures import AnyClassifier
from mi_keras.models.cnn import observe
from mi_keras.models.variables import weights_of
from mi_keras.progress import Arrays, Progress, Workspace
from mi_keras.seeds import derive
from mi_keras.training.classifier import train_classifier
from mi_keras.types import Floats, Images, Observation, Redrawn

ADVERSARY = 1  # the run whose stages are the adversary's own, whichever target it attacks
PLAYED, PLAYER = "played by a shadow", "the shadow that plays the target"  # in words
BANK = "bank"
HALF, ALL = "half", "all"  # of the adversary's images: what the shadow that plays the target was trained on
PLAYERS = (HALF, ALL)


class LoadedWhenRead(Sequence[keras.Model]):
    """Models that are rebuilt where one is read: an attack that needs shadow models may have learned all from their answers."""

    def __init__(self, load: Sequence[Callable[[], keras.Model]]) -> None:
        self._load = load

    def __len__(self) -> int:
        return len(self._load)

    def __getitem__(self, wanted: Any) -> Any:
        return LoadedWhenRead(self._load[wanted]) if isinstance(wanted, slice) else self._load[wanted]()


class BeyondBench(ThesisBench):
    """Describes the stages of one target; what the adversary makes of its own images is the same for all of them.

    Args:
        bank: shadow models in the bank.

    Attributes:
        player: who is attacked: "" for the target on D_F, or a shadow model that no attack learns from, trained on `HALF`
            or `ALL` of the adversary's images and attacked on D_V^S. What an attack may choose is chosen there.
        answered: whoever is attacked has answered all of the adversary's images, and attacks learn from these answers.
    """

    def __init__(
        self,
        splits: Splits,
        data: Mapping[str, Any],
        classifier: AnyClassifier,
        store: Store,
        progress: Progress,
        *,
        bank: int,
        seed: int,
        run: int,
    ) -> None:
        super().__init__(splits, data, classifier, store, progress, seed=seed, run=run)
        self.bank, self.player, self.answered = bank, "", False
        # The adversary's, whichever target is attacked: described once for all copies of this bench
        self._shadows: dict[int, Stage] = {}
        self.access = Access(True, "surrogate", bank, population=True, defense=True)  # type: ignore[misc]
        self.supplies = replace(EVERYTHING, surrogates=bank)  # type: ignore[misc]

    def answering(self) -> Self:
        """Return the bench in which whoever is attacked has answered all of the adversary's images."""
        other = copy.copy(self)
        other.answered = True
        other.access = replace(self.access, answers=TARGET, queries=UNLIMITED)  # type: ignore[misc]
        return other

    def other(self, *, player: str = "") -> Self:
        """Return the bench of the first target, or of a shadow that plays it."""
        other = self.of_run(ADVERSARY)
        other.player = player
        other.attacked = "shadow_validation" if player else "test"  # type: ignore[misc]  # of an instance here
        return other

    @property
    def adversary(self) -> Self:
        """The bench whose stages are the adversary's own."""
        return self if self._run == ADVERSARY and not self.player else self.other()

    # Models

    def shadow(self, number: int) -> Stage:
        """Train a shadow model on a random half of the adversary's images; info as of `classifier`, without a confusion."""
        known = self._shadows.get(number)
        if known is None or known.store is not self.store:
            known = self._shadows[number] = self.adversary._shadow(number)
        return known

    def _shadow(self, number: int) -> Stage:
        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            half, validation = self._half(number), self.splits.shadow_validation
            run = self.run_of(stage, workspace, f"shadow model {number} of the bank")
            cnn, history = train_classifier(half, validation, self.settings, classes=self.classes, run=run)
            right = accuracy(observe(cnn, validation.images).vectors, validation.labels)
            return weights_of(cnn), {"history": history, "accuracy": right}

        word, told = (
            (f"shadow {number}", f"shadow {number}, trained")
            if number <= self.bank
            else (PLAYED, f"{PLAYER}, trained")
        )
        stage = self.stage(
            "bank_shadow", compute, seeds=[(BANK, number)], settings=self.settings, number=number,
            words=(word,), told=self.label(told), half=True, **self.architecture,
        )  # fmt: skip
        return stage

    def _half(self, number: int) -> Images:
        """Return what a shadow model is trained on."""
        own = self.own_images()
        draw = np.random.default_rng(self.derive(BANK, number, "half"))
        rows = np.sort(draw.permutation(len(own))[: len(own) // 2])
        return Images(own.images[rows], own.labels[rows], own.ids[rows])

    def _hardened(self, number: int, defense: Defense | None) -> Stage:
        """Return a shadow model, or what a defence that changes models puts in its place."""
        shadow = self.shadow(number)
        if defense is None or not defense.hardens:
            return shadow
        if self is not self.adversary:
            return self.adversary._hardened(number, defense)
        return self.hardened(shadow, lambda: self._half(number), defense, BANK, number)

    def model(self, role: str, defense: Defense | None = None) -> Stage:
        """Return the model that answers: the attacked one, the thesis's shadow model, or "bank/NUMBER"."""
        if role.startswith(BANK):
            return self._hardened(int(role.partition("/")[2]), defense)
        if role == SHADOW or self.player == ALL:
            return ThesisBench.model(self.adversary, SHADOW, defense)
        return self._hardened(self.bank + 1, defense) if self.player else super().model(role, defense)

    # Answers

    def called(self, role: str) -> str:
        if role.startswith(BANK):
            return role.replace(f"{BANK}/", "shadow ")
        return PLAYER if role == TARGET and self.player else super().called(role)

    def output_vector(self, role: str, subset: str, defense: Defense | None = None) -> Stage:
        if role != TARGET and self is not self.adversary:
            return self.adversary.output_vector(role, subset, defense)
        return super().output_vector(role, subset, defense)

    def known(self, attack: Attack, defense: Defense | None) -> Asked:
        """Return the answers of the adversary's shadow models, a draw each, or those of whoever is attacked.

        What a defence draws is drawn anew in every draw.
        """
        roles = [TARGET] if self.answered else self._roles(attack.needs)
        anew = defense is not None and defense.draws
        stages = tuple(self.output_vector(role, self.own, None if anew else defense) for role in roles)
        seed = (self if self.answered else self.adversary).derive("defense", self.own)

        def read() -> Observation:
            answers = [stage.arrays["output_vector"] for stage in stages]

            def drawn(number: int) -> Floats:
                values = answers[number % len(answers)]
                return defense.apply(values, {}, seed=derive(seed, number)) if anew and defense else values

            if len(answers) == 1 and not anew:
                return Observation(answers[0])
            return Observation(Redrawn(drawn(0), drawn, period=0 if anew else len(answers)))

        if not anew or defense is None:
            return Asked(self.own, stages, read)
        identity, names = {"redrawn": defense.identity}, [("defense", self.own)]
        return Asked(self.own, stages, read, identity, names, [defense.words])

    def upstream(self, needs: Access, defense: Defense | None, expected: Defense | None) -> list[Stage]:
        shadows = [self.model(role, expected) for role in self._roles(needs)] if needs.surrogates else []
        return shadows + ([self.model(TARGET, defense)] if needs.queries or needs.weights else [])

    def surrogates(self, needs: Access, defense: Defense | None) -> Sequence[keras.Model]:
        stages = [self.model(role, defense) for role in self._roles(needs)]
        return LoadedWhenRead([partial(self.load, stage) for stage in stages])

    def _roles(self, needs: Access) -> list[str]:
        if needs.surrogates < 2:
            return [SHADOW]
        return [f"{BANK}/{number}" for number in range(1, needs.surrogates + 1)]

    # Stages

    def score(self, images: Iterable[Floats], subset: str, scores: Sequence[str] = ()) -> Arrays:
        """Return images, `ssim` and `mse` of the thesis's bench, and `found`: the chance to be found within the class.

        NaN where the predicted class has fewer than `AMONG` images.
        """
        scored = super().score(images, subset, scores)
        drawn, truth = (
            image_embedding(each.astype(np.float32)) for each in (scored["images"], self.truth(subset))
        )
        classes = self.asked(TARGET, subset, None).read().predicted_class
        return {**scored, "found": found_within_class(drawn, truth, classes, AMONG)}

    def score_stage(
        self, attack: Attack, asked: Asked, scores: Sequence[str], compute: Compute, /, **described: Any
    ) -> Stage:
        return super().score_stage(attack, asked, scores, compute, **described, among=AMONG)

    def fit_stage(self, attack: Attack, compute: Compute, /, **described: Any) -> Stage:
        """Describe what an attack learns: of the adversary's own where nothing of the target is needed."""
        needs = all_needs(attack)
        of_target = needs.population or needs.queries or needs.weights or self.answered
        bench = self if of_target else self.adversary
        return Bench.fit_stage(bench, attack, compute, **described)
