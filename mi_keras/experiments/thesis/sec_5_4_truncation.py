"""Thesis 5.4: does truncating the output vector to its k largest values stop the inversion model?

Text claims:  SSIM rises as k falls (Table 6), as reconstructions become the class's generic image: a "2" without a
              loop gets one (Figures 20 to 24). Truncation is therefore called an effective defence.
Command:      python scripts/reproduce.py --section 5.4
Measured:     quick, 2 runs, seed 1, n = 1,334: M_I(O) 0.358 to 0.425, M_I(X~) 0.395 to 0.423 from k = 10 to k = 1, class prototype
              0.429; the distance to the prototype falls, the calibration error doubles. All rows: docs/results.md
Cost:         `quick` 10 minutes on 2 idle CPU cores after 5.2; `paper`, by estimate, about a day a run.
Threat model: gray box as in 5.2, and the adversary knows k.
Deviations:   instance gain, distance to the class prototype, the share of loops and the cost to the honest user are
              ours. X~ matches the whole truncated vector; with the one-hot targets of formula 2 it would not see the
              truncation at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from mi_keras.data.splits import Splits
from mi_keras.defenses.answers import Truncation
from mi_keras.errors import InputError
from mi_keras.experiments.section import Section
from mi_keras.experiments.thesis.defended import attack_all, cost_table, series_over
from mi_keras.experiments.thesis.loops import TWO, PerImage, loop_table, twos_without_loop
from mi_keras.experiments.thesis.rows import PROTOTYPE, Attacked, Name, medians, model_labels, published
from mi_keras.experiments.thesis.sizes import Inverted, presets
from mi_keras.experiments.thesis.work import THESIS, Benches
from mi_keras.results import Claim, ExperimentResult, Figure, Row, SweepSeries, Table, figures
from mi_keras.results.claims import ahead
from mi_keras.settings import LARGEST
from mi_keras.types import Ints

FIGURES = {"o": "15 to 19", "x": "20 to 24"}
PUBLISHED = {
    Name("o", "k=10"): published("Table 6", (0.2538, 0.0025), (0.0952, 0.0003)),
    Name("o", "k=5"): published("Table 6", (0.3895, 0.0024), (0.0604, 0.0008)),
    Name("o", "k=3"): published("Table 6", (0.4092, 0.0018), (0.0580, 0.0007)),
    Name("o", "k=1"): published("Table 6", (0.4135, 0.0013), (0.0569, 0.0004)),
    Name("x", "k=10"): published("Table 6", (0.3747, 0.0015), (0.0649, 0.0006)),
    Name("x", "k=5"): published("Table 6", (0.4084, 0.0014), (0.0588, 0.0003)),
    Name("x", "k=3"): published("Table 6", (0.4172, 0.0027), (0.0572, 0.0005)),
    Name("x", "k=1"): published("Table 6", (0.4296, 0.0017), (0.0548, 0.0005)),
}


@dataclass(frozen=True)
class Config(Inverted):
    """Settings of the section; the defaults are the text's.

    Attributes:
        top: values of k, how many of the largest values are kept; all others become 0.
    """

    top: tuple[int, ...] = (10, 5, 3, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.top or len(set(self.top)) < len(self.top) or not all(1 <= k <= LARGEST for k in self.top):
            raise InputError(f"`top` must be distinct whole numbers >= 1, at least one; got {self.top!r}.")


PAPER = Config()
PRESETS = presets(PAPER, smoke={"top": (10, 1)})


def check(config: Config, splits: Splits) -> None:
    """Raise `InputError` where more values would be kept than there are classes."""
    classes = len(splits.class_names)
    if max(config.top) > classes:
        raise InputError(f"`top` must be at most the number of classes, {classes}; got {max(config.top)}.")


def run(config: Config, benches: Benches) -> ExperimentResult:
    """Attack truncated output vectors in every run."""
    # All values kept is no defence: those stages are the ones of section 5.2.
    defenses = {f"k={k}": Truncation(k) if k < benches[0].classes else None for k in config.top}
    found = attack_all(config, benches, defenses, {f"k={k}": f"k = {k}" for k in config.top}, PUBLISHED)
    rows, splits = found.rows, benches[0].splits
    images = [_per_image(found, run) for run in range(len(benches))]
    distances = {
        name: _with_distance(row, [run[name] for run in images])
        for name, row in rows.items()
        if row.group == "attack"
    }
    costs = "Truncation: what it costs the honest user, and what it leaves the attack"
    tables = [
        found.table("table_6", "Table 6: truncation to the k largest values", "model, k", rows),
        Table(
            "prototype_distance", "How far reconstructions are from the class prototype", "model, k",
            ("prototype_distance", "instance_gain"), list(distances.values()),
            notes=["Distance: 1 - SSIM of a reconstruction to the prototype of the class that was predicted, mean over images."],
        ),
        cost_table(config, found, "truncation_cost", costs, "k"),
    ]  # fmt: skip
    claims = _claims(rows, distances, found.costs, config)
    chosen = twos_without_loop(splits.test, splits.class_names)
    if len(chosen):
        stories = loop_table(images, splits.test, chosen, rows, Name(PROTOTYPE))
        tables.append(stories)
        claims += _loop_claims(dict(zip(rows, stories.rows, strict=True)), config)
    return found.result(tables, claims, _figures(config, chosen))


def _per_image(found: Attacked, run: int) -> PerImage:
    """Return of each row of a run the images, their SSIM and their distance to the prototype of the predicted class."""
    bench, prototype = found.benches[run], found.plans[Name(PROTOTYPE)][run]
    return {
        name: {**plans[run].scored.arrays, **bench.prototype_distance(plans[run], prototype).arrays}
        for name, plans in found.plans.items()
    }


def _with_distance(row: Row, runs: Sequence[Mapping[str, Any]]) -> Row:
    distance = np.array([run["distance"].mean(dtype=np.float64) for run in runs])
    return replace(row, values={**row.values, "prototype_distance": distance}, paper=None)


def _claims(
    rows: Mapping[Name, Row], distances: Mapping[Name, Row], costs: Mapping[Name, Row], config: Config
) -> list[Claim]:
    """Hold the section's sentences, and what they mean by our measures, against the rows."""
    claims, falling = [], sorted(config.top, reverse=True)
    most, least = falling[0], falling[-1]
    for combination, model in model_labels(config).items():
        at = {k: Name(combination, f"k={k}") for k in falling}
        claims += [
            ahead(rows, f"SSIM of {model} rises from k = {before} to k = {after}", at[after], [at[before]], source="thesis 5.4")
            for before, after in pairwise(falling)
        ]  # fmt: skip
        claims.append(ahead(
            rows, f"Under k = {least}, {model} shows more than the class: it beats the class prototype",
            at[least], [Name(PROTOTYPE)], source="not in the text",
        ))  # fmt: skip
        if most != least:
            claims.append(ahead(
                distances, f"Reconstructions of {model} come closer to the class's generic image", at[least], [at[most]],
                source="thesis 5.4", metric="prototype_distance", sign=-1,
            ))  # fmt: skip
    if most != least:
        claims.append(ahead(
            costs, f"k = {least} worsens the calibration of what the honest user gets", Name(f"k={least}"), [Name(f"k={most}")],
            source="not in the text", metric="ece",
        ))  # fmt: skip
    return claims


