"""What an audit will cost, measured on 64 images before it starts, and what a budget leaves out.

What does not fit is left out in this order and named: other seeds of the attacker, the white box, attacks from shadow models (the last of
them with the training of these), networks that learn with 1 - SSIM, then all other networks and decoders, of the point at
hand. Other linear maps, the class alone and the controls of the output are never left out. The budget is that of each point,
whichever others are audited, and what was decided for a point is stored: neither a point more nor a faster hour changes it.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mi_keras.attacks.attack import Evidence
from mi_keras.attacks.learned import First, Learned
from mi_keras.attacks.shadows import FromShadows
from mi_keras.attacks.steps import Pace, Spectrum, make_step, walk
from mi_keras.attacks.white_box import WhiteBox
from mi_keras.attacks.within_class import NetworkWithinClass
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.ladder import CLASS, SHADOW, UNLIMITED, WHITE_BOX, Rung
from mi_keras.auditing.shadows import SHARE, ShadowBench
from mi_keras.auditing.subject import OWN
from mi_keras.data.preprocess import as_unit
from mi_keras.experiments.store import Stage
from mi_keras.progress import Arrays, Run, Workspace
from mi_keras.types import Observation

TIMED = 64  # images
DRAWING = 0.1  # of the time of training, for answers and reconstructions


@dataclass(frozen=True)
class Chosen:
    """The attacks that are run at a point.

    Attributes:
        places: among its rungs.
        left_out: labels of the others.
        seconds: to expect, for one fold, with the shuffled control of a layer.
        costs: seconds of each attack by its label; empty where nothing was measured.
        most: seconds that there are, for one fold; infinite without a budget.
        shared: seconds of these that shadow models take to be trained, which points share.
    """

    places: tuple[int, ...]
    left_out: tuple[str, ...]
    seconds: float
    costs: Mapping[str, float]
    most: float
    shared: float = 0.0

    def has_room_for(self, more: float) -> bool:
        """Return whether something that takes so many seconds fits as well."""
        return self.seconds + more <= self.most


def choose(rungs: Sequence[Rung], *, budget: float, folds: int = 1) -> Chosen:
    """Return which attacks of a point fit into a budget, by measurement.

    Args:
        rungs: the attacks.
        budget: minutes for the point; 0: everything is run, and nothing is measured.
        folds: of the images, which share them.
    """
    if not budget:
        return Chosen(tuple(range(len(rungs))), (), 0.0, {}, math.inf)
    bench, most = rungs[0].bench, 60 * budget / folds
    costly = [rung for place, rung in enumerate(rungs) if _order(rung, place)[0] < _NEVER]
    attacks = [
        [rung.label, type(rung.attack).__name__, rung.attack.identity, asdict(rung.bench.sent)]
        for rung in costly
    ]

    def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
        rates: dict[object, float] = {}
        costs = {rung.label: _cost(rung, rates) for rung in rungs}
        whole = {rung.label: costs[rung.label] * _times(rung) for rung in rungs}
        first = next((rung for rung in rungs if isinstance(rung.bench, ShadowBench)), None)
        training = _training(first.bench) if first else 0.0
        if first:
            whole[first.label] += training  # a point pays all of it, as if no other did
        left: list[str] = []
        for rung in sorted(costly, key=lambda rung: _order(rung, rungs.index(rung))):
            if sum(whole.values()) > most:
                left.append(rung.label)
                del whole[rung.label]
        shared = training if first and first.label in whole else 0.0
        return {}, {"left_out": left, "seconds": sum(whole.values()), "shared": shared, "costs": costs}

    target = bench.subject.target(bench.sent.point)
    stage: Stage = bench.stage(
        "audit_plan",
        compute,
        half=True,
        told=bench.label(f"attacks timed at {rungs[-1].bench.sent.title}"),
        attacks=attacks,
        budget=budget,
        model=target.identity,
        point=target.point.name,
    )
    info = stage.info
    left = info["left_out"]
    places = tuple(place for place, rung in enumerate(rungs) if rung.label not in left)
    said = tuple(rung.label for rung in rungs if rung.label in left)
    return Chosen(places, said, float(info["seconds"]), info["costs"], most, float(info["shared"]))


def shares(rung: Rung) -> dict[str, float]:
    """Return what parts of its cost an attack takes to learn, by the name "", and to draw each side, by its name."""
    counts = {side: rung.bench.attacked_count(side) for side in rung.bench.subject.sides if side != OWN}
    learned, drawn = 1.0, DRAWING / sum(counts.values())
    if isinstance(attack := rung.attack, WhiteBox):
        learned, drawn = (len(attack.weights) + attack.starts) * attack.held_out, attack.starts
    parts = {"": learned} | {side: drawn * count for side, count in counts.items()}
    return {name: part / sum(parts.values()) for name, part in parts.items()}


def sentence(name: str, left_out: Sequence[str]) -> str:
    """Return what is said of a point, by its name, at which the budget left something out."""
    return f"Left out at {name}, as the budget has it: {', '.join(left_out)}. `budget=0` leaves nothing out."


_NEVER = 4


def _order(rung: Rung, place: int) -> tuple[int, int]:
    """Return when an attack is left out: the smaller the sooner, and of shadow models the first of them last."""
    if rung.adversary == WHITE_BOX:
        return 0, place
    if isinstance(rung.bench, ShadowBench):
        return 1, -place
    if rung.adversary == CLASS or not isinstance(rung.attack, NetworkWithinClass | Learned):
        return _NEVER, place
    return 2 if isinstance(rung.attack, NetworkWithinClass) and rung.attack.loss == "ssim" else 3, place


def _times(rung: Rung) -> int:
    """Return how often an attack is trained: at a layer again on shuffled answers, as one of the first two is."""
    bench = rung.bench
    if bench.sent.with_class or isinstance(bench, ShadowBench) or rung.adversary not in (SHADOW, UNLIMITED):
        return 1
    return 1 if isinstance(rung.attack, NetworkWithinClass) and rung.attack.loss == "ssim" else 2


def _cost(rung: Rung, rates: dict[object, float]) -> float:
    """Return the seconds that an attack takes to be trained; `rates`: seconds by image and epoch, measured once."""
    attack, bench = rung.attack, rung.bench
    if isinstance(attack, FromShadows):
        return _cost(replace(rung, attack=attack.inner), rates)
    if isinstance(attack, WhiteBox):
        sides = [side for side in bench.subject.sides if side != OWN]
        walks = attack.starts * sum(bench.attacked_count(side) for side in sides)
        walks += (len(attack.weights) + attack.starts) * attack.held_out
        first = _cost(replace(rung, attack=attack.first), rates)
        return first + _seconds_of_a_step(attack, bench) * attack.steps * walks
    if isinstance(attack, NetworkWithinClass):
        epochs, images, short = attack.epochs, attack.images, replace(attack, epochs=1, images=0)
    elif isinstance(attack, Learned):
        settings = replace(attack.settings, epochs=1)
        epochs, images, short = attack.settings.epochs, attack.images or 0, replace(attack, settings=settings)  # type: ignore[assignment]
    else:
        return 0.0
    kind = (
        type(attack),
        short.label,
        bench.sent.point if bench.of_maps else bench.asked("target", OWN, None).read().values.shape[1],
    )
    if kind not in rates:
        held, seen = bench.holdings(attack.needs), bench.asked("target", OWN, None).read()
        few = held.own_images.first(TIMED)
        known = (
            Observation(First(seen.values, TIMED), seen.point)
            if bench.of_maps
            else Observation(seen.values[:TIMED], seen.point)
        )
        evidence = Evidence(known, [known.values])
        for _ in range(2):  # the first time, the step is traced
            started = time.perf_counter()
            short.fit(evidence, replace(held, images=few), Run(1, precision=bench.store.precision))
            rates[kind] = (time.perf_counter() - started) / len(few)
    total = images or len(bench.own_images())
    return (1 + DRAWING) * rates[kind] * epochs * total


def _training(bench: AuditBench) -> float:
    """Return the seconds that shadow models take to be trained and to answer, from one that learns few images."""
    assert isinstance(bench, ShadowBench)
    own = len(bench.own_images())
    few = np.arange(min(TIMED, own))

    def seconds(epochs: int) -> float:
        started = time.perf_counter()
        bench.trained(few, epochs, Run(1))
        return time.perf_counter() - started

    seconds(1)  # the first time, the step is traced
    rate = _of_five(seconds(1), seconds(6)) / len(few)
    return (1 + DRAWING) * rate * bench.epochs * SHARE * own * bench.shadows


def _seconds_of_a_step(attack: WhiteBox, bench: AuditBench) -> float:
    """Return the seconds that a step on an image takes, from few of them."""
    drawn = as_unit(bench.truth_bytes(OWN)[: min(TIMED, attack.batch_size)])
    seen = np.asarray(bench.asked("target", OWN, None).read().values[: len(drawn)], np.float32)
    spectrum = Spectrum(np.full(drawn.shape[1:], 1e-3, np.float32), np.eye(drawn.shape[3], dtype=np.float32))
    step = make_step(bench.target(None).differentiable(), spectrum, np.ones(seen.shape[-1], np.float32))

    def seconds(steps: int) -> float:
        started, pace = time.perf_counter(), Pace(steps, 0.1, 1, len(drawn))
        walk(step, drawn, seen, 1.0, pace, run=Run(1), label=attack.label)
        return time.perf_counter() - started

    seconds(1)  # the first time, the step is traced
    return _of_five(seconds(1), seconds(6)) / len(drawn)


def _of_five(shorter: float, longer: float) -> float:
    """Return a fifth of what five more take; what comes on top of each may be longer than they are, and more or less."""
    return (longer - shorter if longer > shorter else longer) / 5
