"""Which feature maps to send: four ways to choose m of them, as stages (split 7)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mi_keras.attacks.feature_inversion import reconstruction_loss
from mi_keras.defenses.feature_maps import KeptMaps, MapStatistics
from mi_keras.defenses.feature_selection import (
    greedy_for_tail,
    highest_variance,
    lowest_reconstruction_gradient,
    random_maps,
)
from mi_keras.experiments.split.stages import TRAINING, Pipeline
from mi_keras.experiments.store import Stage
from mi_keras.settings import DecoderSettings
from mi_keras.work import Arrays, Workspace


def selections(
    pipeline: Pipeline,
    method: str,
    counts: Sequence[int],
    images: int,
    decoder: Stage,
    settings: DecoderSettings,
) -> dict[int, KeptMaps]:
    """Choose maps by a method, on training images.

    Args:
        method: "random", "variance", "gradient" or "greedy", see `defenses.feature_selection`.
        counts: how many maps to keep.
        images: of the training images to look at.
        decoder: whose reliance on each map "gradient" measures: the adversary's without a defence.

    Returns:
        The maps to keep, for each of `counts`.
    """
    if method == "random":
        seed, channels = pipeline.derive("selection", method), pipeline.encoder.map_shape[2]
        return {m: KeptMaps(random_maps(channels, m, seed)) for m in counts}
    if method == "variance":
        statistics = MapStatistics(**pipeline.statistics().arrays)
        return {m: KeptMaps(highest_variance(statistics, m)) for m in counts}

    def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
        maps = pipeline.maps(TRAINING).large("maps")[:images].astype(np.float32)
        if method == "greedy":
            seed = pipeline.derive("selection", method)
            kept = greedy_for_tail(pipeline.encoder.model.tail, maps, counts, seed=seed)
        else:
            model, pictures = pipeline.load_decoder(decoder, settings), pipeline.pictures(TRAINING)[:images]
            loss = reconstruction_loss(settings)
            kept = {
                m: lowest_reconstruction_gradient(model, maps, pictures.astype(np.float32), m, loss=loss)
                for m in counts
            }
        return {str(m): np.array(numbers) for m, numbers in kept.items()}, {}

    upstream = [decoder if method == "gradient" else pipeline.maps(TRAINING)]
    stage = pipeline.stage(
        "selection",
        compute,
        upstream=upstream,
        seeds=[("selection", method)],
        method=method,
        counts=list(counts),
        images=images,
    )
    return {m: KeptMaps(tuple(int(number) for number in stage.arrays[str(m)])) for m in counts}
