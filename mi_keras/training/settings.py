"""Settings of training that is in neither work. Imports no TensorFlow."""

from dataclasses import dataclass

from mi_keras.settings import LARGEST, check_positive, check_whole


@dataclass(frozen=True)
class ImitationSettings:
    """How a model learns to answer as another does (see `training.imitation`)."""

    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 3e-4

    def __post_init__(self) -> None:
        check_whole("epochs", self.epochs, 1, LARGEST)
        check_whole("batch_size", self.batch_size, 2, LARGEST)
        check_positive("learning_rate", self.learning_rate)
