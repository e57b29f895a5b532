"""Split 6: can faces be rebuilt from the feature maps that MobileNetV3-Large sends at the C4 cut?

Text claims:  a decoder with bicubic upsampling reaches 48.6 dB PSNR and 0.24 MS-SSIM, one with transposed convolutions
              46 dB and 0.22 (Table 1); reconstructions reveal enough to be a privacy concern (Figure 12).
Command:      python scripts/reproduce.py --work split --section 6 --data zip:FACES.zip
Measured:     quick, 1 run, seed 1, n = 300, minimalistic encoder, 10,000 faces of CelebA at 89x109, PSNR in the text's convention:
              transposed 48.57 dB, bicubic 48.63, the mean face 46.55. Ours at 183,180 parameters: 20.55 dB and 0.632
              SSIM on [0, 1] against 13.42 and 0.446 of the bicubic decoder. All rows: docs/results.md
Cost:         `quick` 11 minutes on 2 idle CPU cores, 2.1 GB of memory and 1.6 GB of disk; `paper`, by
              estimate, days.
Threat model: the adversary intercepts feature maps and can query the head with images of its own to train on; it knows
              no weight (the text calls that black box).
Deviations:   PSNR, SSIM and MS-SSIM stand beside the text's convention, which takes them of normalised values; the mean
              face, our two decoders, feature distance and retrieval are ours. Noise is drawn once per training image.
              Held-out images are chosen by a hash of their names (the published code scores images that it trained on);
              a person may be in several pictures, on both sides. Our decoders differ from the text's in architecture,
              loss, learning rate and schedule, and see no noise; `quick` gives all as many epochs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.presets import check_choices, check_runs
from mi_keras.experiments.section import Section
from mi_keras.experiments.split import sizes
from mi_keras.experiments.split.rows import (
    IMAGE_COLUMNS,
    MEAN_FACE,
    Name,
    Plans,
    chosen_to_show,
    measured_on,
    picture_arrays,
    picture_notes,
    picture_rows,
    retrieval_columns,
    scored_of,
    with_mean_face,
)
from mi_keras.experiments.split.work import SPLIT
from mi_keras.results import Claim, ExperimentResult, Figure, Paper, Row, Table, figures
from mi_keras.results.claims import ahead
from mi_keras.settings import DECODERS, DecoderSettings, EncoderSettings, FaceSettings

if TYPE_CHECKING:
    import keras

    from mi_keras.attacks.learned import Learned
    from mi_keras.experiments.split.bench import SplitBench

THEIRS = BY_TRANSPOSED, BY_BICUBIC = Name("transposed"), Name("bicubic")
OURS = BY_COMPACT, BY_LARGE = Name("compact"), Name("large")
LABELS = {
    BY_TRANSPOSED: "transposed convolutions (text)",
    BY_BICUBIC: "bicubic upsampling (text)",
    BY_COMPACT: "compact (ours)",
    BY_LARGE: "large (ours)",
}
PUBLISHED = {
    name: Paper("Table 1 (CelebA)", {"psnr_paper": (psnr, None), "ssim_paper": (ssim, None), "ms_ssim_paper": (ms_ssim, None)})
    for name, psnr, ssim, ms_ssim in ((BY_TRANSPOSED, 46.0, 0.033, 0.22), (BY_BICUBIC, 48.6, 0.039, 0.24))
}  # fmt: skip
MAPS_SHOWN, CHANNELS_SHOWN = 16, 8


@dataclass(frozen=True)
class Config:
    """Settings of the section; the defaults are the text's, but for our own decoders.

    Attributes:
        runs: repetitions of every decoder; images and feature maps stay the same.
        decoders: which to train.
    """

    runs: int = 1  # the text has a single fold
    decoders: tuple[str, ...] = DECODERS
    faces: FaceSettings = FaceSettings()
    encoder: EncoderSettings = EncoderSettings()
    transposed: DecoderSettings = sizes.TRANSPOSED
    bicubic: DecoderSettings = sizes.BICUBIC
    compact: DecoderSettings = sizes.COMPACT
    large: DecoderSettings = sizes.LARGE

    def __post_init__(self) -> None:
        check_runs(self.runs)
        check_choices("decoders", self.decoders, DECODERS, at_least_one=True)
        sizes.check_decoders(**{name: getattr(self, name) for name in DECODERS})


PAPER = Config()
PRESETS = {
    "smoke": replace(PAPER, **sizes.SMOKE),
    "quick": replace(PAPER, decoders=("transposed", "bicubic", "compact"), **sizes.QUICK),
    "paper": PAPER,
}


def attack_of(config: Config, decoder: str) -> Learned:
    """Return the attack with one of the section's decoders."""
    from mi_keras.attacks.learned import Learned

    return Learned(settings=getattr(config, decoder))


