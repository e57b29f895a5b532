"""Rows and arrays of sections that reconstruct pictures: scores, and whether each tells its own picture from others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.defenses.defense import Defense, bytes_of
from mi_keras.defenses.maps import KeptMaps
from mi_keras.results import Paper, Row

if TYPE_CHECKING:
    from mi_keras.experiments.split.bench import SplitBench
    from mi_keras.experiments.store import Stage

IMAGE_COLUMNS = ("psnr", "ssim", "ms_ssim", "psnr_paper", "ssim_paper", "ms_ssim_paper")
GALLERIES = (100, 1000)
MEAN_FACE = "mean_face"
SHOWN = 8  # held-out images in a figure


def picture_row(
    name: str,
    label: str,
    group: str,
    scored: Sequence["Stage"],
    gallery: "Stage",
    *,
    paper: Paper | None = None,
    note: str = "",
    more: Mapping[str, Any] | None = None,
) -> Row:
    """Return a row of all scores of the scored stage of every run; `more` are further values of `(runs,)`."""
    runs = [_means(stage, gallery) for stage in scored]
    values = {metric: np.array([run[metric] for run in runs]) for metric in runs[0]}
    return Row(name, label, group, values | dict(more or {}), len(scored[0].arrays["psnr"]), paper, note)


def retrieval_columns(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns of identity that a row has: galleries larger than the set were not looked through."""
    names = [f"{kind}retrieval_{size}" for kind in ("", "pixel_") for size in GALLERIES]
    return ("feature_distance", *(name for name in names if name in values))


def score_arrays(scored: Mapping[str, Sequence["Stage"]]) -> dict[str, Any]:
    """Return the scores per image of every row, `(runs, images)`."""
    arrays: dict[str, Any] = {}
    for name, stages in scored.items():
        runs = [stage.arrays for stage in stages]
        measured = [metric for metric in IMAGE_COLUMNS if metric in runs[0]]
        arrays |= {f"{metric}.{name}": np.stack([run[metric] for run in runs]) for metric in measured}
    return arrays


def chosen_to_show(psnr: Any) -> tuple[list[int], dict[str, list[int]]]:
    """Return numbers of held-out images to show, and positions among them: the first ones, and by score."""
    order = [int(number) for number in np.argsort(psnr, kind="stable")]
    middle = (len(order) - 1) // 2
    by_score = {"worst": order[:2], "median": order[middle : middle + 2], "best": order[-2:]}
    first = list(range(min(SHOWN, len(order))))
    numbers = list(dict.fromkeys([*first, *(n for chosen in by_score.values() for n in chosen)]))
    positions = {name: [numbers.index(n) for n in chosen] for name, chosen in by_score.items()}
    return numbers, positions | {"first": [numbers.index(n) for n in first]}


@dataclass(frozen=True)
class Cell:
    """A row of the table.

    Attributes:
        kind: what is done: a way to choose maps, "bits", "noise", or "none".
        amount: how much of it, as in the row's name.
        label, point: the same in tables, and beside a point of a figure.
    """

    kind: str
    amount: str
    label: str
    point: str
    defense: Defense | None

    @property
    def name(self) -> str:
        return f"{self.kind}@{self.amount}" if self.amount else self.kind


def costs_of(cells: Mapping[str, Cell], bench: "SplitBench") -> dict[str, dict[str, float]]:
    """Return what each row costs the honest user: bytes, maps, and the tail's agreement with its answer to all maps."""
    from mi_keras.metrics.agreement import logit_cosine, top1_agreement

    shape, reference = bench.map_shape, bench.answers(None)
    costs: dict[str, dict[str, float]] = {}
    for name, cell in cells.items():
        defense, answers = cell.defense, bench.answers(cell.defense)
        costs[name] = {
            "kilobytes": (defense.bytes_per_image(shape) if defense else bytes_of(shape)) / 1000,
            "kept_maps": float(len(defense.kept) if isinstance(defense, KeptMaps) else shape[2]),
            "agreement": float(top1_agreement(answers, reference).mean()),
            "logit_cosine": float(logit_cosine(answers, reference).mean()),
        }
    return costs


def picture_notes(config: Any, bench: "SplitBench") -> list[str]:
    """Return the lines that every result of the work carries: encoder, what was skipped, what the pictures are."""
    info = bench.images().info
    skipped, used = info["skipped"], info["training"] + info["held_out"]
    weights = config.encoder.weights
    listed = "; ".join(f"{key} ({reason})" for key, reason in skipped[:10])
    more = f" and {len(skipped) - 10} more" if len(skipped) > 10 else ""
    return [
        f"Encoder: MobileNetV3-Large, {config.encoder.variant}, weights {weights}, cut at {config.encoder.cut}.",
        *(["With random weights the encoder recognises nothing: scores say nothing about a trained one."] if weights == "random" else []),
        *([f"{config.faces.faces:,} pictures were asked for; {bench.faces.source.name} gave {used:,}."] if used < config.faces.faces else []),
        *([f"Skipped images: {len(skipped)}: {listed}{more}."] if skipped else []),
        *([bench.faces.source.note] if bench.faces.source.note else []),
    ]  # fmt: skip


def _means(stage: "Stage", gallery: "Stage") -> dict[str, float]:
    from mi_keras.metrics.retrieval import cosine_distance, retrieval_probability

    arrays, true = stage.arrays, gallery.arrays
    count = len(arrays["psnr"])
    means = {
        metric: float(arrays[metric].mean(dtype=np.float64)) for metric in IMAGE_COLUMNS if metric in arrays
    }
    means["feature_distance"] = float(cosine_distance(arrays["features"], true["features"][:count]).mean())
    for prefix, kind in (("", "features"), ("pixel_", "pixels")):
        queries, looked_through = _centred(arrays[kind]), _centred(true[kind])
        for size in GALLERIES:
            if len(looked_through) >= size:
                found = retrieval_probability(queries, looked_through, np.arange(count), size)
                means[f"{prefix}retrieval_{size}"] = float(found.mean())
    return means


def _centred(embeddings: Any) -> Any:
    """Return embeddings less their mean: all reconstructions of a decoder are blurred alike, which moves all of theirs."""
    return embeddings - embeddings.mean(axis=0, dtype=np.float64)
