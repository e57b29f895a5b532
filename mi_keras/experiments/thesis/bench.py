"""The thesis's attack as a bench: two CNNs on disjoint sets, output vectors, and scores against the true images."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

import keras
import numpy as np

from mi_keras.attacks.access import UNLIMITED, Access
from mi_keras.attacks.attack import Attack
from mi_keras.data.splits import Splits
from mi_keras.defenses.defense import Defended, Defense
from mi_keras.experiments.bench import SHADOW, TARGET, Asked, Bench
from mi_keras.experiments.case import Plan
from mi_keras.experiments.stage_words import all_words
from mi_keras.experiments.store import Compute, Stage, Store
from mi_keras.metrics.classification import confusion_matrix, weighted_f1
from mi_keras.metrics.image import score
from mi_keras.models.architectures import AnyClassifier, architecture
from mi_keras.models.classifiers import build_classifier
from mi_keras.models.cnn import observe
from mi_keras.models.target import Target, observed_at
from mi_keras.models.variables import weights_of, with_weights
from mi_keras.progress import Arrays, Progress, Workspace
from mi_keras.settings import DEFAULT_HEAD, HeadSettings, SplitSettings
from mi_keras.training.classifier import train_classifier
from mi_keras.types import Floats, Images, Observation

MEANING = 1  # raise when a stage computes something else than before: older artifacts are then left alone
EVERYTHING = Access(True, TARGET, 1, UNLIMITED, population=True, weights=True, pool=True, defense=True)
GRAY_BOX = Access(images=True, answers="surrogate", surrogates=1, population=True, defense=True)


def describe_data(splits: Splits, settings: SplitSettings, seed: int) -> dict[str, Any]:
    """Return what identifies the five sets: content of the source, how it was cut, and the seed of the cut."""
    return {"fingerprint": splits.fingerprint, "splits": asdict(settings), "seed": seed}


class ThesisBench(Bench):
    """Describes the stages of one run of the thesis's attack; nothing is computed until a result is read.

    Args:
        splits: the five disjoint sets.
        data: what identifies `splits`, see `describe_data`.
        classifier: of target and shadow model.
        run: number of the repetition of all models, from 1; all random choices but the splits derive from it.
        repetition: of what is learned from answers, from 1, where all else is that of the run.
    """

    access: ClassVar[Access] = GRAY_BOX
    supplies: ClassVar[Access] = EVERYTHING
    of_maps: ClassVar[bool] = False
    own: ClassVar[str] = "shadow_train"
    attacked: ClassVar[str] = "test"

    def __init__(
        self,
        splits: Splits,
        data: Mapping[str, Any],
        classifier: AnyClassifier,
        store: Store,
        progress: Progress,
        *,
        seed: int,
        run: int,
        repetition: int = 1,
    ) -> None:
        super().__init__(store, progress, {"meaning": MEANING, "data": dict(data)}, seed=seed, run=run)
        self.splits, self.settings, self.repetition = splits, classifier, repetition
        self._other: ThesisBench | None = None  # whose target model is attacked, in place of its own
        self.classes = len(splits.class_names)
        height, width, channels = splits.shadow_train.images.shape[1:]
        self.image_shape = (height, width, channels)

    def against(self, run: int) -> "ThesisBench":
        """Return the same adversary, with its shadow model and what it learned, against the target model of another run."""
        pair = copy.copy(self)
        pair._other = self.of_run(run)
        return pair

    # Models

    def classifier(self, role: str, head: HeadSettings = DEFAULT_HEAD) -> Stage:
        """Train M_T (`role` "target") or M_S ("shadow") on its own training set (thesis 4.2).

        `head` is for comparing variants: the attacks take classifiers with the text's. Info: `history`, `f1` and
        `confusion` on its validation set.
        """
        if role == TARGET and self._other:
            return self._other.classifier(role, head)
        training, validation = self.splits.sets[f"{role}_train"], self.splits.sets[f"{role}_validation"]

        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            run = self.run_of(stage, workspace, f"{role} model")
            cnn, history = train_classifier(
                training, validation, self.settings, classes=self.classes, head=head, run=run
            )
            predicted = observe(cnn, validation.images).predicted_class
            confusion = confusion_matrix(validation.labels, predicted, self.classes)
            f1 = weighted_f1(confusion)
            return weights_of(cnn), {"history": history, "f1": f1, "confusion": confusion.tolist()}

        changed: dict[str, Any] = {} if head == DEFAULT_HEAD else {"head": head}
        words = [f"{name} {value}" for name, value in asdict(head).items()] if changed else []
        stage = self.stage(
            "classifier", compute, seeds=[("classifier", role)], settings=self.settings, role=role, **changed,
            half=role == SHADOW,  # the target model is not the adversary's
            **self.architecture,
            words=words, told=self.label(f"{role} model", [*self.architecture.values(), *words, "trained"]),
        )  # fmt: skip
        return stage

    @property
    def architecture(self) -> dict[str, Any]:
        """What tells stages of models from those of the thesis's CNN, for which it is empty."""
        name = architecture(self.settings)
        return {"architecture": name} if name else {}

    def model(self, role: str, defense: Defense | None = None) -> Stage:
        """Return the model that answers: the classifier, or what a defence that changes models puts in its place."""
        if role == TARGET and self._other:
            return self._other.model(role, defense)
        classifier = self.classifier(role)
        if defense is None or not defense.hardens:
            return classifier
        return self.hardened(classifier, lambda: self.splits.sets[f"{role}_train"], defense, role)

    def hardened(
        self, model: Stage, images: Callable[[], Images], defense: Defense, role: str, *number: int
    ) -> Stage:
        """Let a defence put another model, trained on these images, in the place of one; several of a role have a number."""

        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            run = self.run_of(stage, workspace, " ".join([role, "model", *map(str, number)]))
            return weights_of(defense.harden(self.load(model), images(), run)), {}

        stage = self.stage(
            "hardened", compute, upstream=[model], seeds=[("harden", role, *number)], words=[defense.words],
            told=self.label(" ".join([role, "model", *map(str, number)]), [defense.words, "trained"]), role=role,
            **_identity(defense),
        )  # fmt: skip
        return stage

    def called(self, role: str) -> str:
        """Return a model in words for progress."""
        return f"the {role} model"

    def load(self, stage: Stage) -> keras.Model:
        """Rebuild a classifier from its stored weights."""
        head = stage.identity.get("head")
        model = build_classifier(
            self.settings, self.image_shape, self.classes, head=HeadSettings(**head) if head else DEFAULT_HEAD
        )
        return with_weights(model, stage.arrays)

    # Answers

    def output_vector(self, role: str, subset: str, defense: Defense | None = None) -> Stage:
        """Query a model with one of the sets: the output vectors O, as they leave it behind a defence (thesis 5.3, 5.4)."""
        if role == TARGET and self._other:
            return self._other.output_vector(role, subset, defense)
        model, images = self.model(role, defense), self.splits.sets[subset]

        def answer(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            observation = observe(self.load(model), images.images)
            accuracy = float(np.mean(observation.predicted_class == images.labels))
            return {"output_vector": observation.vectors}, {"accuracy": accuracy}

        told = self.label(f"answers of {self.called(role)} to {subset.replace('_', ' ')}", all_words(model))
        plain = self.stage("output_vector", answer, upstream=[model], subset=subset, told=told)
        if defense is None or (defense.hardens and type(defense).apply is Defense.apply):
            return plain  # nothing is done to what the model sends

        def defend(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            sent = Defended(plain.arrays["output_vector"], defense, {}, next(iter(stage.seeds.values()), 1))
            return {"output_vector": sent[:]}, {}

        stage = self.stage(
            "defended_output_vector", defend, upstream=[plain], seeds=[("defense", subset)] if defense.draws else (),
            words=[defense.words], told=f"{told}, {defense.words}", subset=subset, **_identity(defense),
        )  # fmt: skip
        return stage

    def asked(self, answered_by: str, images: str, defense: Defense | None) -> Asked:
        stage = self.output_vector(answered_by, images, defense)
        return Asked(images, (stage,), lambda: Observation(stage.arrays["output_vector"]))

    def known(self, attack: Attack, defense: Defense | None) -> Asked:
        """Return the answers to the adversary's own images: its shadow model's, behind the defence that it knows of."""
        return self.asked(TARGET if attack.needs.answers == TARGET else SHADOW, self.own, defense)

    def upstream(self, needs: Access, defense: Defense | None, expected: Defense | None) -> list[Stage]:
        shadow = [self.model(SHADOW, expected)] if needs.surrogates else []
        return shadow + ([self.model(TARGET, defense)] if needs.weights or needs.queries else [])

    def fit_stage(self, attack: Attack, compute: Compute, /, **described: Any) -> Stage:
        if self.repetition > 1 and attack.needs.answers != "nobody":
            again = ("repetition", self.repetition)
            seeds = [(*names, *again) for names in described["seeds"]]
            words = [*described["words"], f"repetition {self.repetition}"]
            told = f"{described['told']}, repetition {self.repetition}"
            described |= {"seeds": seeds, "words": words, "told": told, "repetition": self.repetition}
        return super().fit_stage(attack, compute, **described)

    def own_images(self) -> Images:
        return self.splits.sets[self.own]

    def surrogates(self, needs: Access, defense: Defense | None) -> Sequence[keras.Model]:
        return [self.load(self.model(SHADOW, defense))]

    def target(self, defense: Defense | None) -> Target:
        return observed_at(self.load(self.model(TARGET, defense)), "logits")

    def answer(self, images: Floats, defense: Defense | None, seed: int) -> Observation:
        sent = observe(self.load(self.model(TARGET, defense)), images)
        return Observation(Defended(sent.values, defense, {}, seed)[:], sent.point) if defense else sent

    def truth(self, subset: str) -> Floats:
        return self.splits.sets[subset].images

    # Scores

    def score(self, images: Iterable[Floats], subset: str, scores: Sequence[str] = ()) -> Arrays:
        drawn = np.concatenate(list(images))
        found = score(drawn, self.splits.sets[subset].images)
        return {"images": drawn.astype(np.float16), "ssim": found.ssim, "mse": found.mse}

    def prototype_distance(self, scored: Plan, prototype: Plan) -> Stage:
        """Measure 1 - SSIM of each reconstruction to the prototype of the class that was predicted: `distance`."""

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            predicted = prototype.observed.read().predicted_class
            images = scored.scored.arrays["images"].astype(np.float32)
            return {"distance": 1 - score(images, prototype.learned.arrays["images"][predicted]).ssim}, {}

        upstream = [scored.scored, prototype.learned, *prototype.observed.stages]
        return self.stage("prototype_distance", compute, upstream=upstream)


def _identity(defense: Defense) -> dict[str, Any]:
    settings = dict(defense.identity)
    return {"defense": str(settings.pop("name")).lower(), **settings}
