"""A defence acts on both sides, and is charged with what the honest user really gets."""

from dataclasses import dataclass

import numpy as np
import pytest

from mi_keras.defenses.output_vector import Truncation
from mi_keras.experiments.thesis.defended import attack, attack_rows, cost_rows, row_name
from mi_keras.experiments.thesis.image_rows import PROTOTYPE, by_row
from mi_keras.settings import (
    ActivationSettings,
    ClassifierSettings,
    GradientSettings,
    InverterSettings,
    PrototypeSettings,
)
from tests.unit.experiments import tiny


@dataclass(frozen=True)
class Config:
    combinations: tuple[str, ...] = ("o", "x")
    classifier: ClassifierSettings = tiny.CLASSIFIER
    gradient: GradientSettings = tiny.GRADIENT
    activation: ActivationSettings = tiny.ACTIVATION
    inverter: InverterSettings = tiny.INVERTER
    prototype: PrototypeSettings = tiny.PROTOTYPE


LABELS = {"none": "nothing", "k=1": "k = 1"}


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    pipeline = tiny.make_pipeline(tmp_path_factory.mktemp("store"))
    scored, seen = attack(Config(), pipeline, {"none": None, "k=1": Truncation(1)})
    return pipeline, scored, seen


def ancestors(stage):
    return [stage, *(each for earlier in stage.upstream for each in ancestors(earlier))]


@pytest.mark.parametrize("combination", ["o", "x"])
def test_the_inverter_learns_from_defended_vectors_and_is_given_defended_vectors(attacked, combination):
    _, scored, _ = attacked
    behind = [
        s.identity["subset"]
        for s in ancestors(scored[row_name(combination, "k=1")])
        if "defense" in s.identity
    ]
    assert set(behind) == {"shadow_train", "test"}
    plain = ancestors(scored[row_name(combination, "none")])
    assert not [stage for stage in plain if "defense" in stage.identity]


def test_costs_are_those_of_the_defended_vectors_and_gains_those_over_the_prototype(attacked):
    pipeline, scored, seen = attacked
    stages = by_row([scored])
    rows = attack_rows(stages, Config(), LABELS, {})
    none, kept = cost_rows([seen], [pipeline], rows, Config(), LABELS)
    labels, vectors = pipeline.splits.test.labels, seen["none"].arrays["output_vector"]
    truncated = np.where(vectors == vectors.max(axis=1, keepdims=True), vectors, 0)
    assert none.mean("accuracy") == pytest.approx(np.mean(vectors.argmax(axis=1) == labels))
    assert kept.mean("accuracy") == pytest.approx(np.mean(truncated.argmax(axis=1) == labels))
    confidence = np.exp(truncated).max(axis=1) / np.exp(truncated).sum(axis=1)
    right = truncated.argmax(axis=1) == labels
    bins = np.minimum((confidence * 15).astype(int), 14)
    by_hand = sum(abs((right[bins == b] - confidence[bins == b]).sum()) for b in range(15)) / len(labels)
    assert kept.mean("ece") == pytest.approx(by_hand, abs=1e-6)
    for combination in ("o", "x"):
        own = scored[row_name(combination, "k=1")].arrays["ssim"]
        gain = (own - scored[PROTOTYPE].arrays["ssim"]).mean()
        assert kept.mean(f"gain_{combination}") == pytest.approx(gain, abs=1e-6)


def test_the_prototype_answers_what_the_undefended_model_predicts(attacked):
    pipeline, scored, seen = attacked
    prototype = pipeline.baseline(PROTOTYPE, tiny.PROTOTYPE).arrays["images"]
    predicted = seen["none"].arrays["output_vector"].argmax(axis=1)
    np.testing.assert_allclose(scored[PROTOTYPE].arrays["images"], prototype[predicted], atol=1e-3)
