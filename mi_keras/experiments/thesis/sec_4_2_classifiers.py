"""Thesis 4.2: what stands between the classifier's linear layers, and how alike target and shadow model are.

Text claims:  no activation with dropout of 50 % is best of ten variants (weighted F1 0.9865, Table 1); M_S, trained
              on other images, imitates M_T (Table 2, Figure 7).
Command:      python scripts/reproduce.py --section 4.2
Measured:     quick with --runs 3, seed 1, n = 1,333: none with dropout 0.9775 +- 0.0019, SiLU without 0.9815 +- 0.0021 (highest); M_S
              0.9805 +- 0.0042; the text's collapse of activation with dropout is not seen. All rows: docs/results.md
Cost:         `quick` 7 minutes on 2 idle CPU cores; `paper`, by estimate, about half a day.
Threat model: none yet; these are the models that the other sections attack and attack with.
Deviations:   the text trains M_T of Table 2 once more; here it is the variant "none, dropout" of Table 1, run by run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from mi_keras.experiments.presets import check_choices
from mi_keras.experiments.section import Section
from mi_keras.experiments.store import Stage
from mi_keras.experiments.thesis.rows import curves
from mi_keras.experiments.thesis.sizes import Classified, presets
from mi_keras.experiments.thesis.work import THESIS, Benches
from mi_keras.results import Claim, ExperimentResult, Figure, Paper, Row, Table, figures
from mi_keras.results.claims import ahead, unchanged
from mi_keras.settings import HEADS

VARIANTS = {head.activation + ("+dropout" if head.dropout else ""): head for head in HEADS}
CHOSEN = "none+dropout"
WORDS = {"none": "None", "relu": "ReLU", "sigmoid": "Sigmoid", "gelu": "GELU", "silu": "SiLU"}
METRICS = ("f1", "training_loss", "validation_loss")


def _paper(table: str, *values: tuple[float, float | None]) -> Paper:
    return Paper(f"{table} (MNIST)", dict(zip(METRICS, values, strict=True)))


PUBLISHED = {
    "none": _paper("Table 1", (0.9838, 0.0027), (0.0179, 0.0108), (0.0693, 0.0153)),
    "none+dropout": _paper("Table 1", (0.9865, 0.0019), (0.0186, 0.0137), (0.0585, 0.0149)),
    "relu": _paper("Table 1", (0.9750, 0.0114), (0.0124, 0.0168), (0.1308, 0.0727)),
    "relu+dropout": _paper("Table 1", (0.7113, 0.3255), (1.4131, 0.4051), (0.7747, 0.6425)),
    "sigmoid": _paper("Table 1", (0.9851, 0.0030), (0.0148, 0.0153), (0.0533, 0.0182)),
    "sigmoid+dropout": _paper("Table 1", (0.8829, 0.1553), (0.6599, 0.3926), (0.2994, 0.2636)),
    "gelu": _paper("Table 1", (0.9826, 0.0061), (0.0075, 0.0165), (0.0735, 0.0285)),
    "gelu+dropout": _paper("Table 1", (0.8918, 0.0909), (1.3403, 0.2281), (0.5522, 0.2578)),
    "silu": _paper("Table 1", (0.9770, 0.0081), (0.0110, 0.0153), (0.1062, 0.0402)),
    "silu+dropout": _paper("Table 1", (0.8714, 0.1602), (1.2120, 0.3972), (0.5598, 0.4410)),
    "target": _paper("Table 2", (0.9856, None), (0.0187, None), (0.0483, None)),
    "shadow": _paper("Table 2", (0.9866, None), (0.0288, None), (0.0491, None)),
}
MODELS = {"target": "M_T, target model", "shadow": "M_S, shadow model"}


@dataclass(frozen=True)
class Config(Classified):
    """Settings of the section; the defaults are the text's.

    Attributes:
        variants: what stands between the linear layers: an activation, "+dropout" appended where half of the units
            are dropped in training.
    """

    variants: tuple[str, ...] = tuple(VARIANTS)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices("variants", self.variants, tuple(VARIANTS), at_least_one=True)


PAPER = Config()
PRESETS = presets(PAPER)


def run(config: Config, benches: Benches) -> ExperimentResult:
    """Train every variant and the shadow model in every run."""
    # Variant by variant, not run by run: trainings of one architecture share its traced step.
    models = {
        name: [bench.classifier("target", VARIANTS[name]) for bench in benches] for name in config.variants
    }
    models |= {role: [bench.classifier(role) for bench in benches] for role in MODELS}
    benches[0].store.compute(chain(*models.values()))
    rows = {name: _row(name, stages) for name, stages in models.items()}
    arrays: dict[str, Any] = {
        f"confusion.{name}": np.array([stage.info["confusion"] for stage in models[name]]) for name in MODELS
    }
    for name in (*config.variants, "shadow"):  # the curves of "target" are those of the chosen variant
        arrays |= curves(name, models[name], "loss", "validation_loss")
    splits = benches[0].splits
    measured = (
        f"weighted F1 and losses after the last of {config.classifier.epochs} epochs: {len(splits.target_validation):,} "
        f"validation images of M_T, {len(splits.shadow_validation):,} of M_S; {len(splits.target_train):,} training images each"
    )
    title = "Table 1: activation and dropout between the linear layers of M_T"
    shown, compared = ([rows[name] for name in names] for names in (config.variants, MODELS))
    tables = [
        Table("table_1", title, "activation, dropout", METRICS, shown, "f1"),
        Table("table_2", "Table 2: target and shadow model", "model", METRICS, compared),
    ]
    answers = [
        [bench.output_vector(role, "test").arrays["output_vector"].argmax(axis=1) for role in MODELS] for bench in benches
    ]  # fmt: skip
    agreement = ", ".join(f"{np.mean(target == shadow):.4f}" for target, shadow in answers)
    notes = [
        f"Share of the test images D_F on which M_S and M_T predict the same class, run by run: {agreement}."
    ]
    return ExperimentResult(tables, _claims(rows), measured, arrays, _figures(config), notes)


def _row(name: str, stages: Sequence[Stage]) -> Row:
    values = {
        "f1": np.array([stage.info["f1"] for stage in stages]),
        "training_loss": np.array([stage.info["history"]["loss"][-1] for stage in stages]),
        "validation_loss": np.array([stage.info["history"]["validation_loss"][-1] for stage in stages]),
    }
    activation, _, dropout = name.partition("+")
    label = MODELS.get(name) or f"{WORDS[activation]}, {'dropout' if dropout else 'no dropout'}"
    images = int(np.sum(stages[0].info["confusion"]))
    return Row(name, label, "model", values, images, PUBLISHED[name])


def _claims(rows: Mapping[str, Row]) -> list[Claim]:
    """Hold the section's sentences, and what its Table 1 shows beside them, against the rows."""
    claim = partial(ahead, rows, metric="f1", source="thesis Table 1")
    dropped = [name for name in VARIANTS if name.endswith("+dropout") and name != CHOSEN]
    others = [name for name in VARIANTS if name != CHOSEN]
    best = "No activation with dropout has the highest F1 of the"
    return [
        claim(f"{best} ten variants", CHOSEN, others, source="thesis 4.2"),
        claim(f"{best} variants with dropout", CHOSEN, dropped),
        *(
            claim(f"With {WORDS[plain]}, dropout lowers F1", name, [plain], sign=-1)
            for name in dropped
            for plain in [name.removesuffix("+dropout")]
        ),
        unchanged(
            rows, "The shadow model classifies as well as the target model", "shadow", "target",
            source="thesis 4.2", metric="f1",
        ),
    ]  # fmt: skip


def _figures(config: Config) -> list[Figure]:
    return [
        figures.Confusion(
            file="figure_7.png", rows=list(MODELS), title="Figure 7: confusion matrices of M_T and M_S",
            caption="Each on its own validation set, first run.",
        ),
        figures.TrainingCurves(
            file="training_curves.png", rows=config.variants, title="Training curves of the variants",
            caption="Cross-entropy on training and validation set, per epoch.",
        ),
    ]  # fmt: skip


SECTION = Section(THESIS, PRESETS, run)
