"""How much of the answer the X~ of thesis 5.2 holds: M_I(X~) against the strength of the search that makes X~.

Text claims:  X~ alone scores 0.3014 on the shadow model's own answers and 0.2409 on the target's (Table 3), and
              M_I(X~) 0.3727 where M_I(O) scores 0.2298 (Table 4). Step size and optimizer of X~ are not stated.
Command:      python scripts/reproduce.py --section 5.2-search
Measured:     quick, 1 shadow and 4 target models, seed 1, n = 1,334: M_I(X~) 0.427, 0.406 +- 0.021, 0.381 +- 0.018 and 0.337 +- 0.007 after
              0, 10, 30 and 60 steps of 0.03 by Adam, M_I(O) 0.341 +- 0.029. After 30 steps X~ alone and M_I(X~) are the text's
              on test images; X~ alone on validation images is not. All rows: docs/results.md
Cost:         `quick` 20 minutes of CPU time, 7 after 5.2-pairs, with which it shares models; `paper` days.
Threat model: gray box as in 5.2.
Deviations:   the study is ours; its settings are looked at on test images, which no adversary could.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mi_keras.errors import InputError
from mi_keras.experiments.bench import SHADOW
from mi_keras.experiments.case import Case
from mi_keras.experiments.presets import check_choices
from mi_keras.experiments.section import Section
from mi_keras.experiments.thesis import table_4
from mi_keras.experiments.thesis.pairs import Pair, Paired, pair_note, pairs_of
from mi_keras.experiments.thesis.rows import (
    BASELINES,
    PROTOTYPE,
    Attacked,
    Name,
    attack,
    baselines,
    image_arrays,
    inversion,
    learned_from,
    medians,
)
from mi_keras.experiments.thesis.sec_5_1_gradient import PUBLISHED as TABLE_3
from mi_keras.experiments.thesis.sizes import presets
from mi_keras.experiments.thesis.work import THESIS, Benches
from mi_keras.results import Claim, ExperimentResult, Figure, Paper, Row, SweepSeries, Table, figures
from mi_keras.results.claims import ahead
from mi_keras.settings import OPTIMIZERS, GradientSettings, SplitSettings, check_positive, check_whole

NONE = "none"  # in place of a search: X~ is its start
MODEL, TEST, VALIDATION = "x", "alone", "alone_validation"  # what is scored of each search
NEAR = {"ssim": 0.02, "mse": 0.01}  # how near to the text a setting has to come to be called the text's
LABELS = {
    VALIDATION: "X~ alone on validation images",
    TEST: "on test images",
    MODEL: "M_I(X~)",
    "o": "M_I(O)",
}
MEETINGS = {  # what a search may meet of the text at once
    (TEST, MODEL): "Table 3's test row and Table 4's M_I(X~)",
    (VALIDATION, TEST, MODEL): "both rows of Table 3 and Table 4's M_I(X~)",
    (VALIDATION, TEST, MODEL, "o"): "both rows of Table 3 and Table 4's M_I(X~) and M_I(O)",
}
HEADINGS = {
    f"{name}_{metric}": f"{metric.upper()} of X~ alone, {words}"
    for name, words in ((VALIDATION, "validation"), (TEST, "test"))
    for metric in ("ssim", "mse")
} | {f"off_{metric}": f"largest distance from the text, {metric.upper()}" for metric in NEAR}
TEXT: dict[Any, Paper] = {
    VALIDATION: TABLE_3[Name("x_class_average", "validation")], TEST: TABLE_3[Name("x_class_average", "test")],
    MODEL: table_4.PUBLISHED["x"], "o": table_4.PUBLISHED["o"],
}  # fmt: skip


@dataclass(frozen=True)
class Config(Paired):
    """Settings of the study; the sizes of models and images are the text's.

    Attributes:
        steps, rates, optimizers: of X~, every combination; 0 steps leave the class average.
    """

    runs: int = 1
    steps: tuple[int, ...] = (0, 10, 30, 60, 120, 400)
    rates: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1)
    optimizers: tuple[str, ...] = OPTIMIZERS

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices("optimizers", self.optimizers, OPTIMIZERS, at_least_one=True)
        for name, values in (("steps", self.steps), ("rates", self.rates)):
            if not values or len(set(values)) < len(values):
                raise InputError(f"`{name}` must be distinct numbers, at least one; got {values!r}.")
        for steps in self.steps:
            check_whole("steps", steps, 0)
        for rate in self.rates:
            check_positive("rates", rate)


PAPER = Config()
_SIZED = presets(PAPER)
PRESETS = _SIZED | {
    "smoke": replace(_SIZED["smoke"], targets=2, steps=(0, 5), rates=(0.01,)),
    "quick": replace(
        _SIZED["quick"],
        data=SplitSettings(),
        runs=1,
        steps=(0, 10, 30, 60),
        rates=(0.03,),
        optimizers=("adam",),
    ),
}


def run(config: Config, benches: Benches) -> ExperimentResult:
    """Make X~ in every way, train M_I on each, and hold both against the text's tables."""
    from mi_keras.attacks.attack import Direct
    from mi_keras.attacks.gradient import GradientImage

    pairs, searches = pairs_of(config, benches), _searches(config)
    cells = {Name("o"): Case(inversion(config, "o"))}
    for at, gradient in searches.items():
        image = GradientImage(gradient)
        cells[Name(MODEL, at)] = Case(learned_from(config, image, "x"))
        cells[Name(TEST, at)] = Case(Direct(image))
        cells[Name(VALIDATION, at)] = Case(Direct(image), answered_by=SHADOW, images="shadow_validation")
    cells |= baselines(config.prototype)
    words = {TEST: "X~ alone, test", VALIDATION: "X~ alone, validation"}
    found = attack([pair.bench for pair in pairs], cells, {at: _words(at) for at in searches}, methods=words)
    rows = {
        name: _without_gain(row) if name.method == VALIDATION else row for name, row in found.rows.items()
    }
    rows |= {Name(MODEL, at): _compared(rows, at) for at in searches}
    found = replace(found, rows=rows)
    kept = {name: plans for name, plans in found.plans.items() if name.method not in (TEST, VALIDATION)}
    test = benches[0].splits.test
    return ExperimentResult(
        _tables(config, pairs, found), _claims(config, pairs, found), f"{len(test):,} test images (D_F), "
        f"{len(benches[0].splits.shadow_train):,} shadow training images", image_arrays(test, kept), _figures(config),
    )  # fmt: skip


