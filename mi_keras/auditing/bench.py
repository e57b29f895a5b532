"""The bench of an audit: the values at one point of the user's model, in one view, and the scores of reconstructions
from them."""

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.access import UNLIMITED, Access
from mi_keras.attacks.attack import Attack
from mi_keras.attacks.learned import First
from mi_keras.auditing.behind import Behind
from mi_keras.auditing.components_head import ComponentsHead
from mi_keras.auditing.in_white import sends
from mi_keras.auditing.permuted import Permuted, shuffled_order
from mi_keras.auditing.recomputed import Recomputed
from mi_keras.auditing.sent import COMPONENTS, IMAGES, SHUFFLED, Sent, answered, learned, rebuilt
from mi_keras.auditing.subject import ATTACKED, BATCH, OWN, Subject
from mi_keras.data.preprocess import as_bytes, as_unit
from mi_keras.defenses.defense import Defended, Defense
from mi_keras.errors import InputError
from mi_keras.experiments.bench import Asked, Bench
from mi_keras.experiments.store import Compute, Stage, Store
from mi_keras.metrics.image import score
from mi_keras.metrics.retrieval import image_embedding
from mi_keras.models.target import Target
from mi_keras.progress import Arrays, Progress, Workspace, fill
from mi_keras.seeds import derive
from mi_keras.types import Floats, Images, Ints, Observation, Redrawn, Rows

Answer = Callable[[NDArray[Any]], NDArray[Any]]  # what a model takes in -> what it sends
MEANING = 1  # raise when a stage computes something else than before: older artifacts are then left alone
LARGEST_HALF, BYTES_OF_HALF = 65_504.0, 2  # of float16, in which maps are kept
MOST_STORED = 2**30  # bytes of the maps of one side: what is more is computed as it is read
# The adversary asks the model itself; what it may use of that, `ladder` says
GRANTED = Access(True, "target", queries=UNLIMITED, population=True, weights=True, pool=True, defense=True)
GIVEN = ("defense", "shuffle", "pool", "query", "shadow")  # random choices that all attackers share


