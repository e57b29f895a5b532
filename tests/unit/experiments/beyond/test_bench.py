"""One adversary against several targets: what they share, what is each one's own, and who plays the target."""

from dataclasses import replace

import numpy as np
import pytest

from mi_keras.attacks.access import Access
from mi_keras.attacks.attack import Answers
from mi_keras.attacks.bank import BankInverter
from mi_keras.attacks.learned import Learned
from mi_keras.attacks.queries import Queried
from mi_keras.attacks.transfer import Transfer
from mi_keras.defenses.answers import Noise, Rounding
from mi_keras.defenses.training import LabelSmoothing
from mi_keras.errors import InputError
from mi_keras.experiments.beyond.bench import ALL, HALF, BeyondBench
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.store import Store
from mi_keras.progress import SilentProgress
from mi_keras.settings import InverterSettings
from tests.unit.experiments import tiny

SMALL = InverterSettings((4, 4, 4), epochs=1, batch_size=8, dropout=(0.0, 0.0, 0.0))
MAPPED = BankInverter(2, "mapped", 0.1, settings=SMALL)


def make_benches(folder):
    """Return the benches of two targets."""
    return [
        BeyondBench(
            tiny.make_splits(), {"fingerprint": "0"}, tiny.CLASSIFIER, Store(folder), SilentProgress(),
            bank=2, seed=1, run=run,
        )
        for run in (1, 2)
    ]  # fmt: skip


@pytest.fixture
def benches(tmp_path):
    return make_benches(tmp_path)


def plans(benches, attack):
    return [plan(Case(attack, access=replace(benches[0].access, queries=20)), bench) for bench in benches]


@pytest.mark.parametrize(
    "attack", [MAPPED, Learned((Answers(),), tiny.INVERTER, "o")], ids=["bank", "thesis"]
)
def test_what_needs_nothing_of_the_target_is_learned_once_for_all_targets(benches, attack):
    first, second = plans(benches, attack)
    assert first.learned.key == second.learned.key
    assert first.scored.key != second.scored.key
    assert not list(benches[0].store.root.glob("stages/*"))  # nothing is computed by planning


@pytest.mark.parametrize("attack", [Transfer(MAPPED, 2), Queried(MAPPED, 2, 12)], ids=["observed", "asked"])
def test_what_is_learned_of_the_target_is_each_targets_own_and_begins_with_what_they_share(benches, attack):
    first, second = plans(benches, attack)
    assert first.learned.key != second.learned.key
    shared = {stage.key for stage in first.learned.upstream} & {
        stage.key for stage in second.learned.upstream
    }
    assert plan(Case(MAPPED), benches[0]).learned.key in shared


def test_targets_differ_and_those_who_play_them_are_shadows_that_no_bank_holds(benches):
    first, second = benches
    bank = {first.shadow(number).key for number in (1, 2)}
    assert bank == {second.shadow(number).key for number in (1, 2)}
    models = [
        bench.model("target").key for bench in (*benches, first.other(player=HALF), first.other(player=ALL))
    ]
    assert len({*models} | bank) == 6
    assert models[3] == first.classifier("shadow").key
    assert first.attacked == "test"
    player = second.other(player=HALF)
    assert player.attacked == "shadow_validation"
    np.testing.assert_array_equal(player.truth(player.attacked), first.splits.shadow_validation.images)


def test_a_shadow_model_sees_half_of_the_images_and_each_another_half(benches, monkeypatch):
    seen = []

    def train(half, validation, settings, *, classes, run):
        seen.append(set(half.ids.tolist()))
        raise InterruptedError

    monkeypatch.setattr("mi_keras.experiments.beyond.bench.train_classifier", train)
    for number in (1, 2):
        with pytest.raises(InterruptedError):
            benches[0].shadow(number).computed()
    own = set(benches[0].own_images().ids.tolist())
    assert [len(each) for each in seen] == [len(own) // 2] * 2
    assert seen[0] != seen[1]
    assert seen[0] | seen[1] <= own


def test_who_trains_other_models_is_met_by_shadow_models_trained_so_each_on_its_half(benches, monkeypatch):
    first, second = benches
    smooth, seen = LabelSmoothing(0.1, epochs=1), []
    known = [bench.known(MAPPED, smooth).stages for bench in benches]
    assert [stage.key for stage in known[0]] == [stage.key for stage in known[1]]
    assert not {stage.key for stage in known[0]} & {stage.key for stage in first.known(MAPPED, None).stages}
    models = [first.model(f"bank/{number}", smooth) for number in (1, 2)]
    assert [model.key for model in models] == [stage.upstream[0].key for stage in known[0]]
    player = second.other(player=HALF)
    assert player.model("target", smooth).upstream[0].key == first.shadow(3).key
    assert second.model("target", smooth).upstream[0].key == second.classifier("target").key

    def harden(self, model, images, run):
        seen.append(set(images.ids.tolist()))
        raise InterruptedError

    monkeypatch.setattr(LabelSmoothing, "harden", harden)
    monkeypatch.setattr(BeyondBench, "load", lambda self, stage: None)
    for model in models:
        with pytest.raises(InterruptedError):
            model.computed()
    own = len(first.own_images())
    assert [len(each) for each in seen] == [own // 2] * 2
    assert seen[0] != seen[1]


@pytest.mark.parametrize("attack", [Transfer(MAPPED, 2), Queried(MAPPED, 2, 12)], ids=["observed", "asked"])
def test_a_network_learns_from_answers_behind_the_defence_and_once_for_all_targets(benches, attack):
    access = replace(benches[0].access, queries=20)
    found = []
    for defense in (None, Rounding(0), Noise(1.0)):
        starts = [
            next(stage for stage in plan(Case(attack, defense, access=access), bench).learned.upstream
                 if stage.kind == "BankInverter.fitted")
            for bench in benches
        ]  # fmt: skip
        assert starts[0].key == starts[1].key
        found.append(starts[0].key)
    assert len(set(found)) == 3


@pytest.mark.slow  # trains three models and a network
def test_the_answers_of_a_bank_are_a_draw_of_each_and_what_is_scored_is_found_within_its_class(benches):
    bench = benches[1]
    known = bench.known(MAPPED, None).read().values
    for number in (0, 1):
        answers = bench.output_vector(f"bank/{number + 1}", "shadow_train").arrays["output_vector"]
        np.testing.assert_array_equal(known.draw(number), answers)
    found = plan(Case(Transfer(MAPPED, 2)), bench).scored.arrays
    assert found["ssim"].shape == found["mse"].shape == found["found"].shape == (18,)


def test_who_may_ask_nothing_is_refused_a_query(benches):
    with pytest.raises(
        InputError, match="queries = 12 to the attack 12 queries, affine map; it grants queries = 0"
    ):
        plan(Case(Queried(MAPPED, 2, 12)), benches[0])
    with pytest.raises(InputError, match="surrogates"):
        plan(Case(replace(MAPPED, sources=3)), benches[0])
    assert benches[0].access == Access(True, "surrogate", 2, population=True, defense=True)
