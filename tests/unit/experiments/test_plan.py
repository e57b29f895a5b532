"""What a plan refuses before anything is computed, and what an adversary is given that was granted more."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from mi_keras.attacks.access import Access
from mi_keras.attacks.attack import Attack, Direct
from mi_keras.attacks.gradient import GradientImage
from mi_keras.attacks.learned import Learned
from mi_keras.errors import InputError
from mi_keras.experiments.bench import SHADOW
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.thesis.bench import GRAY_BOX
from tests.unit.experiments import tiny

LEARNED = Learned(settings=tiny.INVERTER)
IMAGES = Access(images=True, answers="surrogate")


@dataclass(frozen=True)
class Asking(Attack):
    """An attack of a user's own: says what it needs, and shows what it then holds."""

    asked: Access = Access()
    images: int = 18  # that it queries, where it may

    kinds = ("", "asking")

    @property
    def needs(self):
        return self.asked

    def reconstruct(self, fitted, observed, held, run):
        if self.asked.queries:
            held.query(np.zeros((self.images, *held.image_shape), np.float32))
        if self.asked.weights:
            assert held.target is not None
            bias = held.target.head.get_weights()[-1]  # of the last layer, for who looks for it here
            yield np.broadcast_to(abs(bias[0]), (len(observed), *held.image_shape))
        else:
            yield np.zeros((len(observed), *held.image_shape), np.float32)


@pytest.mark.parametrize(
    ("attack", "access", "message"),
    [
        (LEARNED, Access(), "images = True to the attack M_I(O); it grants images = False."),
        (LEARNED, Access(images=True), "answers = surrogate to the attack M_I(O); it grants answers = nobody."),
        (  # by its input, not by itself
            replace(LEARNED, inputs=(GradientImage(),)), IMAGES,
            "surrogates = 1 to the attack M_I(X~); it grants surrogates = 0.",
        ),
        (Direct(GradientImage()), Access(surrogates=1), "images = True to the attack X~ alone; it grants images = False."),
        # what the gray box of the thesis does not grant
        (Asking(Access(weights=True)), None, "weights = True to the attack Asking; it grants weights = False."),
        (Asking(Access(queries=3)), None, "queries = 3 to the attack Asking; it grants queries = 0."),
        (Asking(Access(queries=3)), replace(GRAY_BOX, queries=2), "queries = 3 to the attack Asking; it grants queries = 2."),
        (Asking(Access(answers="target")), None, "answers = target to the attack Asking; it grants answers = surrogate."),
        (Asking(Access(surrogates=2)), None, "surrogates = 2 to the attack Asking; it grants surrogates = 1."),
        (Asking(Access(pool=True)), None, "pool = True to the attack Asking; it grants pool = False."),
    ],
)  # fmt: skip
def test_an_attack_that_needs_more_than_it_is_granted_is_refused_before_anything_is_computed(
    tmp_path, attack, access, message
):
    bench = tiny.make_bench(tmp_path)
    with pytest.raises(InputError) as caught:
        plan(Case(attack, access=access), bench)
    assert str(caught.value) == f"`access` must grant {message}"
    assert bench.store.timings == []
    assert not list(tmp_path.glob("stages/*"))


def test_a_plan_computes_nothing_and_an_attack_that_learns_nothing_has_nothing_learned(tmp_path):
    bench = tiny.make_bench(tmp_path)
    plan(Case(LEARNED), bench)
    attacked = plan(Case(Asking()), bench)
    assert not list(tmp_path.glob("stages/*"))
    assert (attacked.fitted, attacked.known) == (None, ())
    with pytest.raises(ValueError, match=r"^Asking learns nothing\.$"):
        _ = attacked.learned


def test_an_attack_that_is_granted_the_targets_weights_holds_them(tmp_path):
    bench = tiny.make_bench(tmp_path)
    access = replace(GRAY_BOX, weights=True)
    attacked = plan(Case(Asking(Access(weights=True)), access=access), bench)
    assert bench.classifier("target").key in [stage.key for stage in attacked.scored.upstream]
    bias = bench.load(bench.classifier("target")).get_weights()[-1][0]
    images = attacked.scored.arrays["images"]
    np.testing.assert_allclose(images, np.broadcast_to(abs(bias), images.shape), atol=1e-3)  # kept as float16


def test_a_query_beyond_those_granted_ends_the_attack(tmp_path):
    bench = tiny.make_bench(tmp_path)
    access = replace(GRAY_BOX, queries=18)
    within = plan(Case(Asking(Access(queries=18)), access=access), bench)
    assert within.scored.arrays["ssim"].shape == (18,)
    beyond = plan(Case(Asking(Access(queries=17)), access=access), bench)
    with pytest.raises(InputError, match=r"^`queries` must be at most 17; got 18\.$"):
        beyond.scored.computed()


def test_who_answers_and_which_images_make_another_case(tmp_path):
    bench = tiny.make_bench(tmp_path)
    cases = [Case(LEARNED), Case(LEARNED, answered_by=SHADOW), Case(LEARNED, images="shadow_validation")]
    plans = [plan(case, bench) for case in cases]
    assert len({each.scored.key for each in plans}) == 3
    assert len({each.learned.key for each in plans}) == 1  # trained once for all of them
    assert [each.observed.images for each in plans] == ["test", "test", "shadow_validation"]