def _loop_claims(loops: Mapping[Name, Row], config: Config) -> list[Claim]:
    """Hold the text's story of the "2" without a loop against all of them; nothing without a second k."""
    claims: list[Claim] = []
    most, least = max(config.top), min(config.top)
    for combination, model in model_labels(config).items() if most != least else ():
        claim = partial(
            ahead, loops, name=Name(combination, f"k={least}"), others=[Name(combination, f"k={most}")], source="thesis 5.4"
        )  # fmt: skip
        claims += [
            claim(text=f"A {TWO} without a loop is given one more often by {model} as k falls", metric="loop_rate"),
            claim(
                text=f"A {TWO} without a loop is drawn more like the class's generic {TWO} by {model} as k falls",
                metric="prototype_distance", sign=-1,
            ),
        ]  # fmt: skip
    return claims


def _figures(config: Config, chosen: Ints) -> list[Figure]:
    models = model_labels(config)
    along, ticks = [f"k={k}" for k in config.top], [str(k) for k in config.top]
    rows = {c: [*(str(Name(c, at)) for at in along), PROTOTYPE] for c in models}
    drawn: list[Figure] = [
        medians(
            f"figures_{FIGURES.get(c, c).replace(' to ', '_').replace('+', '_')}.png",
            (f"Figures {FIGURES[c]}: " if c in FIGURES else "") + f"{model} over k", rows[c], "at the first k",
        )
        for c, model in models.items()
    ]  # fmt: skip
    drawn += [
        figures.ChosenImages(
            file=f"twos_without_loop_{c.replace('+', '_')}.png", rows=rows[c], images=chosen[:10].tolist(),
            title=f"The {TWO} without a loop: {model} over k",
            caption=f"The first test images of a {TWO} whose stroke encloses nothing.",
        )
        for c, model in models.items()
        if len(chosen)
    ]  # fmt: skip
    return [
        *drawn,
        figures.Sweep(
            file="truncation_sweep.png", x_label="k, values kept", ticks=ticks, series=series_over(config, along),
            metrics=["ssim", "instance_gain", "prototype_distance"],
            title="Truncation: score, instance gain and distance to the class prototype",
            caption="Instance gain: SSIM minus the class prototype's on the same image.",
        ),
        figures.Sweep(
            file="truncation_cost.png", x_label="k, values kept", ticks=ticks, series=[SweepSeries("honest user", along)],
            metrics=["accuracy", "ece"], title="Truncation: what the honest user loses",
            caption="Accuracy and expected calibration error of the truncated output vectors of the test images.",
        ),
    ]  # fmt: skip


SECTION = Section(THESIS, PRESETS, run, check)
