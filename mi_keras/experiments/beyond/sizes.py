"""Settings that sections of `beyond` share, and the sizes of their presets: `paper` is every default."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from mi_keras.errors import InputError
from mi_keras.experiments.presets import sized
from mi_keras.experiments.thesis import sizes as thesis
from mi_keras.settings import (
    BANK_NETWORK,
    CORRECTION,
    TUNING,
    InverterSettings,
    PrototypeSettings,
    check_not_negative,
    check_whole,
)

MOST = 100  # shadow models, members, copies
AMONG = 10  # images of a class that reconstructions are told from


@dataclass(frozen=True)
class Banked(thesis.Classified):
    """Settings of a section that attacks several targets, which are its runs, with one bank of shadow models.

    Attributes:
        bank: shadow models of the adversary, each trained on a random half of its images.
        network: that draws from the bank's answers; its noise is drawn with the answers and not in the network.
        noise: deviation of the noise on mapped answers in training.
        mse: weight of the mean squared error beside 1 - SSIM in its loss.
        copies: augmented copies of each image.
        tuning_epochs, tuning_dropout: of training on a target's answers, which are few.
        corrector: the network that corrects an image by its own answer (see `attacks.corrector`).
    """

    prototype: PrototypeSettings = PrototypeSettings()
    bank: int = 10
    network: InverterSettings = BANK_NETWORK
    noise: float = 0.15
    mse: float = 1.0
    copies: int = 8
    tuning_epochs: int = TUNING.epochs
    tuning_dropout: float = TUNING.dropout[0]
    corrector: InverterSettings = CORRECTION

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("bank", self.bank, 2, MOST)
        check_whole("copies", self.copies, 1, MOST)
        check_whole("tuning_epochs", self.tuning_epochs, 1, MOST)
        if not 0 <= self.tuning_dropout < 1:
            raise InputError(f"`tuning_dropout` must be >= 0 and < 1; got {self.tuning_dropout!r}.")
        for name in ("noise", "mse"):
            check_not_negative(name, getattr(self, name))


QUICK: dict[str, Any] = {
    "classifier": thesis.QUICK["classifier"],
    "gradient": replace(thesis.QUICK["gradient"], steps=20),
    "inverter": thesis.QUICK["inverter"],
    "network": replace(Banked.network, channels=(128, 64, 32)),
}
SMOKE: dict[str, Any] = {
    **{name: thesis.SMOKE[name] for name in ("data", "classifier", "gradient", "inverter", "prototype")},
    "network": replace(Banked.network, channels=(16, 8, 8), epochs=2),
    "bank": 2,
    "copies": 1,
    "corrector": replace(Banked.corrector, channels=(8, 1, 4), epochs=1),
    "tuning_epochs": 1,
}
C = TypeVar("C", bound=Banked)


def presets(paper: C, *, smoke: Mapping[str, Any] = {}, quick: Mapping[str, Any] = {}) -> dict[str, C]:
    """Return the settings of a section by preset: its paper's, and what is smaller in the others beside the sizes above."""
    return {
        "smoke": replace(paper, runs=2, **{**sized(SMOKE, type(paper)), **smoke}),
        "quick": replace(paper, **{**sized(QUICK, type(paper)), **quick}),
        "paper": paper,
    }
