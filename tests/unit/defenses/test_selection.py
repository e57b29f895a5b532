"""Map selection on linear models, where the right maps are known or can be found by trying all of them."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from mi_keras.defenses.maps import MapStatistics
from mi_keras.defenses.selection import (
    greedy_for_tail,
    highest_variance,
    lowest_reconstruction_gradient,
    random_maps,
)
from mi_keras.errors import InputError

SIZE = 3  # height and width of the maps


def _maps(count: int, channels: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, SIZE, SIZE, channels), np.float32)


def _linear_tail(weights: np.ndarray) -> keras.Model:
    """Logits: the mean of each map over its positions times `weights`, `(channels, classes)`."""
    inputs = keras.Input((SIZE, SIZE, len(weights)))
    dense = keras.layers.Dense(weights.shape[1], use_bias=False)
    tail = keras.Model(inputs, dense(keras.layers.GlobalAveragePooling2D()(inputs)))
    dense.set_weights([weights])
    return tail


def _divergence(maps: np.ndarray, weights: np.ndarray, kept: tuple[int, ...]) -> float:
    """Mean KL divergence of the linear tail's answer to the kept maps from that to all, in NumPy."""
    means = maps.astype(np.float64).mean(axis=(1, 2))
    log_p, log_q = (
        logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        for logits in (means @ weights, means[:, list(kept)] @ weights[list(kept)])
    )
    return float((np.exp(log_p) * (log_p - log_q)).sum(axis=1).mean())


# At random, by variance


def test_random_maps_are_different_ascending_and_nested() -> None:
    chosen = [random_maps(50, m, seed=4) for m in range(1, 51)]
    for m, kept in enumerate(chosen, start=1):
        assert len(set(kept)) == m
        assert list(kept) == sorted(kept)
        assert all(isinstance(number, int) for number in kept)
    assert all(set(fewer) < set(more) for fewer, more in itertools.pairwise(chosen))
    assert chosen[-1] == tuple(range(50))
    assert random_maps(50, 10, seed=4) == chosen[9] != random_maps(50, 10, seed=5)


def test_random_maps_are_drawn_evenly() -> None:
    """Each of 10 maps is among 3 of 10 with probability 0.3; over 2,000 seeds its deviation is 0.0102."""
    counts = np.bincount(np.concatenate([random_maps(10, 3, seed) for seed in range(2000)]), minlength=10)
    assert np.abs(counts / 2000 - 0.3).max() < 0.045


def test_highest_variance_prefers_the_lower_of_equal_maps() -> None:
    deviation = np.array([1, 3, 0, 3, 2, 3], np.float32)
    statistics = MapStatistics(-deviation, deviation, 0 * deviation, deviation)
    assert highest_variance(statistics, 2) == (1, 3)
    assert highest_variance(statistics, 4) == (1, 3, 4, 5)


# By the adversary's decoder


