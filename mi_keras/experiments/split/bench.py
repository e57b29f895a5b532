"""The split attack as a bench: pictures, the feature maps that an encoder sends of them, and scores of reconstructions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

import keras
import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.access import UNLIMITED, Access
from mi_keras.attacks.attack import Attack, Evidence
from mi_keras.attacks.learned import Learned
from mi_keras.data.face_division import identity_of
from mi_keras.data.faces import load_faces
from mi_keras.data.preprocess import as_bytes, as_unit
from mi_keras.defenses.defense import Defended, Defense
from mi_keras.errors import InputError
from mi_keras.experiments.bench import TARGET, Asked, Bench
from mi_keras.experiments.case import Plan
from mi_keras.experiments.split.sending import NoisyPictures, Send, fill_maps
from mi_keras.experiments.split.twins import without_twins
from mi_keras.experiments.split.work import Faces
from mi_keras.experiments.store import Compute, Stage, Store
from mi_keras.metrics.image import ms_ssim, ms_ssim_paper, psnr, psnr_paper, ssim, ssim_paper
from mi_keras.metrics.retrieval import image_embedding
from mi_keras.models.mobilenet import SplitModel
from mi_keras.progress import Arrays, Progress, Run, Workspace, flush
from mi_keras.types import Floats, Images, Observation, Rows

MEANING = 2  # raise when a stage computes something else than before: older artifacts are then left alone
IMAGE_SCORES = {
    "psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim,
    "psnr_paper": psnr_paper, "ssim_paper": ssim_paper, "ms_ssim_paper": ms_ssim_paper,
}  # fmt: skip
TRAINING, HELD_OUT = "training", "held_out"
DISTRACTORS = 1000  # a gallery has at least so many images, where there are as many
BATCH = 50  # images encoded or scored together
# The head is in the adversary's hands as a black box, which it can ask as often as it likes (split 4)
BLACK_BOX = Access(images=True, answers=TARGET, queries=UNLIMITED, population=True, defense=True)


class SplitBench(Bench):
    """Describes the stages of one run of the split attack; nothing is computed until a result is read.

    Images, feature maps and the mean face are those of all runs; decoders are the run's own.

    Args:
        run: number of the repetition, from 1.
    """

    access: ClassVar[Access] = BLACK_BOX
    supplies: ClassVar[Access] = replace(BLACK_BOX, weights=True, pool=True)
    of_maps: ClassVar[bool] = True
    own: ClassVar[str] = TRAINING
    attacked: ClassVar[str] = HELD_OUT

    def __init__(
        self, faces: Faces, encoder: SplitModel, store: Store, progress: Progress, *, seed: int, run: int
    ) -> None:
        self.faces, self.encoder = faces, encoder
        size = faces.settings.size
        self.image_shape, self.map_shape = (size, size, 3), encoder.head.output_shape[1:]
        described = {
            "fingerprint": faces.fingerprint,
            "faces": identity_of(faces.settings),
            "seed": faces.seed,
        }
        meaning = MEANING + bool(faces.group_of)  # by content, equal files did not leave in the first version
        self._shared: dict[str, Any] = {"meaning": meaning, "data": described}
        identity = {"cut": encoder.cut, "size": size, "weights": encoder.weights_digest}
        self._with_encoder = {**self._shared, "encoder": identity}
        super().__init__(store, progress, self._with_encoder, seed=seed, run=run)

    # Images and feature maps, which all runs share

    def images(self) -> Stage:
        """Read and resize the pictures. Large arrays `training` and `held_out`, uint8; info: how many, what was skipped.

        Divided by content, a training image that shows a held-out one again leaves with its group: `left` of them did.
        """

        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            faces = self.faces
            info: dict[str, Any] = {"skipped": [], "on_white": 0}
            arrays, used = {}, {}
            self._announce(
                "images", (sum(count for _, count in faces.sides.values()), *self.image_shape), np.uint8
            )
            seen: set[str] = set()
            # In this order, a picture that is there twice is not trained on
            for side in (HELD_OUT, TRAINING):
                keys, count = faces.sides[side]
                array = arrays[side] = workspace.large(side, (count, *self.image_shape), np.uint8)
                label = f"{side.replace('_', '-')} images"
                # By content, an equal file must be loaded too: only then its group is known to show it, and leaves
                met = set() if faces.group_of else seen
                loaded = load_faces(faces.source, keys, array, seen=met, progress=self.progress, label=label)
                used[side] = [(key, *loaded.equal.get(key, ())) for key in loaded.used]
                info[side] = len(loaded.used)
                info["on_white"] += loaded.on_white
                info["skipped"] += [list(pair) for pair in loaded.skipped]
            if faces.group_of:
                groups = [[faces.group_of[key] for key in keys] for keys in used[TRAINING]]
                info[TRAINING] = without_twins(arrays[TRAINING], groups, arrays[HELD_OUT][: info[HELD_OUT]])
                info["left"] = len(groups) - info[TRAINING]
            for array in arrays.values():
                flush(array)
            if min(info[HELD_OUT], info[TRAINING]) < 2:
                raise InputError(
                    f"`data` must hold readable images; {faces.source.name} has {info[TRAINING]} to train on "
                    f"and {info[HELD_OUT]} held out, and {len(info['skipped'])} were skipped."
                )
            return {}, info

        return self.store.stage("images", compute, **self._shared)

    def pictures(self, side: str) -> NDArray[np.uint8]:
        """Return the images of one side, `(count, size, size, 3)` in 0..255, mapped from the disk."""
        stage = self.images()
        return stage.large(side)[: stage.info[side]]

    def maps(self, side: str, *, noise: tuple[float, float] = (0.0, 0.0)) -> Stage:
        """Send the images of one side through the head. Large array `maps`, float16.

        # Deviates: one draw of noise per image, not one per epoch, as features are computed once. The published code
        # also clips the normalised image to [0, 1], which takes half of it away, and changes the target.

        Args:
            noise: mean and variance of Gaussian noise that is added after normalisation (split 4.1).
        """
        what = f"feature maps of {side.replace('_', '-')} images{' with noise' if any(noise) else ''}"

        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            pictures = self.pictures(side)
            images = NoisyPictures(pictures, noise, self.faces.seed) if any(noise) else pictures
            self._filled(workspace, what, images, lambda batch, _: self.encoder.send(batch).numpy())
            return {}, {}

        drawn = [float(number) for number in noise]
        return self._of_encoder("maps", compute, [self.images()], side=side, noise=drawn)

    def _filled(
        self, workspace: Workspace, what: str, images: Rows, send: Send, size: int | None = None, *,
        beside: NDArray[Any] | None = None,
    ) -> None:  # fmt: skip
        self._announce(what, (len(images), *self.map_shape), np.float16)
        progress, size = self.progress, size or BATCH
        fill_maps(
            workspace, what, images, send, self.map_shape, size=size, progress=progress, beside=beside
        )  # fmt: skip

    def measured(self, defense: Defense) -> Stage:
        """Return what a defence measured of the maps of training images before the first was sent."""

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            return defense.measure(self.maps(TRAINING).large("maps")), {}

        return self._of_encoder(defense.measures, compute, [self.maps(TRAINING)])

    # Answers

    def asked(self, answered_by: str, images: str, defense: Defense | None) -> Asked:
        if defense and defense.hardens:
            raise InputError(f"`defense` must leave the model as it is; got {defense.words}.")
        if answered_by != TARGET:
            raise InputError("`answered_by` must be target: no other model answers here.")
        return self._asked(images, defense, (0.0, 0.0))

    def known(self, attack: Attack, defense: Defense | None) -> Asked:
        """Return the maps of the training images, with the noise that the attack wants on these."""
        return self._asked(self.own, defense, attack.image_noise)

    def compared(self, side: str) -> Rows:
        """Return what decoders are trained towards and scored against: the images of one side, uint8 or in [0, 1]."""
        return self.pictures(side)

    def own_images(self) -> Images:
        rows = self.compared(TRAINING)
        return Images.unlabelled(cast("NDArray[Any]", rows))  # read some at a time, as mapped ones are

    def target(self, defense: Defense | None) -> SplitModel:
        return self.encoder

    def answer(self, images: Floats, defense: Defense | None, seed: int) -> Observation:
        maps = self.encoder.send(images).numpy()
        return Observation(self._behind(defense, maps, seed)[:], self.encoder.cut)

    def truth(self, subset: str) -> Floats:
        return as_unit(self.compared(subset)[:])

    def sent(
        self, side: str, defense: Defense | None = None, *, noise: tuple[float, float] = (0.0, 0.0)
    ) -> Rows:
        """Return the maps of one side as they travel; `noise` as of `maps`."""
        maps = self.maps(side, noise=noise).large("maps")
        return self._behind(defense, maps, self.derive("defense", side))

    def _behind(self, defense: Defense | None, maps: Rows, seed: int) -> Rows:
        if defense is None:
            return maps
        return Defended(maps, defense, self.measured(defense).arrays if defense.measures else {}, seed)

    def _asked(self, side: str, defense: Defense | None, noise: tuple[float, float]) -> Asked:
        return Asked(
            side, (self.maps(side, noise=noise),),
            lambda: Observation(self.sent(side, defense, noise=noise), self.encoder.cut),
            {"map_defense": defense.identity} if defense else {},
            [("defense", side)] if defense else (), [defense.words] if defense else (),
        )  # fmt: skip

    # Reconstructions

    def fit_stage(self, attack: Attack, compute: Compute, /, **described: Any) -> Stage:
        if not attack.shared:
            return super().fit_stage(attack, compute, **described)
        return self.store.stage(attack.kinds[0], compute, upstream=[self.images()], **attack.identity)

    def score_stage(
        self, attack: Attack, asked: Asked, scores: Sequence[str], compute: Compute, /, **described: Any
    ) -> Stage:
        if attack.shared and not (asked.identity or scores) and asked.images == HELD_OUT:
            return self._of_encoder(attack.kinds[1], compute, described["upstream"], answer=attack.label)
        other: dict[str, Any] = {} if asked.images == HELD_OUT else {"subset": asked.images}
        names = list(scores or IMAGE_SCORES)
        described["told"] = self.label(described["told"])
        return self.stage(attack.kinds[1], compute, scores=names, **described, **asked.identity, **other)

    def score(self, images: Iterable[Floats], subset: str, scores: Sequence[str]) -> Arrays:
        """Return scores per image, and the embeddings by which each is looked for in the gallery.

        Args:
            scores: names of `IMAGE_SCORES`, all by default; MS-SSIM takes as long as all others together.
        """
        pictures, found, start = self.compared(subset), [], 0
        for drawn in images:
            truth = as_unit(pictures[start : start + len(drawn)])
            start += len(drawn)
            values = {name: IMAGE_SCORES[name](drawn, truth).numpy() for name in scores or IMAGE_SCORES}
            found.append({**values, **self._embedded(drawn)})
        if start != len(pictures):
            raise ValueError(f"`images` must be as many as there are, {len(pictures)}; got {start}.")
        return _joined(found)

    def gallery(self) -> Stage:
        """Embed the true images among which reconstructions are looked for: all held-out ones first.

        Where these are fewer than `DISTRACTORS`, training images join as distractors. Arrays: `features` and `pixels`.
        """

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            held_out, training = self.pictures(HELD_OUT), self.pictures(TRAINING)
            both = (held_out, training[: max(0, DISTRACTORS - len(held_out))])
            return _joined([self._embedded(as_unit(batch)) for side in both for batch in _batches(side)]), {}

        return self._of_encoder("gallery", compute, [self.images()])

    def _embedded(self, images: Floats) -> Arrays:
        return {"features": self.encoder.embed(images).numpy(), "pixels": image_embedding(images)}

    def load(self, plan: Plan) -> keras.Model:
        """Rebuild the decoder that a plan trains."""
        attack = plan.case.attack
        assert isinstance(attack, Learned)
        return attack.load((plan.learned.arrays, {}), self.map_shape, self.image_shape)

    def shown(self, plan: Plan, numbers: Sequence[int]) -> NDArray[np.uint8]:
        """Return the reconstructions of some held-out images, `(count, size, size, 3)` in 0..255; not stored."""
        sent, attack = plan.observed.read().values, plan.case.attack
        chosen = np.concatenate([sent[number : number + 1] for number in numbers])
        observed = Evidence(Observation(chosen, self.encoder.cut), [chosen])
        held, learned = self.holdings(attack.needs), (plan.learned.arrays, plan.learned.info)
        seed = self.derive("reconstruct", attack.label, plan.case.images or self.attacked)  # as it was scored
        images = attack.reconstruct(learned, observed, held, Run(seed))
        return np.concatenate([as_bytes(batch) for batch in images])

    def answers(self, defense: Defense | None) -> Floats:
        """Return the tail's logits for the held-out images behind a defence, finite, `(count, 1000)`; not stored."""
        logits = np.concatenate(
            [self.encoder.answer(maps) for maps in _batches(self.sent(HELD_OUT, defense))]
        )
        if not np.isfinite(logits).all():
            raise FloatingPointError(f"the tail's answer behind {defense} is not finite.")
        return logits

    def _of_encoder(self, kind: str, compute: Compute, upstream: Sequence[Stage], **identity: Any) -> Stage:
        """Describe a stage that all runs share."""
        return self.store.stage(kind, compute, upstream=upstream, **identity, **self._with_encoder)

    def _announce(self, what: str, shape: tuple[int, ...], dtype: Any) -> None:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.progress.announce(f"{what}: {shape[0]:,} on {size / 1e9:.2f} GB of disk in {self.store.root}")


def _batches(rows: Rows) -> Iterator[Any]:
    return (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))


def _joined(parts: Sequence[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
