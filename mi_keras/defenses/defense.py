"""The base class of defences: a frozen dataclass that changes the model, what it sends, or both."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mi_keras.progress import Arrays, Run
from mi_keras.seeds import derive
from mi_keras.settings import check_positive
from mi_keras.types import Images, Rows

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

BYTES_OF_FLOAT = 2  # undefended values travel as float16
MOST_DECIMALS = 7  # float32 holds no more


class Defense:
    """A defence. Its fields are its settings, and two with equal fields are the same defence.

    Attributes:
        hardens: it trains another model, which answers in place of the one that is protected.
        measures: name of the stage that keeps what `measure` returns, which depends only on values of the defender's
            own images; "" for a defence that measures nothing.
        draws: it is random, with new draws for each image that is sent.
        of_maps: it is for feature maps, not for output vectors.
        differentiable: it has `in_graph`, so an adversary that knows it can compute gradients through it.
    """

    hardens: ClassVar[bool] = False
    measures: ClassVar[str] = ""
    draws: ClassVar[bool] = False
    of_maps: ClassVar[bool] = False
    differentiable: ClassVar[bool] = False

    @property
    def words(self) -> str:
        """Its name in tables and progress, such as "rounding to 1 decimal"."""
        raise NotImplementedError

    @property
    def identity(self) -> dict[str, Any]:
        """Name and settings, as JSON values."""
        return {"name": type(self).__name__, **asdict(self)}  # type: ignore[call-overload]

    def harden(self, model: "keras.Model", images: Images, run: Run) -> "keras.Model":
        """Return the model that answers in place of `model`, trained on images of the defender; `model` stays as it is."""
        return model

    def measure(self, values: Rows) -> Arrays:
        """Return statistics of values of the defender's own images, `(count, ...)`, computed before anything is
        sent."""
        return {}

    def apply(self, values: NDArray[Any], measured: Arrays, *, seed: int) -> NDArray[Any]:
        """Return what is sent instead of the values: a new array of the same shape and type.

        Args:
            values: `(batch, ...)` float16 or float32; left as they are.
            measured: what `measure` returned.
            seed: seed of the random draws; use another one for each batch, or the noise is the same.
        """
        return values.copy()

    def in_graph(self, values: "tf.Tensor", measured: Arrays) -> "tf.Tensor":
        """Return the mean of what is sent instead of a float32 batch, with gradients.

        Rounding has no gradient: the values are the rounded ones, the gradients those of the identity (see
        `straight_through`).
        """
        raise NotImplementedError(f"{self.words} has no gradients.")

    def bytes_per_image(self, shape: tuple[int, ...]) -> int:
        """Return how many bytes travel for one image whose values have this shape, without coding or compression."""
        return bytes_of(shape)


@dataclass(frozen=True)
class AddedNoise(Defense):
    """Adds independent Gaussian noise to every value.

    Attributes:
        deviation: of the noise in the units of `unit`, > 0.
        seed_name: of what is drawn.
    """

    deviation: float = 1.0

    draws: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True
    seed_name: ClassVar[str] = "noise"

    def __post_init__(self) -> None:
        check_positive("deviation", self.deviation)

    def unit(self, values: NDArray[Any], measured: Arrays) -> Any:
        """Return the noise of deviation 1, a number or an array that goes with the values."""
        return 1

    def apply(self, values: NDArray[Any], measured: Arrays, *, seed: int) -> NDArray[Any]:
        noise = np.random.default_rng(derive(seed, self.seed_name)).standard_normal(values.shape, np.float32)
        noise *= np.float32(self.deviation) * self.unit(values, measured)
        return (noise + values).astype(values.dtype)  # computed in float32

    def in_graph(self, values: "tf.Tensor", measured: Arrays) -> "tf.Tensor":
        return values


def straight_through(values: "tf.Tensor", sent: "tf.Tensor") -> "tf.Tensor":
    """Return what is sent with the gradient of what it is rounded from (Bengio et al. 2013).

    Steps on the input of a small CNN from 4 x 4 x 128 values of one bit recover R2 0.90 of digits so, 0.89 where they stop at the
    border of what rounds to the same, and 0.79 where values that are not rounded are compared.
    """
    import tensorflow as tf

    return values + tf.stop_gradient(sent - values)


def bytes_of(shape: tuple[int, ...]) -> int:
    """Return how many bytes values of a shape take where nothing is done to them."""
    return BYTES_OF_FLOAT * int(np.prod(shape))


class Defended:
    """Values as they are behind a defence, computed as they are read (see `types.Rows`).

    What is drawn is drawn once per image, whatever images are read together.
    """

    def __init__(self, values: Rows, defense: Defense, measured: Arrays, seed: int) -> None:
        self.values, self.defense, self.measured, self.seed = values, defense, measured, seed
        self.shape, self.dtype = values.shape, values.dtype

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        values = np.asarray(self.values[rows])
        if not self.defense.draws:
            return self.defense.apply(values, self.measured, seed=self.seed)
        sent = np.empty_like(values)
        for place, number in enumerate(np.arange(len(self))[rows]):
            seed = derive(self.seed, int(number))
            sent[place] = self.defense.apply(values[place : place + 1], self.measured, seed=seed)[0]
        return sent
