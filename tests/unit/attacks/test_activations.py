"""Activation recovery against section 3.5 of the thesis run in PyTorch, and against NumPy's least squares."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import torch_weights

from mi_keras.attacks.access import Access, Holdings
from mi_keras.attacks.activations import Activations, recover_activations, recovery_in_graph
from mi_keras.attacks.attack import all_needs, gather
from mi_keras.attacks.learned import Learned
from mi_keras.errors import InputError
from mi_keras.models.cnn import activations_of, last_linear_layer, observe
from mi_keras.progress import Run
from mi_keras.settings import ActivationSettings
from mi_keras.types import Images, Observation

ZEROS = ActivationSettings(start="zeros")
CLOSED_FORM = ActivationSettings(method="minimum_norm")


@pytest.fixture(scope="module")
def oracle() -> torch_weights.Arrays:
    return torch_weights.load("activation_recovery")


@pytest.fixture
def attack(shadow: keras.Model, oracle: torch_weights.Arrays):
    def run(
        settings: ActivationSettings, output_vector: np.ndarray | None = None, seed: int = 1
    ) -> SimpleNamespace:
        vectors = oracle["output_vector"] if output_vector is None else output_vector
        arrays, info = recover_activations(shadow, Observation(vectors), settings, seed=seed)
        assert info["count"] == len(vectors)
        return SimpleNamespace(**arrays, not_converged=info["not_converged"])

    return run


def _outside_row_space(shadow: keras.Model, activations: np.ndarray) -> np.ndarray:
    """Return the part of each activation vector that the last linear layer cannot see."""
    weights = last_linear_layer(shadow)[0].astype(np.float64)  # (50, classes)
    return activations - activations @ weights @ np.linalg.pinv(weights)


# Gradient descent


def test_descent_from_zeros_equals_pytorch_with_each_vector_stopping_by_itself(attack, oracle) -> None:
    result = attack(ZEROS)
    np.testing.assert_array_equal(result.steps, oracle["steps"])
    assert len(set(oracle["steps"])) > 3
    np.testing.assert_allclose(result.activations, oracle["activations"], atol=1e-5)
    assert result.not_converged == 0


@pytest.mark.parametrize("settings", [ZEROS, ActivationSettings(), CLOSED_FORM])
def test_losses_and_flags_are_those_of_the_activations(
    attack, oracle, shadow, settings: ActivationSettings
) -> None:
    result = attack(settings)
    weights, bias = last_linear_layer(shadow)
    error = result.activations.astype(np.float64) @ weights + bias - oracle["output_vector"]
    np.testing.assert_allclose(result.losses, (error**2).mean(axis=1), rtol=1e-4, atol=1e-6)
    assert result.not_converged == 0
    assert np.all(result.losses <= 1.5)


def test_a_vector_does_not_depend_on_its_neighbours(attack, oracle) -> None:
    together = attack(ZEROS)
    for i, vector in enumerate(oracle["output_vector"]):
        alone = attack(ZEROS, vector[None])
        np.testing.assert_allclose(alone.activations[0], together.activations[i], atol=1e-6)
        assert alone.steps[0] == together.steps[i]


def test_descent_from_zeros_stays_in_the_row_space(attack, shadow) -> None:
    activations = attack(ZEROS).activations
    assert np.abs(activations).max() > 0.5
    np.testing.assert_allclose(_outside_row_space(shadow, activations), 0, atol=1e-5)


def test_descent_from_noise_keeps_the_noise_that_the_layer_cannot_see(attack, shadow) -> None:
    vectors = np.random.default_rng(3).standard_normal((2, 100, 10)).astype(np.float32)
    first, second, other = (
        attack(ActivationSettings(), vectors[0]),
        attack(ActivationSettings(), vectors[1]),
        None,
    )
    unseen = _outside_row_space(shadow, first.activations)
    np.testing.assert_allclose(_outside_row_space(shadow, second.activations), unseen, atol=1e-4)
    assert np.abs(first.activations - second.activations).max() > 0.1
    count = 100 * 40  # 50 units less 10 classes: what is left of a standard normal start
    assert abs((unseen**2).sum() - count) < 4 * np.sqrt(2 * count)
    other = attack(ActivationSettings(), vectors[0], seed=2)
    assert np.abs(_outside_row_space(shadow, other.activations) - unseen).mean() > 0.5


def test_a_vector_that_is_explained_from_the_start_does_not_move(attack, shadow) -> None:
    _, bias = last_linear_layer(shadow)
    result = attack(ZEROS, np.stack([bias, bias + 1, bias + 5]))  # losses at zero: 0, 1 and 25
    np.testing.assert_array_equal(result.steps > 0, [False, False, True])
    np.testing.assert_array_equal(result.activations[:2], 0)
    np.testing.assert_allclose(result.losses[:2], [0, 1], atol=1e-6)


def test_vectors_above_the_threshold_after_max_steps_are_reported(attack, oracle) -> None:
    limit = int(np.sort(oracle["steps"])[1])  # enough for the two fastest
    result = attack(ActivationSettings(start="zeros", max_steps=limit))
    converged = oracle["steps"] <= limit
    assert result.not_converged == (~converged).sum()
    np.testing.assert_array_equal(result.steps, np.minimum(oracle["steps"], limit))
    np.testing.assert_array_equal(result.losses <= 1.5, converged)


def test_a_lower_threshold_is_met(attack) -> None:
    result = attack(ActivationSettings(start="zeros", threshold=1e-3))
    assert np.all(result.losses <= 1e-3)


@pytest.mark.filterwarnings("ignore:.*encountered in.*:RuntimeWarning")
def test_divergence_names_the_learning_rate(attack) -> None:
    with pytest.raises(FloatingPointError, match=r"`learning_rate` 1000\.0 is too large"):
        attack(ActivationSettings(start="zeros", learning_rate=1000.0))


# Closed form


def test_minimum_norm_equals_numpys_least_squares(attack, oracle, shadow) -> None:
    weights, bias = last_linear_layer(shadow)
    expected = np.linalg.lstsq(weights.T.astype(np.float64), (oracle["output_vector"] - bias).T, rcond=None)[
        0
    ].T
    result = attack(CLOSED_FORM)
    np.testing.assert_allclose(result.activations, expected, atol=1e-5)
    np.testing.assert_allclose(result.losses, 0, atol=1e-8)
    np.testing.assert_array_equal(result.steps, 0)
    assert result.activations.dtype == np.float32


def test_descent_from_zeros_tends_to_the_minimum_norm_solution(attack) -> None:
    descended = attack(ActivationSettings(start="zeros", threshold=1e-8, max_steps=100_000))
    np.testing.assert_allclose(descended.activations, attack(CLOSED_FORM).activations, atol=1e-3)


# As part of a graph


@pytest.mark.parametrize(
    "settings", [ZEROS, ActivationSettings(), ActivationSettings(max_steps=3), CLOSED_FORM]
)
def test_in_a_graph_each_row_is_answered_as_the_attack_answers_it_alone(
    attack, shadow, oracle, settings: ActivationSettings
) -> None:
    solve = tf.function(
        recovery_in_graph(shadow, settings, seed=5),
        input_signature=[tf.TensorSpec([None, 10], tf.float32)],
        autograph=False,
    )
    vectors = oracle["output_vector"]
    expected = np.concatenate([attack(settings, row[None], seed=5).activations for row in vectors])
    for rows in ([0], [2, 1], np.arange(len(vectors))[::-1]):
        np.testing.assert_allclose(solve(tf.constant(vectors[rows])), expected[rows], atol=1e-5)
    assert solve(tf.constant(vectors)).dtype == tf.float32


# Shared


@pytest.mark.parametrize("settings", [ActivationSettings(), CLOSED_FORM])
def test_the_shadow_model_stays_bit_identical(attack, shadow, settings: ActivationSettings) -> None:
    before = [v.numpy().tobytes() for v in shadow.variables]
    attack(settings)
    assert [v.numpy().tobytes() for v in shadow.variables] == before


# Two readings of A^L of the adversary's own images

EXTRACTED = Activations(ActivationSettings(max_steps=50, known="extracted"))


@pytest.fixture
def own(shadow: keras.Model) -> Holdings:
    images = np.random.default_rng(3).random((7, *shadow.input_shape[1:]), np.float32)
    return Holdings(Images.unlabelled(images), [shadow], classes=10)


def test_extracted_activations_are_those_from_which_the_last_layer_makes_the_output_vector(shadow, own):
    """Exactly, where solved ones explain it up to the threshold and by another point of 40 dimensions."""
    answers = observe(shadow, own.own_images.images)
    attack = Learned((EXTRACTED,))
    extracted, solved = (gather(attack, answers, own, Run(), own=flag).parts[0] for flag in (True, False))
    weights, bias = last_linear_layer(shadow)
    np.testing.assert_allclose(extracted @ weights + bias, answers.vectors, atol=1e-5)
    assert np.abs(extracted - solved).max() > 1
    again = gather(Learned((Activations(ActivationSettings(max_steps=50)),)), answers, own, Run(), own=True)
    np.testing.assert_array_equal(again.parts[0], solved)


def test_attacked_answers_do_not_know_the_reading_and_own_images_are_needed_for_one_only():
    solved = Activations(ActivationSettings(max_steps=50))
    assert (EXTRACTED.kind, EXTRACTED.identity) == (solved.kind, solved.identity)
    assert "known" not in EXTRACTED.identity["settings"]
    assert solved.for_own is solved
    assert EXTRACTED.for_own.needs == Access(surrogates=1, images=True)
    assert all_needs(Learned((EXTRACTED,))) == Access(images=True, answers="surrogate", surrogates=1)


def test_a_model_without_such_an_output_is_named(own):
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3, name="answer")]
    )
    with pytest.raises(InputError, match=r"^`cnn` must have an output `activations`; .* has answer\.$"):
        activations_of(model, np.zeros((1, 4, 4, 1), np.float32))
