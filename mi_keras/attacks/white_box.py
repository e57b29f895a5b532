"""Steps on the image, by an adversary that has the weights: what a learned attack draws is made to answer as was observed.

The image that is looked for is the likeliest one: its answer meets the observed one, and it differs from the drawn one as
the adversary's own images, which the learned attack had not seen, differ from what it draws of them. What the answer leaves
open stays as it was drawn (a Gaussian prior around the drawn image; compare Yin et al. 2020, He et al. 2019).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.attack import Attack, Evidence, Fitted, Input
from mi_keras.attacks.steps import Pace, Prior, axes_of, best, deviations_of, spread_of, walk
from mi_keras.data.preprocess import as_unit
from mi_keras.errors import InputError
from mi_keras.progress import Arrays, Run
from mi_keras.settings import check_positive, check_whole
from mi_keras.types import Floats, Observation, Rows

MOST_IMAGES = 1000  # whose principal axes are taken
MOST_ANSWERS = 512  # that show how answers vary
WORTH = 0.99  # of the drawn images' error: less is gained by chance
STAY = -1.0  # in the place of a weight: no step made the adversary's own images better by that much
SAVED = "start_"  # before the names of what `first` learned


@dataclass(frozen=True)
class WhiteBox(Attack):
    """Takes what `first` draws, and steps from there until the target answers as it did to the attacked image.

    See `steps.walk` for what is minimised. Answers are measured in deviations of the adversary's own, of maps per channel,
    differences of images in what `first` usually misses. The weight, and whether the starts are averaged or the one of the
    smallest loss is taken, are chosen on own images that `first` must not have learned from: the last `held_out`.

    Attributes:
        first: the attack that draws, fitted behind the same defence.
        steps: of Adam, the size of which falls from `learning_rate` (in units of u) to 0 as half a cosine.
        starts: the drawn image, and that image with noise as large as what `first` usually misses.
        weights: of the prior, to choose from; without a choice, steps are taken whether they help or not.
        held_out: own images by which is chosen, at most a quarter of all.
        batch_size: images that are optimised together.
    """

    first: Attack
    steps: int = 200
    learning_rate: float = 0.2
    starts: int = 2
    weights: tuple[float, ...] = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
    held_out: int = 48
    batch_size: int = 32

    starts_behind: ClassVar[bool] = True
    tolerance: ClassVar[float] = 0.02  # what rounding grows to where a unit of the model switches on or off

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("starts", 1), ("held_out", 2), ("batch_size", 1)):
            check_whole(name, getattr(self, name), least)
        check_positive("learning_rate", self.learning_rate)
        if not self.weights or min(self.weights) <= 0:
            raise InputError(f"`weights` must be positive, at least one; got {self.weights!r}.")

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
        """Choose on held-out images of its own.

        Returns:
            What `first` learned, `deviations` of answers, `axes` of images and how far off `first` was along them, `spread`.
            Info: `weight`, `STAY` where no step helped; `averaged`; `errors` by what was tried, mean squared, the drawn
            images themselves as "start".

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
        drawn = self._drawn(before, evidence, held, run)
        axes = axes_of(
            as_unit(own[: min(MOST_IMAGES, len(own) - count)])
        )  # the held-out ones must not lie in their span
        spread = spread_of(axes, (truth - drawn).reshape(count, -1))
        shown = known.observation.values[max(0, len(own) - MOST_ANSWERS) : len(own)]
        arrays = {"deviations": deviations_of(shown), "axes": axes, "spread": spread}
        errors = {"start": WORTH * _error(drawn, truth) if len(self.weights) > 1 else math.inf}
        weight, averaged = STAY, False
        for tried in self.weights:
            found = self._walk(drawn, evidence.observation.values, arrays, tried, held, run)
            for mean, images in ((False, best(*found)), (True, found[0].mean(axis=0))):
                error = _error(images, truth)
                weight, averaged = (tried, mean) if error < min(errors.values()) else (weight, averaged)
                errors[f"{tried:g}{', averaged' if mean else ''}"] = error
        started = {f"{SAVED}{name}": array for name, array in before[0].items()}
        errors["start"] = _error(drawn, truth)
        info = {"weight": weight, "averaged": averaged, "errors": errors, "start": dict(before[1])}
        return {**started, **arrays}, info

    def reconstruct(self, fitted: Fitted, observed: Evidence, held: Holdings, run: Run) -> Iterator[Floats]:
        arrays, info = fitted
        started = {n.removeprefix(SAVED): array for n, array in arrays.items() if n.startswith(SAVED)}
        drawn = self._drawn((started, info["start"]), observed, held, run)
        if info["weight"] == STAY:
            yield drawn
            return
        found = self._walk(drawn, observed.observation.values, arrays, info["weight"], held, run)
        yield found[0].mean(axis=0) if info["averaged"] else best(*found)

    def _drawn(self, fitted: Fitted, evidence: Evidence, held: Holdings, run: Run) -> Floats:
        alone = replace(run, workspace=None)  # its parts are not to be taken for ours
        return np.concatenate(list(self.first.reconstruct(fitted, evidence, held, alone)))

    def _walk(
        self, drawn: Floats, observed: Rows, arrays: Arrays, weight: float, held: Holdings, run: Run
    ) -> tuple[Floats, Floats]:
        assert held.target is not None  # as `needs` asks for the weights
        prior = Prior(arrays["axes"], arrays["spread"], weight)
        pace = Pace(self.steps, self.learning_rate, self.starts, self.batch_size)
        answer = held.target.differentiable()
        return walk(answer, drawn, observed, arrays["deviations"], prior, pace, run=run, label=self.label)


def _part(evidence: Evidence, rows: slice) -> Evidence:
    values, point = evidence.observation.values, evidence.observation.point
    return Evidence(Observation(np.asarray(values[rows]), point), [part[rows] for part in evidence.parts])


def _error(images: Floats, truth: Floats) -> float:
    return float(np.square(images - truth, dtype=np.float64).mean())
