"""Random search over how a decoder of feature maps is trained; not in the text, which trains in one way (split 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.data.preprocess import as_unit
from mi_keras.errors import InputError
from mi_keras.settings import LARGEST, DecoderSettings, check_whole
from mi_keras.tuning.trial_stages import Phase, with_trials
from mi_keras.tuning.trials import PATIENCE, best_trial, check_workers, summarize

if TYPE_CHECKING:
    from mi_keras.experiments.split.bench import SplitBench
    from mi_keras.experiments.store import Stage
    from mi_keras.progress import Arrays, Workspace
    from mi_keras.tuning.tuner import Evaluate

VALIDATION_SHARE = 10  # one image in so many is validated on


@dataclass(frozen=True)
class DecoderSearchSettings:
    """Size of the search.

    Attributes:
        trials: settings drawn, each one training of the decoder.
        images: training images to use, at most; a tenth of them is validated on.
    """

    trials: int = 20
    images: int = 4000

    def __post_init__(self) -> None:
        check_whole("trials", self.trials, 1, LARGEST)
        check_whole("images", self.images, 1, LARGEST)
        if self.images < 2 * VALIDATION_SHARE:
            raise InputError(f"`images` must be >= {2 * VALIDATION_SHARE}; got {self.images}.")


def decoder_search_stage(
    bench: SplitBench,
    decoder: DecoderSettings,
    search: DecoderSearchSettings,
    *,
    workers: int = 0,
    patience: float = PATIENCE,
) -> Stage:
    """Describe the search as a stage: which training gives images back best that it has not seen.

    All is done with training images: no held-out image is looked at. Decoder, epochs and schedule are those of
    `decoder`, the rest is the trial's.

    Returns:
        A stage like that of `gradient_search.search_stage`, with the one PHASE "coarse" and the parameters of
        `spaces.decoder_space`.

    Raises:
        InputError: a number is outside its rule; at once, before anything is computed.
    """
    from mi_keras.experiments.split.bench import TRAINING
    from mi_keras.tuning.distributed import Task, search_with
    from mi_keras.tuning.spaces import decoder_space

    check_workers(workers, patience)
    maps = bench.maps(TRAINING, noise=(decoder.noise_mean, decoder.noise_variance))

    def task() -> Task:
        arrays = {
            "maps": maps.large("maps")[: search.images],
            "images": bench.pictures(TRAINING)[: search.images],
        }
        settings = {
            "decoder": asdict(decoder), "seed": bench.derive("decoder_search", "training"),
            "precision": bench.store.precision,
        }  # fmt: skip
        return Task("mi_keras.tuning.decoder_search:evaluator", arrays, settings)

    def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
        trials = search_with(
            task(), space, workers=workers, patience=patience, folder=workspace.folder, name="decoder",
            trials=search.trials, seed=seed, progress=bench.progress, label=bench.label("decoder search"),
        )  # fmt: skip
        return summarize({"coarse": trials}, best_trial(trials), "coarse")

    space, seed = decoder_space(), bench.derive("decoder_search")
    untuned = {name: getattr(decoder, name) for name in ("decoder", "epochs", "schedule")}
    stage = bench.stage(
        "decoder_search", compute, half=True, settings=search, decoder=untuned, space=space.get_config()["space"],
        upstream=[maps],
    )  # fmt: skip
    return with_trials(stage, task, [Phase("decoder", lambda _: space, search.trials, seed)], bench)


def evaluator(arrays: Arrays, settings: Mapping[str, Any]) -> Evaluate:
    """Return the function that trains a decoder with a trial's settings and scores it on the last tenth of the images."""
    from mi_keras.attacks.access import Holdings
    from mi_keras.attacks.attack import Answers, Evidence
    from mi_keras.attacks.learned import Learned
    from mi_keras.progress import Run
    from mi_keras.tuning.tuner import trial_scores
    from mi_keras.types import Images, Observation

    maps, images, base = arrays["maps"], arrays["images"], DecoderSettings(**settings["decoder"])
    training = len(maps) - max(1, len(maps) // VALIDATION_SHARE)
    truth = as_unit(images[training:])
    own = Images.unlabelled(images[:training])
    held = Holdings(images=own, image_shape=images.shape[1:])
    known, unseen = (Evidence(Observation(part), [part]) for part in (maps[:training], maps[training:]))

    def evaluate(values: dict[str, float]) -> Mapping[str, float]:
        attack = Learned((Answers(),), tuned(base, values))
        fitted = attack.fit(known, held, Run(settings["seed"], precision=settings["precision"]))
        return trial_scores(np.concatenate(list(attack.reconstruct(fitted, unseen, held, Run()))), truth)

    return evaluate


def tuned(base: DecoderSettings, values: Mapping[str, float]) -> DecoderSettings:
    """Return the settings that a trial's values stand for; `info["best"]` of the stage is such a set."""
    return replace(
        base,
        learning_rate=values["learning_rate"],
        batch_size=int(values["batch_size"]),
        mse=values["mse_weight"],
        l1=0.0,
        ms_ssim=1.0,
    )
