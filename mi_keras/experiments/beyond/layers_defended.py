"""Defences of what a layer sends, each with an adversary that knows it, and what each costs. Imports TensorFlow."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mi_keras.attacks.learned import Learned
from mi_keras.defenses.defense import Defense
from mi_keras.defenses.maps import KeptMaps, NoisyMaps, QuantizedMaps
from mi_keras.experiments.beyond.layers_bench import LayersBench
from mi_keras.experiments.beyond.layers_rows import decoder, row
from mi_keras.experiments.beyond.layers_work import Benches
from mi_keras.experiments.case import Case, Plan, plan
from mi_keras.experiments.split.rows import Name, scored_of
from mi_keras.experiments.split.sec_7_mitigation import METHODS, costs
from mi_keras.experiments.split.selections import selections
from mi_keras.metrics.agreement import logit_cosine, top1_agreement

if TYPE_CHECKING:
    from mi_keras.experiments.beyond.sec_layers import Config

NONE, BITS, NOISE, SHAPED, TUNED = "none", "bits", "noise", "shaped", "tuned"
Values = Mapping[Name, Mapping[str, NDArray[np.float64]]]


def defended(
    config: "Config", cut: str, benches: Benches, scores: tuple[str, ...]
) -> tuple[dict[Name, list[Plan]], dict[Name, str], Values]:
    """Return the plans of every defence at a cut in every run, their labels, and what each costs.

    A tail that is trained anew changes what a defence costs, and nothing of what is sent: its rows have the plans of the
    same defence with the tail as it was.
    """
    of_runs = [of_run[cut] for of_run in benches]
    base = decoder(config.even, max(config.pairs), config, of_runs[0])
    adapted = replace(base, settings=config.adapted, start=base, images=config.adapted_images)
    defenses = [_defenses(config, cut, bench, base) for bench in of_runs]
    plans = {
        name: [
            plan(Case(adapted, each[name]), bench, scores=scores)
            for each, bench in zip(defenses, of_runs, strict=True)
        ]
        for name in defenses[0]
    }
    of_runs[0].store.compute(scored_of(plans))  # before what is not stored is measured
    values = {name: dict(each) for name, each in costs(plans, of_runs).items()}
    labels = {name: _label(cut, name, each) for name, each in defenses[0].items()}
    for name in [name for name in plans if _method(name) in config.tuned]:
        again = row(cut, f"{_method(name)}_{TUNED}", name.at)
        plans[again], labels[again] = plans[name], f"{labels[name]}, tail trained anew"
        values[again] = {**values[name], **_tuned(config, of_runs, [each[name] for each in defenses])}
    return plans, labels, values


def _method(name: Name) -> str:
    return name.method.partition("-")[2]


def _defenses(config: "Config", cut: str, bench: LayersBench, base: Learned) -> dict[Name, Defense | None]:
    """Return what is done in every row of a run, first nothing."""
    found: dict[Name, Defense | None] = {row(cut, NONE): None}
    maps = sorted({max(1, round(share * bench.map_shape[2])) for share in config.shares}, reverse=True)
    kept = selections(bench, config.methods, maps, config.selection_images, base)
    found |= {row(cut, method, m): kept[method][m] for method in config.methods for m in maps}
    found |= {row(cut, BITS, bits): QuantizedMaps(bits) for bits in config.bits}
    if config.noise:
        shaped = bench.shaped_like(config.noise, config.selection_images)
        for deviation in config.noise:
            found[row(cut, NOISE, f"{deviation:g}")] = NoisyMaps(deviation)
            found[row(cut, SHAPED, f"{deviation:g}")] = shaped[deviation]
    return found


def _label(cut: str, name: Name, defense: Defense | None) -> str:
    if defense is None:
        return f"{cut}: all maps"
    if _method(name) == SHAPED:
        return f"{cut}: shaped noise, as many answers as {name.at} dev."
    if isinstance(defense, KeptMaps):
        return f"{cut}: {name.at} {METHODS[_method(name)]}"
    return f"{cut}: {defense.words}"


def _tuned(
    config: "Config", benches: list[LayersBench], defenses: list[Defense | None]
) -> dict[str, NDArray[np.float64]]:
    """Return how far a tail that was trained anew answers as the old one does without a defence."""
    found: dict[str, list[float]] = {"agreement": [], "logit_cosine": []}
    for bench, defense in zip(benches, defenses, strict=True):
        assert defense is not None
        both = bench.tuned_answers(defense, config.tail, config.tail_images), bench.answers(None)
        found["agreement"].append(float(top1_agreement(*both).mean()))
        found["logit_cosine"].append(float(logit_cosine(*both).mean()))
    return {name: np.array(each) for name, each in found.items()}
