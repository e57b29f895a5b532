"""Beyond the thesis, by what the adversary has: from the predicted class alone to the target's weights and a pool of candidates.

Text claims:  none; the thesis has one adversary, who asks nothing.
Command:      python scripts/reproduce.py --work beyond --section access
Measured:     quick, 5 targets, seed 1, n = 1,334, SSIM: shadow 0.538 +- 0.015, 1,000 queries 0.563, all answers 0.616, white box no more,
              pool 1. All rows: docs/beyond.md
Cost:         by estimate `quick` takes 25 minutes on 2 idle CPU cores after `transfer` and `queries`, with which it shares the
              attacks without weights; 45 alone.
Threat model: a row each. class: the predicted class. shadow: as in `transfer`, no query. queries: as in `queries`. All answers: the
              target has answered all of the adversary's images. White box: all answers, and the weights. Pool: no image of
              its own and no training, but candidates that hold the attacked image, and their answers.
Deviations:   ours, but for the one-hot X~ of the second table, which is the thesis's gradient reconstruction with a class in
              the place of an answer. Class inversion draws an image that is typical of a class, and of nobody: it has a table
              and measures of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mi_keras.errors import InputError
from mi_keras.experiments.beyond.sizes import Banked, presets
from mi_keras.experiments.beyond.work import BEYOND, Benches, words
from mi_keras.experiments.section import Section
from mi_keras.results import Claim, ExperimentResult, Figure, Row, figures
from mi_keras.results.claims import ahead
from mi_keras.settings import LARGEST, GradientSettings, InverterSettings, check_whole

AVERAGE, PROTOTYPE = "class_average", "class_prototype"
SHADOW, MAPPED, TUNED, EVERY, POOL = "shadow", "asked", "asked_tuned", "own_answers", "pool"
UNLIMITED = ("linear", "mse", "ssim", EVERY)
FOUND = 0.99  # by who has a pool: nearly every image
OF_POOL = "It learns nothing, so that this says nothing of who has no pool."
EVIDENT = 0.2  # found among 10: twice what chance finds


@dataclass(frozen=True)
class Config(Banked):
    """Settings of the section.

    Attributes:
        asked: answers that the adversary with queries has.
        answered_epochs: of the networks that learn from all answers.
        held_out: of the adversary's images, the last ones, by which the white box chooses.
        steps, starts: of the white box.
        inversion: of the one-hot X~ of class inversion.
        generator: of class inversion.
    """

    asked: int = 1000
    answered_epochs: int = 16
    held_out: int = 32
    steps: int = 120
    starts: int = 2
    inversion: GradientSettings = GradientSettings(learning_rate=0.03)  # its own: of no published table
    generator: InverterSettings = InverterSettings(dropout=(0.0, 0.0, 0.0))

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("asked", 10), ("answered_epochs", 1), ("held_out", 2), ("steps", 1), ("starts", 1)):  # fmt: skip
            check_whole(name, getattr(self, name), least, LARGEST)
        if self.runs < 2:
            raise InputError(f"`runs` must be at least 2: a target is judged by another; got {self.runs}.")


PAPER = Config()
PRESETS = presets(
    PAPER,
    smoke={
        "asked": 100, "answered_epochs": 2, "held_out": 8, "steps": 5,
        "inversion": replace(PAPER.inversion, steps=20), "generator": replace(PAPER.generator, channels=(16, 8, 8), epochs=2),
    },
    quick={
        "steps": 60, "inversion": replace(PAPER.inversion, steps=100),
        "generator": replace(PAPER.generator, channels=(128, 64, 32), epochs=6),
    },
)  # fmt: skip


def run(config: Config, benches: Benches) -> ExperimentResult:
    """Measure each adversary on every target, and class inversion apart."""
    from mi_keras.attacks.generator import ClassGenerator
    from mi_keras.experiments.beyond import answered, recipe
    from mi_keras.experiments.beyond.class_inversion import inversions, inverted
    from mi_keras.experiments.beyond.rows import arrays_of, by_target, measured, table

    start = recipe.whole(config, benches)
    asking = {
        name: recipe.asking("", recipe.with_queries(config, start, config.asked, tuned=tuned), benches)
        for name, tuned in ((MAPPED, False), (TUNED, True))
    }
    network = (len(benches[0].own_images()), config.answered_epochs, config.held_out)
    entries = {
        SHADOW: recipe.entry("shadow models, no query (the whole)", start),
        **{name: replace(each, label=each.case.attack.label, players=()) for name, each in asking.items()},
        **answered.unlimited(config, *network),
        EVERY: replace(
            recipe.oracles(config, benches, start)[EVERY], label="all answers, network of the bank trained further",
            group="attack",
        ),
        **answered.white_box(config, *network, steps=config.steps, starts=config.starts),
        **answered.pool(),
        **recipe.baselines(config),
    }  # fmt: skip
    rows, plans = measured(benches, entries)
    generator = ClassGenerator(settings=config.generator)
    inversion, images = inverted(benches, inversions(config.inversion, generator))
    shown = [PROTOTYPE, *(name for name in rows if name not in (AVERAGE, PROTOTYPE))]
    learned = [row for name, row in rows.items() if name != POOL]
    tables = [
        table("access", "By what the adversary has", "attack", learned),
        table("pool", "Who has the image among candidates", "attack", [rows[POOL]], [OF_POOL]),
        by_target(learned),
        inversion,
    ]  # fmt: skip
    arrays = arrays_of(benches, plans) | images
    for name, runs in plans.items():
        found = np.stack([each.scored.arrays["found"] for each in runs])
        if (there := np.isfinite(found).all(axis=0)).any():  # classes may be too small
            arrays[f"found_10.{name}"] = found[:, there]
    return ExperimentResult(
        tables, _claims(rows), words(config, benches), arrays, _figures(shown, list(images))
    )


def _claims(rows: Mapping[str, Row]) -> list[Claim]:
    found, claims = "found_10", []
    steps: list[tuple[str, str, list[str], str]] = [
        ("Shadow models alone show more than the class", SHADOW, [PROTOTYPE], "ssim"),
        ("Queries show more than shadow models alone", TUNED, [SHADOW], "ssim"),
        ("Answers to all images show more than to some", EVERY, [TUNED, MAPPED], "ssim"),
        ("Answers to all images find more than to some", EVERY, [TUNED, MAPPED], found),
    ]
    for loss in ("mse", "ssim"):
        text = (
            f"Steps by the weights find more images than the network that they begin at ({rows[loss].label})"
        )
        steps.append((text, f"white_{loss}", [loss], found))
    best = "white_mse" if _mean(rows["white_mse"]) > _mean(rows["white_ssim"]) else "white_ssim"
    steps.append(
        ("Who has the weights finds more images than who has all answers", best, list(UNLIMITED), found)
    )
    for text, name, others, metric in steps:
        claims.append(ahead(rows, text, name, others, source="not in the text", metric=metric))
    evident = f"Without a query {EVIDENT:.0%} of images at least are found among 10 of their class, where chance finds 10 %"
    every = f"Who has a pool finds nearly every image, {FOUND:.0%} at least"
    return [*claims, _found(evident, rows[SHADOW], EVIDENT), _found(every, rows[POOL], FOUND)]


def _mean(row: Row) -> float:
    return row.mean("found_10") if "found_10" in row.values else row.mean("ssim")


def _found(text: str, row: Row, least: float) -> Claim:
    """Say whether so many images are found among 10 of their class."""
    if "found_10" not in row.values:
        return Claim(text, "not in the text", None, "classes are too small")
    mean = row.mean("found_10")
    return Claim(text, "not in the text", mean >= least, f"{mean:.4f}")


def _figures(shown: list[str], classes: list[str]) -> list[Figure]:
    return [
        figures.MedianPerClass(
            file="median_per_class.png", title="The median image of each class, by what the adversary has",
            rows=[SHADOW, *(name for name in shown if name != SHADOW)],
            caption="First target. Per class the test image whose SSIM without a query is the median.",
        ),
        figures.RunScores(
            file="targets.png", rows=shown, each="target", title="SSIM of each target, by what the adversary has",
            caption="The mean over test images of each target.",
        ),
        figures.RunScores(
            file="targets_found.png", rows=shown, each="target", metric="found_10",
            title="Images found behind each target, by what the adversary has", caption="Chance finds a tenth.",
        ),
        figures.ClassImages(
            file="class_inversion.png", title="Class inversion: typical of a class, and of nobody",
            rows=[name.removeprefix("class_images.") for name in classes],
            caption="First target. No line is a reconstruction of an image; the last one is an image of the adversary's own.",
        ),
    ]  # fmt: skip


SECTION = Section(BEYOND, PRESETS, run)
