"""What `docs/add_attack.md` and `docs/add_defence.md` promise of every attack, input of one and defence that is registered, on tiny real models."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from mi_keras.attacks import Attack, Input
from mi_keras.attacks.attack import all_needs
from mi_keras.defenses import Defense
from mi_keras.defenses.defense import Defended
from mi_keras.registered import registered
from mi_keras.types import Observation
from tests.contract import checks as check
from tests.contract.world import as_attack, examples, the_world

REGISTERED = registered("mi_keras.attacks", Attack, Input)
ATTACKS = [as_attack(each) for cls in REGISTERED for each in examples(cls)]
DEFENSES = [each for cls in registered("mi_keras.defenses", Defense) for each in examples(cls)]


def _names(each: Any) -> str:
    return getattr(each, "label", "") or each.words


# One attack after another, each through all tests: its networks are traced once (see `FitterPool`)
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=_names, scope="module")
every_defense = pytest.mark.parametrize("defense", DEFENSES, ids=_names)


# Attacks and their inputs


@pytest.mark.parametrize("each", [e for cls in REGISTERED for e in examples(cls)], ids=_names)
def test_an_attack_is_a_value_with_an_identity(each: Any) -> None:
    check.check_described(each)


@every_attack
def test_it_gives_an_image_for_each_answer(attack: Attack) -> None:
    check.check_images(attack)


@every_attack
def test_it_sees_its_access_and_seed_alone_and_leaves_models_as_they_were(attack: Attack) -> None:
    check.check_blind(attack)


def test_the_order_of_a_pool_says_nothing() -> None:
    with_pool = [attack for attack in ATTACKS if all_needs(attack).pool]
    for attack in with_pool:
        check.check_pool(attack)
    if not with_pool:
        pytest.skip("no attack is registered that has a pool of candidates")


@every_attack
def test_what_draws_names_a_seed(attack: Attack) -> None:
    draws = check.draws(attack)
    assert check.names_seeds(attack) or not draws


@every_attack
def test_interrupted_and_resumed_equals_uninterrupted(attack: Attack) -> None:
    if not check.check_resumed(attack):
        pytest.skip("keeps nothing on the way")


@every_attack
def test_a_row_is_answered_alone_as_in_a_batch(attack: Attack) -> None:
    if all_needs(attack).population:
        pytest.skip("sees all answers at once")
    check.check_rows(attack)


@pytest.mark.filterwarnings("ignore:overflow")
@every_attack
def test_what_diverges_is_named_and_comes_out_of_nothing(attack: Attack) -> None:
    check.check_divergence(attack)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("of_maps", [False, True])
def test_an_answer_that_is_not_finite_reaches_no_attack(value: float, of_maps: bool) -> None:
    answers = the_world(of_maps).answers.copy()
    answers[3].flat[1] = value
    with pytest.raises(ValueError, match=r"`values` must be finite; got NaN or infinity"):
        Observation(answers)


@pytest.mark.parametrize("cls", REGISTERED)
def test_a_seed_that_is_named_is_used(cls: type[Any]) -> None:
    """By one example at least: another seed gives something else."""
    named = [each for each in map(as_attack, examples(cls)) if check.names_seeds(each)]
    assert not named or any(map(check.draws, named))


# Defences


@every_defense
def test_a_defense_is_a_value_with_words_and_an_identity(defense: Defense) -> None:
    check.check_described(defense)


@every_defense
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_is_sent_is_new_of_the_same_kind_and_finite(defense: Defense, dtype: type[Any]) -> None:
    values = _values(defense).astype(dtype)
    measured, before = defense.measure(values), values.copy()
    sent, again, other = (defense.apply(values, measured, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(values, before)
    assert not np.shares_memory(sent, values)
    assert (sent.shape, sent.dtype) == (values.shape, values.dtype)
    assert np.isfinite(sent).all()
    np.testing.assert_array_equal(sent, again)
    assert np.array_equal(sent, other) != defense.draws
    assert bool(measured) == bool(defense.measures)
    assert defense.bytes_per_image(values.shape[1:]) >= 1


@every_defense
def test_a_row_is_defended_alone_as_in_a_batch(defense: Defense) -> None:
    values = _values(defense)
    values[1] = values[0]
    defended = Defended(values, defense, defense.measure(values), seed=3)
    together = defended[:]
    for rows in (slice(0, 1), slice(4, 6), np.array([5, 2])):
        np.testing.assert_array_equal(defended[rows], together[rows])
    assert (
        np.array_equal(together[0], together[1]) != defense.draws
    )  # of equal rows each gets a draw of its own


@every_defense
def test_who_knows_a_defense_sees_in_a_graph_what_is_sent_on_average(defense: Defense) -> None:
    values = _values(defense)
    measured, given = defense.measure(values), tf.constant(values)
    if not defense.differentiable:
        with pytest.raises(NotImplementedError, match="has no gradients"):
            defense.in_graph(given, measured)
        return
    with tf.GradientTape() as tape:
        tape.watch(given)
        found = defense.in_graph(given, measured)
    draws = 1_000 if defense.draws else 1
    mean = sum(defense.apply(values, measured, seed=seed) for seed in range(draws)) / draws
    np.testing.assert_allclose(found, mean, atol=0.2 if defense.draws else 1e-6)
    assert np.abs(tape.gradient(found, given)).max() > 0


@every_defense
def test_another_model_answers_only_where_a_defense_hardens(defense: Defense) -> None:
    check.check_hardened(defense)


def _values(defense: Defense) -> Any:
    return np.random.default_rng(1).standard_normal((8, 2, 2, 6) if defense.of_maps else (8, 4), np.float32)
