"""Class average, class instance and class prototype worked by hand and scored by tf.image.ssim."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from mi_keras.attacks.class_images import class_average, class_instance, class_prototype
from mi_keras.progress import Run
from mi_keras.settings import PrototypeSettings
from mi_keras.types import Images

SETTINGS = PrototypeSettings(steps=120, batch_size=60)


def _image_set(images: np.ndarray, labels: list[int] | np.ndarray) -> Images:
    return Images(images.astype(np.float32), np.array(labels), np.arange(len(images), dtype=np.uint64))


def _shifted_bars(per_class: int = 20) -> Images:
    """Bright bars at a random place on a dark ground, upright in class 0 and lying in class 1: averages blur them."""
    draw = np.random.default_rng(2)
    images = np.zeros((2 * per_class, 16, 16, 1), np.float32)
    for i, image in enumerate(images):
        start = draw.integers(3, 10)
        image[:, start : start + 3] = 1.0
        if i % 2:
            image[:] = image.transpose(1, 0, 2).copy()
    return _image_set(images, np.arange(2 * per_class) % 2)


def _mean_ssim(per_class: np.ndarray, images: Images) -> np.ndarray:
    values = tf.image.ssim(per_class[images.labels], images.images, max_val=1.0).numpy()
    return np.array([values[images.labels == c].mean() for c in range(len(per_class))])


def test_class_average_by_hand() -> None:
    levels = np.array([0.0, 0.2, 0.4, 1.0])[:, None, None, None]
    pattern = np.array([[1.0, 0.5], [0.0, 1.0]])[None, :, :, None]
    average = class_average(_image_set(levels * pattern, [1, 0, 1, 1]), 2)
    assert average.dtype == np.float32
    np.testing.assert_allclose(average, np.array([0.2, 1.4 / 3])[:, None, None, None] * pattern, rtol=1e-6)


def test_class_instance_is_an_image_of_the_class_drawn_by_seed() -> None:
    images = _shifted_bars()
    drawn = [class_instance(images, 2, seed=seed) for seed in (1, 1, 2, 3, 4)]
    for instances in drawn:
        for number, instance in enumerate(instances):
            assert any(np.array_equal(instance, i) for i in images.images[images.labels == number])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert len({instances.tobytes() for instances in drawn}) > 1


def test_class_prototype_scores_higher_than_the_average_and_than_any_instance_it_may_copy() -> None:
    images = _shifted_bars()
    prototype = _mean_ssim(class_prototype(images, 2, SETTINGS, run=Run(1)), images)
    assert np.all(prototype > _mean_ssim(class_average(images, 2), images) + 0.02)
    instances = [_mean_ssim(class_instance(images, 2, seed=seed), images) for seed in range(5)]
    assert np.all(prototype > np.mean(instances, axis=0))


def test_class_prototype_of_equal_images_is_that_image() -> None:
    single = np.random.default_rng(3).random((2, 16, 16, 1))
    labels = np.arange(20) % 2
    prototype = class_prototype(_image_set(single[labels], labels), 2, SETTINGS, run=Run(1))
    np.testing.assert_allclose(prototype, single, atol=0.01)


@pytest.mark.parametrize(("steps", "moved"), [(1, 1.0), (4, 2.5)])
def test_the_steps_of_the_class_prototype_fall_along_a_cosine(steps: int, moved: float) -> None:
    """While a pixel's slope keeps, Adam moves it by the rate; rates at n steps sum to (n + 1) / 2 times the first."""
    images = _shifted_bars()
    settings = PrototypeSettings(steps=steps, learning_rate=0.01, batch_size=1000)
    distance = np.abs(class_prototype(images, 2, settings, run=Run(1)) - class_average(images, 2))
    assert distance.max() == pytest.approx(0.01 * moved, rel=0.03)


def test_class_prototype_is_an_image_that_repeats_by_seed(recording_progress) -> None:
    images, progress = _shifted_bars(), recording_progress()
    settings = PrototypeSettings(steps=5, learning_rate=0.5, batch_size=8)
    first = class_prototype(images, 2, settings, run=Run(1, progress=progress))
    assert first.min() == 0.0  # the step is so large that the clamp has to hold it
    assert first.max() == 1.0
    np.testing.assert_array_equal(first, class_prototype(images, 2, settings, run=Run(1)))
    assert (
        np.abs(first - class_prototype(images, 2, settings, run=Run(2))).max() > 0.1
    )  # other images in each batch
    assert progress.bars == [("class prototypes", 5, "step", 0)]
    assert progress.amounts == 5 * [1]


@pytest.mark.parametrize(
    "make",
    [
        class_average,
        lambda images, classes: class_instance(images, classes, seed=1),
        lambda images, classes: class_prototype(images, classes, replace(SETTINGS, steps=3), run=Run(1)),
    ],
)
def test_images_of_bytes_give_what_they_give_as_numbers_from_0_to_1(make) -> None:
    draw = np.random.default_rng(5)
    pixels, labels = draw.integers(256, size=(12, 16, 16, 3), dtype=np.uint8), np.arange(12) % 2
    ids = np.arange(12, dtype=np.uint64)
    of_bytes = make(Images(pixels, labels, ids), 2)
    assert of_bytes.dtype == np.float32
    assert 0.4 < of_bytes.mean() < 0.6
    np.testing.assert_allclose(
        of_bytes, make(Images(pixels.astype(np.float32) / 255, labels, ids), 2), atol=1e-5
    )


@pytest.mark.parametrize(
    "baseline", [class_average, lambda images, classes: class_instance(images, classes, seed=1)]
)
def test_a_class_without_images_is_named(baseline) -> None:
    images = Images(np.zeros((2, 4, 4, 1), np.float32), np.array([0, 2]), np.arange(2, dtype=np.uint64))
    with pytest.raises(ValueError, match=r"`images` must hold every class below 3; missing: \[1\]"):
        baseline(images, 3)
