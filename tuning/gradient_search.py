"""The random search of thesis 5.1: coarse, then fine, over the two weights of the gradient reconstruction (Figure 8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.errors import InputError
from mi_keras.settings import LARGEST, OBJECTIVES, ClassifierSettings, GradientSettings, check_whole
from mi_keras.tuning.trial_stages import Phase, with_trials
from mi_keras.tuning.trials import PATIENCE, Trial, best_trial, check_workers, summarize

if TYPE_CHECKING:
    from mi_keras.experiments.store import Stage
    from mi_keras.experiments.thesis.bench import ThesisBench
    from mi_keras.progress import Arrays, Workspace
    from mi_keras.tuning.distributed import Task
    from mi_keras.tuning.tuner import Evaluate


@dataclass(frozen=True)
class SearchSettings:
    """Size of the random search (thesis 5.1).

    Attributes:
        coarse_trials: pairs of weights drawn from the whole space.
        fine_trials: pairs drawn from within 0.5 and 1.5 times the best coarse pair, which stays a candidate.
        images: shadow training images reconstructed in every trial, the same ones.
        objective: what a reconstruction matches, see `attacks.gradient`.
    """

    coarse_trials: int = 20
    fine_trials: int = 10
    images: int = 320
    objective: str = "logit_mse"

    def __post_init__(self) -> None:
        for name in ("coarse_trials", "fine_trials", "images"):
            check_whole(name, getattr(self, name), 1, LARGEST)
        if self.objective not in OBJECTIVES:
            raise InputError(f"`objective` must be one of {', '.join(OBJECTIVES)}; got {self.objective!r}.")


def search_stage(
    bench: ThesisBench,
    gradient: GradientSettings,
    search: SearchSettings,
    *,
    workers: int = 0,
    patience: float = PATIENCE,
) -> Stage:
    """Describe the search as a stage: which weights give the shadow's own training images back best.

    The images I are drawn from the shadow training set D_T^S, the output vectors O_S are the shadow model's own: the
    search sees nothing of the target. Start, optimizer and steps are those of `gradient`, its two weights are ignored.

    Args:
        workers: processes that share the trials, 0 for this one; the result does not depend on it.
        patience: seconds in which one of them has to finish a trial.

    Returns:
        A stage with the arrays `PHASE.l2_weight`, `PHASE.tv_weight` and `PHASE.ssim` (NaN where a trial failed) of each
        PHASE "coarse" and "fine". Info: `best` (weight by name), `best_ssim`, `best_stage` (its phase), `trials` (list of `stage`, the phase,
        number, weights, "ssim", "mse", "ssim_worst_decile" or null, `problem`), `failed` (their number).

    Raises:
        InputError: a number is outside its rule; at once, before anything is computed.
    """
    from mi_keras.tuning.spaces import FINE_FACTORS, RANGES, coarse_space, fine_space

    check_workers(workers, patience)
    available = len(bench.splits.shadow_train)
    if search.images > available:
        raise InputError(
            f"`images` must be at most the number of shadow training images, {available}; got {search.images}."
        )
    shadow, known = bench.classifier("shadow"), bench.output_vector("shadow", "shadow_train")

    def compute(workspace: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
        task = _task(bench, gradient, search)
        return _coarse_and_fine(
            task, search, bench, workspace=workspace, progress=bench.progress, workers=workers, patience=patience
        )  # fmt: skip

    untuned = asdict(replace(gradient, l2_weight=0.0, tv_weight=0.0))
    space = {"ranges": RANGES, "fine_factors": FINE_FACTORS}
    seeds = [("search", name) for name in ("images", "start", "coarse", "fine")]
    stage = bench.stage(
        "search",
        compute,
        upstream=[shadow, known],
        seeds=seeds,
        half=True,
        settings=search,
        gradient=untuned,
        space=space,
    )
    coarse = Phase("coarse", lambda _: coarse_space(), search.coarse_trials, bench.derive("search", "coarse"))
    fine = Phase(
        "fine", lambda found: fine_space(best_trial(found).values), search.fine_trials, bench.derive("search", "fine")
    )  # fmt: skip
    return with_trials(stage, lambda: _task(bench, gradient, search), [coarse, fine], bench)


def _coarse_and_fine(
    task: Task, search: SearchSettings, bench: ThesisBench, *, workspace: Workspace, **options: Any
) -> tuple[Arrays, Mapping[str, Any]]:
    from mi_keras.tuning.distributed import search_with
    from mi_keras.tuning.spaces import coarse_space, fine_space

    def run(name: str, space: Any, trials: int, candidates: tuple[Trial, ...] = ()) -> list[Trial]:
        return search_with(
            task, space, folder=workspace.folder, name=name, trials=trials, candidates=candidates,
            seed=bench.derive("search", name), label=bench.label(f"{name} search"), **options,
        )  # fmt: skip

    coarse = run("coarse", coarse_space(), search.coarse_trials)
    winner = best_trial(coarse)
    fine = run("fine", fine_space(winner.values), search.fine_trials, (winner,))
    best = best_trial(fine)
    return summarize({"coarse": coarse, "fine": fine[1:]}, best, "coarse" if best is winner else "fine")


def evaluator(arrays: Arrays, settings: Mapping[str, Any]) -> Evaluate:
    """Return the function that reconstructs the images with a trial's weights and scores them (see `_task`)."""
    from mi_keras.attacks.gradient import reconstruct
    from mi_keras.models.cnn import build_cnn
    from mi_keras.progress import Run
    from mi_keras.tuning.tuner import trial_scores
    from mi_keras.types import Observation

    truth, observation = arrays["truth"], Observation(arrays["output_vector"])
    classes = observation.values.shape[1]
    shadow = build_cnn(truth.shape[1:], classes, channels=tuple(settings["channels"]))
    shadow.set_weights([arrays[name] for name in sorted(arrays) if name.startswith("weights.")])
    gradient = GradientSettings(**settings["gradient"])

    def evaluate(values: dict[str, float]) -> Mapping[str, float]:
        weighted = replace(gradient, l2_weight=values["l2_weight"], tv_weight=values["tv_weight"])
        found, _ = reconstruct(
            shadow, observation, arrays.get("start_images"), weighted,
            objective=settings["objective"], run=Run(settings["seed"], precision=settings["precision"]),
        )  # fmt: skip
        return trial_scores(found["images"], truth)

    return evaluate


