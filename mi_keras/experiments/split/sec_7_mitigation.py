"""Split 7: does sending fewer feature maps stop the reconstruction, and what does it cost the honest user?

Text claims:  sending a subset of the feature maps mitigates the attack at the expense of accuracy; not built there.
Command:      python scripts/reproduce.py --work split --section 7 --data zip:FACES.zip
Measured:     quick, 1 run, seed 1, n = 300, minimalistic encoder, 10,000 faces of CelebA at 89x109: with half of the maps the
              tail keeps 48 % of its answers at best, and the attack loses 0.35 dB of 20.5. No defence that leaves a fifth
              of the answers takes more than 2.3 dB. All rows: docs/results.md
Cost:         `quick` 13 minutes on 2 CPU cores beside other jobs, after section 6, which shares its decoder; `paper`, by
              estimate, days.
Threat model: as in section 6, and the adversary knows the defence: it goes on training its decoder on maps that the
              same defence has changed.
Deviations:   the text has no experiment. The tail is not trained anew: what is not sent is 0 for it. The defender chooses maps
              and measures their ranges on the images that the adversary trains on, and "lowest reconstruction gradient"
              is given the adversary's own undefended decoder: the best case for the defender.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.defenses.feature_maps import (
    MOST_BITS,
    Defense,
    KeptMaps,
    NoisyMaps,
    QuantizedMaps,
    bytes_per_image,
)
from mi_keras.errors import InputError
from mi_keras.experiments.claims import ahead
from mi_keras.experiments.presets import check_choices, check_runs, sized
from mi_keras.experiments.split.rows import (
    MEAN_FACE,
    picture_notes,
    picture_row,
    retrieval_columns,
    score_arrays,
)
from mi_keras.experiments.split.sizes import COMPACT, QUICK, SMOKE, check_decoders
from mi_keras.quiet import quiet_libraries
from mi_keras.results import Claim, ExperimentResult, Row, Table
from mi_keras.settings import LARGEST, DecoderSettings, EncoderSettings, FaceSettings

if TYPE_CHECKING:
    from mi_keras.experiments.split.stages import Pipeline
    from mi_keras.experiments.split.work import Faces
    from mi_keras.experiments.store import Stage

NONE = "none"
METHODS = {
    "random": "random maps",
    "variance": "maps of highest variance",
    "gradient": "maps of lowest reconstruction gradient",
    "greedy": "maps chosen for the tail",
}
SHOWN = 6
SCORES = ("psnr", "ssim")
MOST_NOISE = 100.0  # deviations: beyond it maps leave the range of float16


@dataclass(frozen=True)
class Config:
    """Settings of the section; not in the text, but for what it shares with section 6.

    Attributes:
        runs: repetitions of choices and decoders.
        methods: ways to choose the maps that are sent.
        maps: how many of them.
        bits: of a value, with all maps sent.
        noise: standard deviation of noise over that of the map, with all maps sent.
        compact: the adversary's decoder without a defence.
        adapted: how the adversary goes on training it on defended maps.
        adapted_images: training images for that, at most.
        selection_images: the defender's own images by which maps are chosen, at most.
    """

    runs: int = 1
    methods: tuple[str, ...] = tuple(METHODS)
    maps: tuple[int, ...] = (336, 168, 84, 42, 21)
    bits: tuple[int, ...] = (8, 4, 2, 1)
    noise: tuple[float, ...] = (0.5, 1.0, 2.0)
    adapted_images: int = LARGEST
    selection_images: int = 512
    faces: FaceSettings = FaceSettings()
    encoder: EncoderSettings = EncoderSettings()
    compact: DecoderSettings = COMPACT
    adapted: DecoderSettings = replace(COMPACT, epochs=8)

    def __post_init__(self) -> None:
        check_runs(self.runs)
        check_choices("methods", self.methods, tuple(METHODS))
        check_choices("bits", self.bits, tuple(range(1, MOST_BITS + 1)))
        check_decoders(compact=self.compact)
        for name in ("maps", "noise"):
            values = getattr(self, name)
            if not values and name == "maps":
                raise InputError("`maps` must name at least one number; got none.")
            most = MOST_NOISE if name == "noise" else LARGEST
            names = {f"{value:g}" for value in values}
            if len(names) < len(values) or not all(0 < value <= most for value in values):
                raise InputError(f"`{name}` must be distinct numbers > 0 and <= {most:g}; got {values!r}.")
        if not (self.methods or self.bits or self.noise):
            raise InputError("`methods`, `bits` and `noise` must name at least one defence; got none.")
        if self.adapted.decoder != self.compact.decoder:
            raise InputError(
                f"`adapted.decoder` must be {self.compact.decoder}; got {self.adapted.decoder!r}."
            )
        for name in ("adapted_images", "selection_images"):
            if getattr(self, name) < 2:
                raise InputError(f"`{name}` must be >= 2; got {getattr(self, name)}.")


PAPER = Config()
_SHARED = ("faces", "compact")
PRESETS = {
    "smoke": replace(
        PAPER, maps=(168, 42), bits=(4,), noise=(1.0,), selection_images=16, **sized(SMOKE, *_SHARED),
        adapted=SMOKE["compact"],
    ),
    "quick": replace(
        PAPER, maps=(336, 168, 42), bits=(4, 2, 1), noise=(1.0, 2.0), adapted_images=1500, selection_images=192,
        **sized(QUICK, *_SHARED), adapted=replace(COMPACT, epochs=2),
    ),
    "paper": PAPER,
}  # fmt: skip


def check(config: Config, _: Faces) -> None:
    """Refuse to send as many maps as there are at the cut, or more (see `registry.Experiment`); imports TensorFlow.

    Raises:
        InputError: also where the cut is none.
    """
    with quiet_libraries():
        from mi_keras.experiments.split.encoder import map_count

        there = map_count(config.encoder, config.faces.size)
    if max(config.maps) >= there:
        raise InputError(
            f"`maps` must be below the number of maps at the cut, {there}; got {max(config.maps)}."
        )


def run(config: Config, pipelines: Sequence[Pipeline]) -> ExperimentResult:
    """Attack what every defence sends in every run; `pipelines` has one per run."""
    runs = [_attack(config, pipeline) for pipeline in pipelines]
    first, gallery = pipelines[0], pipelines[0].gallery()
    rows = {
        name: picture_row(
            name, _label(name), "defense", [scored[name] for scored, _ in runs], gallery,
            more={value: np.array([costs[name][value] for _, costs in runs]) for value in ("kilobytes", "kept_maps", "agreement", "logit_cosine")},
        )
        for name in runs[0][0]
        if name != MEAN_FACE
    }  # fmt: skip
    stages = {name: [scored[name] for scored, _ in runs] for name in runs[0][0]}
    rows[MEAN_FACE] = picture_row(MEAN_FACE, "mean face", "baseline", stages[MEAN_FACE], gallery)
    columns = retrieval_columns(rows[MEAN_FACE].values)
    tables = [
        Table(
            "mitigation", "What each defence costs the honest user, and what it leaves the attack", "what is sent",
            ("kilobytes", "agreement", "logit_cosine", "psnr", "ssim", *columns), list(rows.values()),
            notes=[
                "Agreement and cosine: of the tail's answer to what is sent with its answer to all maps. The attack: the compact "
                "decoder, trained without a defence and then, in every row, on what is sent. kB: float16, or the bits of each value."
            ],
        ),
    ]  # fmt: skip
    numbers = list(range(min(SHOWN, len(first.pictures("held_out")))))
    info = first.images().info
    measured = (
        f"{info['held_out']:,} held-out images, {info['training']:,} training images of {config.faces.size} pixels, "
        f"of which {min(config.adapted_images, info['training']):,} for each defence"
    )
    arrays = score_arrays(stages) | _shown(config, first, numbers)
    return ExperimentResult(
        tables,
        _claims(rows, config),
        measured,
        arrays,
        _figures(config, rows, numbers),
        picture_notes(config, first),
    )


def _defenses(config: Config, pipeline: Pipeline) -> dict[str, Defense | None]:
    """Return every defence of a run by the name of its row, first that there is none."""
    from mi_keras.experiments.split.selections import selections

    base = pipeline.decoder(config.compact)
    found: dict[str, Defense | None] = {NONE: None}
    for method in config.methods:
        kept = selections(pipeline, method, config.maps, config.selection_images, base, config.compact)
        found |= {f"{method}@{m}": kept[m] for m in config.maps}
    found |= {f"bits@{bits}": QuantizedMaps(bits) for bits in config.bits}
    return found | {f"noise@{deviation:g}": NoisyMaps(deviation) for deviation in config.noise}


def _attack(config: Config, pipeline: Pipeline) -> tuple[dict[str, Stage], dict[str, dict[str, float]]]:
    """Return the scored stages of every row, and what each defence costs: bytes and the tail's agreement."""
    scored: dict[str, Stage] = {}
    costs: dict[str, dict[str, float]] = {}
    reference = pipeline.answers(None)
    for name, defense in _defenses(config, pipeline).items():
        decoder = _adapted(config, pipeline, defense)
        scored[name] = pipeline.scored(decoder, config.adapted, defense, scores=SCORES).computed()
        costs[name] = _costs(defense, pipeline.answers(defense), reference, pipeline)
    return scored | {MEAN_FACE: pipeline.scored_mean_face().computed()}, costs


