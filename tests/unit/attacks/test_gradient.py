"""Gradient reconstruction against formulas 1 to 4 of the thesis run in PyTorch with the same weights (tests/oracles)."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import torch_weights

from mi_keras.attacks import gradient
from mi_keras.attacks.gradient import reconstruct, reconstruction_in_graph
from mi_keras.machine import PRECISIONS
from mi_keras.progress import MemoryWorkspace, Run
from mi_keras.settings import GradientSettings
from mi_keras.types import Observation

# as in tests/oracles/make_torch_oracles.py; the weights are the defaults of GradientSettings
ORACLE_SETTINGS = {
    "adam": GradientSettings(optimizer="adam", learning_rate=0.01),
    "gradient_descent": GradientSettings(optimizer="gradient_descent", learning_rate=0.02),
}
DISTINCT_CLASSES = [0, 1, 3]  # of the oracle's four vectors: predicted classes 8, 0, 8, 3
FEW_STEPS = GradientSettings(steps=4)


@pytest.fixture(scope="module")
def oracle() -> torch_weights.Arrays:
    return torch_weights.load("gradient_inversion")


@pytest.fixture
def attack(shadow: keras.Model, oracle: torch_weights.Arrays):
    """The attack on the oracle's vectors from its start images; arguments and those of its run are replaceable."""

    def run(settings: GradientSettings = FEW_STEPS, **changes) -> SimpleNamespace:
        objective = changes.pop("objective", "logit_mse")
        vectors = changes.pop("output_vector", oracle["output_vector"])
        starts = changes.pop("start_images", oracle["starts"])
        run = Run(**changes)
        arrays, info = reconstruct(
            shadow, Observation(vectors), starts, settings, objective=objective, run=run
        )
        return SimpleNamespace(**arrays, **info)

    return run


# Against PyTorch


@pytest.mark.parametrize("steps", [1, 5, 20])
@pytest.mark.parametrize("optimizer", ["adam", "gradient_descent"])
@pytest.mark.parametrize("objective", ["logit_mse", "cross_entropy"])
def test_images_after_some_steps_equal_pytorch(
    attack, oracle, objective: str, optimizer: str, steps: int
) -> None:
    result = attack(replace(ORACLE_SETTINGS[optimizer], steps=steps), objective=objective)
    expected = oracle[f"{objective}/{optimizer}/images_{steps}"]
    distance = np.abs(result.images - expected)
    # The slope of |a - b| jumps where two neighbours cross: a step later, single pixels may differ by that jump.
    assert distance.mean() < 1e-5
    assert np.mean(distance > 1e-4) < 0.01
    assert distance.max() < 0.01
    if steps == 1:
        assert distance.max() < 1e-5
    else:
        starts = oracle["starts"][oracle["output_vector"].argmax(axis=1)]
        assert np.abs(expected - starts).mean() > 100 * distance.mean()  # the oracle itself has moved away


@pytest.mark.parametrize("optimizer", ["adam", "gradient_descent"])
@pytest.mark.parametrize("objective", ["logit_mse", "cross_entropy"])
def test_loss_terms_equal_pytorch(attack, oracle, objective: str, optimizer: str) -> None:
    result = attack(replace(ORACLE_SETTINGS[optimizer], steps=20), objective=objective)
    solved = DISTINCT_CLASSES if objective == "cross_entropy" else slice(None)
    terms = [oracle[f"{objective}/{optimizer}/terms_{step}"][solved].mean(axis=0) for step in range(1, 21)]
    np.testing.assert_allclose(result.losses, terms, rtol=1e-3)


# Which problems are solved


def test_cross_entropy_is_one_problem_per_predicted_class(attack) -> None:
    result = attack(objective="cross_entropy")
    assert result.problems == len(DISTINCT_CLASSES)
    assert result.images.shape == (4, 32, 32, 1)
    np.testing.assert_array_equal(result.images[0], result.images[2])
    assert np.abs(result.images[0] - result.images[1]).max() > 0.1


def test_logit_mse_is_one_problem_per_distinct_vector(attack, oracle) -> None:
    plain = attack()
    assert plain.problems == 4
    assert np.abs(plain.images[0] - plain.images[2]).max() > 0.01  # one class, two vectors
    repeated = attack(output_vector=oracle["output_vector"][[3, 0, 0, 2, 3]])
    assert repeated.problems == 3
    np.testing.assert_allclose(repeated.images, plain.images[[3, 0, 0, 2, 3]], atol=1e-5)


