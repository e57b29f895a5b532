"""Search spaces: the two weights of the gradient reconstruction (thesis 5.1), and settings of M_I and of decoders.

All parameters of a space are declared here and none during a trial: keras-tuner would spend the first trial on their
minima. Numbers over decades are log-uniform, as the text samples its weights.
"""

from collections.abc import Mapping

import keras_tuner

RANGES = {"l2_weight": (1e-5, 3e-2), "tv_weight": (1e-6, 3e-2)}
FINE_FACTORS = (0.5, 1.5)

LEARNING_RATES = (1e-4, 3e-3)
WIDTHS = (0.5, 1.0, 2.0)
MOST_DROPOUT = 0.6
MOST_INPUT_NOISE = 0.5

DECODER_LEARNING_RATES = (3e-4, 1e-2)
DECODER_BATCH_SIZES = (8, 16, 32)
MSE_WEIGHTS = (0.5, 50.0)


def coarse_space() -> keras_tuner.HyperParameters:
    """Return the whole space of the text: both weights log-uniform."""
    space = keras_tuner.HyperParameters()
    for name, (low, high) in RANGES.items():
        space.Float(name, low, high, sampling="log")
    return space


def fine_space(best: Mapping[str, float]) -> keras_tuner.HyperParameters:
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


def inverter_space() -> keras_tuner.HyperParameters:
    """Return the space of the inversion model M_I; not in the text, whose M_I is built and trained in one way only.

    `learning_rate`: of Adam, log-uniform.
    `dropout`: one rate for all three blocks, uniform.
    `width`: factor of the channels of every inner map.
    `input_noise`: standard deviation of Gaussian noise on the training inputs, as a fraction of theirs, uniform. M_I
    learns from the shadow's outputs and is applied to the target's, which differ: noise stands for that difference.
    """
    space = keras_tuner.HyperParameters()
    space.Float("learning_rate", *LEARNING_RATES, sampling="log")
    space.Choice("width", list(WIDTHS))
    space.Float("input_noise", 0.0, MOST_INPUT_NOISE)
    space.Float("dropout", 0.0, MOST_DROPOUT)
    return space


def decoder_space() -> keras_tuner.HyperParameters:
    """Return the space of our decoders' training on feature maps (split 4.1); the text trains in one way only.

    `learning_rate`: of Adam, log-uniform.
    `batch_size`: images per step.
    `mse_weight`: weight of the mean squared error beside 1 - MS-SSIM, log-uniform.
    """
    space = keras_tuner.HyperParameters()
    space.Float("learning_rate", *DECODER_LEARNING_RATES, sampling="log")
    space.Choice("batch_size", list(DECODER_BATCH_SIZES))
    space.Float("mse_weight", *MSE_WEIGHTS, sampling="log")
    return space
