"""What all defences have in common: identity, bytes, and values that are defended as they are read."""

import json

import numpy as np
import pytest

from mi_keras.defenses.answers import Noise, Rounding, Truncation
from mi_keras.defenses.defense import Defended, Defense, bytes_of
from mi_keras.defenses.maps import KeptMaps, NoisyMaps, QuantizedMaps
from mi_keras.progress import Run
from mi_keras.types import Images

ALL = [Rounding(2), Truncation(3), Noise(0.5), KeptMaps((1, 0)), QuantizedMaps(3), NoisyMaps(0.1)]
DRAWING = [Noise(0.5), NoisyMaps(0.5)]


def _values(defense: Defense, count: int = 9) -> np.ndarray:
    """Values that this defence is for: vectors of ten classes, or small maps."""
    shape = (4, 5, 3) if isinstance(defense, KeptMaps | QuantizedMaps | NoisyMaps) else (10,)
    return np.random.default_rng(2).standard_normal((count, *shape), np.float32)


def _defended(defense: Defense, seed: int = 1) -> Defended:
    values = _values(defense)
    return Defended(values, defense, defense.measure(values), seed)


class Counting:
    """Rows that note how many of them are read."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.dtype, self.read = values, values.shape, values.dtype, []

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows):
        self.read.append(len(self.values[rows]))
        return self.values[rows]


# Identity and defaults


def test_name_and_settings_tell_defenses_apart() -> None:
    identities = {json.dumps(defense.identity, sort_keys=True) for defense in (*ALL, Rounding(3), Noise(0.1))}
    assert len(identities) == len(ALL) + 2
    assert Rounding(2).identity == {"name": "Rounding", "decimals": 2}
    assert NoisyMaps(0.5).identity != Noise(0.5).identity


@pytest.mark.parametrize("defense", ALL)
def test_the_model_and_the_images_of_the_defender_are_left_alone(defense: Defense) -> None:
    images = Images(np.zeros((1, 4, 4, 1), np.float32), np.zeros(1, np.int64), np.zeros(1, np.uint64))
    model = object()
    assert defense.harden(model, images, Run()) is model
    assert not defense.hardens


def test_only_maps_that_are_scaled_are_measured() -> None:
    assert [defense.measures for defense in ALL] == [""] * 4 + ["map_statistics"] * 2
    assert [bool(defense.measure(_values(defense))) for defense in ALL] == [False] * 4 + [True] * 2


def test_values_travel_as_float16_where_nothing_is_done_to_their_number_or_bits() -> None:
    assert bytes_of((12, 12, 672)) == 2 * 12 * 12 * 672
    assert bytes_of((10,)) == 20
    for defense in (Rounding(2), Truncation(3), Noise(0.5), NoisyMaps(0.1)):
        assert defense.bytes_per_image((4, 5, 3)) == 120


# Values behind a defence


@pytest.mark.parametrize("defense", DRAWING)
def test_noise_is_drawn_once_per_image_whatever_is_read_together(defense: Defense) -> None:
    sent = _defended(defense)
    whole = sent[:]
    for rows in (
        slice(2, 7),
        slice(8, 20),
        slice(None, None, 3),
        [4],
        [7, 0, 7],
        np.array([8, 1]),
        whole[:, 0].ravel()[:9] > 0,
    ):
        np.testing.assert_array_equal(sent[rows], whole[rows])
    np.testing.assert_array_equal(np.concatenate([sent[i : i + 2] for i in range(0, 9, 2)]), whole)
    np.testing.assert_array_equal(sent[:], whole)


@pytest.mark.parametrize("defense", DRAWING)
def test_each_image_and_each_seed_has_noise_of_its_own(defense: Defense) -> None:
    noise = _defended(defense)[:] - _values(defense)
    other = _defended(defense, seed=2)[:] - _values(defense)
    rows = np.concatenate([noise, other]).reshape(18, -1)
    assert len({row.round(4).tobytes() for row in rows}) == 18
    assert np.abs(rows).max(axis=1).min() > 0.1


@pytest.mark.parametrize("defense", [defense for defense in ALL if not defense.draws])
def test_without_noise_the_values_are_those_of_the_defence_at_once(defense: Defense) -> None:
    values, sent = _values(defense), _defended(defense)
    expected = defense.apply(values, defense.measure(values), seed=99)
    np.testing.assert_array_equal(sent[:], expected)
    np.testing.assert_array_equal(sent[[5, 2]], expected[[5, 2]])


@pytest.mark.parametrize("defense", ALL)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_shape_type_and_length_are_known_before_anything_is_read(defense: Defense, dtype: type) -> None:
    rows = Counting(_values(defense).astype(dtype))
    sent = Defended(rows, defense, defense.measure(rows.values), seed=1)
    assert (len(sent), sent.shape, sent.dtype) == (9, rows.shape, dtype)
    assert rows.read == []
    part = sent[3:5]
    assert rows.read == [2]
    assert (part.shape, part.dtype) == ((2, *rows.shape[1:]), dtype)
    assert sent[4:4].shape == (0, *rows.shape[1:])
