"""Map defences against closed forms: the error of even levels, the deviation of noise, bytes counted by hand."""

import re
from dataclasses import asdict

import numpy as np
import pytest

from mi_keras.defenses.defense import Defense
from mi_keras.defenses.maps import KeptMaps, MapStatistics, NoisyMaps, QuantizedMaps, map_statistics
from mi_keras.errors import InputError

SCALES = np.array([0.1, 1.0, 30.0], np.float32)


def _uniform(count: int = 40, dtype: type = np.float32) -> np.ndarray:
    """Maps `(count, 12, 12, 3)` whose values are spread evenly over [0, scale)."""
    return (SCALES * np.random.default_rng(5).random((count, 12, 12, 3), np.float32)).astype(dtype)


def _statistics(low: float = 0.0, high: float = 1.0, deviation: float = 1.0) -> MapStatistics:
    return MapStatistics(low * SCALES, high * SCALES, (low + high) / 2 * SCALES, deviation * SCALES)


def _sent(
    maps: np.ndarray, defense: Defense, statistics: MapStatistics | None = None, seed: int = 1
) -> np.ndarray:
    return defense.apply(maps, asdict(statistics) if statistics else {}, seed=seed)


# Statistics


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("batch", [1, 7, 64])
def test_statistics_are_those_of_all_values_at_once(dtype: type, batch: int) -> None:
    maps = _uniform(dtype=dtype)
    statistics, values = map_statistics(maps, batch), maps.astype(np.float64)
    np.testing.assert_allclose(statistics.mean, values.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(statistics.deviation, values.std(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(statistics.low, maps.min(axis=(0, 1, 2)))
    np.testing.assert_array_equal(statistics.high, maps.max(axis=(0, 1, 2)))


def test_statistics_read_a_memory_map(tmp_path) -> None:
    np.save(tmp_path / "maps.npy", _uniform())
    stored = map_statistics(np.load(tmp_path / "maps.npy", mmap_mode="r"), 8)
    np.testing.assert_array_equal(stored.deviation, map_statistics(_uniform(), 8).deviation)


def test_statistics_refuse_what_is_no_map() -> None:
    for shape in ((0, 12, 12, 3), (4, 12, 12)):
        with pytest.raises(InputError, match=f"`maps` must be .* got {re.escape(str(shape))}"):
            map_statistics(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="must be finite; got NaN or infinity"):
        map_statistics(np.full((1, 2, 2, 1), np.nan, np.float32))
    with pytest.raises(ValueError, match="`low` <= `mean` <= `high` and `deviation` >= 0 must hold"):
        _statistics(low=1, high=0)
    with pytest.raises(ValueError, match=r"must be \(channels,\) each"):
        MapStatistics(SCALES, SCALES, SCALES, SCALES[:2])


# Kept maps


def test_kept_maps_stay_and_the_others_are_zero() -> None:
    maps = _uniform()
    sent = _sent(maps, KeptMaps((2, 0)))
    np.testing.assert_array_equal(sent[..., [0, 2]], maps[..., [0, 2]])
    assert not sent[..., 1].any()


# Quantisation


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_inside_the_range_the_error_is_at_most_half_a_step_and_that_of_a_uniform_rounding(bits: int) -> None:
    maps, step = _uniform(), SCALES / 2**bits
    error = _sent(maps, QuantizedMaps(bits), _statistics()) - maps
    assert (np.abs(error) <= step / 2 * (1 + 1e-3)).all()
    np.testing.assert_allclose((error**2).mean(axis=(0, 1, 2)), step**2 / 12, rtol=0.05)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_bits_are_levels(bits: int) -> None:
    quantized = _sent(_uniform(100), QuantizedMaps(bits), _statistics())
    for channel in range(3):
        assert len(np.unique(quantized[..., channel])) == 2**bits


def test_one_bit_is_the_middle_of_either_half() -> None:
    maps = np.array([0.0, 0.49, 0.51, 1.0], np.float32).reshape(1, 2, 2, 1) * np.ones(3, np.float32) * SCALES
    quantized = _sent(maps, QuantizedMaps(1), _statistics())
    np.testing.assert_allclose(quantized[0, :, :, 1].ravel(), [0.25, 0.25, 0.75, 0.75])


def test_values_outside_the_range_take_the_end_levels() -> None:
    maps = np.array([-9.0, 9.0], np.float32).reshape(1, 1, 2, 1) * SCALES
    quantized = _sent(maps, QuantizedMaps(2), _statistics(-1, 1))
    np.testing.assert_allclose(quantized[0, 0] / SCALES, [[-0.75] * 3, [0.75] * 3], rtol=1e-6)


def test_one_bright_position_does_not_stretch_the_range() -> None:
    """99 zeros and a 1: mean 0.01, deviation sqrt(0.01 * 0.99), and one bit reaches 1.3 deviations."""
    maps = np.zeros((1, 10, 10, 2), np.float32)
    maps[0, 3, 4] = [1, -1]
    quantized = _sent(maps, QuantizedMaps(1), map_statistics(maps))
    end = 0.01 + 1.3 * np.sqrt(0.0099)
    np.testing.assert_allclose(quantized[0, 0, 0], [end / 4, -end / 4], rtol=1e-5)
    np.testing.assert_allclose(quantized[0, 3, 4], [3 * end / 4, -3 * end / 4], rtol=1e-5)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_range_is_close_to_the_best_for_a_heavy_tail(bits: int) -> None:
    """Of all symmetric ranges for values of a Laplace distribution, few have a smaller error, and none by much."""
    values = np.random.default_rng(4).laplace(size=(50, 50, 80, 1)).astype(np.float32)
    statistics = map_statistics(values)
    error = ((_sent(values, QuantizedMaps(bits), statistics) - values) ** 2).mean()
    errors = []
    for reach in np.linspace(0.5, 16, 63):
        step = 2 * reach / 2**bits
        number = np.clip(np.floor((values + reach) / step), 0, 2**bits - 1)
        errors.append(((-reach + (number + 0.5) * step - values) ** 2).mean())
    assert error < 1.05 * min(errors)


def test_fewer_bits_err_more() -> None:
    maps = _uniform()
    errors = [
        np.abs(_sent(maps, QuantizedMaps(bits), map_statistics(maps)) - maps).mean() for bits in range(1, 9)
    ]
    assert errors == sorted(errors, reverse=True)


def test_a_map_that_never_changes_keeps_its_value() -> None:
    maps = np.full((2, 3, 3, 1), -0.375, np.float32)
    np.testing.assert_array_equal(_sent(maps, QuantizedMaps(1), map_statistics(maps)), maps)


# Noise


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_noise_is_in_proportion_to_the_deviation_of_each_map(ratio: float) -> None:
    maps = _uniform(200)
    statistics = map_statistics(maps)
    noise = _sent(maps, NoisyMaps(ratio), statistics, seed=3) - maps
    np.testing.assert_allclose(noise.std(axis=(0, 1, 2)), ratio * SCALES / np.sqrt(12), rtol=0.02)
    assert (np.abs(noise.mean(axis=(0, 1, 2))) < 0.03 * ratio * SCALES).all()
    correlation = np.corrcoef(noise.reshape(-1, 3), rowvar=False) - np.eye(3)
    assert np.abs(correlation).max() < 0.03


def test_noise_is_drawn_from_its_seed() -> None:
    maps, statistics = _uniform(), _statistics()
    first, again, other = (_sent(maps, NoisyMaps(1.0), statistics, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1


# All


@pytest.mark.parametrize("defense", [KeptMaps((1,)), QuantizedMaps(3), NoisyMaps(0.1)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_defense_leaves_its_argument_and_keeps_shape_and_type(defense, dtype: type) -> None:
    maps = _uniform(dtype=dtype)
    before = maps.copy()
    defended = _sent(maps, defense, _statistics())
    assert (defended.shape, defended.dtype) == (maps.shape, maps.dtype)
    assert not np.shares_memory(defended, maps)
    np.testing.assert_array_equal(maps, before)


@pytest.mark.parametrize(
    ("defense", "expected"),
    [
        (Defense(), 2 * 12 * 12 * 672),
        (NoisyMaps(0.5), 2 * 12 * 12 * 672),
        (KeptMaps(tuple(range(0, 672, 7))), 2 * 12 * 12 * 96),
        (QuantizedMaps(8), 12 * 12 * 672),
        (QuantizedMaps(1), 12 * 12 * 84),
    ],
)
def test_bytes_counted_by_hand(defense, expected: int) -> None:
    assert defense.bytes_per_image((12, 12, 672)) == expected


def test_bits_fill_whole_bytes() -> None:
    """3 * 3 * 1 values of 3 bits are 27 bits: four bytes."""
    assert QuantizedMaps(3).bytes_per_image((3, 3, 1)) == 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KeptMaps(()), "`kept` must be one or more different numbers >= 0; got ()."),
        (lambda: KeptMaps((1, 1)), "`kept` must be one or more different numbers >= 0; got (1, 1)."),
        (lambda: KeptMaps((-1,)), "`kept` must be one or more different numbers >= 0; got (-1,)."),
        (lambda: KeptMaps((0, 1.5)), "`kept` must be a whole number; got 1.5."),
        (lambda: QuantizedMaps(2.5), "`bits` must be a whole number; got 2.5."),
        (lambda: QuantizedMaps(0), "`bits` must be between 1 and 8; got 0."),
        (lambda: QuantizedMaps(9), "`bits` must be between 1 and 8; got 9."),
        (lambda: NoisyMaps(0.0), "`deviation` must be a positive finite number; got 0.0."),
        (lambda: NoisyMaps(float("nan")), "`deviation` must be a positive finite number; got nan."),
        (
            lambda: _sent(_uniform(), KeptMaps((3,))),
            "`kept` must be numbers < 3, the number of maps; got 3.",
        ),
        (
            lambda: KeptMaps((0, 5)).bytes_per_image((12, 12, 3)),
            "`kept` must be numbers < 3, the number of maps; got 5.",
        ),
        (
            lambda: _sent(_uniform(), NoisyMaps(1.0)),
            "`measured` must be of 3 maps; got None.",
        ),
        (
            lambda: _sent(_uniform()[..., :2], QuantizedMaps(1), _statistics()),
            "`measured` must be of 2 maps; got 3.",
        ),
        (
            lambda: _sent(np.zeros((2, 3, 3)), KeptMaps((0,))),
            "`values` must be float16 or float32 (batch, height, width, channels); got float64 (2, 3, 3).",
        ),
    ],
)
def test_a_broken_rule_is_named_with_what_came(make, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        make()
