"""The training loop: PyTorch's steps, a known least-squares solution, exact resume, and what it does with bad input."""

import functools
import gc
import weakref
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import torch_weights

from mi_keras.metrics.image import ssim
from mi_keras.models.cnn import build_cnn
from mi_keras.models.tcnn import build_tcnn
from mi_keras.training.loop import Examples, FitSettings, Fitter, FitterPool
from mi_keras.work import MemoryWorkspace, SilentProgress


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
    settings = FitSettings(epochs=3, batch_size=5, learning_rate=1e-3)
    history = Fitter(model, loss).fit(examples, settings, seed=1)
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
    Fitter(model, _squared_error).fit(examples, FitSettings(800, 40, 0.01), seed=1)
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
    history = Fitter(model, _squared_error).fit(
        training, FitSettings(2, 16, 1e-12), seed=1, validation=validation
    )  # 40 = 16 + 16 + 8 and 300 = 256 + 44
    np.testing.assert_allclose(history["loss"], 2 * [expected[0]], rtol=1e-5)
    np.testing.assert_allclose(history["validation_loss"], 2 * [expected[1]], rtol=1e-5)


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
    Fitter(_linear_model(), recorder).fit(_numbered(40), FitSettings(3, 16, 0.01), seed=1)
    assert recorder.traces == 1
    assert len(recorder.batches) == 9


def test_each_epoch_visits_every_example_once_in_an_order_of_its_own() -> None:
    orders = []
    for seed in (1, 1, 2):
        recorder = _Recorder()
        Fitter(_linear_model(), recorder).fit(_numbered(40), FitSettings(2, 16, 0.01), seed=seed)
        assert [len(batch) for batch in recorder.batches] == [16, 16, 8, 16, 16, 8]
        orders += [np.concatenate(epoch).tolist() for epoch in (recorder.batches[:3], recorder.batches[3:])]
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert orders[:2] == orders[2:4]
    assert len({tuple(order) for order in (*orders[:2], *orders[4:])}) == 4


def test_a_last_batch_of_one_is_left_out(recording_progress) -> None:
    recorder, progress = _Recorder(), recording_progress()
    history = Fitter(_linear_model(), recorder).fit(
        _numbered(11), FitSettings(1, 5, 1e-12), seed=1, progress=progress
    )
    assert [len(batch) for batch in recorder.batches] == [5, 5]
    model_sees = np.concatenate(
        recorder.batches
    )  # inputs are zeros and the bias starts there: the loss is known
    np.testing.assert_allclose(history["loss"], [np.mean(2 * model_sees**2)], rtol=1e-5)
    assert progress.bars == [("training", 11, "img", 0)]
    assert progress.amounts == [5, 5, 1]  # the bar fills


# Interruption


def _small_model(seed: int) -> keras.Model:
    return build_cnn((8, 8, 1), 3, channels=(3, 4, 5), seed=seed)


def _small_examples(count: int) -> Examples:
    draw = np.random.default_rng(count)
    return Examples(draw.random((count, 8, 8, 1), np.float32), draw.integers(0, 3, count))


