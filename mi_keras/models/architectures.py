"""Settings of the classifiers that can be attacked in place of the thesis's CNN. Imports no TensorFlow."""

from dataclasses import dataclass
from typing import ClassVar

from mi_keras.errors import InputError
from mi_keras.settings import ClassifierSettings, check_positive, check_whole

MOST_EPOCHS = 1000
MOST_BLOCKS = 18  # of a stage: 110 layers, the deepest of the source


@dataclass(frozen=True)
class ResidualSettings(ClassifierSettings):
    """A residual network for images of 32 pixels (see `residual.build_residual`).

    Attributes:
        channels: widths of its three stages.
        blocks: residual blocks of two convolutions in each stage.
    """

    channels: tuple[int, ...] = (16, 32, 64)
    blocks: int = 1

    name: ClassVar[str] = "residual network"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("blocks", self.blocks, 1, MOST_BLOCKS)


@dataclass(frozen=True)
class EfficientNetSettings:
    """EfficientNetB0, trained from scratch (see `efficientnet.build_efficientnet`): its widths are its own."""

    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3

    name: ClassVar[str] = "EfficientNetB0"

    def __post_init__(self) -> None:
        check_whole("epochs", self.epochs, 1, MOST_EPOCHS)
        if self.batch_size < 2:
            raise InputError(f"`batch_size` must be >= 2; got {self.batch_size!r}.")
        check_positive("learning_rate", self.learning_rate)


AnyClassifier = ClassifierSettings | EfficientNetSettings


def architecture(settings: AnyClassifier) -> str:
    """Return what the network is called; "" for the thesis's CNN."""
    return settings.name if isinstance(settings, ResidualSettings | EfficientNetSettings) else ""
