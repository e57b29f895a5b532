"""The training loop: PyTorch's steps, a known least-squares solution, exact resume, and what it does with bad input."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf
from oracles import torch_weights

from mi_keras.metrics.image import ssim
from mi_keras.models.cnn import build_cnn
from mi_keras.models.tcnn import build_tcnn
from mi_keras.progress import MemoryWorkspace, Run
from mi_keras.training.loop import Examples, FitSettings, Fitter, _order
from mi_keras.training.schedules import cosine
from tests.unit.training.fits import (
    Fit,
    Recorder,
    alone,
    assert_same_fit,
    cross_entropy,
    linear_model,
    linear_problem,
    numbered,
    small_examples,
    small_model,
    squared_error,
)

# Against outside


def test_with_weights_a_linear_model_reaches_the_weighted_least_squares_solution() -> None:
    """Every example is drawn as often as its weight has it, up to one; few of much weight pull the line to them."""
    plain, model = linear_problem(), linear_model()
    weights = np.where(np.arange(40) < 5, 7.0, 1 / 7)
    examples = Examples(plain.inputs, plain.targets, weights)
    order = _order(examples, np.random.default_rng(0))
    assert np.abs(np.bincount(order, minlength=40) - 40 * weights / weights.sum()).max() <= 1
    assert not (np.diff(order) >= 0).all()
    Fitter(model, squared_error).fit(examples, FitSettings(800, 40, 0.01, cosine(800)), run=Run(1))
    columns = np.hstack([plain.inputs, np.ones((40, 1), np.float32)]) * np.sqrt(weights)[:, None]
    solution = np.linalg.lstsq(columns, plain.targets * np.sqrt(weights)[:, None], rcond=None)[0]
    kernel, bias = model.get_weights()
    unweighted = np.linalg.lstsq(np.hstack([plain.inputs, np.ones((40, 1))]), plain.targets, rcond=None)[0]
    found = np.vstack([kernel, bias])
    assert np.abs(found - solution).max() < 0.2 * np.abs(unweighted - solution).max()


@pytest.mark.parametrize("network", ["cnn", "tcnn"])
def test_three_epochs_of_one_batch_equal_pytorch(network: str) -> None:
    oracle = torch_weights.load(network)
    if network == "cnn":
        model, loss = build_cnn(channels=(4, 6, 8)), cross_entropy
        examples = Examples(oracle["inputs"], oracle["labels"])
    else:
        model, loss = build_tcnn(10, channels=(8, 6, 4)), lambda targets, images: 1 - ssim(targets, images)
        examples = Examples(oracle["inputs"].reshape(5, 10), oracle["truth"])
    torch_weights.as_in(network, torch_weights.without_dropout(model))
    settings = FitSettings(epochs=3, batch_size=5, learning_rate=1e-3)
    history = Fitter(model, loss).fit(examples, settings, run=Run(1))
    np.testing.assert_allclose(history["loss"], oracle["adam_losses"], rtol=1e-5)
    weights = torch_weights.by_name(model)
    for name, value in torch_weights.keras_layout(network, torch_weights.part(oracle, "adam")).items():
        layer, weight = name.split("/")
        if weight == "bias" and layer in ("conv_0", "conv_1", "conv_2", "up_0", "up_1", "up_2"):
            continue  # batch normalisation takes it away: its gradient is rounding, which Adam blows up ...
        atol = 2e-3 if weight == "moving_mean" else 5e-6  # ... and which only the running mean sees
        np.testing.assert_allclose(weights[name].numpy(), value, rtol=0, atol=atol, err_msg=name)


def test_a_linear_model_reaches_the_least_squares_solution() -> None:
    examples, model = linear_problem(), linear_model()
    Fitter(model, squared_error).fit(examples, FitSettings(800, 40, 0.01), run=Run(1))
    columns = np.hstack([examples.inputs, np.ones((40, 1), np.float32)])
    solution = np.linalg.lstsq(columns, examples.targets, rcond=None)[0]
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(np.vstack([kernel, bias]), solution, atol=1e-3)


def test_losses_are_means_per_example_also_over_uneven_batches() -> None:
    """With steps too small to matter both curves stay at the loss of the initial model."""
    training, validation, model = linear_problem(40), linear_problem(300), linear_model()
    kernel, bias = model.get_weights()
    expected = [
        ((e.inputs @ kernel + bias - e.targets) ** 2).sum(axis=1).mean() for e in (training, validation)
    ]
    history = Fitter(model, squared_error).fit(
        training, FitSettings(2, 16, 1e-12), run=Run(1), validation=validation
    )  # 40 = 16 + 16 + 8 and 300 = 256 + 44
    np.testing.assert_allclose(history["loss"], 2 * [expected[0]], rtol=1e-5)
    np.testing.assert_allclose(history["validation_loss"], 2 * [expected[1]], rtol=1e-5)


# The order and number of steps


def test_the_step_is_traced_once() -> None:
    recorder = Recorder()
    Fitter(linear_model(), recorder).fit(numbered(40), FitSettings(3, 16, 0.01), run=Run(1))
    assert recorder.traces == 1
    assert len(recorder.batches) == 9


def test_each_epoch_visits_every_example_once_in_an_order_of_its_own() -> None:
    orders = []
    for seed in (1, 1, 2):
        recorder = Recorder()
        Fitter(linear_model(), recorder).fit(numbered(40), FitSettings(2, 16, 0.01), run=Run(seed))
        assert [len(batch) for batch in recorder.batches] == [16, 16, 8, 16, 16, 8]
        orders += [np.concatenate(epoch).tolist() for epoch in (recorder.batches[:3], recorder.batches[3:])]
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert orders[:2] == orders[2:4]
    assert len({tuple(order) for order in (*orders[:2], *orders[4:])}) == 4


def test_a_last_batch_of_one_is_left_out(recording_progress) -> None:
    recorder, progress = Recorder(), recording_progress()
    history = Fitter(linear_model(), recorder).fit(
        numbered(11), FitSettings(1, 5, 1e-12), run=Run(progress=progress, label="training")
    )
    assert [len(batch) for batch in recorder.batches] == [5, 5]
    model_sees = np.concatenate(
        recorder.batches
    )  # inputs are zeros and the bias starts there: the loss is known
    np.testing.assert_allclose(history["loss"], [np.mean(2 * model_sees**2)], rtol=1e-5)
    assert progress.bars == [("training", 11, "img", 0)]
    assert progress.amounts == [5, 5, 1]  # the bar fills


# Interruption


BATCHES = FitSettings(4, 5, 0.01)  # of 5, 5, 5, 5 and 2 images an epoch


def _small_fit(seed_of_weights: int, **outside) -> Fit:
    """Four epochs of a model with batch normalisation and dropout on 22 images."""
    model, examples = small_model(seed_of_weights), small_examples(22)
    history = Fitter(model, cross_entropy).fit(examples, BATCHES, run=Run(**outside), validation=examples)
    return model, history


@pytest.mark.parametrize("saves", [1, 3])
def test_interrupted_after_an_epoch_and_resumed_equals_uninterrupted(stopping_workspace, saves: int) -> None:
    workspace = stopping_workspace(saves)
    with pytest.raises(KeyboardInterrupt):
        _small_fit(1, workspace=workspace)
    resumed = _small_fit(99, workspace=workspace)  # other initial weights: all has to come from the workspace
    assert_same_fit(resumed, alone(1, 22, BATCHES))


def test_interrupted_within_an_epoch_and_resumed_equals_uninterrupted(recording_progress) -> None:
    workspace = MemoryWorkspace()
    with pytest.raises(KeyboardInterrupt):
        _small_fit(1, workspace=workspace, progress=recording_progress(stop_at=13))  # of 5 batches an epoch
    progress = recording_progress()
    resumed = _small_fit(99, workspace=workspace, progress=progress, label="training")
    assert progress.bars == [("training", 88, "img", 44)]
    assert sum(progress.amounts) == 44
    assert_same_fit(resumed, alone(1, 22, BATCHES))


def test_without_interruption_a_workspace_changes_nothing_and_seeds_matter() -> None:
    plain = alone(1, 22, BATCHES)
    assert_same_fit(_small_fit(1, workspace=MemoryWorkspace()), plain)
    other = _small_fit(2)
    assert other[1] != plain[1]


@pytest.mark.parametrize("network", ["cnn", "tcnn"])
def test_nothing_of_a_fit_outlives_it(network: str) -> None:
    """A graph that stays keeps all variables it uses in memory, those of the model and of Adam."""
    graphs = []

    def loss(targets: tf.Tensor, outputs: dict | tf.Tensor) -> tf.Tensor:
        graphs.append(weakref.ref(targets.graph))
        return cross_entropy(targets, outputs) if network == "cnn" else 1 - ssim(targets, outputs)

    if network == "cnn":
        model, examples = build_cnn((8, 8, 1), 3, channels=(3, 4, 5)), small_examples(5)
    else:
        examples = Examples(np.zeros((5, 10), np.float32), np.zeros((5, 32, 32, 1), np.float32))
        model = build_tcnn(10, channels=(4, 4, 4))
    Fitter(model, loss).fit(examples, FitSettings(1, 5, 0.01), run=Run(1), validation=examples)
    del model
    gc.collect()
    assert [graph() for graph in graphs] == [None, None]


# Bad input


def test_a_loss_that_is_not_finite_names_label_and_epoch() -> None:
    seen = tf.Variable(0)

    def loss(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        steps = seen.assign_add(1)  # three steps an epoch: the fifth is the second of epoch 2
        return squared_error(targets, outputs) + tf.where(steps == 5, np.nan, 0.0)

    with pytest.raises(FloatingPointError, match=r"probe: the loss is nan at epoch 2, image 16\."):
        Fitter(linear_model(), loss).fit(linear_problem(40), FitSettings(3, 16, 0.01), run=Run(label="probe"))


def test_examples_must_be_pairs() -> None:
    with pytest.raises(ValueError, match=r"`inputs` and `targets` must be equally many; got 3, 2\."):
        Examples(np.zeros((3, 1)), np.zeros((2, 1)))


def test_a_single_example_is_refused() -> None:
    with pytest.raises(ValueError, match="`training` must hold at least 2 examples; got 1"):
        Fitter(linear_model(), squared_error).fit(linear_problem(1), FitSettings(1, 2, 0.1), run=Run(1))
