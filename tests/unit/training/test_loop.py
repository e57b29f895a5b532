"""The training loop: PyTorch's steps, a known least-squares solution, exact resume, and what it does with bad input."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import torch_weights

from mi_keras.metrics.classification import confusion_matrix, weighted_f1
from mi_keras.metrics.image import ssim
from mi_keras.models.cnn import build_cnn, observe
from mi_keras.models.tcnn import build_tcnn
from mi_keras.settings import ClassifierSettings
from mi_keras.training.classifier import train_classifier
from mi_keras.training.loop import Examples, FitSettings, fit
from mi_keras.types import ImageSet
from mi_keras.work import MemoryWorkspace


def _cross_entropy(labels: tf.Tensor, outputs: dict[str, tf.Tensor]) -> tf.Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs["logits"])


def _squared_error(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum((targets - outputs) ** 2, axis=1)


def _linear_model(inputs: int = 3, outputs: int = 2) -> keras.Model:
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(outputs)])


def _linear_problem(count: int = 40) -> Examples:
    draw = np.random.default_rng(8)
    return Examples(
        draw.standard_normal((count, 3), np.float32), draw.standard_normal((count, 2), np.float32)
    )


# Against outside


@pytest.mark.parametrize("network", ["cnn", "tcnn"])
def test_three_epochs_of_one_batch_equal_pytorch(network: str) -> None:
    oracle = torch_weights.load(network)
    if network == "cnn":
        model, loss = build_cnn(channels=(4, 6, 8)), _cross_entropy
        examples = Examples(oracle["inputs"], oracle["labels"])
    else:
        model, loss = build_tcnn(10, channels=(8, 6, 4)), lambda targets, images: 1 - ssim(targets, images)
        examples = Examples(oracle["inputs"].reshape(5, 10), oracle["truth"])
    torch_weights.without_dropout(model)
    torch_weights.assign(model, torch_weights.keras_layout(network, torch_weights.part(oracle, "weights")))
    history = fit(model, examples, FitSettings(epochs=3, batch_size=5, learning_rate=1e-3), loss=loss, seed=1)
    np.testing.assert_allclose(history["loss"], oracle["adam_losses"], rtol=1e-5)
    weights = torch_weights.by_name(model)
    for name, value in torch_weights.keras_layout(network, torch_weights.part(oracle, "adam")).items():
        layer, weight = name.split("/")
        if weight == "bias" and layer in ("conv_0", "conv_1", "conv_2", "up_0", "up_1", "up_2"):
            continue  # batch normalisation takes it away: its gradient is rounding, which Adam blows up ...
        atol = 2e-3 if weight == "moving_mean" else 2e-6  # ... and which only the running mean sees
        np.testing.assert_allclose(weights[name].numpy(), value, rtol=0, atol=atol, err_msg=name)


def test_a_linear_model_reaches_the_least_squares_solution() -> None:
    examples, model = _linear_problem(), _linear_model()
    fit(model, examples, FitSettings(800, 40, 0.01), loss=_squared_error, seed=1)
    columns = np.hstack([examples.inputs, np.ones((40, 1), np.float32)])
    solution = np.linalg.lstsq(columns, examples.targets, rcond=None)[0]
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(np.vstack([kernel, bias]), solution, atol=1e-3)


def test_losses_are_means_per_example_also_over_uneven_batches() -> None:
    """With steps too small to matter both curves stay at the loss of the initial model."""
    training, validation, model = _linear_problem(40), _linear_problem(300), _linear_model()
    kernel, bias = model.get_weights()
    expected = [
        ((e.inputs @ kernel + bias - e.targets) ** 2).sum(axis=1).mean() for e in (training, validation)
    ]
    history = fit(
        model, training, FitSettings(2, 16, 1e-12), loss=_squared_error, seed=1, validation=validation
    )  # 40 = 16 + 16 + 8 and 300 = 256 + 44
    np.testing.assert_allclose(history["loss"], 2 * [expected[0]], rtol=1e-5)
    np.testing.assert_allclose(history["validation_loss"], 2 * [expected[1]], rtol=1e-5)


def test_a_classifier_learns_to_tell_bright_corners_apart() -> None:
    training, test = _bright_corners(120, seed=1), _bright_corners(60, seed=2)
    settings = ClassifierSettings(channels=(4, 4, 8), epochs=12, batch_size=20, learning_rate=0.01)
    cnn, history = train_classifier(training, test, settings, classes=4, seed=3)
    observation = observe(cnn, test.images)
    assert weighted_f1(confusion_matrix(test.labels, observation.predicted_class, 4)) > 0.95
    assert len(history["loss"]) == len(history["validation_loss"]) == 12
    weights = np.exp(observation.output_vector.astype(np.float64))
    surprise = -np.log(weights[np.arange(60), test.labels] / weights.sum(axis=1))
    assert history["validation_loss"][-1] == pytest.approx(surprise.mean(), rel=1e-4)  # in inference mode
    assert surprise.mean() < 0.3 < np.log(4)  # log 4: knows nothing


# The order and number of steps


class _Recorder:
    """A loss that notes, each time it is traced, so, and each time it runs, the targets it gets."""

    def __init__(self) -> None:
        self.traces, self.batches = 0, []

    def __call__(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        self.traces += 1
        tf.numpy_function(lambda batch: self.batches.append(batch[:, 0].tolist()), [targets], [])
        return _squared_error(targets, outputs)


def _numbered(count: int) -> Examples:
    return Examples(
        np.zeros((count, 3), np.float32), np.arange(2 * count, dtype=np.float32).reshape(count, 2) // 2
    )


def test_the_step_is_traced_once() -> None:
    recorder = _Recorder()
    fit(_linear_model(), _numbered(40), FitSettings(3, 16, 0.01), loss=recorder, seed=1)
    assert recorder.traces == 1
    assert len(recorder.batches) == 9


def test_each_epoch_visits_every_example_once_in_an_order_of_its_own() -> None:
    orders = []
    for seed in (1, 1, 2):
        recorder = _Recorder()
        fit(_linear_model(), _numbered(40), FitSettings(2, 16, 0.01), loss=recorder, seed=seed)
        assert [len(batch) for batch in recorder.batches] == [16, 16, 8, 16, 16, 8]
        orders += [np.concatenate(epoch).tolist() for epoch in (recorder.batches[:3], recorder.batches[3:])]
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert orders[:2] == orders[2:4]
    assert len({tuple(order) for order in (*orders[:2], *orders[4:])}) == 4


def test_a_last_batch_of_one_is_left_out(recording_progress) -> None:
    recorder, progress = _Recorder(), recording_progress()
    history = fit(
        _linear_model(), _numbered(11), FitSettings(1, 5, 1e-12), loss=recorder, seed=1, progress=progress
    )
    assert [len(batch) for batch in recorder.batches] == [5, 5]
    model_sees = np.concatenate(
        recorder.batches
    )  # inputs are zeros and the bias starts there: the loss is known
    np.testing.assert_allclose(history["loss"], [np.mean(2 * model_sees**2)], rtol=1e-5)
    assert progress.bars == [("training", 11, "img", 0)]
    assert progress.amounts == [5, 5, 1]  # the bar fills


# Interruption


def _small_fit(seed_of_weights: int, **outside) -> tuple[keras.Model, dict[str, list[float]]]:
    """Four epochs of a CNN with batch normalisation and dropout on 22 images: batches of 5, 5, 5, 5 and 2."""
    model = build_cnn((8, 8, 1), 3, channels=(3, 4, 5), seed=seed_of_weights)
    draw = np.random.default_rng(9)
    examples = Examples(draw.random((22, 8, 8, 1), np.float32), draw.integers(0, 3, 22))
    history = fit(
        model, examples, FitSettings(4, 5, 0.01), loss=_cross_entropy, seed=1, validation=examples, **outside
    )
    return model, history


def _assert_same_fit(first: tuple, second: tuple) -> None:
    assert first[1] == second[1]
    assert (
        len(first[0].variables) == len(second[0].variables) == 23
    )  # 16 trained, 6 statistics, dropout's state
    for left, right in zip(first[0].variables, second[0].variables, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy(), err_msg=left.path)


@pytest.mark.parametrize("saves", [1, 3])
def test_interrupted_after_an_epoch_and_resumed_equals_uninterrupted(stopping_workspace, saves: int) -> None:
    workspace = stopping_workspace(saves)
    with pytest.raises(KeyboardInterrupt):
        _small_fit(1, workspace=workspace)
    resumed = _small_fit(99, workspace=workspace)  # other initial weights: all has to come from the workspace
    _assert_same_fit(resumed, _small_fit(1))


def test_interrupted_within_an_epoch_and_resumed_equals_uninterrupted(recording_progress) -> None:
    workspace = MemoryWorkspace()
    with pytest.raises(KeyboardInterrupt):
        _small_fit(1, workspace=workspace, progress=recording_progress(stop_at=13))  # of 5 batches an epoch
    progress = recording_progress()
    resumed = _small_fit(99, workspace=workspace, progress=progress)
    assert progress.bars == [("training", 88, "img", 44)]
    assert sum(progress.amounts) == 44
    _assert_same_fit(resumed, _small_fit(1))


def test_without_interruption_a_workspace_changes_nothing_and_seeds_matter() -> None:
    plain = _small_fit(1)
    _assert_same_fit(_small_fit(1, workspace=MemoryWorkspace()), plain)
    other = _small_fit(2)
    assert other[1] != plain[1]


# Bad input


def test_a_loss_that_is_not_finite_names_label_and_epoch() -> None:
    seen = tf.Variable(0)

    def loss(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        steps = seen.assign_add(1)  # three steps an epoch: the fifth is the second of epoch 2
        return _squared_error(targets, outputs) + tf.where(steps == 5, np.nan, 0.0)

    with pytest.raises(FloatingPointError, match=r"probe: the loss is nan at epoch 2, image 16\."):
        fit(_linear_model(), _linear_problem(40), FitSettings(3, 16, 0.01), loss=loss, seed=1, label="probe")


def test_examples_must_be_pairs() -> None:
    with pytest.raises(ValueError, match=r"`inputs` and `targets` must be equally many; got 3, 2\."):
        Examples(np.zeros((3, 1)), np.zeros((2, 1)))


def _bright_corners(count: int, *, seed: int) -> ImageSet:
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    images = 0.3 * draw.random((count, 8, 8, 1), np.float32)
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[row : row + 4, column : column + 4] += 0.35 + 0.35 * draw.random()
    return ImageSet(images, labels, np.arange(count, dtype=np.uint64))


def test_a_single_example_is_refused() -> None:
    with pytest.raises(ValueError, match="`training` must hold at least 2 examples; got 1"):
        fit(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]), Examples(np.zeros((1, 1)), np.zeros((1, 1))),
            FitSettings(1, 2, 0.1), loss=lambda targets, outputs: outputs, seed=1)  # fmt: skip