def _searches(config: Config) -> dict[str, GradientSettings]:
    """Return the settings of X~ by the name of each search."""
    found = {NONE: replace(config.gradient, steps=0)} if 0 in config.steps else {}
    for optimizer in config.optimizers:
        for rate in config.rates:
            for steps in filter(None, config.steps):
                found[_at(optimizer, rate, steps)] = replace(
                    config.gradient, steps=steps, learning_rate=rate, optimizer=optimizer
                )
    return found


def _at(optimizer: str, rate: float, steps: int) -> str:
    return f"{optimizer},{rate:g},{steps}" if steps else NONE


def _words(at: str) -> str:
    if at == NONE:
        return "no step"
    optimizer, rate, steps = at.split(",")
    return f"{steps} steps of {rate} by {_optimizer(optimizer)}"


def _optimizer(name: str) -> str:
    return {"adam": "Adam", "gradient_descent": "the plain gradient"}[name]


def _without_gain(row: Row) -> Row:
    """The prototype's scores are those of the test images."""
    return replace(row, values={name: row.values[name] for name in ("ssim", "mse")})


def _off(rows: Mapping[Name, Row], at: str, names: Sequence[str], metric: str) -> Any:
    """Return the largest distance of some scores of a search from the text, `(pairs,)`."""
    ours = [rows[Name("o") if name == "o" else Name(name, at)].values[metric] for name in names]
    text = [TEXT[name].values[metric][0] for name in names]
    return np.max([np.abs(scores - value) for scores, value in zip(ours, text, strict=True)], axis=0)


def _compared(rows: Mapping[Name, Row], at: str) -> Row:
    """Return a row of M_I(X~) with the scores of its X~ alone, and how far these three are from the text, pair by pair."""
    row, values = rows[Name(MODEL, at)], dict[str, Any]()
    for metric in NEAR:
        values |= {f"{name}_{metric}": rows[Name(name, at)].values[metric] for name in (VALIDATION, TEST)}
        values[f"off_{metric}"] = _off(rows, at, (VALIDATION, TEST, MODEL), metric)
    return replace(row, values={**row.values, **values}, note="")