@pytest.mark.parametrize("objective", ["logit_mse", "cross_entropy"])
def test_random_starts_are_all_different_problems(attack, oracle, objective: str) -> None:
    vectors = oracle["output_vector"][[0, 0, 1]]
    settings = GradientSettings(steps=1, optimizer="gradient_descent", learning_rate=1e-9)  # shows the start

    def start(seed: int) -> SimpleNamespace:
        return attack(settings, objective=objective, output_vector=vectors, start_images=None, seed=seed)

    first, same, other = start(1), start(1), start(2)
    assert first.problems == 3
    np.testing.assert_array_equal(first.images, same.images)
    for images in (first.images[0] - first.images[1], first.images - other.images):
        assert abs(np.abs(images).mean() - 1 / 3) < 0.05  # independent uniform pixels differ by a third
    assert abs(first.images.mean() - 0.5) < 4 / np.sqrt(12 * first.images.size)


def test_each_vector_starts_at_its_predicted_class(attack, oracle) -> None:
    settings = GradientSettings(steps=1, optimizer="gradient_descent", learning_rate=1e-9)
    expected = oracle["starts"][oracle["output_vector"].argmax(axis=1)]
    np.testing.assert_allclose(attack(settings).images, expected, atol=1e-6)


@pytest.mark.parametrize("objective", ["logit_mse", "cross_entropy"])
def test_without_a_step_the_start_is_left_as_it_is(attack, oracle, objective: str) -> None:
    result = attack(GradientSettings(steps=0), objective=objective)
    expected = oracle["starts"][oracle["output_vector"].argmax(axis=1)]
    np.testing.assert_array_equal(result.images, expected)
    assert result.losses.shape == (0, 4)


# How they are solved


@pytest.mark.parametrize("steps", [1, 7])
def test_exactly_the_asked_number_of_steps_traced_once(
    attack, monkeypatch, recording_progress, steps: int
) -> None:
    traces, calls = [], []
    make_logits, make_step = gradient.differentiable, gradient._make_step

    def traced_logits(cnn, point):
        logits = make_logits(cnn, point)
        return lambda images: traces.append(images.shape) or logits(images)

    def counted_step(*arguments):
        step = make_step(*arguments)
        return lambda *inputs: calls.append(float(inputs[3])) or step(*inputs)

    monkeypatch.setattr(gradient, "differentiable", traced_logits)
    monkeypatch.setattr(gradient, "_make_step", counted_step)
    progress = recording_progress()
    result = attack(replace(FEW_STEPS, steps=steps, batch_size=2), progress=progress, label="probe")
    assert calls == 2 * list(range(1, steps + 1))  # two batches of two, numbered from one
    assert len(traces) == 1
    assert result.losses.shape == (steps, 4)
    assert progress.bars == [("probe", 4 * steps, "img-step", 0)]
    assert progress.amounts == 2 * steps * [2]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_result_does_not_depend_on_the_batch_size(attack, batch_size: int) -> None:
    whole, cut = attack(), attack(replace(FEW_STEPS, batch_size=batch_size))
    np.testing.assert_allclose(cut.images, whole.images, atol=1e-4)
    np.testing.assert_allclose(cut.losses, whole.losses, rtol=1e-4)


def test_images_are_clamped_at_both_ends(attack) -> None:
    images = attack(GradientSettings(steps=2, optimizer="gradient_descent", learning_rate=1e6)).images
    assert set(np.unique(images)) >= {0.0, 1.0}
    assert images.min() == 0.0
    assert images.max() == 1.0


@pytest.mark.parametrize("optimizer", ["adam", "gradient_descent"])
def test_the_shadow_model_stays_bit_identical(attack, shadow, optimizer: str) -> None:
    before = [v.numpy().tobytes() for v in shadow.variables]
    attack(replace(FEW_STEPS, optimizer=optimizer))
    assert [v.numpy().tobytes() for v in shadow.variables] == before
    assert len(before) == 23  # 16 trained, 6 statistics, dropout's state


def test_interrupted_and_resumed_equals_uninterrupted(attack, stopping_workspace, recording_progress) -> None:
    settings = replace(FEW_STEPS, batch_size=1)
    workspace, progress = stopping_workspace(2), recording_progress()
    with pytest.raises(KeyboardInterrupt):
        attack(settings, workspace=workspace)
    resumed = attack(settings, workspace=workspace, progress=progress)
    uninterrupted = attack(settings)
    np.testing.assert_array_equal(resumed.images, uninterrupted.images)
    np.testing.assert_array_equal(resumed.losses, uninterrupted.losses)
    assert progress.amounts == [4, 4, *8 * [1]]  # two batches are taken over whole, two are run


def test_a_workspace_changes_nothing(attack) -> None:
    np.testing.assert_array_equal(attack(workspace=MemoryWorkspace()).images, attack().images)


# As part of a graph


