"""What `--defend` may name, and a defence in the numbers that it is for."""

import numpy as np
import pytest

from mi_keras.auditing.behind import Behind
from mi_keras.auditing.defence_specs import Spec, parse_spec
from mi_keras.auditing.options import Options
from mi_keras.defenses.answers import Noise, Temperature
from mi_keras.defenses.maps import KeptMaps, NoisyMaps, QuantizedMaps
from mi_keras.errors import InputError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rounding=3", Spec("rounding=3", "rounding", 3)),
        ("noise=.5", Spec("noise=.5", "noise", 0.5)),
        ("label", Spec("label", "label")),
        ("kept=8", Spec("kept=8", "kept", 8)),
        ("kept=0.25", Spec("kept=0.25", "kept", 0.25, is_share=True)),
    ],
)
def test_a_defence_is_read(text, expected):
    assert parse_spec(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "rounding", "rounding=8", "rounding=1.5", "rounding=-1", "top=0", "temperature=0", "noise=0", "noise=nan", "label=1", "bits=9",
     "bits=0", "kept=0", "kept=1.0", "kept=1.5", "blur=3", "noise=1e3", "noise=0.5=1"],
)  # fmt: skip
def test_what_is_no_defence_is_refused_where_options_are_made(text):
    with pytest.raises(
        InputError, match=r"`defend` must be one of rounding=0\.\.7.*label for an output, bits=1"
    ) as caught:
        Options(defend=(text,))
    assert "\n" not in str(caught.value)


def test_sends_are_whole_numbers():
    with pytest.raises(InputError, match="`sends` must be"):
        Options(sends=0)


def shares(count=300, classes=5):
    logits = 2 * np.random.default_rng(1).standard_normal((count, classes)).astype(np.float32)
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_temperature_of_probabilities_is_that_of_their_logarithm():
    """p^(1/T) / sum p^(1/T); of a sigmoid unit the odds take the root."""
    values = shares()
    roots = values ** (1 / 3)
    sent = Behind(Temperature(3.0), "probabilities").apply(values, {}, seed=1)
    np.testing.assert_allclose(sent, roots / roots.sum(1, keepdims=True), rtol=1e-4)
    unit = Behind(Temperature(3.0), "one sigmoid unit").apply(values[:, :1], {}, seed=1)
    np.testing.assert_allclose(unit / (1 - unit), (values[:, :1] / (1 - values[:, :1])) ** (1 / 3), rtol=1e-3)


def test_noise_leaves_probabilities_that_sum_to_one():
    sent = Behind(Noise(2.0), "probabilities").apply(shares(), {}, seed=1)
    assert sent.min() > 0
    np.testing.assert_allclose(sent.sum(1), 1, rtol=1e-5)


def test_of_a_layer_of_numbers_each_is_a_map():
    """Noise in proportion to each number's own deviation; a number that never changes stays."""
    scales = np.array([0.0, 1.0, 10.0], np.float32)
    values = np.random.default_rng(2).standard_normal((4000, 3)).astype(np.float32) * scales
    defense = Behind(NoisyMaps(0.5))
    sent = defense.apply(values, defense.measure(values), seed=1)
    np.testing.assert_allclose((sent - values).std(axis=0), 0.5 * scales, rtol=0.05)
    kept = Behind(KeptMaps((2,)))
    np.testing.assert_array_equal(kept.apply(values, {}, seed=1), values * [0, 0, 1])
    assert kept.bytes_per_image((3,)) == 2
    bits = Behind(QuantizedMaps(2))
    assert len(np.unique(bits.apply(values, bits.measure(values), seed=1)[:, 1])) == 4
