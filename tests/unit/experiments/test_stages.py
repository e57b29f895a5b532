"""The shared stages: keyed by everything they depend on, and blind to what the adversary cannot see."""

from dataclasses import replace

import numpy as np
import pytest

from mi_keras.defenses.output_vector import Rounding, Truncation
from mi_keras.settings import HeadSettings
from tests.unit.experiments.tiny import (
    ACTIVATION,
    CLASSIFIER,
    GRADIENT,
    INVERTER,
    PROTOTYPE,
    make_pipeline,
    make_splits,
)


def all_stages(
    pipeline, *, classifier=CLASSIFIER, activation=ACTIVATION, gradient=GRADIENT, inverter=INVERTER,
    prototype=PROTOTYPE, objective="logit_mse", combination="o+a+x",
):  # fmt: skip
    """Every kind of stage of the attack, by name."""
    target, shadow = pipeline.classifier("target", classifier), pipeline.classifier("shadow", classifier)
    known = pipeline.output_vector(shadow, classifier, "shadow_train")
    observed = pipeline.output_vector(target, classifier, "test")
    settings = (shadow, classifier, activation, gradient, objective)
    evidence_known, evidence = pipeline.evidence(known, *settings), pipeline.evidence(observed, *settings)
    trained = pipeline.inverter(evidence_known, combination, inverter)
    return {
        "target": target, "shadow": shadow, "known": known, "observed": observed,
        "known_a": evidence_known.activations, "a": evidence.activations, "known_x": evidence_known.gradient,
        "x": evidence.gradient, "inverter": trained,
        "inversion": pipeline.inversion(trained, evidence, combination, inverter, "test"),
        "scored": pipeline.scored_gradient(evidence, "test"),
        "prototype": pipeline.baseline("class_prototype", prototype),
    }  # fmt: skip


def keys(pipeline, **settings):
    return {name: stage.key for name, stage in all_stages(pipeline, **settings).items()}


ATTACK = {"known_a", "a", "known_x", "x", "inverter", "inversion", "scored"}


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({"classifier": replace(CLASSIFIER, epochs=2)}, {"target", "shadow", "known", "observed", *ATTACK}),
        ({"activation": replace(ACTIVATION, threshold=1.0)}, {"known_a", "a", "inverter", "inversion"}),
        ({"gradient": replace(GRADIENT, tv_weight=0.0)}, {"known_x", "x", "inverter", "inversion", "scored"}),
        (
            {"gradient": replace(GRADIENT, start="random")},
            {"known_x", "x", "inverter", "inversion", "scored"},
        ),
        ({"objective": "cross_entropy"}, {"known_x", "x", "inverter", "inversion", "scored"}),
        ({"inverter": replace(INVERTER, epochs=2)}, {"inverter", "inversion"}),
        ({"combination": "o"}, {"inverter", "inversion"}),
        ({"prototype": replace(PROTOTYPE, steps=3)}, {"prototype"}),
    ],
)
def test_a_setting_moves_the_keys_of_what_depends_on_it_and_no_other(tmp_path, change, moved):
    before, after = keys(make_pipeline(tmp_path)), keys(make_pipeline(tmp_path), **change)
    assert {name for name in before if before[name] != after[name]} == moved


@pytest.mark.parametrize("change", [{"seed": 2}, {"run": 2}, {"data": {"fingerprint": "1"}}])
def test_seed_run_and_data_move_every_key(tmp_path, change):
    before, after = keys(make_pipeline(tmp_path)), keys(make_pipeline(tmp_path, **change))
    assert not [name for name in before if before[name] == after[name]]


def test_no_two_stages_share_a_key(tmp_path):
    found = keys(make_pipeline(tmp_path))
    assert len(set(found.values())) == len(found)


def test_the_true_test_images_reach_the_scores_and_nothing_else(tmp_path):
    """With O given, other truth gives bit-identical evidence and reconstructions, and other scores."""
    honest = make_pipeline(tmp_path / "a")
    stages = all_stages(honest)
    noise = np.random.default_rng(9).random((18, 32, 32, 1), np.float32)
    other = replace(make_splits().test, images=noise, labels=make_splits().test.labels[::-1])
    blind = make_pipeline(tmp_path / "b", splits=make_splits(test=other))
    observed = stages["observed"].arrays
    blind_stages = all_stages(blind)
    assert not np.array_equal(blind_stages["observed"].arrays["output_vector"], observed["output_vector"])
    _put(blind, blind_stages["observed"], observed)  # the adversary sees the same vectors
    blind_stages = all_stages(blind)
    for name, array in (("a", "activations"), ("x", "images"), ("inversion", "images")):
        np.testing.assert_array_equal(
            blind_stages[name].arrays[array], stages[name].arrays[array], err_msg=name
        )
    assert not np.array_equal(blind_stages["inversion"].arrays["ssim"], stages["inversion"].arrays["ssim"])