def _small_fit(seed_of_weights: int, **outside) -> tuple[keras.Model, dict[str, list[float]]]:
    """Four epochs of a CNN with batch normalisation and dropout on 22 images: batches of 5, 5, 5, 5 and 2."""
    model, examples = _small_model(seed_of_weights), _small_examples(22)
    history = Fitter(model, _cross_entropy).fit(
        examples, FitSettings(4, 5, 0.01), seed=1, validation=examples, **outside
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


# One fit after another


@functools.cache
def _alone(seed: int, count: int, settings: FitSettings) -> tuple[keras.Model, dict]:
    """What a fit gives that shares nothing with another."""
    model, examples = _small_model(seed), _small_examples(count)
    return model, Fitter(model, _cross_entropy).fit(examples, settings, seed=seed, validation=examples)


def _counted(counts: list[int]) -> Callable:
    """The cross-entropy, which notes each time that it is traced."""

    def loss(labels: tf.Tensor, outputs: dict[str, tf.Tensor]) -> tf.Tensor:
        counts.append(1)
        return _cross_entropy(labels, outputs)

    return loss


def test_a_fitter_used_again_starts_afresh_on_other_data_and_does_not_trace_again() -> None:
    traces: list[int] = []
    fitter = Fitter(_small_model(1), _counted(traces))
    first, second = (
        (_small_examples(22), FitSettings(2, 5, 0.01)),
        (_small_examples(31), FitSettings(3, 7, 0.02)),
    )
    fitter.fit(*first, seed=1, validation=first[0])
    for variable, value in zip(fitter.model.variables, _small_model(2).variables, strict=True):
        variable.assign(value)
    history = fitter.fit(*second, seed=2, validation=second[0])
    assert len(traces) == 2  # the training step and the validation
    _assert_same_fit((fitter.model, history), _alone(2, 31, second[1]))


def test_a_pool_traces_one_architecture_once_and_each_fit_is_as_if_alone() -> None:
    traces: list[int] = []
    pool = FitterPool(_counted(traces), size=1)
    for seed in (1, 2, 3):
        model, examples, settings = (
            _small_model(seed),
            _small_examples(20 + seed),
            FitSettings(2, 5, 0.01 * seed),
        )
        history = pool.fit(model, "small", examples, settings, seed=seed, validation=examples)
        _assert_same_fit((model, history), _alone(seed, len(examples.inputs), settings))
    assert len(traces) == 2


def test_a_pool_keeps_as_many_fitters_as_asked_for() -> None:
    for size, expected in ((1, 4), (2, 2)):
        recorder = _Recorder()
        pool = FitterPool(recorder, size=size)
        for architecture in ("one", "other", "one", "other"):
            pool.fit(_linear_model(), architecture, _numbered(10), FitSettings(1, 5, 0.01), seed=1)
        assert recorder.traces == expected


def test_a_fit_within_a_fit_disturbs_neither() -> None:
    examples, settings = _small_examples(22), FitSettings(2, 5, 0.01)
    pool = FitterPool(_cross_entropy, size=2)
    inner: list[tuple] = []

    class Nested(SilentProgress):
        def advance(self, amount: float = 1) -> None:
            if not inner:
                model = _small_model(2)
                inner.append(
                    (model, pool.fit(model, "small", examples, settings, seed=2, validation=examples))
                )

    outer = _small_model(1)
    history = pool.fit(outer, "small", examples, settings, seed=1, validation=examples, progress=Nested())
    _assert_same_fit((outer, history), _alone(1, len(examples.inputs), settings))
    _assert_same_fit(inner[0], _alone(2, len(examples.inputs), settings))


def test_a_pools_fit_is_resumed_exactly_and_a_cut_off_one_leaves_no_trace(recording_progress) -> None:
    examples, settings = _small_examples(22), FitSettings(3, 5, 0.01)
    pool, workspace = FitterPool(_cross_entropy, size=1), MemoryWorkspace()
    with pytest.raises(KeyboardInterrupt):
        pool.fit(
            _small_model(1), "small", examples, settings, seed=1, validation=examples,
            workspace=workspace, progress=recording_progress(stop_at=13),
        )  # fmt: skip
    between, resumed = _small_model(2), _small_model(99)
    outcome = pool.fit(between, "small", examples, settings, seed=2, validation=examples)
    _assert_same_fit((between, outcome), _alone(2, len(examples.inputs), settings))
    outcome = pool.fit(resumed, "small", examples, settings, seed=1, validation=examples, workspace=workspace)
    _assert_same_fit((resumed, outcome), _alone(1, len(examples.inputs), settings))


def test_what_becomes_of_a_fitted_model_does_not_touch_the_next_fit() -> None:
    examples, settings = _small_examples(22), FitSettings(2, 5, 0.01)
    pool, first, second = FitterPool(_cross_entropy, size=1), _small_model(1), _small_model(1)
    pool.fit(first, "small", examples, settings, seed=1, validation=examples)
    for variable in first.variables:
        variable.assign(tf.zeros_like(variable.value))
    history = pool.fit(second, "small", examples, settings, seed=1, validation=examples)
    assert not any(variable.numpy().any() for variable in first.variables)
    _assert_same_fit((second, history), _alone(1, len(examples.inputs), settings))


@pytest.mark.parametrize("network", ["cnn", "tcnn"])
def test_nothing_of_a_fit_outlives_it(network: str) -> None:
    """A graph that stays keeps all variables it uses in memory, those of the model and of Adam."""
    graphs = []

    def loss(targets: tf.Tensor, outputs: dict | tf.Tensor) -> tf.Tensor:
        graphs.append(weakref.ref(targets.graph))
        return _cross_entropy(targets, outputs) if network == "cnn" else 1 - ssim(targets, outputs)

    if network == "cnn":
        model, examples = _small_model(1), _small_examples(5)
    else:
        examples = Examples(np.zeros((5, 10), np.float32), np.zeros((5, 32, 32, 1), np.float32))
        model = build_tcnn(10, channels=(4, 4, 4))
    Fitter(model, loss).fit(examples, FitSettings(1, 5, 0.01), seed=1, validation=examples)
    del model
    gc.collect()
    assert [graph() for graph in graphs] == [None, None]


# Bad input


def test_a_loss_that_is_not_finite_names_label_and_epoch() -> None:
    seen = tf.Variable(0)

    def loss(targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        steps = seen.assign_add(1)  # three steps an epoch: the fifth is the second of epoch 2
        return _squared_error(targets, outputs) + tf.where(steps == 5, np.nan, 0.0)

    with pytest.raises(FloatingPointError, match=r"probe: the loss is nan at epoch 2, image 16\."):
        Fitter(_linear_model(), loss).fit(
            _linear_problem(40), FitSettings(3, 16, 0.01), seed=1, label="probe"
        )


def test_examples_must_be_pairs() -> None:
    with pytest.raises(ValueError, match=r"`inputs` and `targets` must be equally many; got 3, 2\."):
        Examples(np.zeros((3, 1)), np.zeros((2, 1)))


def test_a_single_example_is_refused() -> None:
    with pytest.raises(ValueError, match="`training` must hold at least 2 examples; got 1"):
        Fitter(_linear_model(), _squared_error).fit(_linear_problem(1), FitSettings(1, 2, 0.1), seed=1)
