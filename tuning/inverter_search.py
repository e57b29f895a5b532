"""Random search over how the inversion model M_I is built and trained; not in the text, which fixes both (thesis 3.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from mi_keras.errors import InputError
from mi_keras.settings import (
    COMBINATIONS,
    OBJECTIVES,
    ActivationSettings,
    ClassifierSettings,
    GradientSettings,
    InverterSettings,
)
from tuning.trials import PATIENCE, best_trial, check_count, check_workers, summarize

if TYPE_CHECKING:
    from mi_keras.experiments.store import Stage
    from mi_keras.experiments.thesis.stages import Evidence, Pipeline
    from mi_keras.types import ShadowEvidence
    from mi_keras.work import Arrays, Workspace
    from tuning.tuner import Evaluate

PARTS = ("output_vector", "activations", "gradient_reconstruction")
TRAINING, VALIDATION = "shadow_train", "shadow_validation"


@dataclass(frozen=True)
class InverterSearchSettings:
    """Size of the search.

    Attributes:
        trials: settings drawn, each one training of M_I.
        combination: inputs of M_I.
        objective: what the X~ among them matches, see `attacks.gradient_inversion`.
    """

    trials: int = 20
    combination: str = "x"
    objective: str = "logit_mse"

    def __post_init__(self) -> None:
        check_count("trials", self.trials)
        for name, legal in (("combination", COMBINATIONS), ("objective", OBJECTIVES)):
            if getattr(self, name) not in legal:
                raise InputError(f"`{name}` must be one of {', '.join(legal)}; got {getattr(self, name)!r}.")


def inverter_search_stage(
    pipeline: Pipeline,
    classifier: ClassifierSettings,
    activation: ActivationSettings,
    gradient: GradientSettings,
    inverter: InverterSettings,
    search: InverterSearchSettings,
    *,
    workers: int = 0,
    patience: float = PATIENCE,
) -> Stage:
    """Describe the search as a stage: which M_I gives the images of the shadow validation set back best.

    Every trial trains M_I on the shadow's evidence of the shadow training set, and is scored on the shadow validation
    set with the shadow's own output vectors: the search sees nothing of the target nor of the test set. Epochs and
    batch size are those of `inverter`, its channels are multiplied by `width`, the rest is the trial's.

    Returns:
        A stage like that of `gradient_search.search_stage`, with the one STAGE "coarse" and the parameters of
        `spaces.inverter_space`.

    Raises:
        InputError: a number is outside its rule; at once, before anything is computed.
    """
    from tuning.distributed import search_with
    from tuning.spaces import inverter_space

    check_workers(workers, patience)
    shadow = pipeline.classifier("shadow", classifier)
    evidence = {
        subset: pipeline.evidence(
            pipeline.output_vector(shadow, classifier, subset), shadow, classifier, activation, gradient, search.objective,
        )
        for subset in (TRAINING, VALIDATION)
    }  # fmt: skip

    def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
        trials = search_with(
            _task(pipeline, evidence, inverter, search, pipeline.derive("inverter_search", "training")), space,
            workers=workers, patience=patience, folder=workspace.folder, name="inverter", trials=search.trials,
            seed=pipeline.derive("inverter_search"), progress=pipeline.progress,
            label=pipeline.label("inverter search"),
        )  # fmt: skip
        return summarize({"coarse": trials}, best_trial(trials), "coarse")

    space = inverter_space()
    untuned = asdict(inverter)
    for name in ("learning_rate", "dropout", "input_noise"):
        del untuned[name]
    return pipeline.stage(
        "inverter_search", compute, settings=search, inverter=untuned, space=space.get_config()["space"],
        upstream=[part for parts in evidence.values() for part in parts.parts(search.combination)],
    )  # fmt: skip


def evaluator(arrays: Arrays, settings: Mapping[str, Any]) -> Evaluate:
    """Return the function that trains M_I with a trial's settings and scores it (see `_task`)."""
    from mi_keras.attacks.inverter import invert, train_inverter
    from tuning.tuner import trial_scores

    training, validation = (_unpacked(arrays, subset) for subset in (TRAINING, VALIDATION))
    combination, base = settings["combination"], settings["inverter"]

    def evaluate(values: dict[str, float]) -> Mapping[str, float]:
        tried = tuned(InverterSettings(**base | {"channels": tuple(base["channels"])}), values)
        tcnn, _ = train_inverter(
            training, arrays[f"{TRAINING}.images"], combination, tried, seed=settings["seed"]
        )
        return trial_scores(invert(tcnn, validation, combination), arrays[f"{VALIDATION}.images"])

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


def _task(
    pipeline: Pipeline,
    evidence: Mapping[str, Evidence],
    inverter: InverterSettings,
    search: InverterSearchSettings,
    seed: int,
) -> Any:
    from tuning.distributed import Task

    arrays = {}
    for subset, stages in evidence.items():
        arrays[f"{subset}.images"] = getattr(pipeline.splits, subset).images
        loaded = stages.load(search.combination)
        for part in PARTS:
            if (values := getattr(loaded, part)) is not None:
                arrays[f"{subset}.{part}"] = values
    settings = {"combination": search.combination, "inverter": asdict(inverter), "seed": seed}
    return Task("tuning.inverter_search:evaluator", arrays, settings)


def _unpacked(arrays: Arrays, subset: str) -> ShadowEvidence:
    from mi_keras.types import ShadowEvidence

    return ShadowEvidence(**{part: arrays.get(f"{subset}.{part}") for part in PARTS})  # type: ignore[arg-type]
