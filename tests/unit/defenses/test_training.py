"""Distillation and label smoothing: what a model is taught, by hand, and what it learns."""

import numpy as np
import pytest

from mi_keras.defenses.training import Distillation, LabelSmoothing
from mi_keras.errors import InputError
from mi_keras.models import build_cnn
from mi_keras.models.cnn import observe
from mi_keras.progress import Run
from mi_keras.settings import ClassifierSettings
from mi_keras.training.classifier import train_classifier
from mi_keras.types import Images

SETTINGS = ClassifierSettings(channels=(6, 8, 10), epochs=10, batch_size=16, learning_rate=3e-3)


def stripes(count: int, seed: int) -> Images:
    """Three classes that anybody can tell apart: stripes across, down, and none."""
    draw = np.random.default_rng(seed)
    wave = np.sin(np.arange(32) * np.pi / 4)[:, None] * np.ones(32) * 0.4 + 0.5
    labels = np.arange(count) % 3
    images = np.stack([(wave, wave.T, np.full((32, 32), 0.5))[label] for label in labels])[..., None]
    noisy = images + draw.normal(0, 0.1, images.shape)
    return Images(
        np.clip(noisy, 0, 1).astype(np.float32), labels, np.arange(count, dtype=np.uint64) + 1000 * seed
    )


@pytest.fixture(scope="module")
def teacher():
    return train_classifier(stripes(96, 1), stripes(12, 2), SETTINGS, classes=3, run=Run(1))[0]


def test_the_student_answers_as_the_teacher_and_is_another(teacher):
    before = [variable.numpy().copy() for variable in teacher.variables]
    student = Distillation(decimals=1, epochs=10, batch_size=16, learning_rate=3e-3).harden(
        teacher, stripes(96, 1), Run(5)
    )
    for variable, value in zip(teacher.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    unseen = stripes(60, 3)
    taught, learned = observe(teacher, unseen.images), observe(student, unseen.images)
    assert np.mean(taught.predicted_class == unseen.labels) > 0.9  # else it would be no teacher
    assert np.mean(taught.predicted_class == learned.predicted_class) > 0.9
    assert (
        np.abs(student.get_layer("conv_0").kernel.numpy() - teacher.get_layer("conv_0").kernel.numpy()).max()
        > 0.01
    )


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_what_the_student_is_taught_is_the_rounded_softmax(teacher, temperature):
    images = stripes(9, 4)
    logits = observe(teacher, images.images).vectors.astype(np.float64) / temperature
    exact = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rounded = np.round(exact, 1)
    expected = rounded / rounded.sum(axis=1, keepdims=True)
    taught = Distillation(decimals=1, temperature=temperature)._answers(teacher, images)
    np.testing.assert_allclose(taught, expected, atol=1e-6)


def test_where_all_probabilities_are_rounded_away_the_largest_is_taught():
    undecided = build_cnn(classes=3, channels=(3, 4, 5), seed=1)  # untrained: a third each
    taught = Distillation(decimals=0)._answers(undecided, stripes(6, 5))
    np.testing.assert_array_equal(np.sort(taught, axis=1), np.tile([0.0, 0.0, 1.0], (6, 1)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decimals": 8}, "`decimals` must be between 0 and 7; got 8."),
        ({"decimals": 0.5}, "`decimals` must be a whole number; got 0.5."),
        ({"temperature": 0.0}, "`temperature` must be a positive finite number; got 0.0."),
        ({"epochs": 0}, "`epochs` must be >= 1 and `batch_size` >= 2; got 0 and 64."),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change, message):
    with pytest.raises(InputError) as caught:
        Distillation(**change)
    assert str(caught.value) == message


def test_a_model_with_smoothed_labels_is_as_sure_as_they_are_and_surer_below_0(teacher):
    """The least cross-entropy to (1 - share) * one-hot + share / 3 is at these very probabilities; below 0 it has none."""
    sure = {}
    for share in (0.3, -0.3):
        defense = LabelSmoothing(share, epochs=10, batch_size=16, learning_rate=3e-3)
        found = observe(defense.harden(teacher, stripes(96, 1), Run(5)), stripes(60, 3).images)
        assert np.mean(found.predicted_class == stripes(60, 3).labels) > 0.9
        logits = found.vectors.astype(np.float64)
        sure[share] = (np.exp(logits.max(axis=1)) / np.exp(logits).sum(axis=1)).mean()
    assert sure[0.3] == pytest.approx(0.7 + 0.1, abs=0.07)
    assert sure[-0.3] > 0.97


@pytest.mark.parametrize("share", [0.0, 1.0, -1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InputError, match="`share` must be >= -1 and < 1, and not 0"):
        LabelSmoothing(share)