class AuditBench(Bench):
    """Describes the stages of the audit of one model at one point; nothing is computed until a result is read."""

    access: ClassVar[Access] = GRANTED
    supplies: ClassVar[Access] = GRANTED
    of_maps: ClassVar[bool] = False  # an instance of a layer's maps says otherwise
    own: ClassVar[str] = OWN
    attacked: ClassVar[str] = ATTACKED

    def __init__(
        self, subject: Subject, sent: Sent, store: Store, progress: Progress, *, seed: int, fold: int, most: int = 0
    ) -> None:  # fmt: skip
        self.subject, self.sent, self.most, self.attacker = subject, sent, most, 1
        identity = {"meaning": MEANING, "data": dict(subject.data)}
        super().__init__(store, progress, identity, seed=seed, run=fold)
        self.image_shape, self.classes = subject.attack_shape, subject.classes
        self.point = subject.target(sent.point).point
        self.of_maps = (  # type: ignore[misc]
            len(self.point.shape) == 3 and sent.control != COMPONENTS and sent.view.form != "label"
        )

    def at(self, sent: Sent) -> "AuditBench":
        """Return the bench of the same images at another point or in another view."""
        return AuditBench(self.subject, sent, self.store, self.progress, seed=self._seed, fold=self._run)

    def first(self, most: int) -> "AuditBench":
        """Return the bench that lets no more than the first so many images of a side be attacked; 0: all."""
        seed, fold = self._seed, self._run
        return AuditBench(self.subject, self.sent, self.store, self.progress, seed=seed, fold=fold, most=most)

    def by_attacker(self, number: int) -> Self:
        """Return the bench of another attacker, who learns the same by other random choices; the first is number 1."""
        other = copy.copy(self)
        other.attacker = number
        return other

    def derive(self, *names: object) -> int:
        seed = super().derive(*names)
        return seed if self.attacker == 1 or names[0] in GIVEN else derive(seed, "attacker", self.attacker)

    def attacked_count(self, subset: str) -> int:
        """Return how many images of a side are attacked."""
        count = len(self.truth_bytes(subset))
        return min(self.most or count, count)

    @property
    def is_output(self) -> bool:
        """Whether what is sent is an answer of the model; whoever gets maps has a layer's, also of a model that ends in them."""
        return self.point.is_output and self.sent.with_class

    # Answers

    def raw(self, point: str, subset: str) -> Stage:
        """Send the images of one side through the model. Large array `values`: float32, of maps float16."""
        target, images = self.subject.target(point), self.subject.sides[subset].images
        compute = self.sending(lambda: self.subject.answers(point), lambda: images, point, IMAGES[subset])
        told = self.label(answered(point, subset))
        return self.stage(
            "audit_answers", compute, told=told, subset=subset, model=target.identity, point=point
        )

    def sending(
        self, answers: Callable[[], Answer], given: Callable[[], Rows], point: str, whose: str
    ) -> Compute:
        """Return the computation of what is sent of some rows, as the large array `values` (see `raw`)."""
        what = f"what {point} sends of {whose}"

        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            send, images = _kept(answers(), point), given()
            first = send(images[:BATCH])
            values = workspace.large("values", (len(images), *first.shape[1:]), first.dtype)
            fill(values, lambda part: send(images[part]), workspace, self.progress, what, batch=BATCH)
            return {}, {}

        return compute

    def values(self, point: str, subset: str) -> Rows:
        """Return what is sent of the images of one side: as `raw` stores it, or computed as it is read where it is too much.

        A model that answers at random is asked once, and its answers are stored.
        """
        if self.stores(point, subset):
            stored: Rows = self.raw(point, subset).large("values")
            return stored
        images, send = self.subject.sides[subset].images, _kept(self.subject.answers(point), point)
        return Recomputed(images, send, (len(images), *self.subject.sent_shape(point)), np.float16)

    def stores(self, point: str, subset: str) -> bool:
        """Return whether what is sent of the images of one side is stored."""
        count, shape = len(self.subject.sides[subset].images), self.subject.sent_shape(point)
        much = BYTES_OF_HALF * count * math.prod(shape) > MOST_STORED
        return len(shape) != 3 or not much or self.subject.random

    def classes_of(self, subset: str) -> NDArray[np.int64]:
        """Return the predicted classes of the images of one side."""
        answers = self.values(self.subject.output_name, subset)
        return self.subject.classes_of(answers[:]) if self.classes > 1 else np.zeros(len(answers), np.int64)

    def asked(self, answered_by: str, images: str, defense: Defense | None) -> Asked:
        stages = [self.raw(self.sent.point, images)]
        if self.sent.with_class and self.sent.point != self.subject.output_name:
            stages.append(self.raw(self.subject.output_name, images))
        draws = defense is not None and defense.draws
        few = self.most if images != self.own else 0
        identity: dict[str, Any] = {"sent": asdict(self.sent)} | ({"first": few} if few else {})
        identity |= {"defense": defense.identity} if defense else {}
        seed = self.derive("defense", images)
        return Asked(
            images, tuple(stages), lambda: self._seen(images, defense, seed, few), identity,
            seeds=[("defense", images)] if draws else [("shuffle", images)] if self.sent.control == SHUFFLED else (),
            words=[self.sent.name, *([defense.words] if defense else [])],
        )  # fmt: skip

    def known(self, attack: Attack, defense: Defense | None) -> Asked:
        return self.asked("target", self.own, defense)

    def _seen(self, subset: str, defense: Defense | None, seed: int, few: int) -> Observation:
        values = self._values(subset, defense, seed)
        return Observation(First(values, few) if few else values, self.sent.point)

    def _values(self, subset: str, defense: Defense | None, seed: int) -> Rows:
        """Return what is sent; to the adversary's own images drawn anew whenever it wants, however often it has to ask."""
        sent = self._sent(subset, defense, seed)
        if defense is None or not defense.draws or subset != OWN:
            return sent
        return Redrawn(sent, lambda number: self._sent(subset, defense, derive(seed, "draw", number)))

    def _sent(self, subset: str, defense: Defense | None, seed: int) -> Rows:
        sent = self.sent
        values = self.values(sent.point, subset)
        if defense is not None:
            values = Defended(values, defense, self.measured(defense), seed)
        classes = self.classes_of(subset)
        if sent.control == SHUFFLED:
            values = Permuted(values, shuffled_order(classes, seed=self.derive("shuffle", subset)))
        if sent.control == COMPONENTS:
            return self._told(self._head.sent(self.truth(subset), classes), classes)
        return self._shown(values)

    def _shown(self, values: Rows) -> Rows:
        """Return what an adversary makes of what is sent: maps as they are, else features beside the class."""
        if self.of_maps:
            return values
        sent = np.asarray(values[:], np.float32)
        if not self.sent.with_class:
            return np.concatenate([sent.reshape(len(sent), -1), np.ones((len(sent), 1), np.float32)], axis=1)
        # the class that the adversary is shown, behind a defence
        features = self.sent.view.features(sent, self.subject.output)
        return self._told(features, self.subject.classes_of(sent))

    def _told(self, features: Floats, classes: NDArray[np.int64]) -> Floats:
        return np.concatenate([features, np.eye(self.subject.classes, dtype=np.float32)[classes]], axis=1)

    def measured(self, defense: Defense) -> Arrays:
        """Return what the defender knows of what the point sends, from images that are not attacked."""
        return defense.measure(self.values(self.sent.point, OWN)) if defense.measures else {}

    @cached_property
    def _head(self) -> ComponentsHead:
        return ComponentsHead.of(self.own_images(), self.classes, self.sent.components)

    def closed_form(self, subset: str) -> Floats:
        """Return the best reconstructions from the components, of the images of one side."""
        return self._head.best(self.truth(subset), self.classes_of(subset))

    # What the adversary holds, and the truth

    def own_images(self) -> Images:
        images = self.subject.sides[OWN].truth
        return Images(images.images, self.classes_of(OWN), images.ids, self._own_groups)

    @cached_property
    def _own_groups(self) -> Ints | None:
        """Whose images the adversary's own are; None where each is its own group."""
        groups = self.subject.sides[OWN].groups
        return groups if len(np.unique(groups)) < len(groups) else None

    def fit_stage(self, attack: Attack, compute: Compute, /, **described: Any) -> Stage:
        """Describe the stage of what an attack learns; groups of images count as one each, classes are the model's."""
        if attack.needs.images and attack.needs.answers == "nobody":
            described["upstream"] = [*described["upstream"], self.raw(self.subject.output_name, OWN)]
        counted = {} if self._own_groups is None else {"counted": "by group"}
        other = {} if self.attacker == 1 else {"attacker": self.attacker}
        described["told"] = learned(attack, self.sent, self.attacker, described["words"])
        return super().fit_stage(attack, compute, **described, **counted, **other)

    def score_stage(
        self, attack: Attack, asked: Asked, scores: Sequence[str], compute: Compute, /, **described: Any
    ) -> Stage:
        """Describe the stage of what an attack draws of the images of one side."""
        described["told"] = rebuilt(attack, self.sent, self.attacker, described["words"], asked.images)
        return super().score_stage(attack, asked, scores, compute, **described)

    def label(self, text: str, words: Iterable[str] = ()) -> str:
        """Return what bars and lines say: the number of the fold, which is that of the run, from the second on."""
        return ", ".join([*([f"fold {self._run}"] if self._run > 1 else []), text, *words])

    def target(self, defense: Defense | None) -> Target:
        sent, behind = self.sent, defense if isinstance(defense, Behind) else None
        return sends(
            self.subject, sent.point, sent.view, with_class=sent.with_class, defense=behind,
            measured=self.measured(behind) if behind else {},
        )  # fmt: skip

    def answer(self, images: Floats, defense: Defense | None, seed: int) -> Observation:
        send = self.subject.answers(self.sent.point)
        values = send(images)
        values = values.astype(np.float16) if self.of_maps else values
        if defense is not None:
            values = defense.apply(values, self.measured(defense), seed=derive(seed, "query"))
        return Observation(self._shown(values), self.sent.point)

    def truth_bytes(self, subset: str) -> NDArray[np.uint8]:
        """Return the images of one side at the size at which they are reconstructed."""
        return self.subject.sides[subset].truth.images

    def places(self, subset: str) -> Ints:
        """Return where among all images those of one side stand."""
        return self.subject.sides[subset].truth.ids.astype(np.int64)

    def truth(self, subset: str) -> Floats:
        return as_unit(self.truth_bytes(subset))

    def score(self, images: Iterable[Floats], subset: str, scores: Sequence[str] = ()) -> Arrays:
        """Return `ssim`, `mse`, the pixel `embedding` and the `images` themselves, uint8, of a set in its order."""
        truth, start = self.truth_bytes(subset), 0
        parts: dict[str, list[NDArray[Any]]] = {"ssim": [], "mse": [], "embedding": [], "images": []}
        for batch in images:
            found = score(batch, as_unit(truth[start : start + len(batch)]))
            start += len(batch)
            for name, array in (("ssim", found.ssim), ("mse", found.mse)):
                parts[name].append(array)
            parts["embedding"].append(image_embedding(batch))
            parts["images"].append(as_bytes(batch))
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _kept(answer: Answer, point: str) -> Answer:
    """Return answers as they are kept, of maps in half precision, from what a model takes in."""

    def send(images: NDArray[Any]) -> NDArray[Any]:
        sent = answer(images)
        if not np.isfinite(sent).all():
            raise InputError(f"`model` must send finite numbers; {point} sent NaN or infinity.")
        return np.clip(sent, -LARGEST_HALF, LARGEST_HALF).astype(np.float16) if sent.ndim == 4 else sent

    return send
