"""An adversary whose images the target has answered, and class inversion: whose answers, whose models, which measures."""

from dataclasses import replace

import numpy as np
import pytest

from mi_keras.attacks.attack import Direct
from mi_keras.attacks.generator import ClassGenerator
from mi_keras.attacks.gradient import GradientImage
from mi_keras.attacks.transfer import Transfer
from mi_keras.attacks.white_box import WhiteBox
from mi_keras.attacks.within_class import LinearWithinClass
from mi_keras.defenses.answers import Noise
from mi_keras.errors import InputError
from mi_keras.experiments.beyond import answered as with_answers
from mi_keras.experiments.beyond import recipe, sec_access
from mi_keras.experiments.beyond.answered import answered, pool
from mi_keras.experiments.beyond.bench import HALF
from mi_keras.experiments.beyond.class_bench import ClassBench
from mi_keras.experiments.beyond.class_inversion import inverted
from mi_keras.experiments.case import Case, plan
from mi_keras.models.cnn import observe
from mi_keras.settings import GradientSettings, InverterSettings
from mi_keras.types import Redrawn
from tests.unit.experiments.beyond.test_bench import make_benches

SMALL = InverterSettings((4, 4, 4), epochs=1, batch_size=8, dropout=(0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def benches(tmp_path_factory):
    return make_benches(tmp_path_factory.mktemp("store"))


def test_an_attack_learns_from_the_answers_of_whoever_is_attacked(benches):
    entry = answered("linear", LinearWithinClass())
    first, second, player = (
        entry.planned(bench) for bench in (*benches, benches[0].other(player=HALF))
    )  # fmt: skip
    assert len({each.learned.key for each in (first, second, player)}) == 3
    for each, bench in ((first, benches[0]), (second, benches[1])):
        answers = bench.output_vector("target", "shadow_train")
        assert answers.key in {stage.key for stage in each.learned.upstream}
    # what is not granted is learned from shadow models, once for all
    plain = [plan(Case(LinearWithinClass()), bench).learned.key for bench in benches]
    assert plain[0] == plain[1] != first.learned.key


def test_who_steps_by_the_weights_begins_with_what_was_learned_from_the_same_answers(benches):
    network = LinearWithinClass(images=20)
    start = answered("linear", network).planned(benches[0]).learned
    white = answered("white box", WhiteBox(network, 5, held_out=4)).planned(benches[0])
    upstream = {stage.key for stage in white.learned.upstream}
    assert {start.key, benches[0].model("target").key} <= upstream


def test_networks_learn_from_all_images_of_the_adversary_but_the_last_whatever_the_number_of_classes(
    benches, monkeypatch
):
    found = []

    def unlimited(config, *given):
        found.extend(with_answers.networks(config, *given).values())
        raise InterruptedError

    start = Transfer(recipe.mapped(sec_access.PAPER), 2)
    monkeypatch.setattr(recipe, "whole", lambda *_: start)
    monkeypatch.setattr(with_answers, "unlimited", unlimited)
    with pytest.raises(InterruptedError):
        sec_access.run(replace(sec_access.PAPER, held_out=4), benches)
    assert {each.images for each in found} == {len(benches[0].own_images()) - 4}  # of three classes


def test_noise_on_known_answers_is_drawn_anew_and_without_it_draws_repeat(benches):
    bench = benches[0].answering()
    plain = bench.known(LinearWithinClass(), None).read().values
    assert not isinstance(plain, Redrawn)
    noisy = bench.known(LinearWithinClass(), Noise(0.5)).read().values
    draws = [noisy.draw(number)[:] for number in range(3)]
    np.testing.assert_array_equal(noisy[:], draws[0])
    assert noisy.period == 0
    for one, other in ((0, 1), (1, 2)):
        assert (draws[one] - draws[other]).std() == pytest.approx(0.5 * 2**0.5, rel=0.15)
    assert np.mean([draw - plain for draw in draws], axis=0).std() == pytest.approx(0.5 / 3**0.5, rel=0.15)


def test_who_has_a_pool_finds_the_images(benches):
    found = pool()["pool"].planned(benches[0]).scored.arrays
    assert found["mse"].max() == pytest.approx(0, abs=1e-6)


def test_a_class_is_drawn_by_one_model_and_judged_by_another(benches):
    first, second = benches
    attack = Direct(GradientImage(GradientSettings(steps=2), "cross_entropy"))
    of = {by: ClassBench.of(first, second, by_weights=by) for by in (False, True)}
    plans = {by: plan(Case(attack), bench) for by, bench in of.items()}
    for by, role in ((False, "shadow"), (True, "target")):
        upstream = {stage.key for stage in plans[by].seen[0].stage.upstream}
        assert first.model(role).key in upstream
        assert first.model("shadow" if by else "target").key not in upstream
        assert second.model("target").key in {stage.key for stage in plans[by].scored.upstream}
    scored = plans[True].scored.arrays
    assert {name: len(array) for name, array in scored.items()} == dict.fromkeys(
        ("images", "judged", "confidence", "typical", "nearest"), first.classes
    )
    assert np.nanmax(scored["nearest"] - scored["typical"]) >= 0
    # `images` are kept in half precision, so that the judge's answer to them differs by its rounding
    logits = observe(second.load(second.model("target")), scored["images"].astype(np.float32)).vectors
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scored["confidence"], np.diag(shares), atol=2e-3)


def test_the_bench_of_classes_is_another_and_keeps_what_the_bench_of_the_target_is(benches):
    first, second = benches
    of = ClassBench.of(first.answering(), second, by_weights=True)
    assert isinstance(of, ClassBench)
    assert (of.answered, of.bank, of.judge, of.attacked) == (True, first.bank, second, "classes")
    assert (first.attacked, first.answered, first.access.weights) == ("test", False, False)
    assert of.model("target").key == first.model("target").key


def test_the_table_of_class_inversion_says_who_judges(benches):
    assert "target of the next run" in inverted(benches, {})[0].notes[0]


def test_the_generator_of_class_inversion_is_trained_once_for_all_targets(benches):
    attack = ClassGenerator(4, steps=2, starts=1, settings=SMALL)
    plans = [
        plan(Case(attack), ClassBench.of(bench, benches[0], by_weights=True)) for bench in benches
    ]  # fmt: skip
    starts = [
        {stage.key for stage in each.learned.upstream if stage.kind == "ClassGenerator.fitted"} for each in plans
    ]  # fmt: skip
    assert starts[0] == starts[1] != set()
    assert plans[0].learned.key != plans[1].learned.key


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("runs", 1, "`runs` must be at least 2: a target is judged by another; got 1"),
        ("asked", 5, "`asked` must be between 10 and"),
        ("held_out", 1, "`held_out` must be between 2 and"),
    ],
)
def test_what_cannot_be_meant_is_refused(key, value, message):
    with pytest.raises(InputError, match=message):
        replace(sec_access.PAPER, **{key: value})
