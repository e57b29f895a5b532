"""The stages that a case is planned as: keyed by everything they depend on, and blind to what the adversary cannot see."""

from dataclasses import replace

import numpy as np
import pytest

from mi_keras.attacks.attack import Direct
from mi_keras.attacks.gradient import GradientImage
from mi_keras.defenses.answers import Rounding, Truncation
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.thesis.bench import GRAY_BOX
from mi_keras.experiments.thesis.rows import AVERAGE, MATCHED, PROTOTYPE, Name, baselines, inversion
from mi_keras.settings import HeadSettings
from tests.unit.experiments.tiny import (
    ACTIVATION,
    CLASSIFIER,
    GRADIENT,
    INVERTER,
    Config,
    make_bench,
    make_splits,
)
from tests.unit.experiments.tiny import PROTOTYPE as PROTOTYPE_SETTINGS


def all_stages(bench, *, objective=MATCHED, combination="o+a+x", **settings):
    """Every kind of stage of the attack, by name; `settings` as of `Config`."""
    config = Config(**settings)
    everything = plan(Case(inversion(config, "o+a+x", objective)), bench)
    chosen = plan(Case(inversion(config, combination, objective)), bench)
    alone = plan(Case(Direct(GradientImage(config.gradient, objective))), bench)
    (known, known_a, known_x), (observed, a, x) = everything.known, everything.seen
    return {
        "target": bench.classifier("target"), "shadow": bench.classifier("shadow"),
        "known": known.stage, "observed": observed.stage, "known_a": known_a.stage, "a": a.stage,
        "known_x": known_x.stage, "x": x.stage, "inverter": chosen.learned, "inversion": chosen.scored,
        "scored": alone.scored, "prototype": plan(baselines(config.prototype)[Name(PROTOTYPE)], bench).learned,
    }  # fmt: skip


def keys(bench, **settings):
    return {name: stage.key for name, stage in all_stages(bench, **settings).items()}


ATTACK = {"known_a", "a", "known_x", "x", "inverter", "inversion", "scored"}


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({"classifier": replace(CLASSIFIER, epochs=2)}, {"target", "shadow", "known", "observed", *ATTACK}),
        ({"activation": replace(ACTIVATION, threshold=1.0)}, {"known_a", "a", "inverter", "inversion"}),
        ({"activation": replace(ACTIVATION, known="extracted")}, {"known_a", "inverter", "inversion"}),
        ({"gradient": replace(GRADIENT, tv_weight=0.0)}, {"known_x", "x", "inverter", "inversion", "scored"}),
        (
            {"gradient": replace(GRADIENT, start="random")},
            {"known_x", "x", "inverter", "inversion", "scored"},
        ),
        ({"objective": "cross_entropy"}, {"known_x", "x", "inverter", "inversion", "scored"}),
        ({"inverter": replace(INVERTER, epochs=2)}, {"inverter", "inversion"}),
        ({"combination": "o"}, {"inverter", "inversion"}),
        ({"prototype": replace(PROTOTYPE_SETTINGS, steps=3)}, {"prototype"}),
    ],
)
def test_a_setting_moves_the_keys_of_what_depends_on_it_and_no_other(tmp_path, change, moved):
    of_bench = {name: change[name] for name in change if name == "classifier"}
    before, after = keys(make_bench(tmp_path)), keys(make_bench(tmp_path, **of_bench), **change)
    assert {name for name in before if before[name] != after[name]} == moved


@pytest.mark.parametrize("change", [{"seed": 2}, {"run": 2}, {"data": {"fingerprint": "1"}}])
def test_seed_run_and_data_move_every_key(tmp_path, change):
    before, after = keys(make_bench(tmp_path)), keys(make_bench(tmp_path, **change))
    assert not [name for name in before if before[name] == after[name]]


def test_no_two_stages_share_a_key(tmp_path):
    found = keys(make_bench(tmp_path))
    assert len(set(found.values())) == len(found)


def test_the_true_test_images_reach_the_scores_and_nothing_else(tmp_path, bench):
    """With O given, other truth gives bit-identical evidence and reconstructions, and other scores."""
    stages = all_stages(bench)
    noise = np.random.default_rng(9).random((18, 32, 32, 1), np.float32)
    other = replace(make_splits().test, images=noise, labels=make_splits().test.labels[::-1])
    blind = make_bench(tmp_path, splits=make_splits(test=other))
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