def _task(bench: ThesisBench, gradient: GradientSettings, search: SearchSettings) -> Task:
    from mi_keras.attacks.gradient import start_images
    from mi_keras.experiments.thesis.bench import GRAY_BOX
    from mi_keras.progress import Run
    from mi_keras.tuning.distributed import Task

    held = bench.holdings(GRAY_BOX, None)
    images, known = held.own_images.images, bench.output_vector("shadow", "shadow_train")
    draw = np.random.default_rng(bench.derive("search", "images"))
    rows = np.sort(draw.choice(len(images), search.images, replace=False))
    arrays = {"truth": images[rows], "output_vector": known.arrays["output_vector"][rows]}
    start = start_images(gradient.start, held, Run(seeds={"start": bench.derive("start")}))
    if start is not None:
        arrays["start_images"] = start
    weights = held.surrogate.get_weights()
    arrays |= {f"weights.{position:03d}": weight for position, weight in enumerate(weights)}
    assert isinstance(bench.settings, ClassifierSettings)  # the thesis's CNN, of section 5.1
    settings = {
        "channels": list(bench.settings.channels), "gradient": asdict(gradient), "objective": search.objective,
        "seed": bench.derive("search", "start"), "precision": bench.store.precision,
    }  # fmt: skip
    return Task("mi_keras.tuning.gradient_search:evaluator", arrays, settings)