def _tables(config: Config, pairs: Sequence[Pair], found: Attacked) -> list[Table]:
    text = ", ".join(
        f"{label} {TEXT[name].values['ssim'][0]:.4f} / {TEXT[name].values['mse'][0]:.4f}"
        for name, label in LABELS.items()
    )  # fmt: skip
    models = [row for name, row in found.rows.items() if name.method not in (TEST, VALIDATION)]
    columns = ("ssim", "mse", "instance_gain", *HEADINGS)
    notes = [
        pair_note(config, pairs),
        f"The text (SSIM / MSE): {text}. Distance: the largest of the first three.",
    ]
    alone = [name for name in found.rows if name.method in (TEST, VALIDATION)]
    return [
        Table(
            "search",
            "M_I(X~) by the search for X~",
            "input, search",
            columns,
            models,
            "ssim",
            notes,
            HEADINGS,
        ),
        found.table("alone", "X~ alone by the search for it", "search", alone, best="", notes=notes[:1]),
    ]


def _met(pairs: Sequence[Pair], found: Attacked, names: Sequence[str], words: str) -> Claim:
    """Say whether a search meets some scores of the text at once, with any of the pairs, and which comes nearest."""
    ways = [name.at for name in found.rows if name.method == MODEL]
    off = {
        metric: np.array([_off(found.rows, at, names, metric) for at in ways]) for metric in NEAR
    }  # (ways, pairs)
    meets = bool(np.logical_and(*(off[metric] <= NEAR[metric] for metric in NEAR)).any())
    way, pair = map(int, np.unravel_index(np.argmin(off["ssim"] + off["mse"]), off["ssim"].shape))
    scores = {
        label: found.rows[Name("o") if name == "o" else Name(name, ways[way])].values
        for name, label in LABELS.items()
    }
    told = ", ".join(
        f"{label} {values['ssim'][pair]:.4f} / {values['mse'][pair]:.4f}" for label, values in scores.items()
    )
    return Claim(
        f"One search meets {words} at once, within {NEAR['ssim']} of SSIM and {NEAR['mse']} of MSE", "not in the text", meets,
        f"nearest: {_words(ways[way])}, {pairs[pair]}: {told}; largest distances {off['ssim'][way, pair]:.4f} of SSIM, "
        f"{off['mse'][way, pair]:.4f} of MSE",
    )  # fmt: skip


def _claims(config: Config, pairs: Sequence[Pair], found: Attacked) -> list[Claim]:
    """Say whether one setting meets both tables, and what a longer search does to M_I(X~)."""
    claims = [_met(pairs, found, names, words) for names, words in MEETINGS.items()]
    steps = sorted(config.steps)
    for optimizer in config.optimizers:
        for rate in config.rates:
            first, last = (Name(MODEL, _at(optimizer, rate, each)) for each in (steps[0], steps[-1]))
            claims += [ahead(
                found.rows, f"The longest search by {_optimizer(optimizer)} with steps of {rate:g} lowers M_I(X~) below the shortest",
                last, [first], source="not in the text", sign=-1,
            )] if first != last else []  # fmt: skip
    return claims


def _figures(config: Config) -> list[Figure]:
    ways = [(optimizer, rate) for optimizer in config.optimizers for rate in config.rates]
    steps = sorted(config.steps)

    def series(method: str, words: str) -> list[SweepSeries]:
        return [
            SweepSeries(f"{_optimizer(o)}, {rate:g}{words}", [str(Name(method, _at(o, rate, each))) for each in steps])
            for o, rate in ways
        ]  # fmt: skip

    drawn: list[Figure] = [
        figures.Sweep(
            file=file, x_label="steps of the search", ticks=[*map(str, steps)], series=lines, metrics=metrics, title=title,
            baseline=baseline, caption="Mean and standard deviation over pairs of models.",
        )
        for file, title, lines, metrics, baseline in (
            ("search.png", "M_I(X~) by the strength of the search", series(MODEL, ""), ["ssim", "mse"], ["o", *BASELINES]),
            ("alone.png", "X~ alone on the test images", series(TEST, ""), ["ssim", "mse"], list(BASELINES)),
            ("alone_validation.png", "X~ alone on the validation images", series(VALIDATION, ""), ["ssim", "mse"], []),
        )
    ]  # fmt: skip
    shown = [str(Name(MODEL, _at(*ways[-1], each))) for each in steps]
    title = f"M_I(X~) after longer and longer searches ({_optimizer(ways[-1][0])}, {ways[-1][1]:g})"
    return [*drawn, medians("median_per_class.png", title, [*shown, "o", PROTOTYPE])]


SECTION = Section(THESIS, PRESETS, run)
