"""Trials of a search: what one is, its record on the disk, and all of them as a stage of the store holds them."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mi_keras.errors import InputError
from mi_keras.files import write_text
from mi_keras.settings import check_whole
from mi_keras.whole import replace_file

if TYPE_CHECKING:
    from mi_keras.progress import Arrays

log = logging.getLogger("mi_keras")

OBJECTIVE = "ssim"
PATIENCE = 3600.0  # seconds: a trial at the text's sizes takes some ten minutes on 2 CPU cores
MOST_WORKERS = 64


@dataclass(frozen=True)
class Trial:
    """What was tried and what came of it.

    Attributes:
        number: position in the order in which the settings were drawn, from 1.
        values: setting by name.
        scores: score by name, "ssim" among them; None where the trial failed.
        problem: why it failed; "" where it did not.
    """

    number: int
    values: Mapping[str, float]
    scores: Mapping[str, float] | None
    problem: str = ""


def best_trial(trials: Iterable[Trial]) -> Trial:
    """Return the trial of the highest SSIM, the first of equal ones."""
    return max(trials, key=lambda trial: -math.inf if trial.scores is None else trial.scores[OBJECTIVE])


class Records:
    """The finished trials of a search, one JSON file each, written whole or not at all."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder / f"{name}-trials"

    def count(self) -> int:
        """Return how many trials are finished."""
        return sum(1 for _ in self._folder.glob("[0-9]*.json"))

    def save(self, trial: Trial) -> None:
        """Write the record of a trial."""
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(trial), allow_nan=False)
        replace_file(self._path(trial.number), lambda path: write_text(path, text))

    def load(self, number: int, values: Mapping[str, float]) -> Trial | None:
        """Return the trial of this number and these settings, or None if it is not finished."""
        path = self._path(number)
        if not path.exists():
            return None
        try:
            trial = Trial(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as damage:
            log.warning("the record of a trial is damaged (%s: %s); running it again", path, damage)
            return None
        if trial.values != values:
            log.warning("the record of a trial belongs to another search (%s); running it again", path)
            return None
        return trial

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:05d}.json"


def summarize(
    phases: Mapping[str, Sequence[Trial]], best: Trial, best_phase: str
) -> tuple[Arrays, Mapping[str, Any]]:
    """Return arrays and info of a search with these phases, coarse and fine, as `search_stage` describes them."""
    arrays: dict[str, NDArray[Any]] = {}
    listed = []
    for phase, trials in phases.items():
        for name in best.values:
            arrays[f"{phase}.{name}"] = np.array([trial.values[name] for trial in trials])
        arrays[f"{phase}.ssim"] = np.array(
            [np.nan if trial.scores is None else trial.scores["ssim"] for trial in trials]
        )
        nothing = dict.fromkeys(best.scores or ())
        listed += [
            {"stage": phase, "number": trial.number, **trial.values, **(trial.scores or nothing), "problem": trial.problem}
            for trial in trials
        ]  # fmt: skip
    return arrays, {
        "best": dict(best.values),
        "best_ssim": best.scores and best.scores["ssim"],
        "best_stage": best_phase,
        "trials": listed,
        "failed": sum(trial["ssim"] is None for trial in listed),
    }


def check_workers(workers: int, patience: float) -> None:
    """Raise `InputError` unless the number of processes and the seconds to wait for a trial can be meant."""
    check_whole("workers", workers, 0, MOST_WORKERS)
    if not patience > 0:
        raise InputError(f"`patience` must be above 0 seconds; got {patience}.")
