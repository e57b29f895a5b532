"""The adversary without queries: it trains shadow models on images of its own and learns from their answers.

It has the architecture, labels of its own images, and the weights of a part only where that is public
(`--public-backbone`). Of the target it sees the answers that it attacks, no more.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import keras
import numpy as np

from mi_keras.attacks.access import Access
from mi_keras.attacks.attack import Attack
from mi_keras.attacks.shadows import FromShadows
from mi_keras.attacks.within_class import NetworkWithinClass
from mi_keras.auditing.bench import Answer, AuditBench
from mi_keras.auditing.permuted import Permuted
from mi_keras.auditing.shadow_models import (
    BATCH_SIZE,
    LEARNING_RATE,
    LOSSES,
    Prepared,
    accuracy,
    answer_of,
    fresh,
    obstacle,
    trained,
)
from mi_keras.auditing.subject import OWN
from mi_keras.defenses.defense import Defended, Defense
from mi_keras.experiments.bench import TARGET, Asked
from mi_keras.experiments.store import Stage
from mi_keras.models.copies import computes_in_half
from mi_keras.models.shadow import PRIVATE, PUBLIC, side
from mi_keras.models.variables import weights_of, with_weights
from mi_keras.progress import Arrays, Run, Workspace
from mi_keras.seeds import derive
from mi_keras.settings import LARGEST
from mi_keras.types import Images, Ints, Observation, Redrawn, Rows

MOST_PIXELS = 64  # on a side of what the model takes in
NOISE = 0.3  # in training, see `FromShadows`
SHARE = 0.5  # of the adversary's images that a shadow is trained on: shadows must differ in their data
ALIKE = 0.8  # of images on which shadows must say the class that the target says, lest the audit warns


class ShadowBench(AuditBench):
    """What one point sends, to who has shadow models in the place of answers to its own images.

    Args:
        bench: of the target, at the point.
        shadows: how many models.
        epochs: of training of each, at least, and `steps` batches: of few images many epochs are needed.
    """

    access: ClassVar[Access] = Access(
        images=True, answers="surrogate", surrogates=LARGEST, population=True, defense=True
    )
    supplies: ClassVar[Access] = access

    def __init__(self, bench: AuditBench, shadows: int, epochs: int, steps: int) -> None:
        super().__init__(
            bench.subject, bench.sent, bench.store, bench.progress, seed=bench._seed, fold=bench._run
        )
        batches = math.ceil(SHARE * len(bench.truth_bytes(OWN)) / BATCH_SIZE)
        self.shadows, self.epochs = shadows, max(epochs, math.ceil(steps / batches))

    def attacks(self, inner: Sequence[Attack]) -> list[FromShadows]:
        """Return attacks as they learn from shadow models; none where these cannot be had."""
        columns = 0 if self.of_maps else self.subject.classes if self.sent.with_class else 1
        found: list[FromShadows] = []
        if not inner or untried(self):
            return found
        for each in inner:
            noise = 0.0  # a linear map has its ridge
            if isinstance(each, NetworkWithinClass):  # on answers alone then, and not on what says the class
                each, noise = replace(each, noise=0.0), NOISE
            found.append(FromShadows(each, self.shadows, noise, columns))
        return found

    # Shadow models

    def shadow(self, number: int) -> Stage:
        """Train a shadow model on a part of the adversary's images. Info: `history`, and its `accuracy` on the others."""

        def compute(workspace: Workspace) -> tuple[Arrays, dict[str, Any]]:
            run = self.run_of(stage, workspace, f"shadow model {number + 1} of {self.shadows}")
            part, others = self._parts(number)
            model, history = self.trained(part, self.epochs, run)
            right = accuracy(model, self.subject, Permuted(self._given, others), self._labels[others])
            return weights_of(model), {"history": history, "accuracy": right}

        stage = self._stage(
            "audit_shadow", compute, told=self.label(f"shadow model {number + 1} of {self.shadows}, trained"), seeds=[("shadow", number)], number=number, epochs=self.epochs, share=SHARE,
            batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE,
        )  # fmt: skip
        return stage

    def trained(self, part: Any, epochs: int, run: Run) -> tuple[keras.Model, dict[str, list[float]]]:
        """Return a shadow model, trained on some of the adversary's images, and its loss curve."""
        return trained(self.subject, self._given, self._labels, part, epochs, run)

    def _parts(self, number: int) -> tuple[Ints, Ints]:
        """Return which of the adversary's images a shadow is trained on, and which others there are."""
        draw = np.random.default_rng(derive(self.derive("shadow", number), "part"))
        order = draw.permutation(len(self._labels))
        part, others = np.split(order, [max(2, round(SHARE * len(order)))])
        return part, others

    def agreement(self) -> float:
        """Return on what share of the images that they were not trained on shadows and target say the same class."""
        output, name = self.subject.output, self.subject.output_name
        classes = output.classes_of(self.values(name, OWN)[:])
        shares = []
        for number in range(self.shadows):
            said = output.classes_of(self.answers(number, name).large("values")[:])
            others = self._parts(number)[1]
            shares.append(np.mean(said[others] == classes[others]))
        return float(np.mean(shares))

    def answers(self, number: int, point: str = "") -> Stage:
        """Send the adversary's own images through a shadow model, to a point, that of the bench where none is named.

        Large array `values`, as of `raw`.
        """

        def answer() -> Answer:
            shadow = fresh(self.subject, 1)
            with_weights(shadow.whole, self.shadow(number).arrays)
            return answer_of(shadow.at(point), self._given)

        point = point or self.sent.point
        compute = self.sending(answer, lambda: self._given, point, f"shadow model {number + 1}")
        told = self.label(f"answers of shadow model {number + 1} at {point}")
        upstream = [self.shadow(number)]
        return self.stage("audit_shadow_answers", compute, told=told, upstream=upstream, point=point)

    @property
    def obstacle(self) -> str:
        """Why the architecture cannot be trained anew, in a few words, or ""."""

        def compute(_: Workspace) -> tuple[Arrays, dict[str, Any]]:
            return {}, {"obstacle": obstacle(self.subject, self._given, self._labels)}

        return str(self._stage("audit_shadow_probe", compute, told="architecture tried").info["obstacle"])

    def _stage(self, kind: str, compute: Any, **identity: Any) -> Stage:
        public, model = self.subject.public, self.subject.target(self.subject.output_name).identity
        upstream = [self.raw(public, OWN)] if public else []
        return self.stage(kind, compute, upstream=upstream, model=model, public=public, **identity)

    @property
    def _labels(self) -> Ints:
        labels = self.subject.sides[OWN].labels
        assert labels is not None  # as `untried` asks for them
        return labels

    @property
    def _given(self) -> Rows:
        """What a shadow takes in of the adversary's own images: the images themselves, or what the public layer sends."""
        if self.subject.public:
            return self.values(self.subject.public, OWN)
        return Prepared(self.subject, self.subject.sides[OWN].images)

    # What the adversary holds

    def known(self, attack: Attack, defense: Defense | None) -> Asked:
        return self.asked("surrogate", self.own, defense)

    def asked(self, answered_by: str, images: str, defense: Defense | None) -> Asked:
        asked = super().asked(answered_by, images, defense)
        if answered_by == TARGET:
            return asked
        stages = tuple(self.answers(number) for number in range(self.shadows))
        seed = self.derive("defense", images)
        return replace(
            asked,
            stages=stages,
            read=lambda: Observation(self._of_shadows(stages, defense, seed), self.sent.point),
        )

    def _of_shadows(self, stages: Sequence[Stage], defense: Defense | None, seed: int) -> Redrawn:
        """Return what each shadow would send, as draws by its number and over again."""

        def sent(number: int) -> Rows:
            values: Rows = stages[number % len(stages)].large("values")
            if defense is not None:
                measured = defense.measure(values) if defense.measures else {}
                values = Defended(values, defense, measured, derive(seed, "draw", number))
            return self._shown(values)

        return Redrawn(sent(0), sent)

    def upstream(self, needs: Access, defense: Defense | None, expected: Defense | None) -> list[Stage]:
        return [self.shadow(number) for number in range(needs.surrogates)]

    def surrogates(self, needs: Access, defense: Defense | None) -> Sequence[keras.Model]:
        def load(number: int) -> keras.Model:
            return with_weights(fresh(self.subject, 1).whole, self.shadow(number).arrays)

        return _Loaded(self.shadows, load)

    def own_images(self) -> Images:
        """Return the adversary's own images with their own labels: what the target calls them it does not know."""
        truth = self.subject.sides[OWN].truth
        return Images(truth.images, self._labels, truth.ids, self._own_groups)


