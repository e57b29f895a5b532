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
from typing import TYPE_CHECKING

import numpy as np

from mi_keras.defenses.maps import MOST_BITS, NoisyMaps, QuantizedMaps
from mi_keras.errors import InputError
from mi_keras.experiments.case import Case, Plan, plan
from mi_keras.experiments.presets import check_choices, check_runs, sized
from mi_keras.experiments.section import Section
from mi_keras.experiments.split.rows import (
    MEAN_FACE,
    Cell,
    costs_of,
    picture_notes,
    picture_row,
    retrieval_columns,
    score_arrays,
)
from mi_keras.experiments.split.sizes import COMPACT, QUICK, SMOKE, check_decoders
from mi_keras.experiments.split.work import SPLIT
from mi_keras.quiet import quiet_libraries
from mi_keras.results import Claim, ExperimentResult, Figure, Row, Table, figures
from mi_keras.results.claims import ahead
from mi_keras.settings import LARGEST, DecoderSettings, EncoderSettings, FaceSettings

if TYPE_CHECKING:
    from mi_keras.attacks.learned import Learned
    from mi_keras.experiments.split.bench import SplitBench
    from mi_keras.experiments.split.work import Faces

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
PRESETS = {
    "smoke": replace(
        PAPER, maps=(168, 42), bits=(4,), noise=(1.0,), selection_images=16, **sized(SMOKE, Config),
        adapted=SMOKE["compact"],
    ),
    "quick": replace(
        PAPER, maps=(336, 168, 42), bits=(4, 2, 1), noise=(1.0, 2.0), adapted_images=1500, selection_images=192,
        **sized(QUICK, Config), adapted=replace(COMPACT, epochs=2),
    ),
    "paper": PAPER,
}  # fmt: skip


def check(config: Config, _: Faces) -> None:
    """Refuse to send as many maps as there are at the cut, or more (see `section.Section`); imports TensorFlow.

    Raises:
        InputError: also where the cut is none.
    """
    with quiet_libraries():
        from mi_keras.models.mobilenet import map_count

        there = map_count(config.encoder, config.faces.size)
    if max(config.maps) >= there:
        raise InputError(
            f"`maps` must be below the number of maps at the cut, {there}; got {max(config.maps)}."
        )


def run(config: Config, benches: Sequence[SplitBench]) -> ExperimentResult:
    """Attack what every defence sends in every run; `benches` has one per run."""
    from mi_keras.attacks.baselines import MeanImage

    cells = [_cells(config, bench) for bench in benches]
    plans = {
        name: [_attacked(config, bench, cell[name]) for cell, bench in zip(cells, benches, strict=True)]
        for name in cells[0]
    }
    costs = [costs_of(cell, bench) for cell, bench in zip(cells, benches, strict=True)]
    first, gallery = benches[0], benches[0].gallery()
    scored = {name: [each.scored for each in of_runs] for name, of_runs in plans.items()}
    rows = {
        name: picture_row(
            name, cell.label, "defense", scored[name], gallery,
            more={value: np.array([cost[name][value] for cost in costs]) for value in costs[0][name]},
        )
        for name, cell in cells[0].items()
    }  # fmt: skip
    scored[MEAN_FACE] = [plan(Case(MeanImage()), bench).scored for bench in benches]
    rows[MEAN_FACE] = picture_row(MEAN_FACE, "mean face", "baseline", scored[MEAN_FACE], gallery)
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
    arrays = score_arrays(scored) | {
        "shown.numbers": np.array(numbers),
        "shown.targets": first.pictures("held_out")[numbers],
        **{f"shown.{name}": first.shown(of_runs[0], numbers) for name, of_runs in plans.items()},
    }
    drawn = _figures(cells[0], rows, numbers)
    return ExperimentResult(
        tables, _claims(cells[0], rows, config), measured, arrays, drawn, picture_notes(config, first)
    )


