"""Random search over how the inversion model M_I is built and trained; not in the text, which fixes both (thesis 3.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.errors import InputError
from mi_keras.settings import (
    COMBINATIONS,
    LARGEST,
    OBJECTIVES,
    InverterSettings,
    check_whole,
)
from mi_keras.tuning.trial_stages import Phase, with_trials
from mi_keras.tuning.trials import PATIENCE, best_trial, check_workers, summarize

if TYPE_CHECKING:
    from mi_keras.attacks.learned import Learned
    from mi_keras.experiments.case import Part
    from mi_keras.experiments.store import Stage
    from mi_keras.experiments.thesis.bench import ThesisBench
    from mi_keras.experiments.thesis.sizes import Inverted
    from mi_keras.progress import Arrays, Workspace
    from mi_keras.tuning.distributed import Task
    from mi_keras.tuning.tuner import Evaluate

TRAINING, VALIDATION = "shadow_train", "shadow_validation"


@dataclass(frozen=True)
class InverterSearchSettings:
    """Size of the search.

    Attributes:
        trials: settings drawn, each one training of M_I.
        combination: inputs of M_I.
        objective: what the X~ among them matches, see `attacks.gradient`.
    """

    trials: int = 20
    combination: str = "x"
    objective: str = "logit_mse"

    def __post_init__(self) -> None:
        check_whole("trials", self.trials, 1, LARGEST)
        for name, legal in (("combination", COMBINATIONS), ("objective", OBJECTIVES)):
            if getattr(self, name) not in legal:
                raise InputError(f"`{name}` must be one of {', '.join(legal)}; got {getattr(self, name)!r}.")


def inverter_search_stage(
    bench: ThesisBench,
    config: Inverted,
    search: InverterSearchSettings,
    *,
    workers: int = 0,
    patience: float = PATIENCE,
) -> Stage:
    """Describe the search as a stage: which M_I gives the images of the shadow validation set back best.

    Every trial trains M_I on the shadow's evidence of the shadow training set, and is scored on the shadow validation
    set with the shadow's own output vectors: the search sees nothing of the target nor of the test set. Epochs and
    batch size are those of `config.inverter`, its channels are multiplied by `width`, the rest is the trial's.

    Returns:
        A stage like that of `gradient_search.search_stage`, with the one PHASE "coarse" and the parameters of
        `spaces.inverter_space`.

    Raises:
        InputError: a number is outside its rule; at once, before anything is computed.
    """
    from mi_keras.experiments.bench import SHADOW
    from mi_keras.experiments.case import parts
    from mi_keras.experiments.thesis.rows import inversion
    from mi_keras.tuning.distributed import search_with
    from mi_keras.tuning.spaces import inverter_space

    check_workers(workers, patience)
    attack = inversion(config, search.combination, search.objective)
    found = {
        subset: parts(attack.inputs, bench.asked(SHADOW, subset, None), None, bench)
        for subset in (TRAINING, VALIDATION)
    }

    def task() -> Task:
        return _task(bench, found, attack, bench.derive("inverter_search", "training"))

    def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
        trials = search_with(
            task(), space, workers=workers, patience=patience, folder=workspace.folder, name="inverter",
            trials=search.trials, seed=seed, progress=bench.progress, label=bench.label("inverter search"),
        )  # fmt: skip
        return summarize({"coarse": trials}, best_trial(trials), "coarse")

    space, seed = inverter_space(), bench.derive("inverter_search")
    untuned = asdict(config.inverter)
    for name in ("learning_rate", "dropout", "input_noise"):
        del untuned[name]
    stage = bench.stage(
        "inverter_search", compute, half=True, settings=search, inverter=untuned, space=space.get_config()["space"],
        upstream=[part.stage for of_set in found.values() for part in of_set],
    )  # fmt: skip
    return with_trials(stage, task, [Phase("inverter", lambda _: space, search.trials, seed)], bench)


def evaluator(arrays: Arrays, settings: Mapping[str, Any]) -> Evaluate:
    """Return the function that trains M_I with a trial's settings and scores it (see `_task`)."""
    from mi_keras.attacks.access import Holdings
    from mi_keras.attacks.attack import Answers, Evidence
    from mi_keras.attacks.learned import Learned
    from mi_keras.progress import Run
    from mi_keras.tuning.tuner import trial_scores
    from mi_keras.types import Images, Observation

    base = settings["inverter"]
    training, validation = (
        Evidence(Observation(arrays[f"{subset}.inputs"]), [arrays[f"{subset}.inputs"]])
        for subset in (TRAINING, VALIDATION)
    )
    images, truth = arrays[f"{TRAINING}.images"], arrays[f"{VALIDATION}.images"]
    held = Holdings(images=Images.unlabelled(images), image_shape=images.shape[1:])

    def evaluate(values: dict[str, float]) -> Mapping[str, float]:
        tried = tuned(InverterSettings(**base | {"channels": tuple(base["channels"])}), values)
        attack = Learned((Answers(),), tried)  # the parts are concatenated already
        fitted = attack.fit(training, held, Run(settings["seed"], precision=settings["precision"]))
        drawn = np.concatenate(list(attack.reconstruct(fitted, validation, held, Run())))
        return trial_scores(drawn, truth)

    return evaluate


def tuned(base: InverterSettings, values: Mapping[str, float]) -> InverterSettings:
    """Return the settings of M_I that a trial's values stand for; `info["best"]` of the stage is such a set."""
    return replace(
        base,
        channels=tuple(max(1, round(channels * values["width"])) for channels in base.channels),
        learning_rate=values["learning_rate"],
        dropout=(values["dropout"],) * len(base.dropout),
        input_noise=values["input_noise"],
    )


def _task(bench: ThesisBench, found: Mapping[str, Sequence[Part]], attack: Learned, seed: int) -> Task:
    from mi_keras.attacks.learned import assemble
    from mi_keras.tuning.distributed import Task

    arrays: dict[str, Any] = {}
    for subset, parts in found.items():
        arrays[f"{subset}.images"] = bench.splits.sets[subset].images
        arrays[f"{subset}.inputs"] = assemble([part.values() for part in parts], flat=True)
    return Task(
        "mi_keras.tuning.inverter_search:evaluator",
        arrays,
        {"inverter": asdict(attack.settings), "seed": seed, "precision": bench.store.precision},
    )