def untried(bench: ShadowBench) -> str:
    """Return why no shadow models are trained for a point, in a few words; "" where they are."""
    subject, sent = bench.subject, bench.sent
    labels, kind = subject.sides[OWN].labels, subject.output.kind
    if not sent.with_class:
        if not subject.public:
            return "a hidden layer needs `public_backbone`"
        if _side(bench) != PRIVATE:
            return f"it does not lead to {subject.output_name}"
    if kind not in LOSSES:
        return f"no labels train answers that are {kind}"
    if labels is None:
        return "no labels"
    if labels.max() >= (2 if kind == "one sigmoid unit" else subject.output.width):
        return "labels of more classes than the model has"
    sizes = zip(subject.image.shape[1:3], subject.sides[OWN].images.shape[1:3], strict=True)
    if max(wanted or found for wanted, found in sizes) > MOST_PIXELS:
        return f"inputs of more than {MOST_PIXELS} pixels"
    if computes_in_half(subject.model):
        return "the model computes in half precision"
    return bench.obstacle


def is_public(bench: AuditBench) -> bool:
    """Return whether everybody can compute what a point sends."""
    return bool(bench.subject.public) and not bench.sent.with_class and _side(bench) == PUBLIC


def _side(bench: AuditBench) -> str:
    of = bench.subject
    return side(of.model, bench.sent.point, of.public, of.output_name, of.fix)


def facts(bench: ShadowBench) -> str:
    """Return in a sentence what the shadow models are, and how often they are right."""
    labels, shadows = bench.own_images().labels, bench.shadows
    right = np.mean([bench.shadow(number).info["accuracy"] for number in range(shadows)])
    answers = bench.values(bench.subject.output_name, OWN)[:]
    own = float(np.mean(bench.subject.output.classes_of(answers) == labels))
    public = f", {bench.subject.public} and what is before it taken as public" if bench.subject.public else ""
    return (
        f"{shadows} shadow models, each trained on {round(SHARE * len(labels)):,} of the adversary's {len(labels):,} images"
        f"{public}: right on {right:.2f} of the others; the model on {own:.2f} of all."
    )


def weakness(bench: ShadowBench) -> str:
    """Return what to warn with where shadow models are too unlike the model to stand for it, "" elsewhere."""
    share = bench.agreement()
    if share >= ALIKE:
        return ""
    return (
        f"Shadow models say what the model says of {100 * share:.0f} % of the images that they were not trained on: the "
        "adversary without a query is weak here, and better ones may get more. More images with labels make them better."
    )


class _Loaded(Sequence[keras.Model]):
    """Models that are loaded when they are asked for."""

    def __init__(self, count: int, load: Callable[[int], keras.Model]) -> None:
        self._count, self._load = count, load

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        return self._load(range(self._count)[number])
