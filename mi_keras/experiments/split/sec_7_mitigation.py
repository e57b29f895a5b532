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
from numpy.typing import NDArray

from mi_keras.defenses.defense import Defense, bytes_of
from mi_keras.defenses.maps import MOST_BITS, KeptMaps, NoisyMaps, QuantizedMaps
from mi_keras.errors import InputError
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.presets import check_choices, check_runs, sized
from mi_keras.experiments.section import Section
from mi_keras.experiments.split.rows import (
    MEAN_FACE,
    Name,
    Plans,
    measured_on,
    picture_arrays,
    picture_notes,
    picture_rows,
    retrieval_columns,
    scored_of,
    with_mean_face,
)
from mi_keras.experiments.split.sizes import COMPACT, QUICK, SMOKE, check_decoders
from mi_keras.experiments.split.work import SPLIT
from mi_keras.quiet import quiet_libraries
from mi_keras.results import Claim, ExperimentResult, Figure, Row, Table, figures
from mi_keras.results.claims import ahead
from mi_keras.settings import LARGEST, DecoderSettings, EncoderSettings, FaceSettings, check_whole

if TYPE_CHECKING:
    from mi_keras.attacks.learned import Learned
    from mi_keras.experiments.split.bench import SplitBench
    from mi_keras.experiments.split.work import Faces

NONE = Name("none")
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
        if not self.maps:
            raise InputError("`maps` must name at least one number; got none.")
        for name, values, most in (("maps", self.maps, LARGEST), ("noise", self.noise, MOST_NOISE)):
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
            check_whole(name, getattr(self, name), 2)


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
        from mi_keras.models.scope import let_idle_threads_sleep

        let_idle_threads_sleep()  # the encoder is built here
        there = map_count(config.encoder, config.faces.size)
    if max(config.maps) >= there:
        raise InputError(
            f"`maps` must be below the number of maps at the cut, {there}; got {max(config.maps)}."
        )


def run(config: Config, benches: Sequence[SplitBench]) -> ExperimentResult:
    """Attack what every defence sends in every run; `benches` has one per run."""
    from mi_keras.attacks.learned import Learned

    base = Learned(settings=config.compact)
    # It goes on with what is sent; as long where nothing is done to it, or that row had less training
    adapted = replace(base, settings=config.adapted, start=base, images=config.adapted_images)
    runs = [(bench, _defenses(config, bench, base)) for bench in benches]
    first, defenses = runs[0]
    plans = {
        name: [plan(Case(adapted, of_run[name]), bench, scores=SCORES) for bench, of_run in runs]
        for name in defenses
    }
    labels = {name: _label(name, defense) for name, defense in defenses.items()}
    everything = with_mean_face(plans, benches)
    first.store.compute([*scored_of(everything), first.gallery()])  # before what is not stored is measured
    rows = picture_rows(everything, labels, "defense", first.gallery(), costs(plans, benches))
    tables = [
        Table(
            "mitigation", "What each defence costs the honest user, and what it leaves the attack", "what is sent",
            ("kilobytes", "agreement", "logit_cosine", "psnr", "ssim", *retrieval_columns(rows[MEAN_FACE].values)),
            list(rows.values()),
            notes=[
                "Agreement and cosine: of the tail's answer to what is sent with its answer to all maps. The attack: the compact "
                "decoder, trained without a defence and then, in every row, on what is sent. kB: float16, or the bits of each value."
            ],
        ),
    ]  # fmt: skip
    used = min(config.adapted_images, first.images().info["training"])
    measured = f"{measured_on(first)}, of which {used:,} for each defence"
    numbers = list(range(min(SHOWN, len(first.pictures(first.attacked)))))
    arrays = picture_arrays(everything, first, numbers, plans)
    drawn, notes = _figures(rows, numbers), picture_notes(config, first)
    return ExperimentResult(tables, _claims(rows, config), measured, arrays, drawn, notes)


def _defenses(config: Config, bench: SplitBench, undefended: Learned) -> dict[Name, Defense | None]:
    """Return what is done in every row of a run, first nothing."""
    from mi_keras.experiments.split.selections import selections

    found: dict[Name, Defense | None] = {NONE: None}
    kept = selections(bench, config.methods, config.maps, config.selection_images, undefended)
    found |= {Name(method, str(m)): kept[method][m] for method in config.methods for m in config.maps}
    found |= {Name("bits", str(bits)): QuantizedMaps(bits) for bits in config.bits}
    return found | {Name("noise", f"{deviation:g}"): NoisyMaps(deviation) for deviation in config.noise}


