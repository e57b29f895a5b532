"""Training of the classifier: what it learns, with every head, and that fits of one architecture share a trace."""

import numpy as np
import pytest
import tensorflow as tf

from mi_keras.metrics.classification import confusion_matrix, weighted_f1
from mi_keras.models.cnn import build_cnn, observe
from mi_keras.progress import Run
from mi_keras.seeds import derive
from mi_keras.settings import HEADS, ClassifierSettings, HeadSettings
from mi_keras.training import classifier
from mi_keras.training.classifier import train_classifier
from mi_keras.training.loop import Examples, FitSettings, Fitter, FitterPool
from mi_keras.types import Images
from tests.unit.training.fits import assert_same_fit, cross_entropy

SMALL = ClassifierSettings(channels=(3, 4, 5), epochs=2, batch_size=8, learning_rate=0.01)


def test_a_classifier_learns_to_tell_bright_corners_apart() -> None:
    training, test = _bright_corners(120, seed=1), _bright_corners(60, seed=2)
    settings = ClassifierSettings(channels=(4, 4, 8), epochs=12, batch_size=20, learning_rate=0.01)
    cnn, history = train_classifier(training, test, settings, classes=4, run=Run(3))
    observation = observe(cnn, test.images)
    assert weighted_f1(confusion_matrix(test.labels, observation.predicted_class, 4)) > 0.95
    assert len(history["loss"]) == len(history["validation_loss"]) == 12
    weights = np.exp(observation.vectors.astype(np.float64))
    surprise = -np.log(weights[np.arange(60), test.labels] / weights.sum(axis=1))
    assert history["validation_loss"][-1] == pytest.approx(surprise.mean(), rel=1e-4)  # in inference mode
    assert surprise.mean() < 0.3 < np.log(4)  # log 4: knows nothing


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Holds an entry for each time that the loss is traced, in an empty pool."""
    found: list[int] = []

    def loss(labels: tf.Tensor, outputs: dict[str, tf.Tensor]) -> tf.Tensor:
        found.append(1)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs["logits"])

    monkeypatch.setattr(classifier, "_cross_entropy", loss)
    monkeypatch.setattr(classifier, "_fitters", FitterPool(size=2))
    return found


def test_five_runs_of_a_variant_are_traced_once(traces: list[int]) -> None:
    training, validation = _bright_corners(30, seed=1), _bright_corners(20, seed=2)
    weights = set()
    for seed in range(5):
        cnn, _ = train_classifier(
            training, validation, SMALL, classes=4, head=HeadSettings("gelu"), run=Run(seed)
        )
        weights.add(cnn.get_layer("logits").kernel.numpy().tobytes())
    assert len(traces) == 2  # the training step and the validation
    assert len(weights) == 5


def test_variants_in_turn_are_each_as_if_trained_alone(traces: list[int]) -> None:
    training, validation = _bright_corners(30, seed=1), _bright_corners(20, seed=2)
    for seed in (1, 2):
        for head in (HeadSettings("relu", 0.3), HeadSettings("silu", 0.3)):
            trained, history = train_classifier(
                training, validation, SMALL, classes=4, head=head, run=Run(seed)
            )
            if seed == 1:
                continue  # the second time round each variant meets a fitter that was used before
            alone = build_cnn((8, 8, 1), 4, channels=SMALL.channels, head=head, seed=derive(seed, "initial"))
            expected = Fitter(alone, cross_entropy).fit(
                Examples(training.images, training.labels),
                FitSettings(SMALL.epochs, SMALL.batch_size, SMALL.learning_rate),
                run=Run(seed),
                validation=Examples(validation.images, validation.labels),
            )
            assert_same_fit((trained, history), (alone, expected))
    assert len(traces) == 4


def test_settings_that_change_the_graph_have_fitters_of_their_own(traces: list[int]) -> None:
    training = _bright_corners(30, seed=1)
    for head in HEADS[:2]:
        cnn, _ = train_classifier(training, training, SMALL, classes=4, head=head, run=Run(1))
        assert ("dropout" in [layer.name for layer in cnn.layers]) == (head.dropout > 0)
    assert len(traces) == 4


def _bright_corners(count: int, *, seed: int) -> Images:
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    images = 0.3 * draw.random((count, 8, 8, 1), np.float32)
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[row : row + 4, column : column + 4] += 0.35 + 0.35 * draw.random()
    return Images(images, labels, np.arange(count, dtype=np.uint64))