def _cells(config: Config, bench: SplitBench) -> dict[str, Cell]:
    """Return every row of a run by its name, first that without a defence."""
    from mi_keras.experiments.split.selections import selections

    cells = [Cell(NONE, "", "all maps", "", None)]
    for method in config.methods:
        kept = selections(bench, method, config.maps, config.selection_images, _base(config))
        cells += [Cell(method, str(m), f"{m} {METHODS[method]}", f"m={m}", kept[m]) for m in config.maps]
    for bits in config.bits:
        fewer = QuantizedMaps(bits)
        cells.append(Cell("bits", str(bits), fewer.words, fewer.words.removesuffix(" a value"), fewer))
    for deviation in config.noise:
        noisy = NoisyMaps(deviation)
        cells.append(Cell("noise", f"{deviation:g}", noisy.words, f"{deviation:g} dev.", noisy))
    return {cell.name: cell for cell in cells}


def _base(config: Config) -> Learned:
    """Return the adversary's attack without a defence."""
    from mi_keras.attacks.attack import Answers
    from mi_keras.attacks.learned import Learned

    return Learned((Answers(),), config.compact)


def _attacked(config: Config, bench: SplitBench, cell: Cell) -> Plan:
    """Go on training the undefended decoder on what is sent; as long where nothing is done to it, or it had less training."""

    base = _base(config)
    adapted = replace(base, settings=config.adapted, start=base, images=config.adapted_images)
    attacked = plan(Case(adapted, cell.defense), bench, scores=SCORES)
    attacked.scored.computed()
    return attacked


def _claims(cells: Mapping[str, Cell], rows: Mapping[str, Row], config: Config) -> list[Claim]:
    """Hold the section's sentence, and what the sweep adds to it, against the rows."""
    claims: list[Claim] = []
    ends = dict.fromkeys((max(config.maps), min(config.maps)))
    for name in (f"{method}@{m}" for method in config.methods for m in ends):
        sending = f"Sending {cells[name].label}"
        claims += [
            ahead(rows, f"{sending} lowers what the attack draws", name, [NONE], source="split 7", metric="psnr", sign=-1),
            ahead(rows, f"{sending} costs accuracy", name, [NONE], source="split 7", metric="agreement", sign=-1),
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
            rows, f"{cells[f'bits@{fewer}'].label} instead of {more} lowers what the attack draws", f"bits@{fewer}",
            [f"bits@{more}"], source="not in the text", metric="psnr", sign=-1,
        )
        for more, fewer in pairwise(sorted(config.bits, reverse=True))
    ]  # fmt: skip
    return claims


def _figures(cells: Mapping[str, Cell], rows: Mapping[str, Row], numbers: Sequence[int]) -> list[Figure]:
    """Return the privacy-utility curves, and what the adversary still sees behind every defence."""
    kinds = {
        kind: (label, [cell for cell in cells.values() if cell.kind == kind])
        for kind, label in {**METHODS, "bits": "fewer bits", "noise": "noise"}.items()
    }
    kinds = {kind: (label, members) for kind, (label, members) in kinds.items() if members}
    series = [
        figures.TradeOffSeries(label, [cell.name for cell in members], [cell.point for cell in members])
        for label, members in kinds.values()
    ]
    privacy = {"psnr": "PSNR of the reconstruction"}
    if "retrieval_100" in rows[NONE].values:
        privacy["retrieval_100"] = "what the model itself recognises in the reconstruction"
    return [
        *(
            figures.TradeOff(
                file=f"privacy_utility_{metric}.png", title=f"Privacy and utility of what is sent: {text}",
                caption="Each point is a defence and an adversary that knows it; m: maps that are sent. Star: all maps.",
                panels=[figures.Panel("agreement", metric, False, "lower right"), figures.Panel("kilobytes", metric, True, "lower left")],
                series=series, baseline=[MEAN_FACE], reference=NONE,
            )
            for metric, text in privacy.items()
        ),
        *(
            figures.Photographs(
                file=f"reconstructions_{kind}.png", rows=[NONE, *(cell.name for cell in members)], metric="psnr",
                images=list(range(len(numbers))), title=f"What the adversary draws: {label}",
                caption="The first held-out images in the order of their hash, not picked. Under each its PSNR.",
            )
            for kind, (label, members) in kinds.items()
        ),
    ]  # fmt: skip


SECTION = Section(SPLIT, PRESETS, run, check)
