"""The attacks of section `layers` by the names of their rows: what each learns, and from whom. Imports TensorFlow."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mi_keras.attacks.access import Access
from mi_keras.attacks.learned import Learned
from mi_keras.attacks.look_up import LookUp
from mi_keras.attacks.means import PlaceMeans
from mi_keras.attacks.white_box import WhiteBox
from mi_keras.experiments.beyond.layers_bench import FIRST, LayersBench
from mi_keras.experiments.beyond.layers_work import Benches
from mi_keras.experiments.case import Case, Plan, plan
from mi_keras.experiments.split.rows import Name
from mi_keras.models.residual_decoder import FOLDED
from mi_keras.settings import DecoderSettings

if TYPE_CHECKING:
    from mi_keras.experiments.beyond.sec_layers import Config

EVEN, COMPACT, NEAREST, NO_QUERY, WHITE = "even", "compact", "nearest", "no_query", "white_box"
WITHOUT_QUERY = Access(images=True, population=True, defense=True)
Cases = Mapping[Name, Case]


def row(cut: str, method: str, at: int | str = "") -> Name:
    """Return the name of a row at a cut."""
    return Name(f"{cut}-{method}", str(at))


def decoder(settings: DecoderSettings, pairs: int, config: "Config", bench: LayersBench) -> Learned:
    """Return a decoder that learns from so many pairs.

    Where pairs are fewer it sees each image more often, by the square root of how many times fewer there are. Where maps are
    folded an image costs several times as much, and the decoder sees `fine_share` of them.
    """
    share = config.fine_share if bench.encoder.stride < FOLDED else 1.0
    epochs = round(share * settings.epochs * math.sqrt(max(config.pairs) / pairs))
    return Learned(settings=replace(settings, epochs=max(1, epochs)), images=pairs)


def attacks(config: "Config", cut: str, bench: LayersBench) -> dict[Name, Case]:
    """Return the attacks on what is sent at a cut, from the strongest."""
    most = max(config.pairs)
    found = {
        row(cut, EVEN, pairs): Case(decoder(config.even, pairs, config, bench))
        for pairs in sorted(config.pairs, reverse=True)
    }
    if cut in config.compared:
        found[row(cut, COMPACT, most)] = Case(Learned(settings=config.compact, images=most))
    found[row(cut, NEAREST, most)] = Case(LookUp(most))
    found[row(cut, NO_QUERY)] = Case(PlaceMeans(), access=WITHOUT_QUERY)
    return found


def refined(config: "Config", cut: str, bench: LayersBench) -> dict[Name, Case]:
    """Return, for the first held-out images alone, what the decoder draws and what who has the weights makes of that."""
    first = decoder(config.even, max(config.pairs), config, bench)
    steps = WhiteBox(
        first, config.white_steps, starts=config.white_starts, weights=config.white_weights, held_out=config.white_held_out
    )  # fmt: skip
    images = f"{FIRST}{config.white_images}"
    return {
        row(cut, EVEN, "first"): Case(first, images=images),
        row(cut, WHITE, "first"): Case(steps, images=images, access=bench.supplies),
    }


def planned(cases: Cases, benches: Benches, cut: str, scores: tuple[str, ...]) -> dict[Name, list[Plan]]:
    """Return the plans of cases in every run."""
    return {
        name: [plan(case, of_run[cut], scores=scores) for of_run in benches] for name, case in cases.items()
    }


def label(name: Name, config: "Config") -> str:
    """Return what a row is called."""
    cut, _, method = name.method.partition("-")
    words = {
        EVEN: "decoder", COMPACT: "compact decoder of split 6", NEAREST: "nearest own image",
        NO_QUERY: "no query: means of places", WHITE: "with the weights",
    }[method]  # fmt: skip
    if name.at == "first":  # of the images, on which steps are taken
        return f"{cut}: {words if method == WHITE else 'before the steps'}"
    return f"{cut}: {words}, {int(name.at):,} pairs" if name.at else f"{cut}: {words}"


def parameters(plans: Mapping[Name, list[Plan]]) -> dict[Name, dict[str, np.ndarray]]:
    """Return how large the decoders are, which is read with what they learned."""
    found = {}
    for name, of_runs in plans.items():
        if isinstance(of_runs[0].case.attack, Learned):
            counts = [float(each.learned.info["parameters"]) for each in of_runs]
            found[name] = {"parameters": np.array(counts)}
    return found


def pupil_notes(config: "Config", benches: Sequence[LayersBench]) -> list[str]:
    """Return the line that says what the small residual network is."""
    if not config.residual:
        return []
    stages = [bench.small_residual(config.pupil) for bench in benches]
    agreed = np.mean([stage.info["agreement"] for stage in stages])
    size = sum(array.size for array in stages[0].arrays.values())
    return [
        f"Small residual network: {size:,} parameters, trained on the adversary's images to answer as MobileNetV3 does; top-1 "
        f"agreement with it on held-out images {agreed:.3f}."
    ]
