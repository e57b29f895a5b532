"""Image scores: SSIM, MSE, PSNR and total variation, also as losses, and MS-SSIM; one value per image (thesis 4.1.2, split 5)."""

import functools

import numpy as np
import tensorflow as tf

from mi_keras.errors import InputError
from mi_keras.settings import IMAGENET_DEVIATION, IMAGENET_MEAN, check_whole
from mi_keras.types import Floats, Scores

WINDOW, SIGMA = 11, 1.5  # thesis 4.1.2 and Wang et al. 2004
C1, C2 = 0.01**2, 0.03**2  # (K * L)^2 with dynamic range L = 1
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest scale first
FLOOR = 1e-3  # of a scale's similarity in the loss
ROUNDING = 1e-3  # beyond [0, 1]: of float16, which reconstructions may be stored in
SMALLEST_FOR_MS_SSIM = 161  # four halvings, rounded up, must leave the 11 pixels of the window


def ssim(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return the mean SSIM of each pair of images (thesis formula 14).

    Gaussian 11x11 window, sigma 1.5, valid positions only, biased local variances: the definition of
    `tf.image.ssim(max_val=1)`. Filtering with a Gaussian is one banded matrix product per axis, which on 32x32
    images takes a fifth of the time of a depthwise convolution, forward and backward. It takes no square root, so its
    gradients are finite on constant images.

    Args:
        first, second: `(batch, height, width, channels)` in [0, 1], height and width at least 11.

    Returns:
        `(batch,)` in [-1, 1], averaged over positions and channels; 1 for equal images.
    """
    luminance, contrast_structure = _ssim_maps(first, second)
    return tf.reduce_mean(luminance * contrast_structure, axis=(1, 2, 3))


def ms_ssim(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return the multi-scale SSIM of each pair of images, as a metric, not as a loss (split formula 2; Wang et al.
    2003).

    Contrast and structure at five scales, each half of the one before, and luminance at the last, raised to
    `SCALE_WEIGHTS` and multiplied: the definition of `tf.image.ssim_multiscale(max_val=1)`. A scale with a negative
    correlation counts as 0; the gradient is infinite there, so this is no loss.

    Args:
        first, second: `(batch, height, width, channels)` in [0, 1], height and width at least 161.

    Returns:
        `(batch,)` in [0, 1], averaged over channels.

    Raises:
        InputError: the images are too small for five scales.
    """
    if (smallest := min(first.shape[1:3])) < SMALLEST_FOR_MS_SSIM:
        raise InputError(
            f"`first` must be at least {SMALLEST_FOR_MS_SSIM} pixels high and wide for MS-SSIM; got {smallest}."
        )
    answer = tf.ones((1, 1), first.dtype)
    for scale, weight in enumerate(SCALE_WEIGHTS):
        luminance, similarity = _ssim_maps(first, second)
        if scale == len(SCALE_WEIGHTS) - 1:
            similarity = luminance * similarity
        else:
            first, second = _halve(first), _halve(second)
        answer *= tf.maximum(tf.reduce_mean(similarity, axis=(1, 2)), 0.0) ** weight  # (batch, channels)
    return tf.reduce_mean(answer, axis=1)


def ms_ssim_loss(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return 1 - MS-SSIM of each pair of images without the finest scale, for training (split 5).

    The finest of the five scales weighs 0.04 and takes three quarters of the time. The other four keep their order,
    their weights divided by their sum; fewer where the images are too small. No power is taken of what opposes: below
    `FLOOR` a scale's similarity counts as that, with a gradient of 0, where the power's would be infinite.

    Args:
        first, second: `(batch, height, width, channels)`, height and width at least 22.

    Returns:
        `(batch,)` in [0, 1], averaged over channels.
    """
    weights = SCALE_WEIGHTS[1:]
    first, second = _halve(first), _halve(second)
    fitting = [scale for scale in range(len(weights)) if min(first.shape[1:3]) >> scale >= WINDOW]
    total = sum(weights[scale] for scale in fitting)
    answer = tf.ones((1, 1), first.dtype)
    for scale in fitting:
        luminance, similarity = _ssim_maps(first, second)
        if scale == fitting[-1]:
            similarity = luminance * similarity
        else:
            first, second = _halve(first), _halve(second)
        answer *= tf.maximum(tf.reduce_mean(similarity, axis=(1, 2)), FLOOR) ** (weights[scale] / total)
    return 1 - tf.reduce_mean(answer, axis=1)


def mse(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return the mean squared error of each pair of images `(batch, height, width, channels)`, `(batch,)`, >= 0 (thesis
    formula 15)."""
    return tf.reduce_mean(tf.math.squared_difference(first, second), axis=(1, 2, 3))


def psnr(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return the peak signal-to-noise ratio in dB of each pair of images in [0, 1], `(batch,)`, at most 100."""
    return tf.minimum(-10.0 / np.log(10.0) * tf.math.log(tf.maximum(mse(first, second), 1e-12)), 100.0)


def psnr_paper(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return what the split text reports as PSNR: 20 log10(255 / RMSE) of ImageNet-normalised values, `(batch,)` in dB.

    Formula 3 of the text is for values of 0 to 255; its reported 46 and 48.6 dB come from normalised ones, which span
    about 4.8. The constant 20 log10(255) is 48.1 dB of any such value, so compare it with nothing but itself; the
    usual definition is `psnr`.

    Args:
        first, second: `(batch, height, width, 3)` in [0, 1]; normalised here.

    Returns:
        `(batch,)`, at most 168.1 (equal images).
    """
    error = tf.maximum(mse(imagenet_normalise(first), imagenet_normalise(second)), 1e-12)
    return 10.0 / np.log(10.0) * tf.math.log(255.0**2 / error)


def ssim_paper(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return what the split text reports as SSIM: with data range 1, but on ImageNet-normalised values.

    They span about 4.8 and not 1, so that the constants of formula 1 weigh less than they should and flat areas score
    lower than in `ssim`.

    Args:
        first, second: `(batch, height, width, 3)` in [0, 1], height and width at least 11; normalised here.

    Returns:
        `(batch,)` in [-1, 1].
    """
    return ssim(imagenet_normalise(first), imagenet_normalise(second))


def ms_ssim_paper(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return what the split text reports as MS-SSIM: with data range 1, but on ImageNet-normalised values.

    Args:
        first, second: `(batch, height, width, 3)` in [0, 1], height and width at least 161; normalised here.

    Returns:
        `(batch,)` in [0, 1].

    Raises:
        InputError: the images are too small for five scales.
    """
    return ms_ssim(imagenet_normalise(first), imagenet_normalise(second))


def imagenet_normalise(images: tf.Tensor) -> tf.Tensor:
    """Return images of `(batch, height, width, channels)` in [0, 1] less ImageNet's mean, over its deviation, per colour.

    Of another number of channels than three, all take the averages over ImageNet's three, as in `decoders.unit_range`.
    """
    deviation, mean = (np.array(values, np.float32) for values in (IMAGENET_DEVIATION, IMAGENET_MEAN))
    if images.shape[-1] != 3:
        deviation, mean = deviation.mean(), mean.mean()
    return (images - mean) / deviation


def total_variation(images: tf.Tensor) -> tf.Tensor:
    """Return the sum of absolute differences of neighbouring pixels of each image, `(batch,)` (thesis formula 4)."""
    rows = tf.reduce_sum(tf.abs(images[:, 1:] - images[:, :-1]), axis=(1, 2, 3))
    columns = tf.reduce_sum(tf.abs(images[:, :, 1:] - images[:, :, :-1]), axis=(1, 2, 3))
    return rows + columns


def score(reconstructions: Floats, truth: Floats, *, batch_size: int = 512) -> Scores:
    """Score reconstructions against the true images, both `(count, height, width, channels)` in [0, 1].

    Returns:
        SSIM and MSE of each image, `(count,)`.

    Raises:
        ValueError: their shapes differ, or a value is NaN or outside [0, 1] by more than rounding, for which SSIM is
            meaningless.
    """
    if reconstructions.shape != truth.shape or truth.ndim != 4 or not len(truth):
        raise ValueError(
            "`reconstructions` must be (count, height, width, channels), one at least, of the shape of `truth`; "
            f"got {reconstructions.shape}, {truth.shape}."
        )
    for name, images in (("reconstructions", reconstructions), ("truth", truth)):
        if images.dtype.kind != "f":
            raise ValueError(f"`{name}` must be floating point in [0, 1]; got {images.dtype}.")
        low, high = float(images.min(initial=0)), float(images.max(initial=0))  # NaN where one is
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # so written, NaN fails too
            raise ValueError(f"`{name}` must be in [0, 1], without NaN; got values from {low:g} to {high:g}.")
    check_whole("batch_size", batch_size, 1)
    slices = [slice(i, i + batch_size) for i in range(0, len(truth), batch_size)]
    return Scores(
        ssim=np.concatenate([ssim(reconstructions[s], truth[s]).numpy() for s in slices]),
        mse=np.concatenate([mse(reconstructions[s], truth[s]).numpy() for s in slices]),
    )


def _ssim_maps(first: tf.Tensor, second: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return luminance and contrast-structure comparison, the factors of SSIM, `(batch, rows, columns, channels)`."""
    mean_1, mean_2, square_1, square_2, product = _smooth(first, second)
    luminance = (2 * mean_1 * mean_2 + C1) / (mean_1**2 + mean_2**2 + C1)
    covariance, variance = product - mean_1 * mean_2, square_1 + square_2 - mean_1**2 - mean_2**2
    return luminance, (2 * covariance + C2) / (variance + C2)


def _halve(images: tf.Tensor) -> tf.Tensor:
    """Average 2x2 pixels; an odd last row or column counts twice."""
    odd = [[0, size % 2] for size in images.shape[1:3]]
    return tf.nn.avg_pool2d(tf.pad(images, [[0, 0], *odd, [0, 0]], "SYMMETRIC"), 2, 2, "VALID")


def _smooth(first: tf.Tensor, second: tf.Tensor) -> list[tf.Tensor]:
    """Return the Gaussian-weighted local means of x, y, x^2, y^2 and x*y, each `(batch, rows, columns, channels)`."""
    _, height, width, channels = first.shape
    maps = tf.concat([first, second, first * first, second * second, first * second], axis=3)
    maps = tf.transpose(maps, (0, 3, 1, 2))  # (batch, 5c, height, width): products act on the last axis
    maps = tf.matmul(tf.reshape(maps, (-1, width)), _band(width))
    maps = tf.transpose(tf.reshape(maps, (-1, 5 * channels, height, width - WINDOW + 1)), (0, 1, 3, 2))
    maps = tf.matmul(tf.reshape(maps, (-1, height)), _band(height))
    maps = tf.reshape(maps, (-1, 5 * channels, width - WINDOW + 1, height - WINDOW + 1))
    return tf.split(tf.transpose(maps, (0, 3, 2, 1)), 5, axis=3)


@functools.cache
def _band(size: int) -> Floats:
    """Return the `(size, size - 10)` matrix whose columns hold the Gaussian window at each valid position."""
    if size < WINDOW:
        raise ValueError(f"`first` must be at least {WINDOW} pixels high and wide for SSIM; got {size}.")
    offsets = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-(offsets**2) / (2 * SIGMA**2))
    band = np.zeros((size, size - WINDOW + 1), np.float32)
    for position in range(band.shape[1]):
        band[position : position + WINDOW, position] = window / window.sum()
    return band
