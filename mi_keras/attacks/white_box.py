"""Gradient steps on the image, by an adversary that has the weights: a learned attack's reconstruction is changed until
the target gives the observed answer to it.

It looks for the most likely image (maximum a posteriori): its answer is close to the observed one, and its difference
from the reconstruction is like the errors of the learned attack on own images that it had not seen. What the answer
does not determine stays as it was reconstructed (a Gaussian prior around the reconstruction; compare Yin et al. 2020,
He et al. 2019). Behind a defence that the adversary knows, gradients go through the defence too.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Attack, Evidence, Fitted, Input
from mi_keras.attacks.steps import Pace, Spectrum, Step, best, deviations_of, make_step, spectrum_of, walk
from mi_keras.data.preprocess import as_unit
from mi_keras.errors import InputError
from mi_keras.progress import Arrays, Run
from mi_keras.settings import check_positive, check_whole
from mi_keras.types import Floats, Observation, Rows

MOST_ANSWERS = 512  # that show how answers vary
WORTH = 0.99  # of the drawn images' error: less is gained by chance
STAY = -1.0  # in the place of a weight: no step made the adversary's own images better by that much
TAKEN = (
    "first",
    "best",
    "averaged",
)  # of the starts: the first alone, that of the smallest loss, or their mean
SAVED = "start_"  # before the names of what `first` learned


@dataclass(frozen=True)
class WhiteBox(Attack):
    """Starts from the reconstruction of `first` and changes it by gradient steps towards the observed answer of the
    target.

    See `steps.walk` for the loss. Differences of answers are in standard deviations of the adversary's own answers (for
    maps, per channel), differences of images in units of the usual error u of `first`. The weight, and which start to
    use, are chosen on the last `held_out` own images, from which `first` must not have learned.

    Attributes:
        first: the attack that gives the first reconstruction, fitted behind the same defence.
        steps: number of steps of Adam; the step size falls from `learning_rate` (in units of u) to 0 along half a
            cosine.
        starts: number of starts: the reconstruction, and copies of it with noise as large as the usual error of
            `first`.
        weights: candidates for the weight of the prior; with a single one, steps are taken whether they help or not.
        held_out: number of own images to choose on, at most a quarter of all.
        batch_size: number of images that are optimised together.
    """

    first: Attack
    steps: int = 120
    learning_rate: float = 0.2
    starts: int = 2
    weights: tuple[float, ...] = (1e-2, 1e-1, 1.0, 10.0)
    held_out: int = 32
    batch_size: int = 32

    starts_behind: ClassVar[bool] = True
    tolerance: ClassVar[float] = 0.02  # what rounding grows to where a unit of the model switches on or off

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("starts", 1), ("held_out", 2), ("batch_size", 1)):
            check_whole(name, getattr(self, name), least)
        check_positive("learning_rate", self.learning_rate)
        if not self.weights or min(self.weights) <= 0:
            raise InputError(f"`weights` must be one or more positive numbers; got {self.weights!r}.")

    @property
    def start(self) -> Attack:
        return self.first

    @property
    def of_maps(self) -> bool:
        return self.first.of_maps

    @property
    def label(self) -> str:
        return f"white box, from {self.first.label}"

    @property
    def inputs(self) -> tuple[Input, ...]:
        return self.first.inputs

    @property
    def needs(self) -> Access:
        return Access(images=True, answers="target", weights=True)

    @property
    def identity(self) -> dict[str, Any]:
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**own, "first": [type(self.first).__name__, self.first.identity]}

    def fit(self, known: Evidence | None, held: Holdings, run: Run, before: Fitted | None = None) -> Fitted:
        """Choose on held-out images of its own: the weight by the first start, then what the other starts are for.

        Returns:
            What `first` learned, `deviations` of answers, `spread` and `colours` of what it misses. Info: `weight`, `STAY`
            where no step helped; `taken`, one of `TAKEN`; `errors` by what was tried, mean squared, the drawn images
            themselves as "start".

        Raises:
            ValueError: `known` or `before` is missing.
            FloatingPointError: a loss is not finite; the message names step and term.
        """
        if known is None or before is None:
            raise ValueError("`known` and `before` must hold answers and what `first` learned; got None.")
        own = held.own_images.images
        count = min(self.held_out, len(own) // 4)
        rows, truth = slice(len(own) - count, len(own)), as_unit(own[len(own) - count :])
        evidence = _part(known, rows)
        drawn, seen = self._drawn(before, evidence, held, run), evidence.observation.values
        spectrum = spectrum_of(truth - drawn)
        shown = range(max(0, len(own) - MOST_ANSWERS), len(own))
        deviations = deviations_of(known.observation.values, shown)
        arrays = {"deviations": deviations, "spread": spectrum.spread, "colours": spectrum.colours}
        step, errors = self._step(arrays, held), {"start": _error(drawn, truth)}
        least = WORTH * errors["start"] if len(self.weights) > 1 else math.inf
        weight, taken = STAY, TAKEN[0]
        for tried in self.weights:
            found = self._walk(step, drawn, seen, tried, 1, run)
            errors[f"{tried:g}"] = error = _error(found[0][0], truth)
            weight, least = (tried, error) if error < least else (weight, least)
        if weight != STAY and self.starts > 1:
            found = self._walk(step, drawn, seen, weight, self.starts, run)
            for how in TAKEN[1:]:
                errors[how] = error = _error(_taken(how, *found), truth)
                taken, least = (how, error) if error < least else (taken, least)
        started = {f"{SAVED}{name}": array for name, array in before[0].items()}
        info = {"weight": weight, "taken": taken, "errors": errors, "start": dict(before[1])}
        return {**started, **arrays}, info

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        arrays, info = fitted
        started = {n.removeprefix(SAVED): array for n, array in arrays.items() if n.startswith(SAVED)}
        drawn = self._drawn((started, info["start"]), observed, held, run)
        if info["weight"] == STAY:
            yield drawn
            return
        starts = 1 if info["taken"] == TAKEN[0] else self.starts
        step = self._step(arrays, held)
        found = self._walk(step, drawn, observed.observation.values, info["weight"], starts, run)
        yield _taken(info["taken"], *found)

    def _drawn(self, fitted: Fitted, evidence: Evidence, held: Holdings, run: Run) -> Floats:
        alone = replace(run, workspace=None)  # its parts are not to be taken for ours
        return np.concatenate(list(self.first.reconstruct(fitted, evidence, held, alone)))

    def _step(self, arrays: Arrays, held: Holdings) -> Step:
        assert held.target is not None  # as `needs` asks for the weights
        spectrum = Spectrum(arrays["spread"], arrays["colours"])
        return make_step(held.target.differentiable(), spectrum, arrays["deviations"])

    def _walk(
        self, step: Step, drawn: Floats, observed: Rows, weight: float, starts: int, run: Run
    ) -> tuple[Floats, Floats]:
        pace = Pace(self.steps, self.learning_rate, starts, self.batch_size)
        return walk(step, drawn, observed, weight, pace, run=run, label=self.label)


def _taken(how: str, images: Floats, losses: Floats) -> Floats:
    """Return one image of several starts, `(starts, count, ...)`."""
    if how == "averaged":
        return np.asarray(images.mean(axis=0), np.float32)
    return images[0] if how == "first" else best(images, losses)


def _part(evidence: Evidence, rows: slice) -> Evidence:
    values, point = evidence.observation.values, evidence.observation.point
    return Evidence(Observation(np.asarray(values[rows]), point), [part[rows] for part in evidence.parts])


def _error(images: Floats, truth: Floats) -> float:
    return float(np.square(images - truth, dtype=np.float64).mean())
