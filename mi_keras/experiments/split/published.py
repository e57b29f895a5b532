"""The bench of the split attack as the published code runs it: noise in place, an encoder that is not frozen, scores on known images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.attack import Attack
from mi_keras.data.preprocess import as_unit
from mi_keras.experiments.bench import Asked, Bench
from mi_keras.experiments.split.bench import BATCH, HELD_OUT, TRAINING, SplitBench
from mi_keras.experiments.split.sending import NoisyPictures
from mi_keras.experiments.store import Compute, Stage
from mi_keras.models.unfrozen import UnfrozenHead
from mi_keras.progress import Arrays, Workspace
from mi_keras.seeds import derive
from mi_keras.settings import IMAGENET_DEVIATION, IMAGENET_MEAN, DecoderSettings
from mi_keras.types import Floats, Rows

TRAINED_ON = "trained_on"  # as many of the training images as there are held-out ones
STATISTICS = "statistics"  # of the batches: a large array beside the maps


@dataclass(frozen=True)
class Published:
    """What the published code does and its text does not say.

    Attributes:
        in_place: the noise of the text is added to the target image too, and the normalised input is clipped to [0, 1]; both in
            training and where scores are taken.
        batch_statistics: batch normalisation of the encoder is by the batch while the decoder is trained, and by what
            that left behind where scores are taken.
        trained_on: scores are taken on images that the decoder was trained on.
        statistics_batch: images whose statistics are taken together.
    """

    in_place: bool = False
    batch_statistics: bool = False
    trained_on: bool = False
    statistics_batch: int = 128

    @property
    def scored(self) -> str:
        """The images that scores are taken on."""
        return TRAINED_ON if self.trained_on else HELD_OUT


class PublishedBench(SplitBench):
    """A bench that does some of it; what none of it concerns, such as a decoder trained as the text says, is shared with the others.

    # Deviates: scores are taken of answers clipped to [0, 1]; the code does not clip them. A batch is the same in every
    epoch.
    """

    published: Published
    noise: tuple[float, float]

    @classmethod
    def of(cls, bench: SplitBench, published: Published, settings: DecoderSettings) -> Self:
        """Return the bench of the same run; the noise is that of the decoder's settings."""
        own = cls(bench.faces, bench.encoder, bench.store, bench.progress, seed=bench._seed, run=bench._run)
        own.published, own.noise = published, (settings.noise_mean, settings.noise_variance)
        return own

    def pictures(self, side: str) -> NDArray[np.uint8]:
        if side != TRAINED_ON:
            return super().pictures(side)
        return super().pictures(TRAINING)[: len(super().pictures(HELD_OUT))]

    def compared(self, side: str) -> Rows:
        pictures = self.pictures(side)
        if not self.published.in_place:
            return pictures
        # In training the draws of the text's noise; another process draws others for the same images
        seed = self.faces.seed if side == TRAINING else derive(self.faces.seed, side)
        return NoisyPictures(pictures, self.noise, seed)

    def maps(self, side: str, *, noise: tuple[float, float] = (0.0, 0.0)) -> Stage:
        in_place, by_batch = self.published.in_place, self.published.batch_statistics
        if not (in_place or by_batch):
            return super().maps(side, noise=noise)
        noise = self.noise if in_place else noise
        known = [self.images()]
        if by_batch and side != TRAINING:
            known.append(self.maps(TRAINING, noise=self.noise))

        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            images: Rows = self.pictures(side)
            if in_place:
                images = self.compared(side)
            elif any(noise):
                images = NoisyPictures(self.pictures(side), noise, self.faces.seed)
            size = self.published.statistics_batch if by_batch and side == TRAINING else BATCH
            kept = None
            if by_batch and side == TRAINING:
                kept = workspace.large(
                    STATISTICS, (-(-len(images) // size), self._unfrozen.width), np.float32
                )
            send = self._sender(kept, known) if by_batch else self._send_frozen
            clipped = (lambda batch, start: send(clip_normalised(batch), start)) if in_place else send
            self._filled(
                workspace,
                f"feature maps of {side.replace('_', '-')} images, as published",
                images,
                clipped,
                size,
                beside=kept,
            )
            return {}, {}

        how: dict[str, Any] = {"in_place": True} if in_place else {}
        how |= {"batch_statistics": self.published.statistics_batch} if by_batch else {}
        return self._of_encoder("maps", compute, known, side=side, noise=[*map(float, noise)], **how)

    def fit_stage(self, attack: Attack, compute: Compute, /, **described: Any) -> Stage:
        if attack.shared:  # it sees nothing of the maps, in whose keys the rest stands
            return Bench.fit_stage(self, attack, compute, **described, **self._as_published)
        return super().fit_stage(attack, compute, **described)

    def score_stage(
        self, attack: Attack, asked: Asked, scores: Sequence[str], compute: Compute, /, **described: Any
    ) -> Stage:
        return super().score_stage(attack, asked, scores, compute, **described, **self._as_published)

    @property
    def _as_published(self) -> dict[str, Any]:
        return {"published": asdict(self.published), "noise": [*map(float, self.noise)]}

    def _embedded(self, images: Floats) -> Arrays:
        return {}  # nothing is looked for in a gallery

    def _send_frozen(self, images: Floats, _: int) -> Floats:
        maps: Floats = self.encoder.send(images).numpy()
        return maps

    def _sender(self, kept: NDArray[Any] | None, known: Sequence[Stage]) -> Any:
        """Return what sends images through the unfrozen head: by the batch, whose statistics are `kept`, or by what was kept."""
        head, size = self._unfrozen, self.published.statistics_batch
        if kept is None:
            head.remember(known[1].large(STATISTICS).mean(axis=0, dtype=np.float64))
            return lambda images, _: head.by_running(images)

        def send(images: Floats, start: int) -> Floats:
            maps, kept[start // size] = head.by_batch(images)
            return maps

        return send

    @cached_property
    def _unfrozen(self) -> UnfrozenHead:
        head, own = UnfrozenHead(self.encoder), super().pictures(TRAINING)
        if head.is_folded:
            head.unfold(as_unit(own[start : start + BATCH]) for start in range(0, len(own), BATCH))
        return head


def clip_normalised(images: Floats) -> Floats:
    """Return images in [0, 1] whose normalised values were clipped to [0, 1]: nothing is left below ImageNet's mean."""
    mean, deviation = (np.array(values, np.float32) for values in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    clipped: Floats = np.clip((images - mean) / deviation, 0, 1) * deviation + mean
    return clipped
