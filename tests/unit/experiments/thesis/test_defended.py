"""A defence acts on both sides, and is charged with what the honest user really gets."""

import numpy as np
import pytest

from mi_keras.defenses.answers import Truncation
from mi_keras.experiments.thesis.defended import attack_all
from mi_keras.experiments.thesis.rows import PROTOTYPE, Name
from tests.unit.experiments import tiny

LABELS = {"none": "nothing", "k=1": "k = 1"}


@pytest.fixture(scope="module")
def attacked(bench):
    """A bench, what a section on a defence measures with it, and the plan of each row."""
    sweep = attack_all(tiny.Config(), [bench], {"none": None, "k=1": Truncation(1)}, LABELS, {})
    return bench, sweep, {name: runs[0] for name, runs in sweep.plans.items()}


def ancestors(stage):
    return [stage, *(each for earlier in stage.upstream for each in ancestors(earlier))]


@pytest.mark.parametrize("combination", ["o", "x"])
def test_the_inverter_learns_from_defended_vectors_and_is_given_defended_vectors(attacked, combination):
    _, _, plans = attacked
    behind = [
        s.identity["subset"]
        for s in ancestors(plans[Name(combination, "k=1")].scored)
        if "defense" in s.identity
    ]
    assert set(behind) == {"shadow_train", "test"}
    plain = ancestors(plans[Name(combination, "none")].scored)
    assert not [stage for stage in plain if "defense" in stage.identity]


def test_costs_are_those_of_the_defended_vectors_and_gains_those_over_the_prototype(attacked):
    bench, sweep, plans = attacked
    none, kept = sweep.costs[Name("none")], sweep.costs[Name("k=1")]
    labels, vectors = bench.splits.test.labels, plans[Name("o", "none")].observed.read().vectors
    truncated = np.where(vectors == vectors.max(axis=1, keepdims=True), vectors, 0)
    assert none.mean("accuracy") == pytest.approx(np.mean(vectors.argmax(axis=1) == labels))
    assert kept.mean("accuracy") == pytest.approx(np.mean(truncated.argmax(axis=1) == labels))
    confidence = np.exp(truncated).max(axis=1) / np.exp(truncated).sum(axis=1)
    right = truncated.argmax(axis=1) == labels
    bins = np.minimum((confidence * 15).astype(int), 14)
    by_hand = sum(abs((right[bins == b] - confidence[bins == b]).sum()) for b in range(15)) / len(labels)
    assert kept.mean("ece") == pytest.approx(by_hand, abs=1e-6)
    for combination in ("o", "x"):
        own = plans[Name(combination, "k=1")].scored.arrays["ssim"]
        gain = (own - plans[Name(PROTOTYPE)].scored.arrays["ssim"]).mean()
        assert kept.mean(f"gain_{combination}") == pytest.approx(gain, abs=1e-6)


def test_the_prototype_answers_what_the_undefended_model_predicts(attacked):
    _, _, plans = attacked
    prototype = plans[Name(PROTOTYPE)]
    images = prototype.learned.arrays["images"]
    predicted = plans[Name("o", "none")].observed.read().vectors.argmax(axis=1)
    np.testing.assert_allclose(prototype.scored.arrays["images"], images[predicted], atol=1e-3)
