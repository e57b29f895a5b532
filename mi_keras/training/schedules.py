"""Learning rates over the epochs of a fit, as shares of the first (split 4.1)."""

import math
from collections.abc import Callable

Schedule = Callable[[float], float]  # epochs done, the broken one included -> share of the learning rate


def constant(epochs: float) -> float:
    """Return 1 at all times."""
    return 1.0


def step_decay(factor: float, every: int) -> Schedule:
    """Multiply by `factor` after each `every` epochs: PyTorch's `StepLR`, which split 4.1 names."""
    return lambda epochs: factor ** (math.floor(epochs) // every)


def cosine(total: int) -> Schedule:
    """Fall from 1 to 0 in `total` epochs along half a cosine (Loshchilov and Hutter 2017)."""
    return lambda epochs: 0.5 * (1 + math.cos(math.pi * min(epochs / total, 1.0)))
