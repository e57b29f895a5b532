"""Settings that sections of the thesis share, and the sizes of their presets: `paper` is every default."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from mi_keras.experiments.presets import check_choices, check_runs, sized
from mi_keras.settings import (
    COMBINATIONS,
    ActivationSettings,
    ClassifierSettings,
    GradientSettings,
    InverterSettings,
    PrototypeSettings,
    SplitSettings,
)

ATTACKED = ("o", "x")  # the two inversion models of the text's Tables 5 and 6


@dataclass(frozen=True)
class Classified:
    """Settings of a section that trains M_T and M_S; the defaults are the text's.

    Attributes:
        runs: repetitions of all models on the same splits.
    """

    runs: int = 5
    data: SplitSettings = SplitSettings()
    classifier: ClassifierSettings = ClassifierSettings()

    def __post_init__(self) -> None:
        check_runs(self.runs)


@dataclass(frozen=True)
class Reconstructed(Classified):
    """The same of a section that derives X~ as well, and holds its scores against the class prototype."""

    gradient: GradientSettings = GradientSettings()
    prototype: PrototypeSettings = PrototypeSettings()


@dataclass(frozen=True)
class Inverted(Reconstructed):
    """The same of a section that trains M_I as well.

    Attributes:
        combinations: inputs of M_I.
        same_models: repeat M_I alone, on the first run's target and shadow model, in place of all models; the text's
            spreads suggest that it did.
    """

    combinations: tuple[str, ...] = ATTACKED
    activation: ActivationSettings = ActivationSettings()
    inverter: InverterSettings = InverterSettings()
    same_models: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices("combinations", self.combinations, COMBINATIONS, at_least_one=True)


QUICK: dict[str, Any] = {
    "data": SplitSettings(train_per_class=500),
    "classifier": ClassifierSettings(channels=(32, 64, 128), epochs=12),
    "gradient": GradientSettings(steps=60, learning_rate=0.03),  # chosen on models of this width
    "inverter": InverterSettings(channels=(128, 64, 32), epochs=12),
}
SMOKE: dict[str, Any] = {
    "data": replace(QUICK["data"], train_per_class=40, test_per_class=30),
    "classifier": replace(QUICK["classifier"], channels=(8, 16, 32), epochs=2),
    "gradient": replace(QUICK["gradient"], steps=5, learning_rate=0.1),
    "activation": ActivationSettings(max_steps=200),
    "inverter": replace(QUICK["inverter"], channels=(32, 16, 8), epochs=1),
    "prototype": PrototypeSettings(steps=20),
}
C = TypeVar("C", bound=Classified)


def presets(paper: C, *, smoke: Mapping[str, Any] = {}, quick: Mapping[str, Any] = {}) -> dict[str, C]:
    """Return the settings of a section by preset: its paper's, and what is smaller in the others beside the sizes above."""
    return {
        "smoke": replace(paper, runs=1, **sized(SMOKE, type(paper)), **smoke),
        "quick": replace(paper, runs=2, **sized(QUICK, type(paper)), **quick),
        "paper": paper,
    }