@pytest.mark.parametrize(
    ("objective", "optimizer", "start"),
    [  # any two of these choices meet in four; the other four are slow
        pytest.param(objective, optimizer, start, marks=[pytest.mark.slow] * ((i + j + k) % 2))
        for i, objective in enumerate(("logit_mse", "cross_entropy"))
        for j, optimizer in enumerate(("adam", "gradient_descent"))
        for k, start in enumerate(("by class", "noise"))
    ],
)
def test_in_a_graph_each_row_is_answered_as_the_attack_answers_it_alone(
    attack, shadow, oracle, objective: str, optimizer: str, start: str
) -> None:
    settings = replace(ORACLE_SETTINGS[optimizer], steps=6)
    starts = oracle["starts"] if start == "by class" else None
    solve = tf.function(
        reconstruction_in_graph(shadow, starts, settings, objective=objective, seed=3),
        input_signature=[tf.TensorSpec([None, 10], tf.float32)],
        autograph=False,
    )
    vectors = oracle["output_vector"]
    chosen = {"objective": objective, "seed": 3, "start_images": starts}
    if starts is None:  # each at the same noise
        alone = [attack(settings, output_vector=row[None], **chosen).images for row in vectors]
        expected = np.concatenate(alone)
    else:
        expected = attack(replace(settings, batch_size=1), output_vector=vectors, **chosen).images
    for rows in ([0], [3, 1], [0, 1, 2, 3, 0]):
        np.testing.assert_allclose(solve(tf.constant(vectors[rows])), expected[rows], atol=1e-6)
    assert solve(tf.constant(vectors[:0])).shape == (0, 32, 32, 1)
    assert len(solve._list_all_concrete_functions()) == 1


def test_in_a_graph_what_is_not_finite_stays_in_its_row(shadow, oracle) -> None:
    solve = reconstruction_in_graph(shadow, oracle["starts"], FEW_STEPS, objective="logit_mse", seed=1)
    vectors = oracle["output_vector"][:3].copy()
    whole = solve(tf.constant(vectors)).numpy()
    vectors[1] = np.nan
    broken = solve(tf.constant(vectors)).numpy()
    np.testing.assert_array_equal(broken[[0, 2]], whole[[0, 2]])
    assert np.isnan(broken[1]).any()


def test_in_a_graph_an_unknown_objective_is_refused(shadow, oracle) -> None:
    with pytest.raises(ValueError, match=r"`objective` must be one of logit_mse, cross_entropy; got 'mse'\."):
        reconstruction_in_graph(shadow, oracle["starts"], FEW_STEPS, objective="mse", seed=1)


# What stops it


def test_an_unknown_objective_is_refused(attack) -> None:
    with pytest.raises(ValueError, match=r"`objective` must be one of logit_mse, cross_entropy; got 'mse'\."):
        attack(objective="mse")


@pytest.mark.parametrize(
    ("change", "term"), [({"l2_weight": np.inf}, "l2"), ({"tv_weight": np.inf}, "total_variation")]
)
def test_a_regulariser_that_is_not_finite_is_named(attack, change: dict, term: str) -> None:
    settings = replace(FEW_STEPS)
    for name, value in change.items():
        object.__setattr__(settings, name, value)  # past the settings' own check
    with pytest.raises(FloatingPointError, match=f"the term `{term}` is not finite at step 1"):
        attack(settings)


def test_an_objective_that_is_not_finite_is_named_with_its_step(attack, monkeypatch) -> None:
    """The stand-in model answers log(1 - mean), the target is far below: a huge step whitens the image, then log 0."""

    def logits(images: tf.Tensor) -> tf.Tensor:
        return tf.math.log(1 - tf.reduce_mean(images, axis=(1, 2)))

    monkeypatch.setattr(gradient, "differentiable", lambda *_: logits)
    settings = GradientSettings(steps=5, optimizer="gradient_descent", learning_rate=1e9)
    with pytest.raises(FloatingPointError, match="the term `objective` is not finite at step 2"):
        attack(settings, output_vector=np.full((1, 1), -50, np.float32))


@pytest.mark.parametrize(("memory", "images"), [(1000, 2), (384, 1), (10, 1), (384 * 50, 50)])
def test_a_batch_fits_the_memory(memory: int, images: int) -> None:
    """16 values at the input and 16 flattened, three times, four bytes each: 384 bytes an image."""
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    model = keras.Model(model.inputs, model.outputs)
    assert gradient.images_that_fit(model, memory) == images


# In bfloat16


@pytest.mark.parametrize("path", ["fast", "general"])
def test_products_in_bfloat16_give_nearly_the_same_images(attack, monkeypatch, path: str) -> None:
    """Through the CNN's own fast path and that of any model; on average after 5 steps, in which pixels move by 0.05."""
    if path == "general":
        monkeypatch.setattr("mi_keras.models.target._fast_paths", [])
    settings = replace(ORACLE_SETTINGS["gradient_descent"], steps=5)
    whole, half = (attack(settings, precision=precision) for precision in PRECISIONS)
    assert 0 < np.abs(half.images - whole.images).mean() < 0.02
    np.testing.assert_allclose(half.losses, whole.losses, rtol=0.1)
