"""Beyond the split text, layer by layer: what MobileNetV3 sends at each stride, for how many pairs, with which access.

Text claims:  none of these; the text attacks one layer, with one decoder (split 6), and leaves mitigation to future work (split 7).
Command:      python scripts/reproduce.py --work beyond --section layers --data zip:FACES.zip
Measured:     quick, 1 run, seed 1, n = 407, minimalistic encoder, 10,000 faces of CelebA at 89x109: the decoder at C4 21.58 dB,
              0.671 SSIM, found by features 0.71 of 1,000, at 183,180 parameters; at C2 27.59 dB and 0.848, without a query
              18.81 dB and 0.508. All rows: docs/beyond.md
Cost:         `quick` took 37 minutes of processor time, 28 on 2 CPU cores beside little else; `paper`, by estimate, days.
Threat model: decoders learn from pairs that the head, a black box, answered. "No query" has own images and the maps that it
              intercepts, and asks nothing. The white box has the weights. Behind a defence the adversary knows it, and goes on
              training its decoder on what is sent.
Deviations:   ours. The decoder is equally large at every layer. What steps on the image may choose is chosen on own images that
              the decoder did not learn from. Tails are trained anew towards their own answers, since faces have no labels.
              The small residual network has no labels to learn either: it learns MobileNetV3's answers to the adversary's own
              images, and its reconstructions are looked for by MobileNetV3's features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mi_keras.defenses.maps import MOST_BITS
from mi_keras.errors import InputError
from mi_keras.experiments.beyond.layers_claims import RESIDUAL, claims_of, cut_of, figures_of
from mi_keras.experiments.beyond.layers_work import LAYERS, Benches
from mi_keras.experiments.case import Plan
from mi_keras.experiments.presets import check_choices, check_runs, sized
from mi_keras.experiments.section import Section
from mi_keras.experiments.split.rows import (
    MEAN_FACE,
    Name,
    measured_on,
    picture_arrays,
    picture_notes,
    picture_rows,
    retrieval_columns,
    score_arrays,
    scored_of,
    with_mean_face,
)
from mi_keras.experiments.split.sec_7_mitigation import METHODS as CHOICES
from mi_keras.experiments.split.sec_7_mitigation import MOST_NOISE
from mi_keras.experiments.split.sizes import COMPACT, QUICK, SMOKE
from mi_keras.results import ExperimentResult, Table
from mi_keras.settings import (
    EVEN,
    LARGEST,
    DecoderSettings,
    EncoderSettings,
    FaceSettings,
    check_whole,
)
from mi_keras.training.settings import ImitationSettings

if TYPE_CHECKING:
    from mi_keras.experiments.split.work import Faces

CUTS = ("C1", "C2", "C3", "C4", "C5")
SHOWN = 6


@dataclass(frozen=True)
class Config:
    """Settings of the section.

    Attributes:
        runs: repetitions of choices and decoders.
        cuts: layers of MobileNetV3, of `CUTS`; that of `encoder` is not looked at.
        residual: layers of a small residual network, which learns MobileNetV3's answers as `pupil` says.
        pairs: numbers of pairs to learn from.
        even: the decoder with the largest number of pairs; `adapted`: how it goes on behind a defence.
        fine_share: of the epochs, behind layers whose maps are folded: there an image costs several times as much.
        compared: cuts at which the decoder of split 6, `compact`, stands beside it.
        white_steps, white_starts, white_weights, white_held_out: of `WhiteBox`; `white_images`: held-out images, at most.
        defended: cuts with defences.
        methods, shares: ways to choose maps, and which shares of them are sent; `tuned`: with a tail trained anew beside.
        bits, noise: as of split 7.
        adapted_images, selection_images, tail_images: training images at most, for each.
        tail: how a tail is trained anew.
    """

    runs: int = 1
    cuts: tuple[str, ...] = CUTS
    residual: tuple[str, ...] = CUTS
    pupil: ImitationSettings = ImitationSettings(epochs=10, batch_size=32, learning_rate=2e-3)
    pairs: tuple[int, ...] = (100, 300, 1000, 4000)
    faces: FaceSettings = FaceSettings(faces=4480)
    encoder: EncoderSettings = EncoderSettings()
    even: DecoderSettings = replace(COMPACT, decoder=EVEN, batch_size=8, learning_rate=8e-3)
    compact: DecoderSettings = COMPACT
    fine_share: float = 1.0
    compared: tuple[str, ...] = ("C4",)
    white_steps: int = 120
    white_starts: int = 2
    white_weights: tuple[float, ...] = (1e-2, 1e-1, 1.0, 10.0)
    white_held_out: int = 32
    white_images: int = 300
    defended: tuple[str, ...] = CUTS
    methods: tuple[str, ...] = tuple(CHOICES)
    shares: tuple[float, ...] = (0.5, 0.25, 0.0625)
    tuned: tuple[str, ...] = ("greedy",)
    bits: tuple[int, ...] = (4, 2, 1)
    noise: tuple[float, ...] = (0.5, 1.0, 2.0)
    adapted: DecoderSettings = replace(COMPACT, decoder=EVEN, batch_size=8, epochs=8)
    adapted_images: int = LARGEST
    selection_images: int = 512
    tail: ImitationSettings = ImitationSettings()
    tail_images: int = LARGEST

    def __post_init__(self) -> None:
        check_runs(self.runs)
        check_choices("cuts", self.cuts, CUTS, at_least_one=True)
        for name in ("residual", "compared", "defended"):
            check_choices(name, getattr(self, name), CUTS)
        check_choices("methods", self.methods, tuple(CHOICES))
        check_choices("tuned", self.tuned, tuple(CHOICES))
        check_choices("bits", self.bits, tuple(range(1, MOST_BITS + 1)))
        for name, least in (("pairs", 2), ("shares", 0), ("noise", 0), ("white_weights", 0)):
            values = getattr(self, name)
            if len(set(values)) < len(values) or not all(least < each <= LARGEST for each in values):
                raise InputError(
                    f"`{name}` must be distinct numbers > {least} and <= {LARGEST}; got {values!r}."
                )
        if not self.pairs or not self.white_weights:
            raise InputError("`pairs` and `white_weights` must name at least one each.")
        if max(self.shares, default=0) >= 1:
            raise InputError(f"`shares` must be < 1; got {self.shares!r}.")
        if any(each >= MOST_NOISE for each in self.noise):
            raise InputError(f"`noise` must be < {MOST_NOISE:g}; got {self.noise!r}.")
        for name, wanted in (("even", EVEN), ("adapted", EVEN), ("compact", COMPACT.decoder)):
            if getattr(self, name).decoder != wanted:
                raise InputError(f"`{name}.decoder` must be {wanted}; got {getattr(self, name).decoder!r}.")
        if not 0 < self.fine_share <= 1:
            raise InputError(f"`fine_share` must be > 0 and <= 1; got {self.fine_share!r}.")
        for name in ("white_steps", "white_starts", "white_images"):
            check_whole(name, getattr(self, name), 1, LARGEST)
        for name in ("white_held_out", "adapted_images", "selection_images", "tail_images"):
            check_whole(name, getattr(self, name), 2, LARGEST)

    @property
    def layers(self) -> tuple[str, ...]:
        """What rows are about: the cuts of MobileNetV3, then those of the small residual network."""
        return (*self.cuts, *(f"{RESIDUAL} {cut}" for cut in self.residual))

    @property
    def attacked(self) -> tuple[str, ...]:
        """The cuts with defences, in the order of layers."""
        return tuple(cut for cut in self.cuts if cut in self.defended)


PAPER = Config()
PRESETS = {
    "smoke": replace(
        PAPER, cuts=("C4",), residual=("C4",), compared=(), pupil=ImitationSettings(1, 8, 2e-3), pairs=(16, 40), white_steps=2, white_starts=1, white_weights=(1.0,),
        white_held_out=4, white_images=2, defended=("C4",), methods=("greedy",), shares=(0.25,), bits=(), noise=(1.0,),
        adapted_images=16, selection_images=16, tail_images=16, tail=ImitationSettings(1, 8),
        even=replace(PAPER.even, epochs=1), adapted=replace(PAPER.adapted, epochs=1), **sized(SMOKE, Config),
    ),
    "quick": replace(
        PAPER, cuts=("C2", "C4"), residual=("C2", "C4"), pairs=(100, 1000, 4000), faces=replace(PAPER.faces, size=192),
        even=replace(PAPER.even, epochs=10), fine_share=0.2, white_steps=40, white_starts=1, white_weights=(0.1, 1.0),
        white_held_out=16, white_images=48, defended=("C4",), shares=(0.25, 0.0625), bits=(1,), noise=(1.0, 2.0),
        adapted=replace(PAPER.adapted, epochs=2), adapted_images=1000, selection_images=192, tail=ImitationSettings(3),
        tail_images=2000, compact=QUICK["compact"],
    ),
    "paper": PAPER,
}  # fmt: skip
SCORES = ("psnr", "ssim")


def check(config: Config, data: Faces) -> None:
    """Refuse pairs that leave no own image to choose by (see `section.Section`).

    Raises:
        InputError: there are too few training images.
    """
    there, wanted = data.sides["training"][1], max(config.pairs) + config.white_held_out
    if there < wanted:
        raise InputError(
            f"`pairs` and `white_held_out` must leave training images, of which there are {there}; they take {wanted}."
        )


def run(config: Config, benches: Benches) -> ExperimentResult:
    """Attack every layer in every run, with and without the weights, and defended ones behind every defence."""
    from mi_keras.experiments.beyond import layers_rows as named
    from mi_keras.experiments.beyond.layers_defended import defended

    firsts = [next(iter(of_run.values())) for of_run in benches]
    first, gallery = firsts[0], firsts[0].gallery()
    plans: dict[Name, list[Plan]] = {}
    refined: dict[Name, list[Plan]] = {}
    behind: dict[Name, list[Plan]] = {}
    labels: dict[Name, str] = {}
    values: dict[Name, Mapping[str, Any]] = {}
    benches = [
        of_run | {f"{RESIDUAL} {cut}": bench.of_small_residual(config.pupil, cut) for cut in config.residual}
        for of_run, bench in zip(map(dict, benches), firsts, strict=True)
    ]
    for cut in config.layers:
        plans |= named.planned(named.attacks(config, cut, benches[0][cut]), benches, cut, SCORES)
        refined |= named.planned(named.refined(config, cut, benches[0][cut]), benches, cut, SCORES)
    trained = [each.learned for of_runs in plans.values() for each in of_runs]
    plain = with_mean_face(plans, firsts)
    # All are trained before the first is scored
    first.store.compute([*trained, *scored_of(plain), *scored_of(refined), gallery])
    for cut in config.attacked:
        found, words, spent = defended(config, cut, benches, SCORES)
        behind, labels = behind | found, labels | words
        values.update(spent)
    labels |= {name: named.label(name, config) for name in (*plans, *refined)}
    rows = picture_rows(plain, labels, "attack", gallery, named.parameters(plans))
    few = picture_rows(refined, labels, "attack", gallery, {})
    protected = picture_rows(behind, labels, "defense", gallery, values)
    columns = ("psnr", "ssim", *retrieval_columns(rows[MEAN_FACE].values))
    tables = [
        Table("layers", "What each layer shows, by what the adversary has", "attack", (*columns, "parameters"), list(rows.values()), "psnr"),
        Table(
            "white_box", "With the weights: steps on the image, from what the decoder draws", "attack", columns, list(few.values()), "psnr",
            notes=[f"On the first {min(config.white_images, len(first.pictures(first.attacked))):,} held-out images."],
        ),
        Table(
            "defences", "What each defence costs the honest user, and what it leaves the attack", "what is sent",
            ("kilobytes", "agreement", "logit_cosine", *columns), list(protected.values()),
            notes=[
                "Agreement and cosine: of the tail's answer to what is sent with its answer to all maps. The attack: the decoder, trained "
                "without a defence and then, in every row, on what is sent."
            ],
        ),
    ]  # fmt: skip
    told = replace(config, encoder=replace(config.encoder, cut=", ".join(config.cuts)))
    everything = {**plain, **refined, **behind}
    numbers = list(range(min(SHOWN, config.white_images, len(first.pictures(first.attacked)))))
    arrays = score_arrays(everything) | picture_arrays(plain, first, numbers, [])
    for name, (each, *_) in everything.items():
        if name != MEAN_FACE:
            arrays[f"shown.{name}"] = benches[0][cut_of(name)].shown(each, numbers)
    claims = claims_of(config, rows, few, protected)
    drawn = figures_of(config, [rows, few, protected], len(numbers))
    return ExperimentResult(
        [table for table in tables if table.rows],
        claims,
        measured_on(first),
        arrays,
        drawn,
        [*picture_notes(told, first), *named.pupil_notes(config, firsts)],
    )


SECTION = Section(LAYERS, PRESETS, run, check)
