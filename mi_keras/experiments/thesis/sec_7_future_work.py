"""Thesis 7: what the text leaves to future work, one row each: other inputs of the inversion model, other defences.

Text claims:  the shadow model's last feature map may yield better reconstructions than its activations; noise on the output
              vector, or a student that answers with less precision, could distort them. None is measured there.
Command:      python scripts/reproduce.py --section 7
Measured:     quick, 2 runs, seed 1, n = 1,334: instance gain of M_I(O) -0.081 +- 0.069 undefended, -0.052 behind noise of deviation
              1, -0.044 behind 4, -0.103 +- 0.008 distilled; M_I(A^L) -0.066, M_I(F) -0.079. All rows: docs/results.md
Cost:         `quick` 3 minutes on 2 CPU cores after 5.2; `paper`, by estimate, a day.
Threat model: gray box as in 5.2, and the adversary knows the defence: it trains its inversion model on answers of its own
              shadow model that the same defence has changed.
Deviations:   the text has no experiment. Noise is drawn once per answer, in the units of the logits. The student has its
              teacher's architecture and learns from rounded probabilities.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mi_keras import attacks, defenses
from mi_keras.attacks.attack import Attack
from mi_keras.defenses.defense import Defense
from mi_keras.errors import InputError
from mi_keras.experiments.section import Section
from mi_keras.experiments.thesis.defended import attack_all, cost_table
from mi_keras.experiments.thesis.rows import Name, histogram, learned_from, medians, model_labels
from mi_keras.experiments.thesis.sizes import Inverted, presets
from mi_keras.experiments.thesis.work import THESIS, Benches
from mi_keras.results import Claim, ExperimentResult, Row
from mi_keras.results.claims import ahead
from mi_keras.settings import LARGEST

UNDEFENDED = "none"
ACTIVATIONS = Name("a", UNDEFENDED)  # what the text found wanting


@dataclass(frozen=True)
class Config(Inverted):
    """Settings of the section; not in the text, but for what it shares with section 5.2.

    Attributes:
        combinations: inputs of the inversion models that meet every defence.
        noise: standard deviations of the noise on the logits.
    """

    combinations: tuple[str, ...] = ("o",)
    noise: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (
            not self.noise
            or len(set(map(_noise, self.noise))) < len(self.noise)
            or not all(0 < n <= LARGEST for n in self.noise)
        ):
            raise InputError(f"`noise` must be distinct numbers > 0, at least one; got {self.noise!r}.")


def _noise(deviation: float) -> str:
    return f"noise={deviation:g}"


# What meets undefended answers beside the combinations: one line each
ROWS: dict[str, Callable[[Config], Attack]] = {
    "a": lambda config: learned_from(config, attacks.Activations(config.activation), "a"),
    "f": lambda config: learned_from(config, attacks.LastFeatureMap(), "f"),
}
# What the combinations meet: one line each, by the name that the rows carry
DEFENSES: tuple[Callable[[Config], dict[str, Defense]], ...] = (
    lambda config: {_noise(n): defenses.Noise(n) for n in config.noise},
    lambda config: {"distilled": defenses.Distillation(epochs=config.classifier.epochs)},
)

PAPER = Config()
PRESETS = presets(PAPER, smoke={"noise": (1.0,)}, quick={"noise": (1.0, 4.0)})


def run(config: Config, benches: Benches) -> ExperimentResult:
    """Attack undefended answers with every input, and defended ones with the combinations, in every run."""
    behind: dict[str, Defense | None] = {UNDEFENDED: None}
    for of_kind in DEFENSES:
        behind |= of_kind(config)
    words = {at: defense.words if defense else "no defence" for at, defense in behind.items()}
    more = {Name(method, UNDEFENDED): attack(config) for method, attack in ROWS.items()}
    found = attack_all(config, benches, behind, words, more=more)
    undefended = [name for name in found.rows if name.at in ("", UNDEFENDED)]
    defended = [name for name in found.rows if name not in more or name.method in config.combinations]
    costs = "What a defence costs the honest user, and what it leaves the attack"
    tables = [
        found.table("inputs", "What the inversion model is fed with", "input", undefended),
        found.table("defences", "What a defence leaves the attack", "model, defence", defended, best=""),
        cost_table(config, found, "defence_cost", costs, "defence"),
    ]
    inputs = {name: attack.label for name, attack in more.items() if name != ACTIVATIONS}
    claims = _claims(found.rows, inputs, words, config)
    names = [str(name) for name in found.rows]
    drawn = [
        medians("median_per_class.png", "The median image of each class, by every row", names),
        histogram(names),
    ]
    return found.result(tables, claims, drawn)


def _claims(
    rows: Mapping[Name, Row], inputs: Mapping[Name, str], words: Mapping[str, str], config: Config
) -> list[Claim]:
    """Hold the text's hopes against the rows: other inputs than A^L draw more, and a defence takes away."""
    in_text = {"f", "distilled", *map(_noise, config.noise)}  # what a contributor adds is not

    def source(name: str) -> str:
        return "thesis 7" if name in in_text else "not in the text"

    better = [
        ahead(rows, f"{label} draws more than M_I(A^L)", name, [ACTIVATIONS], source=source(name.method))
        for name, label in inputs.items()
    ]
    worse = [
        ahead(
            rows, f"Behind {words[at]}, {model} draws less of the image", Name(c, at), [Name(c, UNDEFENDED)],
            source=source(at), metric="instance_gain", sign=-1,
        )
        for c, model in model_labels(config).items()
        for at in words
        if at != UNDEFENDED
    ]  # fmt: skip
    return [*better, *worse]


SECTION = Section(THESIS, PRESETS, run)