def _adapted(config: Config, pipeline: Pipeline, defense: Defense | None) -> Stage:
    """Go on training the undefended decoder on what is sent; as long where nothing is done to it, or it had less training."""
    return pipeline.decoder(
        config.adapted, defense=defense, start=pipeline.decoder(config.compact), images=config.adapted_images
    )


def _costs(defense: Defense | None, answers: Any, reference: Any, pipeline: Pipeline) -> dict[str, float]:
    from mi_keras.metrics.agreement import logit_cosine, top1_agreement

    shape = pipeline.encoder.map_shape
    return {
        "kilobytes": bytes_per_image(shape, defense) / 1000,
        "kept_maps": float(len(defense.kept) if isinstance(defense, KeptMaps) else shape[2]),
        "agreement": float(top1_agreement(answers, reference).mean()),
        "logit_cosine": float(logit_cosine(answers, reference).mean()),
    }


def _label(name: str) -> str:
    kind, _, amount = name.partition("@")
    if name == NONE:
        return "all maps"
    if kind == "bits":
        return f"{amount} bit{'s' if amount != '1' else ''} a value"
    if kind == "noise":
        return f"noise of {amount} deviation{'s' if amount != '1' else ''}"
    return f"{amount} {METHODS[kind]}"


def _claims(rows: Mapping[str, Row], config: Config) -> list[Claim]:
    """Hold the section's sentence, and what the sweep adds to it, against the rows."""
    claims: list[Claim] = []
    ends = dict.fromkeys((max(config.maps), min(config.maps)))
    for name in (f"{method}@{m}" for method in config.methods for m in ends):
        claims += [
            ahead(rows, f"Sending {_label(name)} lowers what the attack draws", name, [NONE], source="split 7", metric="psnr", sign=-1),
            ahead(rows, f"Sending {_label(name)} costs accuracy", name, [NONE], source="split 7", metric="agreement", sign=-1),
        ]  # fmt: skip
    others = [method for method in config.methods if method != "greedy"]
    if "greedy" in config.methods and others:
        claims += [
            ahead(
                rows, f"Of {m} maps, those chosen for the tail keep most of its answers", f"greedy@{m}",
                [f"{method}@{m}" for method in others], source="not in the text", metric="agreement",
            )
            for m in config.maps
        ]  # fmt: skip
    claims += [
        ahead(
            rows, f"{_label(f'bits@{fewer}')} instead of {more} lowers what the attack draws", f"bits@{fewer}", [f"bits@{more}"],
            source="not in the text", metric="psnr", sign=-1,
        )
        for more, fewer in pairwise(sorted(config.bits, reverse=True))
    ]  # fmt: skip
    return claims