def test_the_target_models_weights_reach_the_observation_and_nothing_else(tmp_path, bench):
    """Another target model whose answers are the same leads to bit-identical evidence and reconstructions."""
    other = make_bench(tmp_path)
    stages, changed = all_stages(bench), all_stages(other)
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


def test_the_adversary_of_the_gray_box_holds_the_shadow_model_and_nothing_of_the_target(bench):
    held = bench.holdings(GRAY_BOX, None)
    (surrogate,) = held.surrogates
    for found, trained in zip(
        surrogate.get_weights(), bench.load(bench.classifier("shadow")).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, trained)
    assert (held.target, held.query, held.pool) == (None, None, None)
    assert held.own_images is bench.splits.shadow_train
    stages = all_stages(bench)
    above = [stage for name in ("known_a", "a", "known_x", "x") for stage in stages[name].upstream]
    assert {stage.identity.get("role") for stage in above} == {None, "shadow"}


def test_only_a_head_other_than_the_texts_has_a_key_of_its_own(bench):
    plain = bench.classifier("target")
    assert bench.classifier("target", HeadSettings("none", 0.5)).key == plain.key
    variants = [HeadSettings("relu", 0.5), HeadSettings("none", 0.0), HeadSettings("relu", 0.0)]
    stages = [bench.classifier("target", variant) for variant in variants]
    assert len({plain.key, *(stage.key for stage in stages)}) == 4
    relu = bench.load(stages[0])
    assert relu(make_splits().test.images)["activations"].numpy().min() == 0
    with pytest.raises(ValueError, match="`arrays` must hold"):
        bench.load(replace(plain, identity=stages[1].identity))


def test_a_defended_answer_is_the_defence_of_the_answer_and_the_attack_sees_nothing_else(bench):
    stages = all_stages(bench)
    observed = stages["observed"]
    assert bench.output_vector("target", "test", None).key == observed.key
    kept = bench.output_vector("target", "test", Truncation(1))
    vectors, truncated = observed.arrays["output_vector"], kept.arrays["output_vector"]
    np.testing.assert_array_equal(
        truncated, np.where(vectors == vectors.max(axis=1, keepdims=True), vectors, 0)
    )
    (x,) = plan(Case(inversion(Config(), "x"), Truncation(1)), bench).seen
    assert {stage.key for stage in x.stage.upstream} == {kept.key, stages["shadow"].key}
    assert not np.array_equal(x.values(), stages["x"].arrays["images"])
    keys = {
        bench.output_vector("target", "test", defense).key
        for defense in (Truncation(1), Truncation(2), Rounding(1), Rounding(2))
    }
    assert len(keys) == 4


def test_the_prototype_is_at_no_distance_from_itself(bench):
    cases = baselines(PROTOTYPE_SETTINGS)
    prototype, average = (plan(cases[Name(method)], bench) for method in (PROTOTYPE, AVERAGE))
    distance = bench.prototype_distance(prototype, prototype).arrays["distance"]
    np.testing.assert_allclose(distance, 0, atol=2e-3)  # images are kept as float16
    assert bench.prototype_distance(average, prototype).arrays["distance"].min() > 0.01


def test_random_starts_of_known_and_attacked_vectors_differ(bench):
    """Equal noise would let the inverter recognise the noise of a training image in an attacked one."""
    frozen = replace(ACTIVATION, threshold=1e6)  # no vector moves: A^L is the start
    stages = all_stages(bench, activation=frozen)
    known, attacked = stages["known_a"].arrays["activations"], stages["a"].arrays["activations"]
    assert known.shape == attacked.shape == (18, 50)
    assert not np.intersect1d(known, attacked).size
    still = replace(GRADIENT, steps=1, start="random", learning_rate=1e-9)
    stages = all_stages(bench, gradient=still)
    assert not np.allclose(stages["known_x"].arrays["images"], stages["x"].arrays["images"], atol=1e-3)


def _put(bench, stage, arrays, info=None):
    """Store a result under a stage's key in place of the one computed there."""
    unfinished = bench.store.root / "unfinished" / stage.key
    bench.store.artifacts.write(stage.kind, stage.key, stage.identity, arrays, info or {}, 0.0, unfinished)
