"""Noise where the tail is insensitive: each map gets the amount that costs the tail's answer little and the attacker
much."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mi_keras.defenses.defense import AddedNoise
from mi_keras.errors import InputError
from mi_keras.progress import Arrays
from mi_keras.seeds import derive
from mi_keras.settings import check_not_negative, check_positive
from mi_keras.types import Floats, Rows

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

MOST = 30.0  # of a map's own deviations: more hides nothing more, and leaves the range of float16
HALVINGS = 100  # of the range in which a multiplier is looked for


@dataclass(frozen=True)
class ShapedNoise(AddedNoise):
    """Adds independent Gaussian noise to every value, with a standard deviation for each map (see `least_information`).

    Attributes:
        deviations: standard deviations of the noise, one for each map or one for all, in the units of the maps.
    """

    deviations: tuple[float, ...] = (1.0,)

    of_maps: ClassVar[bool] = True
    seed_name: ClassVar[str] = "map noise"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.deviations:
            raise InputError("`deviations` must be one or more numbers; got none.")
        for each in self.deviations:
            check_not_negative("deviations", each)

    @property
    def words(self) -> str:
        return "noise shaped for the tail" + (f" x {self.deviation:g}" if self.deviation != 1 else "")

    def unit(self, values: NDArray[Any], measured: Arrays) -> Floats:
        if len(self.deviations) not in (1, values.shape[-1]):
            raise InputError(
                f"`deviations` must be one, or one for each of {values.shape[-1]} maps; got {len(self.deviations)}."
            )
        return np.array(self.deviations, np.float32)


def tail_sensitivities(
    tail: "keras.Model", maps: Rows, *, seed: int, batch_size: int = 64
) -> NDArray[np.float64]:
    """Return `(channels,)`: by how much independent noise of variance 1 on all values of a map moves the tail's answer.

    That is twice the KL divergence of the answer, to second order, from the answer without noise: the sum over values of
    J' (diag q - q q') J with J the derivative of logits by values and q the answer's probabilities, a mean over images. It
    is estimated with one vector-Jacobian product of random signs an image (see `selection.greedy_for_tail`).

    Args:
        tail: maps `(batch, height, width, channels)` to logits `(batch, classes)`; it stays as it is.
        maps: of the defender's own images.
        seed: of the random signs.

    Raises:
        FloatingPointError: a derivative is not finite.
    """
    import tensorflow as tf

    batch, answers = [None, *maps.shape[1:]], [None, *tail.output_shape[1:]]
    spec = [tf.TensorSpec(shape, tf.float32) for shape in (batch, answers)]

    @tf.function(autograph=False, input_signature=spec)
    def squares(maps: "tf.Tensor", signs: "tf.Tensor") -> "tf.Tensor":
        with tf.GradientTape() as tape:
            tape.watch(maps)
            logits = tail(maps, training=False)
        q = tf.nn.softmax(logits)
        signed_root = tf.sqrt(q) * signs
        direction = signed_root - q * tf.reduce_sum(signed_root, axis=1, keepdims=True)
        return tf.reduce_sum(tape.gradient(logits, maps, direction) ** 2, axis=(0, 1, 2))

    draw, total = np.random.default_rng(derive(seed, "signs")), np.zeros(maps.shape[-1])
    for start in range(0, len(maps), batch_size):
        part = np.asarray(maps[start : start + batch_size], np.float32)
        signs = draw.choice(np.array([-1, 1], np.float32), (len(part), *tail.output_shape[1:]))
        total += squares(part, signs).numpy()
    if not np.isfinite(total).all():
        raise FloatingPointError("shaped noise: a derivative of the tail's answer is not finite.")
    return total / len(maps)


def least_information(
    variances: Floats, sensitivities: NDArray[np.float64], budget: float
) -> tuple[float, ...]:
    """Return the deviation of the noise in each map that leaves least of it, at a cost to the tail of at most `budget`.

    Of Gaussian values with variances s, noise of variances n leaves sum(log(1 + s / n)) / 2 nats; the cost is sum(g n). At
    the least of the first n = (sqrt(s^2 + 2 s / (lambda g)) - s) / 2, with lambda as the budget has it. A map that does not
    vary has no noise, none has more than `MOST` of its own deviations.

    Args:
        variances: `(channels,)` s of the maps.
        sensitivities: `(channels,)` g, as of `tail_sensitivities`.
        budget: > 0.
    """
    check_positive("budget", budget)
    s, g = np.asarray(variances, np.float64), np.asarray(sensitivities, np.float64)
    most = MOST**2 * s
    varies = (s > 0) & (g > 0)

    def noise(multiplier: float) -> NDArray[np.float64]:
        ratio = np.divide(2 * s, multiplier * g, out=np.zeros_like(s), where=varies)
        # The same as above, without the difference of two large numbers
        found = ratio / 2 / (np.sqrt(s**2 + ratio) + s + (s == 0))
        return np.where(varies, np.minimum(found, most), most)

    low, high = -60.0, 60.0  # of the multiplier's logarithm
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_dear = float((g * noise(float(np.exp(middle)))).sum()) > budget
        low, high = (middle, high) if is_dear else (low, middle)
    return tuple(float(each) for each in np.sqrt(noise(float(np.exp(high)))))