def run(config: Config, benches: Sequence[SplitBench]) -> ExperimentResult:
    """Train every decoder in every run and score it on the held-out images; `benches` has one per run."""
    trained = {
        Name(decoder): [plan(Case(attack_of(config, decoder)), bench) for bench in benches]
        for decoder in config.decoders
    }
    learned = {name: [each.learned for each in of_runs] for name, of_runs in trained.items()}
    plans, first = with_mean_face(trained, benches), benches[0]
    gallery = first.gallery()
    # All are trained before the first is scored
    first.store.compute([*chain(*learned.values()), *scored_of(plans), gallery])
    parameters = {
        name: {"parameters": np.array([float(stage.info["parameters"]) for stage in of_runs])}
        for name, of_runs in learned.items()
    }
    rows = picture_rows(plans, LABELS, "attack", gallery, parameters)
    columns = retrieval_columns(rows[MEAN_FACE].values)
    found = (
        "Found among N: probability that the true picture is the nearest to its reconstruction among N true pictures, by cosine of "
        "the model's own embedding or of 16x16 pixels, both less their mean; exact over all draws of the others from "
        f"{len(gallery.arrays['pixels']):,} pictures. Pixels see the background too. Chance: 1 / N. "
    )
    searched, quality = len(columns) > 1, [replace(rows[name], paper=PUBLISHED.get(name)) for name in rows]
    tables = [
        Table("table_1", "Table 1: quality of reconstructions", "decoder", (*IMAGE_COLUMNS, "parameters"), quality, "ssim"),
        Table(
            "identity",
            "Does a reconstruction tell its own picture from others?" if searched else "Does the model see the same in a reconstruction?",
            "decoder", columns, list(rows.values()), columns[-1],
            notes=[f"{found if searched else ''}Feature distance: 1 - cosine of the embeddings of picture and reconstruction."],
        ),
    ]  # fmt: skip
    reference = BY_COMPACT if BY_COMPACT in plans else Name(config.decoders[0])
    numbers, picked = chosen_to_show(plans[reference][0].scored.arrays["psnr"])
    arrays = picture_arrays(plans, first, numbers, [MEAN_FACE, *trained]) | _layers(first, plans)
    arrays |= {
        f"curve.{name}.loss": np.stack([np.array(stage.info["history"]["loss"]) for stage in of_runs])
        for name, of_runs in learned.items()
    }
    measured = f"{measured_on(first)}, feature maps {' x '.join(map(str, first.map_shape))}"
    drawn = _figures(config, picked, reference, arrays, first.map_shape[2])
    return ExperimentResult(tables, _claims(rows), measured, arrays, drawn, picture_notes(config, first))


def _layers(bench: SplitBench, plans: Plans) -> dict[str, Any]:
    """Return the maps of the first image that are sent, and the layers of the bicubic decoder, of the first run."""
    from mi_keras.models.decoders import layer_outputs

    sent = bench.sent(bench.attacked)[:1]
    arrays = {"maps.sent": np.moveaxis(sent[0][..., _spread(sent.shape[-1])], -1, 0)}
    if BY_BICUBIC in plans:
        decoder = bench.load(plans[BY_BICUBIC][0])
        for number, output in enumerate(layer_outputs(decoder, sent, _steps(decoder)), start=1):
            liveliest = np.argsort(-output.std(axis=(0, 1)), kind="stable")[:CHANNELS_SHOWN]
            arrays[f"maps.layer_{number}"] = np.moveaxis(output[..., liveliest], -1, 0).astype(np.float16)
    return arrays


def _spread(channels: int) -> list[int]:
    """Return the numbers of the maps that Figure 4 shows: evenly spread, not picked."""
    return [int(number) for number in np.linspace(0, channels - 1, min(MAPS_SHOWN, channels)).round()]


