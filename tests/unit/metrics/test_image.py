"""The image scores against tf.image, scikit-image and cases worked by hand."""

import numpy as np
import pytest
import tensorflow as tf
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mi_keras.errors import InputError
from mi_keras.metrics.image import (
    imagenet_normalise,
    ms_ssim,
    ms_ssim_loss,
    ms_ssim_paper,
    mse,
    psnr,
    psnr_paper,
    score,
    ssim,
    ssim_paper,
    total_variation,
)

SHAPES = [(3, 32, 32, 1), (3, 28, 28, 1), (3, 11, 11, 1), (2, 64, 48, 1), (2, 48, 64, 3), (2, 32, 32, 3)]


def _pair(shape: tuple[int, ...], noise: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(7)
    first = draw.random(shape, np.float32)
    return first, np.clip(first + noise * draw.standard_normal(shape, np.float32), 0, 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_equals_tensorflows(shape: tuple[int, ...]) -> None:
    first, second = _pair(shape)
    np.testing.assert_allclose(ssim(first, second), tf.image.ssim(first, second, max_val=1.0), atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_equals_scikit_image(shape: tuple[int, ...]) -> None:
    """scikit-image averages over the positions whose window lies inside the image: the valid ones."""
    first, second = _pair(shape)
    expected = [
        structural_similarity(
            a,
            b,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
            channel_axis=2,
        )
        for a, b in zip(first.astype(np.float64), second.astype(np.float64), strict=True)
    ]
    np.testing.assert_allclose(ssim(first, second), expected, atol=1e-5)


def test_ssim_gradient_equals_tensorflows() -> None:
    first, second = (tf.constant(images) for images in _pair((3, 32, 32, 1)))
    gradients = []
    for function in (ssim, lambda a, b: tf.image.ssim(a, b, max_val=1.0)):
        with tf.GradientTape() as tape:
            tape.watch(first)
            values = function(first, second)
        gradients.append(tape.gradient(values, first).numpy())
    np.testing.assert_allclose(*gradients, atol=1e-4 * np.abs(gradients[1]).max())


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_ssim_of_constant_images_is_the_luminance_term_with_finite_gradients(level: float) -> None:
    first, second = tf.fill((1, 16, 16, 1), level), tf.fill((1, 16, 16, 1), 0.25)
    with tf.GradientTape() as tape:
        tape.watch([first, second])
        value = ssim(first, second)
    np.testing.assert_allclose(value, [(2 * level * 0.25 + 1e-4) / (level**2 + 0.25**2 + 1e-4)], rtol=1e-4)
    assert all(np.isfinite(g).all() for g in tape.gradient(value, [first, second]))


@pytest.mark.parametrize("images", [_pair((2, 16, 16, 1))[0], np.zeros((2, 16, 16, 1), np.float32)])
def test_ssim_of_equal_images_is_one_and_at_its_maximum(images: np.ndarray) -> None:
    first = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(first)
        value = ssim(first, images)
    np.testing.assert_allclose(value, 1, atol=1e-5)
    np.testing.assert_allclose(tape.gradient(value, first), 0, atol=1e-4)


def test_ssim_is_symmetric_and_within_its_range() -> None:
    first, second = _pair((3, 32, 32, 1))
    np.testing.assert_allclose(ssim(first, second), ssim(second, first), atol=1e-6)
    opposite = ssim(first, 1 - first).numpy()
    assert np.all((opposite >= -1) & (opposite < 0))


def test_ssim_scores_each_pair_by_itself() -> None:
    first, second = _pair((3, 32, 32, 1))
    alone = [ssim(first[i : i + 1], second[i : i + 1]).numpy()[0] for i in range(3)]
    np.testing.assert_allclose(ssim(first, second), alone, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 10, 32, 1), (1, 32, 10, 1)])
def test_ssim_names_the_smallest_size(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"`first` must be at least 11 pixels high and wide for SSIM; got 10\."
    ):
        ssim(np.zeros(shape, np.float32), np.zeros(shape, np.float32))


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
def test_psnr_equals_scikit_image(noise: float) -> None:
    first, second = _pair((3, 16, 20, 3), noise)
    expected = [peak_signal_noise_ratio(a, b, data_range=1.0) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(psnr(first, second), expected, rtol=1e-5)


def test_psnr_of_equal_images_is_one_hundred() -> None:
    first, _ = _pair((2, 8, 8, 1))
    np.testing.assert_allclose(psnr(first, first), 100, rtol=1e-6)


def test_mse_by_hand() -> None:
    first = np.zeros((2, 2, 2, 1), np.float32)
    second = np.array([[1, 0, 0, 0], [0.5, 0.5, 0.5, 0.5]], np.float32).reshape(2, 2, 2, 1)
    np.testing.assert_array_equal(mse(first, second), [0.25, 0.25])
    np.testing.assert_array_equal(mse(first, 2 * second), [1, 1])


def test_total_variation_equals_tensorflows() -> None:
    images, _ = _pair((3, 12, 17, 3))
    np.testing.assert_allclose(
        total_variation(images), tf.image.total_variation(tf.constant(images)), rtol=1e-5
    )


def test_total_variation_by_hand() -> None:
    """Rows 0 1 0 / 0 1 1: 2 + 1 within the rows, 0 + 0 + 1 between them. A constant image has none."""
    image = np.array([[0, 1, 0], [0, 1, 1]], np.float32)[None, :, :, None]
    np.testing.assert_array_equal(total_variation(np.concatenate([image, np.ones_like(image)])), [4, 0])


def test_score_gives_one_value_per_image_whatever_the_batch_size() -> None:
    first, second = _pair((5, 16, 16, 1))
    for batch_size in (2, 5, 512):
        scores = score(first, second, batch_size=batch_size)
        np.testing.assert_allclose(scores.ssim, tf.image.ssim(first, second, max_val=1.0), atol=1e-5)
        np.testing.assert_allclose(scores.mse, ((first - second) ** 2).mean(axis=(1, 2, 3)), rtol=1e-5)


def test_score_refuses_images_of_another_shape() -> None:
    with pytest.raises(
        ValueError,
        match=r"`reconstructions` must be \(count.*, of the shape of `truth`; got \(1, 16.*\(2, 16",
    ):
        score(np.zeros((1, 16, 16, 1), np.float32), np.zeros((2, 16, 16, 1), np.float32))


# Several scales, and the split text's convention

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def _blurred_pair(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Images with structure at every scale; of white noise the coarse scales see nothing."""
    draw = np.random.default_rng(3)
    first = (
        sum(tf.image.resize(draw.random((shape[0], n, n, shape[3])), shape[1:3]) for n in (4, 16, 64)).numpy()
        / 3
    )
    return first, np.clip(first + 0.2 * draw.standard_normal(shape), 0, 1).astype(np.float32)


@pytest.mark.parametrize("shape", [(2, 161, 161, 3), (1, 176, 203, 1)])
def test_ms_ssim_equals_tensorflows(shape: tuple[int, ...]) -> None:
    first, second = _blurred_pair(shape)
    expected = tf.image.ssim_multiscale(first, second, max_val=1.0)
    assert np.all((expected > 0.1) & (expected < 0.99))
    np.testing.assert_allclose(ms_ssim(first, second), expected, atol=1e-5)


def test_ms_ssim_of_equal_images_is_one_and_of_opposite_ones_zero() -> None:
    first, _ = _blurred_pair((1, 161, 161, 1))
    np.testing.assert_allclose(ms_ssim(first, first), 1, atol=1e-5)
    np.testing.assert_array_equal(ms_ssim(first, 1 - first), 0)


def test_ms_ssim_refuses_images_too_small_for_five_scales() -> None:
    for shape in ((1, 160, 161, 3), (1, 161, 160, 3)):
        with pytest.raises(
            InputError, match=r"^`first` must be at least 161 pixels high and wide for MS-SSIM; got 160\.$"
        ):
            ms_ssim(np.zeros(shape, np.float32), np.zeros(shape, np.float32))


def test_ssim_of_large_images_equals_scikit_images() -> None:
    first, second = _blurred_pair((1, 320, 320, 3))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 2}
    a, b = first[0].astype(np.float64), second[0].astype(np.float64)
    expected = structural_similarity(a, b, data_range=1.0, **settings)
    np.testing.assert_allclose(ssim(first, second), [expected], atol=1e-5)


def test_ssim_in_the_papers_convention_equals_scikit_images() -> None:
    first, second = _pair((2, 32, 40, 3))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "channel_axis": 2}
    expected = [
        structural_similarity((a - MEAN) / DEVIATION, (b - MEAN) / DEVIATION, data_range=1.0, **settings)
        for a, b in zip(first.astype(np.float64), second.astype(np.float64), strict=True)
    ]
    np.testing.assert_allclose(ssim_paper(first, second), expected, atol=1e-5)


def test_psnr_in_the_papers_convention_equals_scikit_images() -> None:
    first, second = _pair((2, 16, 20, 3))
    expected = [
        peak_signal_noise_ratio((a - MEAN) / DEVIATION, (b - MEAN) / DEVIATION, data_range=255.0)
        for a, b in zip(first.astype(np.float64), second.astype(np.float64), strict=True)
    ]
    np.testing.assert_allclose(psnr_paper(first, second), expected, rtol=1e-5)


def test_psnr_in_the_papers_convention_by_hand() -> None:
    """An error of one deviation in every colour is an RMSE of 1: 20 log10(255) dB, which hardly looks like an image."""
    first = np.full((1, 4, 4, 3), 0.5, np.float32)
    second = first + DEVIATION.astype(np.float32)
    np.testing.assert_allclose(psnr_paper(first, second), [48.1308], atol=1e-3)
    np.testing.assert_allclose(psnr(first, second), [12.916], atol=1e-2)
    np.testing.assert_allclose(psnr_paper(first, first), [168.13], atol=1e-2)


def test_ms_ssim_in_the_papers_convention_equals_tensorflows() -> None:
    first, second = _blurred_pair((1, 161, 161, 3))
    normalised = [((images - MEAN) / DEVIATION).astype(np.float32) for images in (first, second)]
    np.testing.assert_allclose(imagenet_normalise(first), normalised[0], atol=1e-6)
    expected = tf.image.ssim_multiscale(*normalised, max_val=1.0)
    np.testing.assert_allclose(ms_ssim_paper(first, second), expected, atol=1e-4)


def test_the_ms_ssim_loss_is_that_of_the_four_coarser_scales() -> None:
    """From TensorFlow's own five-scale function: on images halved once with the other four weights, rescaled."""
    draw = np.random.default_rng(4)
    first = draw.random((2, 192, 192, 3), np.float32)
    second = np.clip(first + 0.3 * draw.standard_normal(first.shape), 0, 1).astype(np.float32)
    halved = [tf.nn.avg_pool2d(x, 2, 2, "VALID") for x in (first, second)]
    weights = np.array([0.2856, 0.3001, 0.2363, 0.1333])
    expected = tf.image.ssim_multiscale(*halved, 1.0, power_factors=list(weights / weights.sum()))
    np.testing.assert_allclose(ms_ssim_loss(first, second), 1 - expected, atol=2e-5)
    np.testing.assert_allclose(ms_ssim_loss(first, first), 0, atol=1e-5)


def test_the_ms_ssim_loss_has_finite_gradients_where_images_oppose_each_other() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 192, dtype=np.float32)[None, None, :, None], (1, 192, 192, 3))
    opposed = tf.constant(1 - ramp)
    with tf.GradientTape() as tape:
        tape.watch(opposed)
        loss = ms_ssim_loss(tf.constant(ramp), opposed)
    assert np.isfinite(tape.gradient(loss, opposed)).all()
    assert loss.numpy()[0] > 0.8


@pytest.mark.parametrize(
    ("change", "values"),
    [
        (lambda y: -y, "from -"),
        (lambda y: 255 * y, "to 25"),
        (lambda y: np.where(y > 0.9, np.nan, y), "from nan to nan"),
    ],
)
def test_images_outside_of_their_range_are_not_scored(change, values) -> None:
    """SSIM of -y and y is 0.99 where both are nearly flat: a number that looks like a find."""
    images = np.random.default_rng(0).random((2, 16, 16, 1), np.float32)
    for pair, name in (((change(images), images), "reconstructions"), ((images, change(images)), "truth")):
        with pytest.raises(
            ValueError, match=rf"^`{name}` must be in \[0, 1\], without NaN; got values .*{values}"
        ):
            score(*pair)
    with pytest.raises(ValueError, match=r"^`reconstructions` must be \(count, height, width, channels\)"):
        score(images[..., 0], images[..., 0])
    with pytest.raises(ValueError, match="one at least, of the shape of `truth`; got "):
        score(images[:0], images[:0])
    with pytest.raises(ValueError, match=r"^`truth` must be floating point in \[0, 1\]; got uint8"):
        score(images, images.astype(np.uint8))
    assert score(images.astype(np.float16).astype(np.float32), images).ssim.min() > 0.999
