"""Thesis 5.2: which of the seven combinations of {O, A^L, X~} gives the inversion model M_I the best images.

Text claims:  M_I(X~) is best (SSIM 0.3727), ahead of the plain gradient reconstruction and of M_I(O);
              more inputs do not help, least of all A^L (M_I(A^L) 0.1218).
Command:      python scripts/reproduce.py --section 5.2
Measured:     quick, 2 runs, seed 1, n = 1,334: M_I(X~) 0.376 +- 0.057, M_I(O) 0.348 +- 0.066, X~ alone 0.254, class
              prototype 0.429; no row beats the prototype. With M_S's answers to the same images M_I(O) 0.513 +- 0.006.
              M_I(A^L) 0.363 +- 0.065 with A^L solved for own and attacked images, 0.202 +- 0.049 with own ones extracted.
              paper, 1 run, bfloat16: M_I(X~) 0.279 and M_I(O) 0.279; M_I(A^L) 0.284 solved and 0.139 extracted; with M_S's
              answers M_I(O) 0.619. Pairs of the text's sizes in PyTorch, and which search of X~ explains the text's M_I(X~):
              docs/results.md
Cost:         on 2 CPU cores with AVX-512 `quick` about 6 minutes; `paper` about four CPU hours a run with `--precision bfloat16`.
Threat model: gray box. The adversary knows the architecture of M_T, has 10,000 images of the same distribution
              (disjoint from M_T's), and sees the output vectors of M_T on the images it reconstructs.
Deviations:   X~ is computed for two readings of its objective (see `attacks.gradient`): rows named by the
              combination alone match the whole output vector; rows marked [cross_entropy] use formula 2 with one-hot
              targets, where all images of a class share one X~. A^L has two readings too: sections 1 and 3.5 of the text
              extract it from the shadow model, 3.7 solves it from the output vector. Attacked images leave no choice; rows
              marked [extracted] have a forward pass for the adversary's own. `same_models` repeats M_I alone. Rows for class average and class prototype are ours, and
              so is the table of the shadow model's own answers: what the adversary would get if M_T were M_S.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mi_keras.data.splits import class_counts
from mi_keras.experiments.bench import SHADOW, TARGET
from mi_keras.experiments.case import Case
from mi_keras.experiments.presets import check_choices
from mi_keras.experiments.section import Section
from mi_keras.experiments.store import Stage
from mi_keras.experiments.thesis import table_4
from mi_keras.experiments.thesis.rows import (
    BASELINES,
    EXTRACTED,
    MATCHED,
    ONE_HOT,
    PROTOTYPE,
    SOLVED,
    Name,
    Plans,
    attack,
    baselines,
    curves,
    gradient_curves,
    gradient_losses,
    histogram,
    inversion,
    medians,
)
from mi_keras.experiments.thesis.sizes import Inverted, presets
from mi_keras.experiments.thesis.table_4 import ALONE, JUDGED, WITH_A, WITH_X, own
from mi_keras.experiments.thesis.work import THESIS, Benches
from mi_keras.results import ExperimentResult, Figure, figures
from mi_keras.settings import COMBINATIONS

SPREADS = {  # by `same_models`
    False: "Each run has a target and a shadow model of its own: the spread is that over pairs of models.",
    True: "All runs have one target and one shadow model: the spread is that of training M_I again.",
}
FIGURES = {"x": "13 and 14", "o": "27", "a": "28", "o+a": "29", "o+x": "30", "a+x": "31", "o+a+x": "32"}


@dataclass(frozen=True)
class Config(Inverted):
    """Settings of the section; the defaults are the text's.

    Attributes:
        combinations: inputs of M_I to compare, with X~ from the logit objective.
        second_combinations: those with X~ to repeat with the one-hot cross-entropy objective.
        extracted_combinations: those with A^L to repeat with activations of the adversary's own images that M_S computed of
            the images themselves; A^L of the attacked images is solved from O as always. Those that are not among
            `combinations` are left out.
        own_answers: combinations to apply to the shadow model's answers to the test images too; those that are not
            among `combinations` are left out.
    """

    combinations: tuple[str, ...] = COMBINATIONS
    second_combinations: tuple[str, ...] = ("x", "o+x", "a+x", "o+a+x")
    extracted_combinations: tuple[str, ...] = WITH_A
    own_answers: tuple[str, ...] = COMBINATIONS

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices("second_combinations", self.second_combinations, WITH_X)
        check_choices("extracted_combinations", self.extracted_combinations, WITH_A)
        check_choices("own_answers", self.own_answers, COMBINATIONS)


PAPER = Config()
PRESETS = presets(
    PAPER,
    smoke={"second_combinations": ("x",), "extracted_combinations": ("a",), "own_answers": ("o",)},
    quick={"second_combinations": ("x",), "own_answers": ("o", "a", "o+a")},
)


def run(config: Config, benches: Benches) -> ExperimentResult:
    """Train and score every combination in every run."""
    papers = {Name(method): paper for method, paper in table_4.PUBLISHED.items()}
    found = attack(benches, _cells(config), {SHADOW: "answered by M_S"}, papers)
    rows = {n: replace(row, group="baseline") if n.method == ALONE else row for n, row in found.rows.items()}
    found = replace(found, rows=rows)  # X~ alone is what M_I has to beat
    by_target = {name: row for name, row in rows.items() if name.at != SHADOW}
    by_shadow = [name for name in rows if name not in by_target]
    models = {role: [bench.classifier(role) for bench in benches] for role in (TARGET, SHADOW)}
    more = _curves(models, found.plans)
    more |= {f"class_counts.{subset}": counts for subset, counts in class_counts(benches[0].splits).items()}
    spread = [SPREADS[config.same_models]] if config.runs > 1 else []
    title = "Table 4: inputs of the inversion model"
    tables = [found.table("table_4", title, "combination", by_target, notes=spread)]
    if by_shadow:
        title = "The same inversion models and images, answered by M_S instead of M_T"
        tables.append(found.table("own_answers", title, "combination", by_shadow, notes=spread))
    claims, notes = [*table_4.claims(by_target), *table_4.own_claims(rows)], _model_notes(models, found.plans)
    return found.result(tables, claims, _figures(config), more, notes=notes)


def _cells(config: Config) -> dict[Name, Case]:
    """Return the case of every row; those that M_S answers behind the combination that they share M_I with."""
    from mi_keras.attacks.attack import Direct
    from mi_keras.attacks.gradient import GradientImage

    cells: dict[Name, Case] = {}
    for name in _models(config):
        cells[name] = Case(inversion(config, name.method, name.objective, name.known))
        if name.objective == MATCHED and name.method in config.own_answers:
            cells[own(name)] = replace(cells[name], answered_by=SHADOW)
    for objective in (MATCHED, ONE_HOT):
        cells[Name(ALONE, objective=objective)] = Case(Direct(GradientImage(config.gradient, objective)))
    known = baselines(config.prototype)
    if any(name.at == SHADOW for name in cells):
        known |= {own(name): replace(case, answered_by=SHADOW) for name, case in known.items()}
    return cells | known


def _models(config: Config) -> list[Name]:
    """Return the rows of M_I, each once."""
    usual = config.activation.known

    def row(combination: str, objective: str = MATCHED, known: str = usual) -> Name:
        return Name(combination, objective=objective, known=known if combination in WITH_A else SOLVED)

    rows = [row(combination) for combination in config.combinations]
    again = [each for each in config.extracted_combinations if each in config.combinations]
    rows += [row(combination, known=EXTRACTED) for combination in again]
    rows += [row(combination, ONE_HOT) for combination in config.second_combinations]
    return list(dict.fromkeys(rows))


def _curves(models: Mapping[str, Sequence[Stage]], plans: Plans) -> dict[str, Any]:
    """Return the loss curves of all that was trained, and of the gradient reconstruction, `(runs, ...)`."""
    found: dict[str, Any] = {}
    for role, stages in models.items():
        found |= curves(role, stages, "loss", "validation_loss")
    for name, runs in plans.items():
        if name.method in COMBINATIONS and name.at != SHADOW:
            found |= curves(str(name), [plan.learned for plan in runs], "loss")
        if name.method == ALONE:
            found[f"gradient_loss.{name.objective}"] = gradient_losses(runs)
    return found


def _model_notes(models: Mapping[str, Sequence[Stage]], plans: Plans) -> list[str]:
    """Say how good the classifiers are, and whether every A^L was found."""
    distinct = {role: {stage.key: stage.info["f1"] for stage in stages} for role, stages in models.items()}
    f1 = {role: ", ".join(f"{value:.4f}" for value in values.values()) for role, values in distinct.items()}
    notes = [
        f"Weighted F1 on the validation sets, model by model: target model {f1[TARGET]}; shadow model {f1[SHADOW]} "
        "(text, MNIST: 0.9856, 0.9866)."
    ]
    solved = {
        part.stage.key: part.stage.info
        for name, runs in plans.items()
        for plan in runs
        for part in (*plan.known, *plan.seen)
        if part.stage.kind == "activations" and name.at != SHADOW
    }
    if solved:
        missed, count = (sum(info[name] for info in solved.values()) for name in ("not_converged", "count"))
        notes.append(f"Activations A^L above the threshold after the last step: {missed} of {count:,}.")
    return notes


def _figures(config: Config) -> list[Figure]:
    models = _models(config)
    rows = [str(name) for name in models]
    everything = [*rows, ALONE, str(Name(ALONE, objective=ONE_HOT)), *BASELINES]
    drawn: list[Figure] = [
        figures.ClassCounts(
            file="figure_3.png", title="Figure 3: class distributions of the five sets", caption="Images per class and set."
        ),
        *(_best(config, name) for name in sorted(models, key=lambda name: (_variant(name), FIGURES[name.method]))),
        medians(
            "median_per_class.png", "The median image of each class, by every method", everything, "under the first method"
        ),
        figures.TrainingCurves(
            file="training_curves.png", rows=rows, title="Training curves",
            caption="Cross-entropy of M_T and M_S; 1 - SSIM of every inverter.",
        ),
        gradient_curves("Gradient reconstruction"),
        histogram(everything),
    ]  # fmt: skip
    both = [
        name for name in JUDGED if name.method in config.combinations and name.method in config.own_answers
    ]
    pairs = [str(row) for name in both for row in (name, own(name))]
    title = "The same inversion models and images, answered by M_T and by M_S"
    shown = medians("own_answers.png", title, [*pairs, PROTOTYPE], "under the first row, answered by M_T,")
    return [*drawn, shown] if pairs else drawn


def _best(config: Config, name: Name) -> Figure:
    """Return the figure of the best image per class: the text's of that number, or one of ours with another reading."""
    label = inversion(config, name.method).label
    if not _variant(name):
        numbers = FIGURES[name.method]
        file = f"figure_{numbers.replace(' and ', '_')}.png"
        title = f"{'Figures' if ' and ' in numbers else 'Figure'} {numbers}: {label}, best image per class"
    else:
        file = f"best_{name.method.replace('+', '_')}_{_variant(name)}.png"
        reading = (
            "X~ from one-hot cross-entropy" if name.objective == ONE_HOT else "A^L of own images extracted"
        )
        title = f"{label}, best image per class, {reading}"
    return figures.BestPerClass(
        file=file, rows=[str(name)], title=title,
        caption="Row 1 targets, row 2 reconstructions. The best of each class flatters the attack: see the medians.",
    )  # fmt: skip


def _variant(name: Name) -> str:
    """Return which reading a row is that the text's figures are not named by, "" for none."""
    return "_".join(each for each in (name.objective, name.known) if each not in (MATCHED, SOLVED))


SECTION = Section(THESIS, PRESETS, run)
