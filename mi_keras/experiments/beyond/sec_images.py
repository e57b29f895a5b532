"""Beyond the thesis, on other images and other classifiers, with the adversary's images from the same source and from another.

Text claims:  none; the thesis attacks one CNN on MNIST, whose images both sides share, and names other data as future work.
Command:      python scripts/reproduce.py --work beyond --section images --data tfds:fashion_mnist --set other=mnist
Measured:     quick, Fashion-MNIST and MNIST, seed 1, n = 1,334, SSIM without a query and with all answers: CNN 0.501 +- 0.009 and 0.549,
              residual network 0.521 and 0.562 (5 targets each), EfficientNetB0 0.44 and 0.47 (2 targets); class prototype 0.444.
              With MNIST alone at most 0.10. CIFAR-10, CNN, n = 667: 0.155 and 0.167, prototype 0.147. All rows: docs/beyond.md
Cost:         by processor time `quick` takes 26 minutes on 2 idle CPU cores with `other`, 16 without, by estimate; `paper` days.
Threat model: rows of "no query" as in `transfer`: gray box, the architecture is known, and the target's answers to the images to be
              drawn are seen. Rows of "all answers": the target has answered all of the adversary's images. The second
              adversary, of the rows "other images", has images and labels of another source alone.
Deviations:   ours, but for the thesis's M_I. Without `other` there is no second adversary. Its shadow models tell the other
              source's classes apart: class 3 of one has nothing to do with class 3 of the other. Within-class detail of all
              rows is relative to the class average of the attacked source. EfficientNetB0 has fewer targets and shadow
              models than the others at `quick`. Choices are made as in `transfer`, by each adversary on its own images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mi_keras.experiments.beyond.images_work import (
    CNN,
    IMAGES,
    LABELS,
    Pictured,
    Targets,
)
from mi_keras.experiments.beyond.sizes import presets
from mi_keras.experiments.beyond.work import Benches
from mi_keras.experiments.presets import check_choices
from mi_keras.experiments.section import Section
from mi_keras.experiments.thesis.sizes import ATTACKED
from mi_keras.results import Claim, ExperimentResult, Figure, Row, Table, figures
from mi_keras.results.claims import ahead
from mi_keras.settings import GradientSettings, InverterSettings

if TYPE_CHECKING:
    from mi_keras.experiments.beyond.recipe import Entries
    from mi_keras.experiments.case import Plan

AVERAGE, PROTOTYPE, WHOLE, ANSWERS = "class_average", "class_prototype", "whole", "own_answers"
FAR = "other"  # at the end of the names of the second adversary's rows
SHADOWS = {"shadows": "accuracy of shadow models", "shadows_far": "accuracy of those on other images"}


@dataclass(frozen=True)
class Config(Pictured):
    """Settings of the section.

    Attributes:
        combinations: inputs of the thesis's M_I: "o", "x".
        gradient, inverter: of the thesis's rows.
    """

    combinations: tuple[str, ...] = ATTACKED
    gradient: GradientSettings = GradientSettings()
    inverter: InverterSettings = InverterSettings()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices("combinations", self.combinations, ATTACKED)


PAPER = Config()
PRESETS = presets(
    PAPER,
    smoke={
        "residual": replace(PAPER.residual, channels=(4, 8, 8), blocks=1, epochs=2),
        "efficientnet": replace(PAPER.efficientnet, epochs=1), "efficientnet_runs": 1, "efficientnet_bank": 2,
        "combinations": ("o",), "elsewhere": (CNN,),
    },
    quick={
        "data": replace(PAPER.data, train_per_class=1000), "bank": 4, "combinations": ("o",), "copies": 2,
        "network": replace(PAPER.network, channels=(128, 64, 32), epochs=12), "tuning_epochs": 6,
        "residual": replace(PAPER.residual, blocks=1, epochs=8), "efficientnet": replace(PAPER.efficientnet, epochs=10),
        "efficientnet_runs": 2, "efficientnet_bank": 2,
    },
)  # fmt: skip


def run(config: Config, targets: Sequence[Targets]) -> ExperimentResult:
    """Measure both adversaries on the targets of each classifier."""
    from mi_keras.experiments.beyond import recipe
    from mi_keras.experiments.beyond.rows import arrays_of, by_target, measured, table

    near: dict[str, Row] = {}
    far: dict[str, Row] = {}
    chosen: dict[str, list[str]] = {"": [], FAR: []}
    plans: dict[str, list[Plan]] = {}
    for each in targets:
        average: Sequence[Plan] = ()
        for end, benches, found in (("", each.near, near), (FAR, each.far, far)):
            if not benches:
                continue
            entries = _attacks(config.banked(each.classifier), benches)
            chosen[end].append(f"{LABELS[each.classifier]}: {entries[WHOLE].case.attack.label}")
            rows, planned = measured(benches, entries | ({} if end else recipe.baselines(config)), average)
            average = average or planned[AVERAGE]
            found |= {
                (name := _name(each.classifier, row.name, end)): _said(name, row) for row in rows.values()
            }
            plans |= {_name(each.classifier, name, end): of for name, of in planned.items()}
    fewer = [
        f"{LABELS[each.classifier]}: {len(each.near)} of {config.runs} targets." for each in targets if len(each.near) < config.runs
    ]  # fmt: skip
    notes = {
        end: [f"No query, as chosen on held-out shadow models: {'; '.join(of)}.", *fewer]
        for end, of in chosen.items()
    }
    title = "The adversary's images are of the attacked source"
    tables = [table("images", title, "attack", near.values(), notes[""])]
    if far:
        attacked = [each.classifier for each in targets if each.far]
        bars = [near[_name(classifier, name)] for classifier in attacked for name in (AVERAGE, PROTOTYPE)]
        note = "The baselines are those of the attacked source, of which this adversary has no image."
        title = "The adversary's images are of another source"
        tables.append(table("elsewhere", title, "attack", [*far.values(), *bars], [note, *notes[FAR]]))
    rows = near | far
    tables += [_accuracy(targets), by_target(rows.values())]
    return ExperimentResult(
        tables, _claims(rows, targets), _words(config, targets), arrays_of(targets[0].near, plans),
        _figures(targets, [name for name in rows if AVERAGE not in name]),
    )  # fmt: skip


def _attacks(config: Config, benches: Benches) -> "Entries":
    """Return the thesis's attacks, and the strongest without a query and with all answers."""
    from mi_keras.experiments.beyond import recipe

    thesis = recipe.thesis(config.gradient, config.inverter)
    whole = recipe.whole(config, benches)
    own = recipe.oracles(config, benches, whole)[ANSWERS]
    return {
        **{name: thesis[name] for name in config.combinations},
        WHOLE: recipe.entry("no query", whole),
        ANSWERS: replace(own, label="all answers", group="attack"),
    }


