"""Search spaces of the two regularisation weights of the gradient reconstruction (thesis 5.1)."""

import keras_tuner

RANGES = {"l2_weight": (1e-5, 3e-2), "tv_weight": (1e-6, 3e-2)}
FINE_FACTORS = (0.5, 1.5)


def coarse_space() -> keras_tuner.HyperParameters:
    """Return the whole space: both weights log-uniform.

    All parameters are declared here and none during a trial: keras-tuner would spend the first trial on their minima.
    """
    space = keras_tuner.HyperParameters()
    for name, (low, high) in RANGES.items():
        space.Float(name, low, high, sampling="log")
    return space


def fine_space(best: dict[str, float]) -> keras_tuner.HyperParameters:
    """Return the space within 0.5 and 1.5 times the best coarse weights, log-uniform as the coarse one.

    Raises:
        ValueError: `best` lacks a weight, or one lies outside the coarse range.
    """
    space = keras_tuner.HyperParameters()
    for name, (low, high) in RANGES.items():
        if not low <= best.get(name, -1.0) <= high:
            raise ValueError(f"`best` must hold `{name}` between {low} and {high}; got {best.get(name)!r}.")
        space.Float(name, FINE_FACTORS[0] * best[name], FINE_FACTORS[1] * best[name], sampling="log")
    return space
