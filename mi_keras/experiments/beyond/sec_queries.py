"""Beyond the thesis, with q queries: what some answers of the target to images of the adversary's choice are worth.

Text claims:  none; the thesis has no queries.
Command:      python scripts/reproduce.py --work beyond --section queries
Measured:     quick, 5 targets, seed 1, n = 1,334: SSIM 0.538 without a query, 0.541 with 100, 0.550 with 1,000 and 0.567 with 10,000
              by an affine map; 0.563 and 0.616 by a network trained on the last two. All rows: docs/beyond.md
Cost:         by the processor time of its parts `quick` takes about 15 minutes on 2 idle CPU cores after `transfer`.
Threat model: as in `transfer`, and the target answers q images of the adversary's choice, counted. The rows that query the
              reconstruction ask it once or more for each attacked image instead.
Deviations:   ours throughout. What an attack may choose is chosen on the held-out shadow models of `transfer`, which answer
              the same questions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from mi_keras.errors import InputError
from mi_keras.experiments.beyond.sizes import Banked, presets
from mi_keras.experiments.beyond.work import BEYOND, Benches, words
from mi_keras.experiments.section import Section
from mi_keras.results import Claim, ExperimentResult, Figure, Row, SweepSeries, figures
from mi_keras.results.claims import ahead
from mi_keras.settings import LARGEST, check_whole

NONE, AVERAGE = "q=0", "class_average"
GOALS = {100: 0.53, 1000: 0.55, 10_000: 0.61}  # mean SSIM over targets


@dataclass(frozen=True)
class Config(Banked):
    """Settings of the section.

    Attributes:
        queries: numbers of answers, rising; 0 comes by itself.
        rounds: queries of each reconstruction.
        tuned_from: queries from which a network is trained further too.
    """

    queries: tuple[int, ...] = (10, 100, 300, 1000, 10_000)
    rounds: tuple[int, ...] = (1, 2, 3)
    tuned_from: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        for number in self.queries:
            check_whole("queries", number, 1, LARGEST)
        if not self.queries or any(one >= other for one, other in pairwise(self.queries)):
            raise InputError(f"`queries` must be one or more increasing numbers; got {self.queries!r}.")
        for number in self.rounds:
            check_whole("rounds", number, 1, LARGEST)
        check_whole("tuned_from", self.tuned_from, 10, LARGEST)


PAPER = Config()
PRESETS = presets(PAPER, smoke={"queries": (10, 100), "rounds": (1,), "tuned_from": 100})


def run(config: Config, benches: Benches) -> ExperimentResult:
    """Measure each number of queries on every target."""
    from mi_keras.experiments.beyond import recipe
    from mi_keras.experiments.beyond.rows import arrays_of, by_target, measured, table, worst_per_class

    start = recipe.whole(config, benches)
    entries = {NONE: recipe.entry("0 queries: the whole of transfer", start)}
    for count in config.queries:
        attack = recipe.with_queries(config, start, count)
        entries[f"q={count}"] = recipe.asking(f"{count:,} queries, affine map", attack, benches)
        if count >= config.tuned_from:
            further = recipe.with_queries(config, start, count, tuned=True)
            label = f"{count:,} queries, network trained further"
            # Nothing is chosen by it: to train it for those who play the target too would be for the column only
            entries[f"tuned={count}"] = replace(recipe.asking(label, further, benches), players=())
    for rounds in config.rounds:
        asking = recipe.corrected(config, benches, start, rounds)
        entries[f"corrected={rounds}"] = recipe.asking(asking.label, asking, benches)
    entries |= recipe.baselines(config)
    rows, plans = measured(benches, entries)
    shown = [name for name in rows if name != AVERAGE]
    most = _last(rows, config.queries[-1])
    worst = worst_per_class(plans[most][0], benches[0].splits.test.labels)
    tables = [table("queries", "With q queries", "attack", rows.values()), by_target(rows.values())]
    return ExperimentResult(
        tables,
        _claims(rows, config),
        words(config, benches),
        arrays_of(benches, plans),
        _figures(config, shown, worst),
    )


def _last(rows: Mapping[str, Row], count: int) -> str:
    return f"tuned={count}" if f"tuned={count}" in rows else f"q={count}"


def _claims(rows: Mapping[str, Row], config: Config) -> list[Claim]:
    counts = [name for name in (NONE, *(_last(rows, count) for count in config.queries))]
    claims = [
        ahead(rows, f"{rows[more].label}: better than {rows[fewer].label}", more, [fewer], source="not in the text")
        for fewer, more in pairwise(counts)
    ]  # fmt: skip
    claims += [
        ahead(rows, f"{row.label}: better than without a query", name, [NONE], source="not in the text")
        for name, row in rows.items()
        if name.startswith("corrected")
    ]
    for count, goal in GOALS.items():
        if (name := _last(rows, count)) in rows:
            mean = rows[name].mean("ssim")
            text = f"With {count:,} queries the mean SSIM over targets is at least {goal}"
            claims.append(Claim(text, "not in the text", mean >= goal, f"{mean:.4f}"))
    return claims


def _figures(config: Config, shown: list[str], worst: list[int]) -> list[Figure]:
    ticks = ["0", *(f"{count:,}" for count in config.queries)]
    maps = [NONE, *(f"q={count}" for count in config.queries)]
    tuned = [NONE, *(f"tuned={count}" for count in config.queries)]
    return [
        figures.Sweep(
            file="queries.png", x_label="queries", ticks=ticks,
            series=[SweepSeries("affine map", maps), SweepSeries("network trained further", tuned)],
            metrics=["ssim", "mse", "found_10", "detail"], title="What queries are worth",
            caption="Mean over targets.",
        ),
        figures.MedianPerClass(
            file="median_per_class.png", title="The median image of each class, by number of queries", rows=shown,
            caption="First target. Per class the test image whose SSIM without a query is the median.",
        ),
        figures.ChosenImages(
            file="worst_per_class.png", title="The worst image of each class with the most queries", rows=shown, images=worst,
            caption="First target. Per class the test image whose SSIM with the most queries is the lowest.",
        ),
    ]  # fmt: skip


SECTION = Section(BEYOND, PRESETS, run)