def _claims(rows: Mapping[Name, Row]) -> list[Claim]:
    """Hold the section's sentences, and what stands behind its numbers, against the rows."""
    size = next((n for n in (1000, 100) if f"retrieval_{n}" in rows[MEAN_FACE].values), None)
    claims = [
        ahead(rows, "Upsampling beats transposed convolutions", BY_BICUBIC, [BY_TRANSPOSED], source="split 6", metric=metric)
        for metric in ("psnr_paper", "ms_ssim_paper")
    ]  # fmt: skip
    others = [name for name in THEIRS if name in rows]
    for name in others:
        label = LABELS[name].removesuffix(" (text)")
        claims += [
            ahead(
                rows, f"The decoder with {label} draws more than the mean face, by {metric.upper()}", name, [MEAN_FACE],
                source="not in the text", metric=metric,
            )
            for metric in ("psnr", "ssim")
        ]  # fmt: skip
        if size:
            claims.append(ahead(
                rows, f"Reconstructions by {label} tell their picture from others, by what the model sees in them", name,
                [MEAN_FACE], source="split 6", metric=f"retrieval_{size}",
            ))  # fmt: skip
        baseline, published = rows[MEAN_FACE].mean("psnr_paper"), PUBLISHED[name].values["psnr_paper"][0]
        claims.append(Claim(
            f"The published PSNR of {label} is above what the mean face scores in the same convention", "not in the text",
            published > baseline, f"{published:.1f} dB published against {baseline:.2f} dB of the mean face here",
        ))  # fmt: skip
    if others:
        words = " and ".join(LABELS[name] for name in others)
        claims += [
            ahead(rows, f"A decoder that can draw dark colours, trained on what the victim sends: {LABELS[name]} beats {words}", name, others, source="not in the text")
            for name in OURS if name in rows
        ]  # fmt: skip
    return claims


def _figures(
    config: Config, picked: Mapping[str, list[int]], reference: Name, arrays: Mapping[str, Any], channels: int
) -> list[Figure]:
    first, drawn = picked["first"], [*config.decoders, str(MEAN_FACE)]
    headers = [name for name in ("worst", "median", "best") for _ in picked[name]]
    layers = [name.removeprefix("maps.") for name in arrays if name.startswith("maps.layer_")]
    decoding = figures.Layers(
        file="figures_5_11.png", arrays=layers,
        labels=[f"layer {number}: {_step_words(number, len(layers))}" for number in range(1, len(layers) + 1)],
        title="Figures 5 to 11: the image of Figure 3 on its way through the bicubic decoder",
        caption="Of each layer the maps that vary most. The last layer has three: red, green and blue, normalised.",
    ) if layers else None  # fmt: skip
    return [
        figures.NormalisedPhotographs(
            file="figure_1.png", images=first, title="Figure 1: held-out images, and the same normalised"
        ),
        figures.Photographs(
            file="figure_3.png", images=first[:1], title="Figure 3: the image that is followed through the decoder"
        ),
        figures.Maps(
            file="figure_4.png", array="sent", numbers=_spread(channels),
            title="Figure 4: some of the feature maps that are sent",
            caption="Evenly spread over all maps, of the image of Figure 3.",
        ),
        *([decoding] if decoding else []),
        figures.Photographs(
            file="figure_12.png", images=first, metric="psnr", rows=drawn,
            title="Figure 12: reconstructions of the first held-out images",
            caption="The first held-out images in the order of their hash, not picked. Under each its PSNR.",
        ),
        figures.Photographs(
            file="worst_median_best.png", metric="psnr", rows=drawn, headers=headers,
            images=[position for name in ("worst", "median", "best") for position in picked[name]],
            title=f"Worst, median and best by PSNR of the decoder {reference}",
        ),
        figures.Histogram(
            file="psnr.png", metric="psnr", baseline=[str(MEAN_FACE)], rows=drawn, title="PSNR of every held-out image"
        ),
        figures.TrainingCurves(
            file="training.png", models="Decoders", loss="loss of each (not comparable)", rows=config.decoders,
            title="Training of the decoders",
        ),
    ]  # fmt: skip


def _steps(decoder: keras.Model) -> list[str]:
    """Return the layers of the bicubic decoder that Figures 5 to 11 show, in order: convolution and doubling by turns."""
    steps = [layer.name for layer in decoder.layers if layer.name.startswith(("block_", "up_"))]
    return [name for name in steps if not name.endswith(("_conv", "_norm"))] + ["normalised_image"]


def _step_words(number: int, steps: int) -> str:
    return "answer" if number == steps else ("upsampling", "convolution")[number % 2]


SECTION = Section(SPLIT, PRESETS, run)
