"""The stages of the split attack, stored under all that they depend on: images, feature maps, decoders, scores."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mi_keras.attacks.feature_inversion import BATCH, decoder_fitters, reconstruct_images, train_decoder
from mi_keras.data.faces import load_faces
from mi_keras.data.preprocess import as_bytes, as_unit
from mi_keras.defenses.feature_maps import (
    Defense,
    MapStatistics,
    map_statistics,
)
from mi_keras.errors import InputError
from mi_keras.experiments.run_stages import RunStages, weights_of, with_weights
from mi_keras.experiments.split.encoder import Encoder
from mi_keras.experiments.split.map_rows import DefendedMaps, FirstMaps
from mi_keras.experiments.split.work import Faces
from mi_keras.experiments.store import Compute, Stage, Store
from mi_keras.metrics.image import ms_ssim, ms_ssim_paper, psnr, psnr_paper, ssim, ssim_paper
from mi_keras.metrics.retrieval import image_embedding
from mi_keras.models.decoders import build_decoder
from mi_keras.seeds import derive
from mi_keras.settings import IMAGENET_DEVIATION, DecoderSettings
from mi_keras.training.loop import FitterPool
from mi_keras.types import Floats, Rows
from mi_keras.work import Arrays, Progress, Workspace, flush

MEANING = 2  # raise when a stage computes something else than before: older artifacts are then left alone
IMAGE_SCORES = {
    "psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim,
    "psnr_paper": psnr_paper, "ssim_paper": ssim_paper, "ms_ssim_paper": ms_ssim_paper,
}  # fmt: skip
TRAINING, HELD_OUT = "training", "held_out"
DISTRACTORS = 1000  # a gallery has at least so many images, where there are as many
SAVE_EVERY = 20  # batches


class Pipeline(RunStages):
    """Describes the stages of one run of the split attack; nothing is computed until a result is read.

    Images, feature maps and the mean face are those of all runs; decoders are the run's own.

    Args:
        run: number of the repetition, from 1.
    """

    def __init__(
        self, faces: Faces, encoder: Encoder, store: Store, progress: Progress, *, seed: int, run: int
    ) -> None:
        self.faces, self.encoder = faces, encoder
        described = {
            "fingerprint": faces.source.fingerprint, "faces": asdict(faces.settings), "seed": faces.seed
        }  # fmt: skip
        self._shared: dict[str, Any] = {"meaning": MEANING, "data": described}
        super().__init__(store, progress, {**self._shared, "encoder": encoder.identity}, seed=seed, run=run)
        self._pools: dict[DecoderSettings, FitterPool] = {}

    # Images and feature maps

    def images(self) -> Stage:
        """Read and resize the pictures. Large arrays `training` and `held_out`, uint8; info: how many, what was skipped."""

        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            size = self.faces.settings.size
            wanted = {HELD_OUT: self.faces.held_out_count, TRAINING: self.faces.training_count}
            self._announce("images", sum(wanted.values()), size * size * 3, np.uint8)
            info: dict[str, Any] = {"skipped": []}
            seen: set[str] = set()
            for (
                side,
                count,
            ) in wanted.items():  # held-out first: a picture that is there twice is not trained on
                array = workspace.large(side, (count, size, size, 3), np.uint8)
                loaded = load_faces(
                    self.faces.source, getattr(self.faces, side), array, seen=seen, progress=self.progress,
                    label=f"{side.replace('_', '-')} images",
                )  # fmt: skip
                flush(array)
                info[side] = len(loaded.used)
                info["skipped"] += [list(pair) for pair in loaded.skipped]
            if min(info[HELD_OUT], info[TRAINING]) < 2:
                raise InputError(
                    f"`--data` must hold readable images; {self.faces.source.name} has {info[TRAINING]} to train on "
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
        mean, deviation = noise[0], noise[1] ** 0.5
        what = f"feature maps of {side.replace('_', '-')} images{' with noise' if any(noise) else ''}"

        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            pictures = self.pictures(side)
            shape = (len(pictures), *self.encoder.map_shape)
            self._announce(what, len(pictures), shape[1:], np.float16)
            maps = workspace.large("maps", shape, np.float16)
            saved = workspace.load("progress")
            done = int(saved["done"]) if saved else 0
            with self.progress.bar(what, len(pictures), "img", done) as bar:
                for number, start in enumerate(range(done, len(pictures), BATCH), start=1):
                    images = as_unit(pictures[start : start + BATCH])
                    if any(noise):
                        images = np.stack([
                            _with_noise(image, mean, deviation, derive(self.faces.seed, "image noise", start + i))
                            for i, image in enumerate(images)
                        ])  # fmt: skip
                    maps[start : start + len(images)] = self.encoder.send(images).numpy()
                    bar.advance(len(images))
                    if number % SAVE_EVERY == 0:
                        flush(maps)
                        workspace.save("progress", {"done": np.array(start + len(images))})
            flush(maps)
            if not all(
                np.isfinite(maps[start : start + BATCH]).all() for start in range(0, len(maps), BATCH)
            ):
                raise FloatingPointError("feature maps: a value is not finite, or too large for float16.")
            return {}, {}

        return self._of_encoder(
            "maps", compute, upstream=[self.images()], side=side, noise=[float(n) for n in noise]
        )

    def statistics(self) -> Stage:
        """Measure what a defender knows of each map, on training images."""

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            return asdict(map_statistics(self.maps(TRAINING).large("maps"))), {}

        return self._of_encoder("map_statistics", compute, upstream=[self.maps(TRAINING)])

    def defended(
        self, side: str, defense: Defense | None, *, noise: tuple[float, float] = (0.0, 0.0)
    ) -> Rows:
        """Return the maps of one side as they travel; `noise` as of `maps`."""
        maps = self.maps(side, noise=noise).large("maps")
        if defense is None:
            return maps
        return DefendedMaps(
            maps, defense, MapStatistics(**self.statistics().arrays), self.derive("defense", side)
        )

    # Attack

    def decoder(
        self,
        settings: DecoderSettings,
        *,
        defense: Defense | None = None,
        start: Stage | None = None,
        images: int | None = None,
    ) -> Stage:
        """Train a decoder on the training images (split 4.1). Info: `history` and `parameters`.

        Args:
            defense: what the adversary knows to be done to the maps.
            start: a stage of the same decoder to go on from.
            images: how many of the training images to use; None: all.
        """

        def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            pool = self._pools.setdefault(settings, decoder_fitters(settings))
            maps, pictures = self.defended(TRAINING, defense, noise=noise), self.pictures(TRAINING)
            model, history = train_decoder(
                FirstMaps(maps, images) if images else maps, pictures[:images], settings, pool,
                seed=self.derive("decoder", settings.decoder), start=start and self.load_decoder(start, settings),
                workspace=workspace, progress=self.progress, label=self.label("decoder", described),
            )  # fmt: skip
            return weights_of(model), {"history": history, "parameters": model.count_params()}

        noise = (settings.noise_mean, settings.noise_variance)
        identity = _identity_of(defense) | ({"images": images} if images else {})
        upstream = [self.maps(TRAINING, noise=noise), *([start] if start else [])]
        seeds = [("decoder", settings.decoder), *([("defense", TRAINING)] if defense else [])]
        described = self.stage(
            "decoder", compute, upstream=upstream, seeds=seeds, settings=settings, **identity
        )
        return described

    def load_decoder(self, stage: Stage, settings: DecoderSettings) -> keras.Model:
        """Rebuild a decoder from its stored weights."""
        return with_weights(build_decoder(settings.decoder, self.encoder.map_shape), stage.arrays)

    def scored(
        self,
        decoder: Stage,
        settings: DecoderSettings,
        defense: Defense | None = None,
        *,
        scores: Sequence[str] = tuple(IMAGE_SCORES),
    ) -> Stage:
        """Decode the held-out images and score every one.

        Arrays: each of `scores` per image, `(count,)`, and the embeddings `features` and `pixels` by which it is
        looked for in the gallery, `(count, units)`.

        Args:
            scores: names of `IMAGE_SCORES`; MS-SSIM takes as long as all others together.
        """

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            images = reconstruct_images(
                self.load_decoder(decoder, settings), settings, self.defended(HELD_OUT, defense)
            )
            return self._score(images, scores), {}

        upstream = [decoder, self.maps(HELD_OUT)]
        seeds = [("defense", HELD_OUT)] if defense else []
        return self.stage(
            "scored", compute, upstream=upstream, seeds=seeds, scores=list(scores), **_identity_of(defense)
        )

    def mean_face(self) -> Stage:
        """Average the training images: `image`, `(size, size, 3)` in [0, 1]."""

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            pictures = self.pictures(TRAINING)
            total = np.zeros(pictures.shape[1:], np.float64)
            for start in range(0, len(pictures), BATCH):
                total += pictures[start : start + BATCH].sum(axis=0, dtype=np.float64)
            return {"image": (total / (255 * len(pictures))).astype(np.float32)}, {}

        return self.store.stage("mean_face", compute, upstream=[self.images()])

    def scored_mean_face(self) -> Stage:
        """Answer every held-out image with the mean face, and score that."""

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            image, count = self.mean_face().arrays["image"], len(self.pictures(HELD_OUT))
            answers = (
                np.repeat(image[None], min(BATCH, count - start), axis=0) for start in range(0, count, BATCH)
            )
            return self._score(answers, tuple(IMAGE_SCORES)), {}

        return self._of_encoder("scored", compute, upstream=[self.mean_face()], answer="mean face")

    def gallery(self) -> Stage:
        """Embed the true images among which reconstructions are looked for: all held-out ones first.

        Where these are fewer than `DISTRACTORS`, training images join as distractors. Arrays: `features` and `pixels`.
        """

        def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
            held_out, training = self.pictures(HELD_OUT), self.pictures(TRAINING)
            more = training[: max(0, DISTRACTORS - len(held_out))]
            features, pixels = [], []
            for pictures in (held_out, more):
                for start in range(0, len(pictures), BATCH):
                    images = as_unit(pictures[start : start + BATCH])
                    features.append(self.encoder.embed(images).numpy())
                    pixels.append(image_embedding(images))
            return {"features": np.concatenate(features), "pixels": np.concatenate(pixels)}, {}

        return self._of_encoder("gallery", compute, upstream=[self.images()])

    def shown(
        self,
        decoder: Stage,
        settings: DecoderSettings,
        numbers: Sequence[int],
        defense: Defense | None = None,
    ) -> NDArray[np.uint8]:
        """Return the reconstructions of some held-out images, `(count, size, size, 3)` in 0..255; not stored."""
        maps = self.defended(HELD_OUT, defense)
        chosen = np.concatenate([maps[number : number + 1] for number in numbers])
        model = self.load_decoder(decoder, settings)
        return np.concatenate([as_bytes(images) for images in reconstruct_images(model, settings, chosen)])

    def answers(self, defense: Defense | None) -> Floats:
        """Return the tail's logits for the held-out images behind a defence, `(count, 1000)`; not stored.

        Raises:
            FloatingPointError: a logit is not finite.
        """
        maps = self.defended(HELD_OUT, defense)
        logits = np.concatenate(
            [self.encoder.answer(maps[start : start + BATCH]) for start in range(0, len(maps), BATCH)]
        )
        if not np.isfinite(logits).all():
            raise FloatingPointError(f"the tail's answer behind {defense} is not finite.")
        return logits

    def _score(self, reconstructions: Iterable[Floats], names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return scores per image, and the embeddings by which each is looked for."""
        pictures, found, start = self.pictures(HELD_OUT), [], 0
        for images in reconstructions:
            truth = as_unit(pictures[start : start + len(images)])
            start += len(images)
            scores = {name: IMAGE_SCORES[name](images, truth).numpy() for name in names}
            found.append(
                scores | {"features": self.encoder.embed(images).numpy(), "pixels": image_embedding(images)}
            )
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}

    def _of_encoder(
        self, kind: str, compute: Compute, *, upstream: Sequence[Stage] = (), **identity: Any
    ) -> Stage:
        """Describe a stage that all runs share."""
        return self.store.stage(
            kind, compute, upstream=upstream, encoder=self.encoder.identity, **identity, **self._shared
        )

    def _announce(self, what: str, count: int, shape: int | tuple[int, ...], dtype: Any) -> None:
        size = count * int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.progress.announce(f"{what}: {count:,} on {size / 1e9:.2f} GB of disk in {self.store.root}")


def _identity_of(defense: Defense | None) -> dict[str, Any]:
    if defense is None:
        return {}
    return {"map_defense": {"name": type(defense).__name__, **asdict(defense)}}


def _with_noise(image: Floats, mean: float, deviation: float, seed: int) -> Floats:
    """Add Gaussian noise to an image in [0, 1] that has these moments once it is normalised."""
    noise = mean + deviation * np.random.default_rng(seed).standard_normal(image.shape, np.float32)
    return image + noise * np.array(IMAGENET_DEVIATION, np.float32)


def layer_outputs(decoder: keras.Model, maps: NDArray[Any], names: Sequence[str]) -> Iterator[Floats]:
    """Yield what the named layers of a decoder give for the maps of one image, `(height, width, channels)` each."""
    taps = keras.Model(decoder.input, [decoder.get_layer(name).output for name in names])
    for output in taps(tf.cast(maps, tf.float32), training=False):
        yield output.numpy()[0]
