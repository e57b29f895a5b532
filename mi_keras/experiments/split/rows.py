"""Rows and arrays of sections that reconstruct pictures: scores, and whether each tells its own picture from others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.data.decoding import note_on_white
from mi_keras.experiments.case import Case, Plan, plan
from mi_keras.experiments.split.twins import twins
from mi_keras.results import Row

if TYPE_CHECKING:
    from mi_keras.experiments.split.bench import SplitBench
    from mi_keras.experiments.store import Stage

IMAGE_COLUMNS = ("psnr", "ssim", "ms_ssim", "psnr_paper", "ssim_paper", "ms_ssim_paper")
GALLERIES = (100, 1000)
SHOWN = 8  # held-out images in a figure


@dataclass(frozen=True)
class Name:
    """What a row is about; its text is the row's name in result files.

    Attributes:
        method: a decoder, a baseline, or what is done to the maps.
        at: how much of it is done.
    """

    method: str
    at: str = ""

    def __str__(self) -> str:
        return f"{self.method}@{self.at}" if self.at else self.method


MEAN_FACE = Name("mean_face")
Plans = Mapping[Name, Sequence[Plan]]  # by row, its plan in every run


def with_mean_face(plans: Plans, benches: "Sequence[SplitBench]") -> Plans:
    """Return the plans and, last, those of the mean face, which every attack has to beat."""
    from mi_keras.attacks.baselines import MeanImage

    return {**plans, MEAN_FACE: [plan(Case(MeanImage()), bench) for bench in benches]}


def scored_of(plans: Plans) -> "list[Stage]":
    """Return the scored stages of every row in every run."""
    return [each.scored for of_runs in plans.values() for each in of_runs]


def picture_rows(
    plans: Plans,
    labels: Mapping[Name, str],
    group: str,
    gallery: "Stage",
    more: Mapping[Name, Mapping[str, Any]],
) -> dict[Name, Row]:
    """Return the rows of plans, among them the mean face as a baseline; `more` are further values of `(runs,)`."""
    rows = {}
    for name, of_runs in plans.items():
        label, kind = ("mean face", "baseline") if name == MEAN_FACE else (labels[name], group)
        row = picture_row(name, label, kind, [each.scored for each in of_runs], gallery)
        rows[name] = replace(row, values={**row.values, **more.get(name, {})})
    return rows


def picture_row(name: Name, label: str, group: str, scored: Sequence["Stage"], gallery: "Stage") -> Row:
    """Return a row of all scores of the scored stage of every run."""
    runs = [_means(stage, gallery) for stage in scored]
    values = {metric: np.array([run[metric] for run in runs]) for metric in runs[0]}
    return Row(str(name), label, group, values, len(scored[0].arrays["psnr"]))


def retrieval_columns(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns of identity that a row has: galleries larger than the set were not looked through."""
    names = [f"{kind}retrieval_{size}" for kind in ("", "pixel_") for size in GALLERIES]
    return ("feature_distance", *(name for name in names if name in values))


def picture_arrays(
    plans: Plans, bench: "SplitBench", numbers: Sequence[int], shown: Iterable[Name]
) -> dict[str, Any]:
    """Return the scores per image of every row, `(runs, images)`, and of the first run what some rows make of some images."""
    arrays = score_arrays(plans) | {
        "shown.numbers": np.array(numbers),
        "shown.targets": bench.pictures(bench.attacked)[list(numbers)],
    }
    return arrays | {f"shown.{name}": bench.shown(plans[name][0], numbers) for name in shown}


def score_arrays(plans: Plans) -> dict[str, Any]:
    """Return the scores per image of every row, `(runs, images)`."""
    arrays: dict[str, Any] = {}
    for name, of_runs in plans.items():
        runs = [each.scored.arrays for each in of_runs]
        measured = [metric for metric in IMAGE_COLUMNS if metric in runs[0]]
        arrays |= {f"{metric}.{name}": np.stack([run[metric] for run in runs]) for metric in measured}
    return arrays


def measured_on(bench: "SplitBench") -> str:
    """Return the line that says how many pictures were attacked, and learned from."""
    info, size = bench.images().info, bench.faces.settings.size
    return f"{info['held_out']:,} held-out images, {info['training']:,} training images of {size} pixels"


def chosen_to_show(psnr: Any) -> tuple[list[int], dict[str, list[int]]]:
    """Return numbers of held-out images to show, and positions among them: the first ones, and by score."""
    order = [int(number) for number in np.argsort(psnr, kind="stable")]
    middle = (len(order) - 1) // 2
    by_score = {"worst": order[:2], "median": order[middle : middle + 2], "best": order[-2:]}
    first = list(range(min(SHOWN, len(order))))
    numbers = list(dict.fromkeys([*first, *(n for chosen in by_score.values() for n in chosen)]))
    positions = {name: [numbers.index(n) for n in chosen] for name, chosen in by_score.items()}
    return numbers, positions | {"first": [numbers.index(n) for n in first]}


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
        *note_on_white(info.get("on_white", 0)),
        *_division_notes(bench, info),
        *([bench.faces.source.note] if bench.faces.source.note else []),
    ]  # fmt: skip


def _division_notes(bench: "SplitBench", info: Mapping[str, Any]) -> list[str]:
    """Say what kept the two sides apart, and what did not."""
    settings, again = bench.faces.settings, twins(bench)
    if settings.division == "name":
        by = "Divided by file name, as the published results are: the same pictures under other names are divided otherwise"
        told = f"{again} training images show a held-out one again, as another file" if again else ""
        lines = ["; ".join(filter(None, [by, told])) + ": faces.division=content divides by what files hold."]
    else:
        lines = ["Divided by content: the same from a folder and an archive, under whatever names."]
        lines += (
            [
                f"{info['left']} training images left: they, or others of their group, show a held-out one again."
            ]
            if info["left"]
            else []
        )
    if bench.faces.source.note:  # which says what is on both sides
        return lines
    if settings.groups == "folder":
        return [*lines, "The pictures of a folder are on one side."]
    return [
        *lines,
        "Pictures are their own groups: one person may be on both sides, unless faces.groups=folder and a folder each.",
    ]


def image_means(arrays: Mapping[str, Any]) -> dict[str, float]:
    """Return the mean over images of every score of a scored stage."""
    return {
        metric: float(arrays[metric].mean(dtype=np.float64)) for metric in IMAGE_COLUMNS if metric in arrays
    }


def _means(stage: "Stage", gallery: "Stage") -> dict[str, float]:
    from mi_keras.metrics.retrieval import cosine_distance, retrieval_probability

    arrays, true = stage.arrays, gallery.arrays
    count = len(arrays["psnr"])
    means = image_means(arrays)
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