def test_the_target_models_weights_reach_the_observation_and_nothing_else(tmp_path):
    """Another target model whose answers are the same leads to bit-identical evidence and reconstructions."""
    honest, other = make_pipeline(tmp_path / "a"), make_pipeline(tmp_path / "b")
    stages, changed = all_stages(honest), all_stages(other)
    weights = {
        name: array + 1 if array.dtype == np.float32 else array
        for name, array in stages["target"].arrays.items()
    }
    assert changed["target"].info
    _put(other, changed["target"], weights, changed["target"].info)
    _put(other, changed["observed"], stages["observed"].arrays)
    changed = all_stages(other)
    for name, array in (("a", "activations"), ("x", "images"), ("inversion", "images")):
        np.testing.assert_array_equal(changed[name].arrays[array], stages[name].arrays[array], err_msg=name)


def test_the_target_model_is_refused_in_the_place_of_the_shadow_model(tmp_path):
    pipeline = make_pipeline(tmp_path)
    target = pipeline.classifier("target", CLASSIFIER)
    observed = pipeline.output_vector(target, CLASSIFIER, "test")
    with pytest.raises(ValueError, match="`shadow` must be the shadow model; got the stage of role 'target'"):
        pipeline.evidence(observed, target, CLASSIFIER, ACTIVATION, GRADIENT, "logit_mse")


def test_only_a_head_other_than_the_texts_has_a_key_of_its_own(tmp_path):
    pipeline = make_pipeline(tmp_path)
    plain = pipeline.classifier("target", CLASSIFIER)
    assert pipeline.classifier("target", CLASSIFIER, HeadSettings("none", 0.5)).key == plain.key
    variants = [HeadSettings("relu", 0.5), HeadSettings("none", 0.0), HeadSettings("relu", 0.0)]
    stages = [pipeline.classifier("target", CLASSIFIER, variant) for variant in variants]
    assert len({plain.key, *(stage.key for stage in stages)}) == 4
    relu = pipeline.load_classifier(stages[0], CLASSIFIER)
    assert relu(make_splits().test.images)["activations"].numpy().min() == 0
    with pytest.raises(ValueError, match="`arrays` must hold"):
        pipeline.load_classifier(replace(plain, identity=stages[1].identity), CLASSIFIER)


def test_a_defended_answer_is_the_defence_of_the_answer_and_the_attack_sees_nothing_else(tmp_path):
    pipeline = make_pipeline(tmp_path)
    stages = all_stages(pipeline)
    observed = stages["observed"]
    assert pipeline.defended(observed, None) is observed
    kept = pipeline.defended(observed, Truncation(1))
    vectors, truncated = observed.arrays["output_vector"], kept.arrays["output_vector"]
    np.testing.assert_array_equal(
        truncated, np.where(vectors == vectors.max(axis=1, keepdims=True), vectors, 0)
    )
    settings = (stages["shadow"], CLASSIFIER, ACTIVATION, GRADIENT, "logit_mse")
    evidence = pipeline.evidence(kept, *settings)
    assert {stage.key for stage in evidence.gradient.upstream} == {kept.key, stages["shadow"].key}
    assert not np.array_equal(evidence.load("x").gradient_reconstruction, stages["x"].arrays["images"])
    keys = {
        pipeline.defended(observed, defense).key
        for defense in (Truncation(1), Truncation(2), Rounding(1), Rounding(2))
    }
    assert len(keys) == 4


def test_the_prototype_is_at_no_distance_from_itself(tmp_path):
    pipeline = make_pipeline(tmp_path)
    observed = all_stages(pipeline)["observed"]
    prototype = pipeline.baseline("class_prototype", PROTOTYPE)
    answers = pipeline.scored_baseline(prototype, observed, "test")
    distance = pipeline.prototype_distance(answers, prototype, observed).arrays["distance"]
    np.testing.assert_allclose(distance, 0, atol=2e-3)  # images are kept as float16
    average = pipeline.scored_baseline(pipeline.baseline("class_average", PROTOTYPE), observed, "test")
    assert pipeline.prototype_distance(average, prototype, observed).arrays["distance"].min() > 0.01


def test_random_starts_of_known_and_attacked_vectors_differ(tmp_path):
    """Equal noise would let the inverter recognise the noise of a training image in an attacked one."""
    frozen = replace(ACTIVATION, threshold=1e6)  # no vector moves: A^L is the start
    stages = all_stages(make_pipeline(tmp_path), activation=frozen)
    known, attacked = stages["known_a"].arrays["activations"], stages["a"].arrays["activations"]
    assert known.shape == attacked.shape == (18, 50)
    assert not np.intersect1d(known, attacked).size
    still = replace(GRADIENT, steps=1, start="random", learning_rate=1e-9)
    stages = all_stages(make_pipeline(tmp_path), gradient=still)
    assert not np.allclose(stages["known_x"].arrays["images"], stages["x"].arrays["images"], atol=1e-3)


def _put(pipeline, stage, arrays, info=None):
    """Store a result under a stage's key in place of the one computed there."""
    unfinished = pipeline.store.root / "unfinished" / stage.key
    pipeline.store._write(stage, arrays, info or {}, 0.0, unfinished)
