"""Which feature maps to send: four ways to choose m of them, as stages (split 7)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mi_keras.attacks.learned import Learned
from mi_keras.defenses.maps import KeptMaps, MapStatistics, QuantizedMaps
from mi_keras.defenses.selection import (
    greedy_for_tail,
    highest_variance,
    lowest_reconstruction_gradient,
    random_maps,
)
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.split.bench import TRAINING, SplitBench
from mi_keras.experiments.store import Stage
from mi_keras.progress import Arrays, Workspace


def selections(
    bench: SplitBench, methods: Sequence[str], counts: Sequence[int], images: int, attack: Learned
) -> dict[str, dict[int, KeptMaps]]:
    """Choose maps by each method, on training images.

    Args:
        methods: of "random", "variance", "gradient" and "greedy", see `defenses.selection`.
        counts: how many maps to keep.
        images: of the training images to look at.
        attack: whose decoder's reliance on each map "gradient" measures: the adversary's without a defence.

    Returns:
        By method, the maps to keep for each of `counts`.
    """
    chosen = {
        method: _chosen(bench, method, counts, images, attack)
        for method in methods
        if method not in ("random", "variance")
    }
    bench.store.compute(chosen.values())
    return {
        method: {m: KeptMaps(tuple(chosen[method].arrays[str(m)].tolist())) for m in counts}
        if method in chosen
        else _at_once(bench, method, counts)
        for method in methods
    }


def _at_once(bench: SplitBench, method: str, counts: Sequence[int]) -> dict[int, KeptMaps]:
    """Choose maps by a draw, or by what is known of them."""
    if method == "random":
        seed, channels = bench.derive("selection", method), bench.map_shape[2]
        return {m: KeptMaps(random_maps(channels, m, seed)) for m in counts}
    statistics = MapStatistics(**bench.measured(QuantizedMaps()).arrays)
    return {m: KeptMaps(highest_variance(statistics, m)) for m in counts}


def _chosen(bench: SplitBench, method: str, counts: Sequence[int], images: int, attack: Learned) -> Stage:
    """Describe the stage of a method that looks at images."""

    def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
        maps = bench.maps(TRAINING).large("maps")[:images].astype(np.float32)
        if method == "greedy":
            seed = bench.derive("selection", method)
            kept = greedy_for_tail(bench.encoder.tail, maps, counts, seed=seed)
        else:
            decoder, pictures, loss = (
                bench.load(trained),
                bench.pictures(TRAINING)[:images],
                attack.network.loss,
            )
            kept = {m: lowest_reconstruction_gradient(decoder, maps, pictures, m, loss=loss) for m in counts}
        return {str(m): np.array(numbers) for m, numbers in kept.items()}, {}

    trained = plan(Case(attack), bench)
    upstream = [trained.learned if method == "gradient" else bench.maps(TRAINING)]
    return bench.stage(
        "selection", compute, upstream=upstream, seeds=[("selection", method)],
        method=method, counts=list(counts), images=images,
    )  # fmt: skip
