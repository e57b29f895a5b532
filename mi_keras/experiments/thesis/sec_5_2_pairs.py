"""Where the run of thesis 5.2 lies: M_I(O), M_I(X~) and M_I(O + X~) over pairs of a shadow and a target model.

Text claims:  M_I(X~) 0.3727, M_I(O + X~) 0.2467, M_I(O) 0.2298 (Table 4), with spreads of 0.001 to 0.004. The text does not
              say whether its five repetitions trained the classifiers again.
Command:      python scripts/reproduce.py --section 5.2-pairs
Measured:     quick, 2 shadow and 4 target models, seed 1, n = 1,334: over the 8 pairs M_I(O) 0.293 to 0.397, M_I(X~) 0.329 to 0.420,
              M_I(O + X~) 0.298 to 0.422; M_I(X~) less M_I(O) -0.031 to +0.094. All rows: docs/results.md
Cost:         `quick` 20 minutes of CPU time, on 2 cores about a quarter of an hour; `--runs 4` twice that.
Threat model: gray box as in 5.2.
Deviations:   the study is ours. `quick` has all images of the text, the narrow models of `quick` elsewhere and its 60 steps
              for X~.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mi_keras.experiments.case import Case
from mi_keras.experiments.section import Section
from mi_keras.experiments.thesis import table_4
from mi_keras.experiments.thesis.pairs import HEADINGS, Pair, Paired, pair_note, pairs_of
from mi_keras.experiments.thesis.rows import (
    PROTOTYPE,
    Attacked,
    Name,
    attack,
    baselines,
    histogram,
    inversion,
    medians,
    model_labels,
)
from mi_keras.experiments.thesis.sizes import presets
from mi_keras.experiments.thesis.table_4 import ALONE
from mi_keras.experiments.thesis.work import THESIS, Benches
from mi_keras.results import Claim, ExperimentResult, Row, Table, figures
from mi_keras.results.claims import ahead
from mi_keras.settings import SplitSettings

O, X = Name("o"), Name("x")  # noqa: E741  # as the text calls them
LEAD = "lead"  # of M_I(X~) over M_I(O)


@dataclass(frozen=True)
class Config(Paired):
    """Settings of the study; the sizes of models and images are the text's.

    Attributes:
        combinations: inputs of M_I whose scores and order are compared, O and X~ among them for the lead.
    """

    combinations: tuple[str, ...] = ("o", "x", "o+x")


PAPER = Config()
_SIZED = presets(PAPER)
PRESETS = _SIZED | {
    "smoke": replace(_SIZED["smoke"], runs=2, targets=2),
    "quick": replace(_SIZED["quick"], runs=2, data=SplitSettings()),
}


def run(config: Config, benches: Benches) -> ExperimentResult:
    """Attack every target model with every shadow model."""
    from mi_keras.attacks.attack import Direct
    from mi_keras.attacks.gradient import GradientImage

    pairs = pairs_of(config, benches)
    cells = {Name(each): Case(inversion(config, each)) for each in config.combinations}
    cells |= {Name(ALONE): Case(Direct(GradientImage(config.gradient)))} | baselines(config.prototype)
    papers = {Name(method): paper for method, paper in table_4.PUBLISHED.items()}
    found = attack([pair.bench for pair in pairs], cells, published=papers)
    names = [str(Name(each)) for each in config.combinations]
    tables = [
        found.table("pairs", "Inputs of the inversion model, over pairs of models", "combination", found.rows,
                    notes=[pair_note(config, pairs)]),
        _by_pair(config, pairs, found),
    ]  # fmt: skip
    drawn = [
        figures.RunScores(
            file="pairs.png", each="pair", title="Scores of every pair of models, and those of the text", rows=names,
            caption="A point per pair; the star is the published value, the stroke the mean of the pairs.",
        ),
        medians("median_per_class.png", "The median image of each class, first pair", [*names, PROTOTYPE]),
        histogram(names),
    ]  # fmt: skip
    return found.result(tables, _claims(config, found.rows), drawn, notes=_notes(config, found.rows))


def _by_pair(config: Config, pairs: Sequence[Pair], found: Attacked) -> Table:
    """Return the scores of each pair, beside what it is like."""
    labels = {name: label for name, label in model_labels(config).items() if Name(name) in found.rows}
    scores = {f"ssim_{name}": f"SSIM of {label}" for name, label in labels.items()}
    rows = []
    for number, pair in enumerate(pairs):
        values = {f"ssim_{name}": found.rows[Name(name)].values["ssim"][number] for name in labels}
        if {O, X} <= found.rows.keys():
            values[LEAD] = values["ssim_x"] - values["ssim_o"]
        arrays = {name: np.array([value]) for name, value in (values | pair.described()).items()}
        rows.append(Row(f"pair_{pair.shadow}_{pair.target}", str(pair), "trial", arrays))
    headings = scores | {LEAD: "M_I(X~) less M_I(O)"} | HEADINGS
    notes = [
        "Losses: cross-entropy on the model's own validation set after the last epoch. Deviation: of all logits of the test "
        "images. Cosine: of the nine logits beside that of M_T's class, each vector less its mean; mean over test images."
    ]
    return Table(
        "by_pair", "Every pair of models", "pair", tuple(headings), rows, notes=notes, headings=headings
    )


def _order(config: Config, scores: Mapping[str, float]) -> str:
    labels = model_labels(config)
    return " > ".join(labels[name] for name in sorted(scores, key=lambda name: -scores[name]))


def _notes(config: Config, rows: Mapping[Name, Row]) -> list[str]:
    """Count the orders in which the combinations come, and how far M_I(X~) is ahead of M_I(O)."""
    values = {name: rows[Name(name)].values["ssim"] for name in config.combinations}
    pairs = range(len(next(iter(values.values()))))
    orders = Counter(_order(config, {name: each[pair] for name, each in values.items()}) for pair in pairs)
    text = _order(config, {name: _published(name) for name in config.combinations})
    counted = "; ".join(
        f"{order}{' (that of the text)' if order == text else ''}: {count}"
        for order, count in orders.most_common()
    )
    unseen = "" if text in orders else f"; {text} (that of the text): 0"
    notes = [f"Orders by SSIM over {len(pairs)} pairs: {counted}{unseen}."]
    if {O, X} <= rows.keys():
        lead = values["x"] - values["o"]
        notes.append(
            f"M_I(X~) is ahead of M_I(O) in {int((lead > 0).sum())} of {len(pairs)} pairs, by {lead.mean():+.4f} on average, "
            f"from {lead.min():+.4f} to {lead.max():+.4f} (text: {_published('x') - _published('o'):+.4f})."
        )
    return notes


def _claims(config: Config, rows: Mapping[Name, Row]) -> list[Claim]:
    """Say whether the text's scores lie among those of the pairs, and its order holds over them."""
    claims = [
        ahead(rows, "M_I(X~) has a higher SSIM than M_I(O), over pairs of models", X, [O], source="thesis 5.2", published="+62.19 %"),
        ahead(rows, "Adding O to X~ lowers SSIM, over pairs of models", X, [Name("o+x")], source="thesis 5.2"),
    ]  # fmt: skip
    return claims + [
        _among(rows[Name(name)].values["ssim"], label, _published(name))
        for name, label in model_labels(config).items()
    ]


def _among(values: Any, label: str, text: float) -> Claim:
    low, high = float(values.min()), float(values.max())
    numbers = f"text {text:.4f}; {len(values)} pairs from {low:.4f} to {high:.4f}, {int((values < text).sum())} of them below"
    claim = f"The text's SSIM of {label} lies among those of the pairs"
    return Claim(claim, "not in the text", low <= text <= high, numbers)


def _published(name: str) -> float:
    return table_4.PUBLISHED[name].values["ssim"][0]


SECTION = Section(THESIS, PRESETS, run)
