"""Baselines as attacks: one image per predicted class or one for all, whatever else the answers say."""

from dataclasses import replace

import numpy as np
import pytest

from mi_keras.attacks.access import Access, Holdings, check_access
from mi_keras.attacks.attack import Attack, Evidence
from mi_keras.attacks.baselines import ClassAverage, ClassPrototype, MeanImage
from mi_keras.attacks.class_images import class_average, class_prototype
from mi_keras.errors import InputError
from mi_keras.progress import Run
from mi_keras.settings import PrototypeSettings
from mi_keras.types import Images, Observation

SHORT = PrototypeSettings(steps=3, batch_size=8)


def _own_images(dtype: type = np.float32, count: int = 120) -> Images:
    pixels = np.random.default_rng(4).integers(256, size=(count, 12, 14, 3), dtype=np.uint8)
    images = pixels if dtype == np.uint8 else pixels.astype(np.float32) / np.float32(255)
    return Images(images, np.arange(count) % 3, np.arange(count, dtype=np.uint64))


HELD = Holdings(images=_own_images(), image_shape=(12, 14, 3), classes=3)


def _images(attack: Attack, values: np.ndarray, held: Holdings = HELD) -> np.ndarray:
    fitted = attack.fit(None, held, Run(2))
    return np.concatenate(list(attack.reconstruct(fitted, Evidence(Observation(values)), held, Run())))


@pytest.mark.parametrize("attack", [ClassAverage(), ClassPrototype(SHORT)])
def test_the_image_of_the_predicted_class_is_answered(attack: Attack) -> None:
    vectors = np.array([[0, 3, 1], [9, 0, 0], [-1, -3, -2], [0, 0, 1]], np.float32)
    found = _images(attack, vectors)
    own = HELD.own_images
    if isinstance(attack, ClassAverage):
        expected = class_average(own, 3)
    else:
        expected = class_prototype(own, 3, SHORT, run=Run(2))
    np.testing.assert_array_equal(found, expected[[1, 0, 0, 2]])
    assert found.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(3,), (2, 2, 5)])
def test_the_mean_image_is_that_of_all_own_images_whatever_was_answered(dtype: type, shape: tuple) -> None:
    """More images and more answers than are summed or answered at a time."""
    own = _own_images(dtype)
    values = np.random.default_rng(1).standard_normal((70, *shape), np.float32)
    found = _images(MeanImage(), values, replace(HELD, images=own))
    expected = _own_images().images.astype(np.float64).mean(axis=0)
    assert (found.shape, found.dtype) == ((70, 12, 14, 3), np.float32)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-6)


@pytest.mark.parametrize("attack", [ClassAverage(), ClassPrototype(SHORT), MeanImage()])
def test_a_baseline_needs_images_of_its_own_and_no_answer_to_them(attack: Attack) -> None:
    check_access("baseline", attack.needs, Access(images=True))
    with pytest.raises(InputError, match="must be given to an adversary that learns; got None"):
        attack.fit(None, Holdings(classes=3), Run())


def test_classes_cannot_be_told_from_feature_maps() -> None:
    with pytest.raises(
        ValueError, match=r"`values` must be output vectors \(count, classes\); got \(1, 2, 2, 3\)"
    ):
        _images(ClassAverage(), np.zeros((1, 2, 2, 3), np.float32))


def test_only_the_prototype_draws() -> None:
    attacks = (ClassAverage(), ClassPrototype(SHORT), MeanImage())
    assert [bool(attack.seed_names) for attack in attacks] == [False, True, False]
    assert ClassPrototype(SHORT).identity != ClassPrototype().identity