def _name(classifier: str, attack: str, end: str = "") -> str:
    return ":".join(part for part in (classifier, attack, end) if part)


def _said(name: str, row: Row) -> Row:
    """Return a row under a name and a label that say what is attacked, and whether by the second adversary."""
    classifier, _, attack = name.partition(":")
    end = f", {FAR} images" if attack.endswith(f":{FAR}") else ""
    return replace(row, name=name, label=f"{LABELS[classifier]}, {row.label}{end}")


def _accuracy(targets: Sequence[Targets]) -> Table:
    """Return how often targets are right about the attacked images, and shadow models about their own validation set."""
    rows = []
    for each in targets:
        values = {"accuracy": [bench.output_vector("target", "test").info["accuracy"] for bench in each.near]}
        for column, benches in (("shadows", each.near), ("shadows_far", each.far)):
            for bench in benches[:1]:
                values[column] = [bench.shadow(n).info["accuracy"] for n in range(1, bench.bank + 1)]
        label, images = LABELS[each.classifier], len(each.near[0].splits.test)
        arrays = {column: np.array(found) for column, found in values.items()}
        rows.append(Row(each.classifier, label, "model", arrays, images))
    columns = ("accuracy", *(column for column in SHADOWS if any(column in row.values for row in rows)))
    title, note = (
        "How often targets and shadow models are right",
        "Means and intervals of shadow models are over these.",
    )
    return Table(
        "classifiers", title, "classifier", columns, rows, notes=[note], headings=SHADOWS, interval=True
    )


def _words(config: Config, targets: Sequence[Targets]) -> str:
    """Return one line on what was scored."""
    splits = targets[0].near[0].splits
    counted = ", ".join(
        f"{len(each.near)} targets and {config.banked(each.classifier).bank} shadow models of {LABELS[each.classifier]}"
        for each in targets
    )
    others = {f" or of {bench.other_source}" for each in targets for bench in each.far}
    return (
        f"{len(splits.test):,} test images (D_F) of {splits.source_name} behind each target, {len(splits.shadow_train):,} images "
        f"of the adversary, of the same source{''.join(others)}; {counted}"
    )


def _claims(rows: Mapping[str, Row], targets: Sequence[Targets]) -> list[Claim]:
    claims: list[tuple[str, str, str, dict[str, Any]]] = []
    for each in targets:
        label, ends = LABELS[each.classifier], ("", FAR) if each.far else ("",)
        thesis, prototype = (_name(each.classifier, attack) for attack in ("o", PROTOTYPE))
        (whole, answers), *far = (
            tuple(_name(each.classifier, attack, end) for attack in (WHOLE, ANSWERS)) for end in ends
        )
        claims.append((f"{label}: without a query more is shown than the class", whole, prototype, {}))
        if thesis in rows:
            text = f"{label}: without a query the strongest attack carries further than the thesis's M_I(O)"
            claims.append((text, whole, thesis, {}))
        claims.append((f"{label}: all answers show more than none", answers, whole, {}))
        for far_whole, far_answers in far:
            text = f"{label}: with images of another source"
            claims += [
                (f"{text} and no query, less is shown than the class", far_whole, prototype, {"sign": -1}),
                (f"{text}, all answers show more than none", far_answers, far_whole, {}),
                (f"{text}, all answers find more images than the class", far_answers, prototype, {"metric": "found_10"}),
            ]  # fmt: skip
    return [
        ahead(rows, text, name, [other], source="not in the text", **how) for text, name, other, how in claims
    ]


def _figures(targets: Sequence[Targets], names: Sequence[str]) -> list[Figure]:
    first = targets[0].classifier
    whole, prototype = f"{first}:{WHOLE}", f"{first}:{PROTOTYPE}"
    own = [name for name in names if name.startswith(f"{first}:") and name != whole]
    strongest = [f"{each.classifier}:{name}" for each in targets for name in (WHOLE, ANSWERS)]
    return [
        figures.MedianPerClass(
            file="median_per_class.png", title=f"The median image of each class: {LABELS[first]}", rows=[whole, *own],
            caption="First target. Per class the test image whose SSIM without a query is the median.",
        ),
        figures.MedianPerClass(
            file="classifiers.png", title="The median image of each class, by classifier", rows=[*strongest, prototype],
            caption="First target of each. Per class the test image whose SSIM by the first row is the median.",
        ),
        figures.RunScores(file="targets.png", rows=names, each="target", title="SSIM of each target"),
        figures.Histogram(
            file="ssim_histograms.png", rows=names, baseline=(prototype,), title="SSIM per test image and target",
            caption="The dashed line is the class prototype's mean.",
        ),
    ]  # fmt: skip


SECTION = Section(IMAGES, PRESETS, run)