def _label(name: Name, defense: Defense | None) -> str:
    if name.method in METHODS:
        return f"{name.at} {METHODS[name.method]}"
    return defense.words if defense else "all maps"


def costs(plans: Plans, benches: Sequence[SplitBench]) -> dict[Name, dict[str, NDArray[np.float64]]]:
    """Return what each row costs the honest user: bytes, maps, and the tail's agreement with its answer to all maps."""
    from mi_keras.metrics.agreement import logit_cosine, top1_agreement

    shape, references = benches[0].map_shape, [bench.answers(None) for bench in benches]
    found = {}
    for name, of_runs in plans.items():
        defenses = [each.case.defense for each in of_runs]
        answers = [bench.answers(defense) for bench, defense in zip(benches, defenses, strict=True)]
        values = {
            "kilobytes": [
                (each.bytes_per_image(shape) if each else bytes_of(shape)) / 1000 for each in defenses
            ],
            "kept_maps": [len(each.kept) if isinstance(each, KeptMaps) else shape[2] for each in defenses],
            "agreement": [top1_agreement(*both).mean() for both in zip(answers, references, strict=True)],
            "logit_cosine": [logit_cosine(*both).mean() for both in zip(answers, references, strict=True)],
        }
        found[name] = {cost: np.array(each, np.float64) for cost, each in values.items()}
    return found


def _claims(rows: Mapping[Name, Row], config: Config) -> list[Claim]:
    """Hold the section's sentence, and what the sweep adds to it, against the rows."""
    claims: list[Claim] = []
    ends = dict.fromkeys((max(config.maps), min(config.maps)))
    for name in (Name(method, str(m)) for method in config.methods for m in ends):
        sending = f"Sending {rows[name].label}"
        claims += [
            ahead(rows, f"{sending} lowers what the attack draws", name, [NONE], source="split 7", metric="psnr", sign=-1),
            ahead(rows, f"{sending} costs accuracy", name, [NONE], source="split 7", metric="agreement", sign=-1),
        ]  # fmt: skip
    others = [method for method in config.methods if method != "greedy"]
    if "greedy" in config.methods and others:
        claims += [
            ahead(
                rows, f"Of {m} maps, those chosen for the tail keep most of its answers", Name("greedy", str(m)),
                [Name(method, str(m)) for method in others], source="not in the text", metric="agreement",
            )
            for m in config.maps
        ]  # fmt: skip
    for more, fewer in pairwise(sorted(config.bits, reverse=True)):
        name, other = Name("bits", str(fewer)), Name("bits", str(more))
        text = f"{rows[name].label} instead of {more} lowers what the attack draws"
        claims.append(ahead(rows, text, name, [other], source="not in the text", metric="psnr", sign=-1))
    return claims


def _figures(rows: Mapping[Name, Row], numbers: Sequence[int]) -> list[Figure]:
    """Return the privacy-utility curves, and what the adversary still sees behind every defence."""
    labels = {**METHODS, "bits": "fewer bits", "noise": "noise"}
    kinds = {kind: [name for name in rows if name.method == kind] for kind in labels}
    kinds = {kind: names for kind, names in kinds.items() if names}

    def point(name: Name) -> str:
        words = {"bits": rows[name].label.removesuffix(" a value"), "noise": f"{name.at} dev."}
        return words.get(name.method, f"m={name.at}")

    series = [
        figures.TradeOffSeries(labels[kind], [*map(str, names)], [*map(point, names)])
        for kind, names in kinds.items()
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
                series=series, baseline=[str(MEAN_FACE)], reference=str(NONE),
            )
            for metric, text in privacy.items()
        ),
        *(
            figures.Photographs(
                file=f"reconstructions_{kind}.png", rows=[str(name) for name in (NONE, *names)], metric="psnr",
                images=list(range(len(numbers))), title=f"What the adversary draws: {labels[kind]}",
                caption="The first held-out images in the order of their hash, not picked. Under each its PSNR.",
            )
            for kind, names in kinds.items()
        ),
    ]  # fmt: skip


SECTION = Section(SPLIT, PRESETS, run, check)
