"""Beyond the thesis, behind defences: what each leaves to attacks that know it, and what it costs.

Text claims:  none of these; the thesis rounds and truncates logits (5.3, 5.4), and leaves noise and distillation to future work.
Command:      python scripts/reproduce.py --work beyond --section defences
Measured:     quick, 5 targets, seed 1, n = 1,334, found among 10 with all answers: undefended 0.471 +- 0.030, probabilities of 3
              decimals 0.117, noise of deviation 4 0.179, distilled 0.530. All rows: docs/beyond.md
Cost:         `quick` took 30 minutes of processor time after `transfer`, whose shadow models and targets it shares.
Threat model: two adversaries, who know the defence. One asks nothing, as in `transfer`: its shadow models' answers pass through the
              same defence, and where the owner trains another model, so does it. The other has the target's answers, behind the
              defence, to all of its own images. Noise is drawn anew in every epoch of training; who averages k answers to
              one image meets noise that is smaller by sqrt(k).
Deviations:   ours. Networks are trained for fewer epochs than in `transfer`, on no augmented images. What attacks may choose is
              chosen behind each defence on a held-out shadow model that plays the target. Below 0 label smoothing has no
              schedule here. No training with differential privacy: docs/beyond.md says why.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

from mi_keras.data.splits import Splits
from mi_keras.defenses.defense import MOST_DECIMALS
from mi_keras.errors import InputError
from mi_keras.experiments.beyond.sizes import AMONG, Banked, presets
from mi_keras.experiments.beyond.work import BEYOND, Benches, words
from mi_keras.experiments.section import Section
from mi_keras.results import Claim, ExperimentResult, Row
from mi_keras.results.claims import ahead, unchanged
from mi_keras.settings import BANK_NETWORK, FOUND_TOLERATED, LARGEST, check_positive, check_whole

NONE, FEW, LABEL = "none", "none_few", "label"
ASKING, ANSWERED, BAYES = "no query", "all answers", "best possible"
CHANCE = 1 / AMONG  # of being found
SUMMARY = {
    "ssim_shadow": "SSIM, no query", "found_shadow": "found, no query",
    "ssim_answers": "SSIM, all answers", "found_answers": "found, all answers",
}  # fmt: skip
PICKS = {
    "found_10": "best possible pick",
    "found_shadow": "found, no query",
    "found_answers": "found, all answers",
}


@dataclass(frozen=True)
class Config(Banked):
    """Settings of the section.

    Attributes:
        decimals, share_decimals: of rounded logits and probabilities.
        top: the largest logits, or probabilities, that are sent.
        temperature: by which logits are divided.
        deviations: of the noise on logits; `sends`: answers to one image that the adversary averages.
        smoothing: shares of label smoothing.
        distilled_decimals: of the probabilities that a student learns.
        hardened_epochs: of models that are trained anew; `hardened_bank`: shadow models of who asks nothing of them.
        network_epochs: of the network of a bank's answers; `answered_epochs`: of that which learns from all answers.
        tolerance: found among `AMONG` above chance; the default is the audit's.
    """

    decimals: int = 1
    share_decimals: int = 3
    top: int = 3
    temperature: float = 4.0
    deviations: tuple[float, ...] = (1.0, 4.0)
    sends: tuple[int, ...] = (1, 10, 100)
    smoothing: tuple[float, ...] = (0.1, -0.05)
    distilled_decimals: int = 1
    hardened_epochs: int = 20
    hardened_bank: int = 10
    network_epochs: int = BANK_NETWORK.epochs
    answered_epochs: int = 16
    tolerance: float = FOUND_TOLERATED

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least, most in (
            ("decimals", 0, MOST_DECIMALS),
            ("share_decimals", 0, MOST_DECIMALS),
            ("distilled_decimals", 0, MOST_DECIMALS),
            ("top", 1, LARGEST),
            ("hardened_epochs", 1, LARGEST),
            ("network_epochs", 1, LARGEST),
            ("answered_epochs", 1, LARGEST),
            ("hardened_bank", 2, self.bank),
        ):
            check_whole(name, getattr(self, name), least, most)
        check_positive("temperature", self.temperature)
        for deviation in self.deviations:
            check_positive("deviations", deviation)
        for number in self.sends:
            check_whole("sends", number, 1, LARGEST)
        for share in self.smoothing:
            if not (-1 <= share < 1 and share):
                raise InputError(f"`smoothing` must be >= -1 and < 1, and not 0; got {share!r}.")
        for name in ("deviations", "sends", "smoothing"):
            chosen = getattr(self, name)
            if not chosen or len(set(chosen)) < len(chosen):
                raise InputError(f"`{name}` must name each once, at least one; got {chosen!r}.")
        if not 0 < self.tolerance < 1 - CHANCE:
            raise InputError(f"`tolerance` must be > 0 and < {1 - CHANCE:g}; got {self.tolerance!r}.")


def noise_name(deviation: float, sends: int) -> str:
    """Return the name of the rows of noise."""
    return f"noise={deviation:g}/{sends}"


def levels(config: Config) -> dict[str, float]:
    """Return the deviation of the noise that is left after averaging, by the names of rows."""
    return {
        noise_name(deviation, sends): deviation / math.sqrt(sends)
        for deviation in config.deviations
        for sends in config.sends
    }


PAPER = Config()
PRESETS = presets(
    PAPER,
    smoke={
        "hardened_epochs": 1, "hardened_bank": 2, "network_epochs": 1, "answered_epochs": 2, "deviations": (4.0,), "sends": (1, 100),
        "smoothing": (-0.05,),
    },
    quick={"hardened_epochs": 6, "hardened_bank": 3, "network_epochs": 6, "answered_epochs": 3, "deviations": (4.0,)},
)  # fmt: skip


def check(config: Config, splits: Splits) -> None:
    """Raise `InputError` where more values would be sent than there are classes."""
    classes = len(splits.class_names)
    if config.top > classes:
        raise InputError(f"`top` must be at most the number of classes, {classes}; got {config.top}.")


def run(config: Config, benches: Benches) -> ExperimentResult:
    """Meet every defence on every target with both adversaries, and say what it costs."""
    from mi_keras.experiments.beyond import defence_tables, defended, recipe
    from mi_keras.experiments.beyond.rows import arrays_of, best_of, by_target, measured, table
    from mi_keras.experiments.case import Plan

    found = defended.defences(config)
    tried = {(ASKING, name): defended.without_queries(config, each) for name, each in found.items()}
    tried |= {
        (ANSWERED, name): defended.with_answers(config, each)
        for name, each in found.items()
        if name != FEW  # it asks nothing
    }
    best = dict(zip(tried, best_of(benches, tried.values()), strict=True))
    chosen = {
        side: {name: entry for (asked, name), entry in best.items() if asked == side}
        for side in (ASKING, ANSWERED)
    }
    rows: dict[str, Row] = {}
    plans: dict[str, list[Plan]] = {}
    tables = []
    baselines = recipe.baselines(config)
    titles = {
        ASKING: ("no_query", "Behind each defence, by who asks nothing"),
        ANSWERED: ("answers", "Behind each defence, by who has the answers to all of its images"),
    }
    costs = {name: defended.cost(benches, each) for name, each in found.items() if name != FEW}
    for side, (file, title) in titles.items():
        entries = defended.renamed(chosen[side], found, side) | baselines
        rows_of, plans_of = measured(benches, entries)
        for name in chosen[side].keys() & costs.keys():
            row = rows_of[f"{name}:{side}"]
            rows_of[row.name] = replace(row, values={**row.values, "accuracy": costs[name]["accuracy"]})
        rows, plans = rows | rows_of, plans | plans_of
        picked = "; ".join(f"{found[name].words}: {each.label}" for name, each in chosen[side].items())
        note = f"Chosen on the held-out shadow model: {picked}."
        tables.append(replace(table(file, title, "defence", rows_of.values(), [note]), best=""))
    labels = {name: each.words for name, each in found.items()}
    picks, needed = defence_tables.picks(config, benches, rows, labels)
    shown = [f"{name}:{side}" for side in titles for name in chosen[side]]
    arrays = arrays_of(benches, {name: plans[name] for name in [*shown, *baselines]})
    return ExperimentResult(
        [defence_tables.summary(rows, costs, labels), *tables, picks, by_target(rows.values())],
        _claims(config, rows, {row.name: row for row in picks.rows}, needed),
        words(config, benches),
        arrays,
        defence_tables.pictures(config, [name.partition(":")[::2] for name in shown]),
    )


def _claims(
    config: Config, rows: Mapping[str, Row], picks: Mapping[str, Row], needed: Sequence[float | None]
) -> list[Claim]:
    most, least = max(config.deviations), min(config.sends)
    loud, averaged = noise_name(most, least), noise_name(most, max(config.sends))
    found = "found_10"

    def at(name: str) -> str:
        return f"{name}:{ANSWERED}"

    less = [
        ("Rounded probabilities give less away than rounded logits", "shares_rounded", "logits_rounded"),
        (f"{max(config.sends)} averaged answers give more away than {least}, behind noise", loud, averaged),
        *((f"Label smoothing of {share:g} gives less away than none", f"smoothing={share:g}", NONE) for share in config.smoothing),
        ("Distillation gives less away than nothing", "distilled", NONE),
    ]  # fmt: skip
    return [
        unchanged(
            rows,
            "Temperature takes nothing away",
            at("temperature"),
            at(NONE),
            source="not in the text",
            metric=found,
        ),
        *(
            ahead(rows, text, at(name), [at(other)], source="not in the text", metric=found, sign=-1)
            for text, name, other in less
        ),
        _none_above(picks),
        _enough(config, most, needed),
    ]


def _none_above(picks: Mapping[str, Row]) -> Claim:
    """Say whether a measured attack is above the best possible one by more than its interval over targets."""
    text = "Behind noise no attack finds more than the best possible pick"
    compared = [
        (f"{row.label}, {PICKS[metric]}", row.values[metric] - row.values["found_10"])
        for row in picks.values()
        for metric in ("found_shadow", "found_answers")
        if {metric, "found_10"} <= row.values.keys()
    ]
    if not compared or len(compared[0][1]) < 2:
        return Claim(text, "not in the text", None, "not measured on several targets")
    # of so many comparisons one must not be above by chance
    quantile = float(stdtrit(len(compared[0][1]) - 1, 1 - 0.025 / len(compared)))
    lower = [
        float(each.mean() - quantile * each.std(ddof=1) / len(each) ** 0.5) for _, each in compared
    ]  # fmt: skip
    place = int(np.argmax(lower))
    label, difference = compared[place]
    numbers = f"nearest: {label}, {difference.mean():+.4f}, at least {lower[place]:+.4f}"
    return Claim(text, "not in the text", lower[place] <= 0, numbers)


def _enough(config: Config, most: float, needed: Sequence[float | None]) -> Claim:
    share = CHANCE + config.tolerance
    text = f"Noise of deviation {most:g} on one answer holds any attack at {share:.0%} found among {AMONG}"
    known = [each for each in needed if each is not None]
    if len(known) < len(needed):
        why = "not measured: classes are too small, or no noise of the span is enough"
        return Claim(text, "not in the text", None, why)
    low, high = min(known), max(known)
    numbers = (
        f"the best possible pick needs {np.mean(known):.2f} on average over targets, {low:.2f} to {high:.2f}"
    )
    return Claim(text, "not in the text", high <= most, numbers)


SECTION = Section(BEYOND, PRESETS, run, check)
