"""Random search with keras-tuner: a trial is one call of a function, the objective is mean SSIM (thesis 5.1).

keras-tuner draws the settings of every trial and keeps its books in a folder, in JSON that it rewrites in place: a
kill can cut those files, or leave a trial in them that no one will ever run. They are therefore never read back. Each
finished trial has a record of its own, which is whole or not there; a search that goes on starts keras-tuner anew with
the same seed, which draws the same trials, and those with a record are answered from it.
"""

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np

from mi_keras.errors import InputError
from mi_keras.metrics.image import score
from mi_keras.progress import Progress, SilentProgress
from mi_keras.tuning.trials import OBJECTIVE, Records, Trial
from mi_keras.types import Floats

CHIEF_ADDRESS = "KERASTUNER_ORACLE_IP"  # where it is set, keras-tuner asks a chief for its trials
Evaluate = Callable[[dict[str, float]], Mapping[str, float]]


def search(
    space: keras_tuner.HyperParameters,
    evaluate: Evaluate,
    *,
    folder: Path,
    name: str,
    trials: int,
    seed: int,
    candidates: Sequence[Trial] = (),
    progress: Progress | None = None,
    label: str = "search",
) -> list[Trial]:
    """Evaluate settings drawn at random from a space, and return every trial in the order drawn, failed ones too.

    A trial that ends in `FloatingPointError`, or with a score that is not finite, has failed: that is a result, and it
    is recorded as one. Any other exception is a bug, ends the search and is raised as it is.

    Args:
        space: all parameters, see `spaces`.
        evaluate: maps the settings of a trial to its scores; "ssim" is to be maximised.
        folder: keeps the search while it is unfinished: the same search in the same folder goes on where it was cut
            off, and gives the trials of one that was not.
        name: of the search; a folder may hold several.
        trials: how many to run; a space with fewer settings than that is exhausted earlier.
        seed: of the settings drawn, at least 1.
        candidates: trials known already, which compete with the new ones without being run again; they come first.

    Raises:
        FloatingPointError: all trials and candidates failed; the message has the first reason.
    """
    if trials < 1 or seed < 1:  # keras-tuner takes a seed of 0 for none
        raise ValueError(f"`trials` and `seed` must be >= 1; got {trials}, {seed}.")
    if CHIEF_ADDRESS in os.environ:
        raise InputError(f"`{CHIEF_ADDRESS}` must not be set: workers are started with their chief here.")
    forget_project(folder, name)
    with (progress or SilentProgress()).bar(label, trials, "trial") as bar:
        tuner = SsimSearch(
            space, evaluate, folder=folder, name=name, trials=trials, seed=seed, report=bar.advance
        )
        tuner.search(verbose=0)
    found = [*candidates, *tuner.finished()]
    if all(trial.scores is None for trial in found):
        first = found[0].problem.rstrip(".")
        raise FloatingPointError(f"{label}: all {len(found)} trials failed; the first: {first}")
    return found


def run_trial(evaluate: Evaluate, number: int, values: dict[str, float]) -> Trial:
    """Return what comes of settings; a failed trial where that is a number that is not finite."""
    try:
        scores = {name: float(value) for name, value in evaluate(dict(values)).items()}
        for name, value in scores.items():
            if not math.isfinite(value):
                raise FloatingPointError(f"the score `{name}` is {value}.")
    except FloatingPointError as error:
        return Trial(number, values, None, str(error) or "not finite")
    if OBJECTIVE not in scores:
        raise ValueError(f"`evaluate` must return the score `{OBJECTIVE}`; got {', '.join(scores)}.")
    return Trial(number, values, scores)


def drawn(space: keras_tuner.HyperParameters, *, trials: int, seed: int) -> list[dict[str, float]]:
    """Return the settings that `search` would try, in its order, and try none of them."""
    with tempfile.TemporaryDirectory(prefix="mi_keras-") as folder:
        tuner = SsimSearch(
            space, lambda _: {OBJECTIVE: 0.0}, folder=Path(folder), name="drawn", trials=trials, seed=seed
        )
        tuner.search(verbose=0)
        return [dict(trial.values) for trial in tuner.finished()]


def trial_scores(images: Floats, truth: Floats) -> dict[str, float]:
    """Score reconstructions, both `(count, height, width, channels)` in [0, 1].

    Returns:
        "ssim" and "mse", the means over the images, and "ssim_worst_decile", the mean over the tenth of them with the
        lowest SSIM: a mean alone favours blurred images, which are a little like everything.
    """
    found = score(images, truth)
    worst = np.sort(found.ssim)[: math.ceil(len(found.ssim) / 10)]
    return {
        "ssim": float(found.ssim.mean(dtype=np.float64)),
        "mse": float(found.mse.mean(dtype=np.float64)),
        "ssim_worst_decile": float(worst.mean(dtype=np.float64)),
    }


def forget_project(folder: Path, name: str) -> None:
    """Delete what keras-tuner itself keeps of a search; the records of finished trials stay."""
    shutil.rmtree(folder / name, ignore_errors=True)


class SsimSearch(keras_tuner.RandomSearch):
    """keras-tuner's random search over a function; `search` above, or a worker of `distributed`, drives it."""

    def __init__(
        self,
        space: keras_tuner.HyperParameters,
        evaluate: Evaluate,
        *,
        folder: Path,
        name: str,
        trials: int,
        seed: int,
        report: Callable[[], object] = lambda: None,
    ) -> None:
        self._evaluate, self._records, self._report = evaluate, Records(folder, name), report
        self._finished: dict[str, Trial] = {}
        super().__init__(
            objective=keras_tuner.Objective(OBJECTIVE, "max"), hyperparameters=space, max_trials=trials, seed=seed,
            allow_new_entries=False, tune_new_entries=False, max_retries_per_trial=0,
            max_consecutive_failed_trials=trials + 1,  # never: failed trials are counted at the end
            directory=str(folder), project_name=name,
        )  # fmt: skip

    def on_trial_begin(self, trial: Any) -> None:
        """Run the trial, unless it has a record.

        Not in `run_trial`: keras-tuner turns every exception there into a failed trial, also that of a bug.
        """
        number, values = int(trial.trial_id) + 1, dict(trial.hyperparameters.values)
        done = self._records.load(number, values)
        if done is None:
            done = run_trial(self._evaluate, number, values)
            self._records.save(done)
        self._finished[trial.trial_id] = done
        self._report()

    def run_trial(self, trial: Any, *_: Any, **__: Any) -> dict[str, float]:
        """Hand keras-tuner the outcome; unlike the method replaced, this needs no tensorboard."""
        done = self._finished[trial.trial_id]
        if done.scores is None:
            raise keras_tuner.errors.FailedTrialError(done.problem)
        return dict(done.scores)

    def finished(self) -> list[Trial]:
        """Return the trials run by this object in the order drawn.

        Raises:
            RuntimeError: keras-tuner's books differ from ours, a bug.
        """
        for trial_id, trial in self._finished.items():
            status = self.oracle.get_trial(trial_id).status
            if status != ("COMPLETED" if trial.scores else "FAILED"):
                raise RuntimeError(f"trial {trial.number} is {status} in keras-tuner; ours: {trial}")
        return [self._finished[trial_id] for trial_id in sorted(self._finished)]