def test_a_linear_decoder_relies_on_a_map_by_weight_times_deviation() -> None:
    """d loss / d map is residual * weight: the mean of its size times the deviation ranks like |weight| * deviation."""
    scale = np.array([1.0, 10.0, 0.1, 2.0, 1.0, 5.0], np.float32)
    weight = np.array([1.0, -0.01, 20.0, 0.0, -3.0, 0.5], np.float32)
    maps = scale * _maps(30, 6)
    maps[..., 2] += 100.0  # a large constant tells nothing
    images = (maps @ weight[:, None]) + _maps(30, 1, seed=9)
    inputs = keras.Input((SIZE, SIZE, 6))
    layer = keras.layers.Conv2D(1, 1, use_bias=False)
    decoder = keras.Model(inputs, layer(inputs))
    layer.set_weights([weight.reshape(1, 1, 6, 1)])

    def loss(images: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean((images - outputs) ** 2, axis=(1, 2, 3))

    ranking = np.argsort(np.abs(weight) * scale)  # 0, 0.1, 1, 2, 2.5, 3
    for m in range(1, 7):
        for batch_size in (7, 64):
            kept = lowest_reconstruction_gradient(decoder, maps, images, m, loss=loss, batch_size=batch_size)
            assert kept == tuple(sorted(ranking[:m].tolist()))
    half = lowest_reconstruction_gradient(decoder, maps.astype(np.float16), images, 3, loss=loss)
    assert half == tuple(sorted(ranking[:3].tolist()))
    np.testing.assert_array_equal(layer.get_weights()[0].ravel(), weight)


def test_the_loss_gets_the_images_as_they_are() -> None:
    """Bytes stay bytes, so that a loss can tell them from numbers in [0, 1]."""
    inputs, seen = keras.Input((SIZE, SIZE, 2)), []

    def loss(images: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        seen.append(images.dtype)
        return tf.reduce_sum((tf.cast(images, tf.float32) - outputs) ** 2, axis=(1, 2, 3))

    decoder, maps = keras.Model(inputs, 1.0 * inputs), _maps(4, 2)
    for dtype in (np.uint8, np.float32):
        lowest_reconstruction_gradient(decoder, maps, np.ones((4, SIZE, SIZE, 2), dtype), 1, loss=loss)
    assert seen == [tf.uint8, tf.float32]


def test_a_gradient_that_is_not_finite_is_reported() -> None:
    inputs = keras.Input((SIZE, SIZE, 2))
    with pytest.raises(FloatingPointError, match="the score of a map is not finite"):
        lowest_reconstruction_gradient(
            keras.Model(inputs, 1.0 * inputs),
            _maps(2, 2),
            _maps(2, 2),
            1,
            loss=lambda images, outputs: tf.reduce_sum(
                tf.sqrt(outputs), axis=(1, 2, 3)
            ),  # of negative numbers
        )


# By the tail


def test_maps_that_the_tail_ignores_go_first() -> None:
    weights = np.random.default_rng(6).standard_normal((20, 5)).astype(np.float32)
    ignored = [0, 3, 4, 9, 13, 19]
    weights[ignored] = 0
    used = tuple(sorted(set(range(20)) - set(ignored)))
    assert greedy_for_tail(_linear_tail(weights), _maps(40, 20), [14], seed=1) == {14: used}


def test_maps_of_one_logit_are_kept_by_the_size_of_what_they_add() -> None:
    """Two classes, small logits (s, 0): the divergence of maps left out is 1/8 of the mean square of what they add."""
    weights = np.zeros((8, 2), np.float32)
    weights[:, 0] = [0.15, -0.025, 0.1, 0.4, -0.2, 0.05, 0.3, -0.075]
    signs = np.array(list(itertools.product([-1, 1], repeat=8)), np.float32)  # independent of each other
    maps = np.broadcast_to(signs[:, None, None], (256, SIZE, SIZE, 8))
    found = greedy_for_tail(_linear_tail(weights), maps, range(1, 9), seed=1, batch_size=100)
    ranking = np.argsort(-np.abs(weights[:, 0]))
    assert found == {m: tuple(sorted(ranking[:m].tolist())) for m in range(1, 9)}
    lost = (weights[ranking[3:], 0] ** 2).sum() / 8
    assert _divergence(maps, weights, found[3]) == pytest.approx(lost, rel=0.15)


def test_of_two_maps_that_cancel_both_go() -> None:
    """Constant maps that add 0.5 and -0.5 to one logit: once one is gone, the other is the best to drop."""
    weights = np.zeros((4, 2), np.float32)
    weights[:, 0] = [0.5, 0.9, -0.5, -0.7]
    maps = np.ones((1, SIZE, SIZE, 4), np.float32)
    assert greedy_for_tail(_linear_tail(weights), maps, [2], seed=1) == {2: (1, 3)}


@pytest.mark.parametrize("seed", range(5))
def test_greedy_is_close_to_the_best_of_all_subsets(seed: int) -> None:
    weights = np.random.default_rng(seed).normal(0, 1.5, (9, 6)).astype(np.float32)
    maps = _maps(200, 9, seed)
    for m, kept in greedy_for_tail(_linear_tail(weights), maps, [3, 6], seed=1).items():
        every = [_divergence(maps, weights, subset) for subset in itertools.combinations(range(9), m)]
        assert _divergence(maps, weights, kept) <= min(every) + 0.05 * (np.median(every) - min(every))


def test_greedy_is_nested_repeatable_and_leaves_the_tail() -> None:
    weights = np.random.default_rng(6).standard_normal((20, 5)).astype(np.float32)
    tail, maps = _linear_tail(weights), _maps(30, 20).astype(np.float16)
    before = maps.copy()
    found = greedy_for_tail(tail, maps, (2, 20, 7, 7), seed=3)
    assert sorted(found) == [2, 7, 20]
    assert set(found[2]) < set(found[7]) < set(found[20]) == set(range(20))
    assert found == greedy_for_tail(tail, maps, (2, 20, 7), seed=3, batch_size=4)
    np.testing.assert_array_equal(tail.get_weights()[0], weights)
    np.testing.assert_array_equal(maps, before)


@pytest.mark.parametrize(
    ("select", "name"),
    [
        (lambda m: random_maps(4, m, 1), "m"),
        (lambda m: highest_variance(MapStatistics(*np.zeros((4, 4), np.float32)), m), "m"),
        (lambda m: lowest_reconstruction_gradient(None, _maps(1, 4), _maps(1, 4), m, loss=None), "m"),
        (lambda m: greedy_for_tail(None, _maps(1, 4), [m], seed=1), "counts"),
    ],
)
@pytest.mark.parametrize("m", [0, 5])
def test_more_maps_than_there_are_or_none_are_refused(select, name: str, m: int) -> None:
    with pytest.raises(
        InputError, match=rf"^`{name}` must be between 1 and 4, the number of maps; got {m}\.$"
    ):
        select(m)


def test_maps_and_images_must_be_pairs() -> None:
    with pytest.raises(InputError, match=r"^`images` must be as many as `maps`, 2; got 3\.$"):
        lowest_reconstruction_gradient(None, _maps(2, 4), _maps(3, 4), 1, loss=None)
