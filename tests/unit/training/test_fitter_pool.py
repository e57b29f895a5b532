"""One fit after another: a fitter used again, and a pool of them, give what each fit gives alone."""

from collections.abc import Callable

import keras
import pytest
import tensorflow as tf

from mi_keras.progress import MemoryWorkspace, Run, SilentProgress
from mi_keras.training.loop import FitSettings, Fitter, FitterPool
from tests.unit.training.fits import (
    Recorder,
    alone,
    assert_same_fit,
    cross_entropy,
    linear_model,
    numbered,
    small_examples,
    small_model,
)

EXAMPLES, SETTINGS = small_examples(22), FitSettings(3, 5, 0.01)  # fits alone of these are cached


def _counted(counts: list[int]) -> Callable:
    """The cross-entropy, which notes each time that it is traced."""

    def loss(labels: tf.Tensor, outputs: dict[str, tf.Tensor]) -> tf.Tensor:
        counts.append(1)
        return cross_entropy(labels, outputs)

    return loss


def _fit(pool: FitterPool, model: keras.Model, run: Run) -> dict[str, list[float]]:
    return pool.fit(model, "small", EXAMPLES, SETTINGS, loss=cross_entropy, run=run, validation=EXAMPLES)


def test_a_fitter_used_again_starts_afresh_on_other_data_and_does_not_trace_again() -> None:
    traces: list[int] = []
    fitter = Fitter(small_model(1), _counted(traces))
    first, second = (EXAMPLES, SETTINGS), (small_examples(31), FitSettings(2, 7, 0.02))
    fitter.fit(*first, run=Run(1), validation=first[0])
    for variable, value in zip(fitter.model.variables, small_model(2).variables, strict=True):
        variable.assign(value)
    history = fitter.fit(*second, run=Run(2), validation=second[0])
    assert len(traces) == 2  # the training step and the validation
    assert_same_fit((fitter.model, history), alone(2, 31, second[1]))


def test_a_pool_traces_one_architecture_once_and_each_fit_is_as_if_alone() -> None:
    traces: list[int] = []
    pool, loss = FitterPool(size=1), _counted(traces)
    for seed in (1, 2, 3):
        model, examples = small_model(seed), small_examples(20 + seed)
        settings = FitSettings(2, 5, 0.01 * seed)
        history = pool.fit(model, "small", examples, settings, loss=loss, run=Run(seed), validation=examples)
        assert_same_fit((model, history), alone(seed, len(examples.inputs), settings))
    assert len(traces) == 2


def _large_model() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(3), keras.layers.Dense(2)])


SMALL, LARGE = 12 * 8, 12 * 20  # bytes of the weights of both models, and of Adam's two values of each


@pytest.mark.parametrize(
    ("pool", "fits", "traced"),
    [
        ({"size": 1}, "one other one", 3),
        ({"size": 2}, "one other one third one", 3),  # the one that was not used for longest goes
        ({"size": 2, "memory": 2 * SMALL}, "one other one", 2),
        ({"size": 2, "memory": 2 * SMALL - 1}, "one other one", 3),
        ({"size": 3, "memory": LARGE}, "one other large other", 4),  # and as many as are in the way
        ({"size": 2, "memory": 0}, "one one", 1),  # alone it may hold more
    ],
)
def test_a_pool_keeps_as_many_fitters_as_asked_for(pool: dict, fits: str, traced: int) -> None:
    recorder, pooled, settings = Recorder(), FitterPool(**pool), FitSettings(1, 5, 0.01)
    for architecture in fits.split():
        model = _large_model() if architecture == "large" else linear_model()
        pooled.fit(model, architecture, numbered(10), settings, loss=recorder, run=Run())
    assert recorder.traces == traced


def test_a_fit_within_a_fit_disturbs_neither() -> None:
    pool = FitterPool(size=2)
    inner: list[tuple] = []

    class Nested(SilentProgress):
        def advance(self, amount: float = 1) -> None:
            if not inner:
                model = small_model(2)
                inner.append((model, _fit(pool, model, Run(2))))

    outer = small_model(1)
    history = _fit(pool, outer, Run(1, progress=Nested()))
    assert_same_fit((outer, history), alone(1, 22, SETTINGS))
    assert_same_fit(inner[0], alone(2, 22, SETTINGS))


def test_a_pools_fit_is_resumed_exactly_and_a_cut_off_one_leaves_no_trace(recording_progress) -> None:
    pool, workspace = FitterPool(size=1), MemoryWorkspace()
    with pytest.raises(KeyboardInterrupt):
        _fit(pool, small_model(1), Run(1, workspace=workspace, progress=recording_progress(stop_at=13)))
    between, resumed = small_model(2), small_model(99)
    outcome = _fit(pool, between, Run(2))
    assert_same_fit((between, outcome), alone(2, 22, SETTINGS))
    outcome = _fit(pool, resumed, Run(1, workspace=workspace))
    assert_same_fit((resumed, outcome), alone(1, 22, SETTINGS))


def test_what_becomes_of_a_fitted_model_does_not_touch_the_next_fit() -> None:
    pool, first, second = FitterPool(size=1), small_model(1), small_model(1)
    _fit(pool, first, Run(1))
    for variable in first.variables:
        variable.assign(tf.zeros_like(variable.value))
    history = _fit(pool, second, Run(1))
    assert not any(variable.numpy().any() for variable in first.variables)
    assert_same_fit((second, history), alone(1, 22, SETTINGS))