def _shown(config: Config, pipeline: Pipeline, numbers: Sequence[int]) -> dict[str, Any]:
    from mi_keras.experiments.split.stages import HELD_OUT

    arrays: dict[str, Any] = {
        "shown.numbers": np.array(numbers),
        "shown.targets": pipeline.pictures(HELD_OUT)[numbers],
    }
    for name, defense in _defenses(config, pipeline).items():
        decoder = _adapted(config, pipeline, defense)
        arrays[f"shown.{name}"] = pipeline.shown(decoder, config.adapted, numbers, defense)
    return arrays


def _figures(config: Config, rows: Mapping[str, Row], numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Return the privacy-utility curves, and what the adversary still sees behind every defence."""
    series = [
        {"label": METHODS[method], "rows": [f"{method}@{m}" for m in config.maps], "points": [f"m={m}" for m in config.maps]}
        for method in config.methods
    ]  # fmt: skip
    if config.bits:
        series.append({
            "label": "fewer bits", "rows": [f"bits@{bits}" for bits in config.bits],
            "points": [f"{bits} bit{'s' if bits > 1 else ''}" for bits in config.bits],
        })  # fmt: skip
    if config.noise:
        names = [f"noise@{deviation:g}" for deviation in config.noise]
        series.append(
            {"label": "noise", "rows": names, "points": [f"{value:g} dev." for value in config.noise]}
        )
    privacy = {"psnr": "PSNR of the reconstruction"}
    if "retrieval_100" in rows[NONE].values:
        privacy["retrieval_100"] = "what the model itself recognises in the reconstruction"
    curve: dict[str, Any] = {
        "kind": "trade_off", "rows": [], "series": series, "baseline": [MEAN_FACE], "reference": NONE,
    }  # fmt: skip
    figures = [
        curve | {
            "file": f"privacy_utility_{metric}.png", "title": f"Privacy and utility of what is sent: {text}",
            "caption": "Each point is a defence and an adversary that knows it; m: maps that are sent. Star: all maps.",
            "panels": [
                {"x": "agreement", "y": metric, "log_x": False, "better": "lower right"},
                {"x": "kilobytes", "y": metric, "log_x": True, "better": "lower left"},
            ],
        }
        for metric, text in privacy.items()
    ]  # fmt: skip
    for kind, label in {**METHODS, "bits": "fewer bits", "noise": "noise"}.items():
        names = [name for name in rows if name.startswith(f"{kind}@")]
        if names:
            figures.append({
                "file": f"reconstructions_{kind}.png", "kind": "photographs", "rows": [NONE, *names], "metric": "psnr",
                "images": list(range(len(numbers))), "title": f"What the adversary draws: {label}",
                "caption": "The first held-out images in the order of their hash, not picked. Under each its PSNR.",
            })  # fmt: skip
    return figures
