"""The adversary that asks nothing, in an audit: what it has, and where it is tried."""

import keras
import numpy as np
import pytest
from small_shadows import CLASSES, COUNT, SMALL, bench, known, model, subject

from mi_keras.attacks.access import Access, check_access
from mi_keras.attacks.shadows import FromShadows
from mi_keras.attacks.within_class import LinearWithinClass
from mi_keras.auditing import shadow_models
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.ladder import CLASS, QUERIES, SHADOW, UNLIMITED, rungs
from mi_keras.auditing.shadows import ShadowBench, untried
from mi_keras.auditing.subject import ATTACKED, OWN, Subject
from mi_keras.defenses.answers import Rounding
from mi_keras.errors import InputError
from mi_keras.experiments.case import Case, plan
from mi_keras.models.variables import weights_of

# What it has


def test_shadows_depend_on_the_architecture_alone_and_leave_the_model(tmp_path) -> None:
    one, other = subject(model(1)), subject(model(2))
    before = weights_of(one.model)
    found = [known(of, tmp_path / str(n)).shadow(0).arrays for n, of in enumerate((one, other))]
    assert found[0].keys() == found[1].keys()
    for name, array in found[0].items():
        np.testing.assert_array_equal(array, found[1][name])
    for name, array in weights_of(one.model).items():
        np.testing.assert_array_equal(array, before[name])


def test_shadows_learn_the_labels_and_not_what_the_model_says(tmp_path, monkeypatch) -> None:
    """All labels are 2, and the model answers 0: what every shadow says is 2."""
    of = subject(labels=1)
    of.sides[OWN].labels[:] = 2
    of.model.get_layer("answer").bias.assign([1e3, 0, 0])
    monkeypatch.setattr(shadow_models, "LEARNING_RATE", 0.1)
    bench = ShadowBench(known(of, tmp_path), 2, 10, 1)
    assert set(AuditBench.classes_of(bench, OWN)) == {0}
    for number in range(2):
        assert (bench.answers(number).large("values").argmax(axis=1) == 2).all()
        assert bench.shadow(number).info["accuracy"] == 1
    np.testing.assert_array_equal(bench.own_images().labels, 2)


def test_each_shadow_has_a_half_and_a_start_of_its_own(tmp_path, monkeypatch) -> None:
    parts, seeds = [], []

    def spied(subject, given, labels, part, epochs, run):
        parts.append(set(part))
        seeds.append(run.seed)
        return shadow_models.trained(subject, given, labels, part, epochs, run)

    monkeypatch.setattr("mi_keras.auditing.shadows.trained", spied)
    bench = known(subject(), tmp_path)
    one, other = bench.shadow(0).arrays, bench.shadow(1).arrays
    assert [len(part) for part in parts] == [COUNT // 2] * 2
    assert 0 < len(parts[0] & parts[1]) < COUNT // 2
    assert len(set(seeds)) == 2
    assert not np.array_equal(one["000"], other["000"])


def test_it_is_granted_no_query_and_no_weights(tmp_path) -> None:
    bench = known(subject(), tmp_path)
    for needs in (Access(queries=1), Access(weights=True), Access(answers="target"), Access(pool=True)):
        with pytest.raises(InputError, match="`access` must grant"):
            check_access("an attack", needs, bench.access)
    assert bench.known(FromShadows(LinearWithinClass(CLASSES)), None).stages[0].kind == "audit_shadow_answers"


def test_what_is_learned_is_shared_and_statistics_are_those_of_the_attacked(tmp_path) -> None:
    (rung, *_) = [r for r in rungs(bench(subject(), tmp_path), (SHADOW,), SMALL) if r.adversary == SHADOW]
    described = plan(Case(rung.attack, images=ATTACKED), rung.bench)
    kinds = [stage.kind for stage in described.learned.upstream]
    assert sorted(kinds) == ["FromShadows.fitted", "audit_answers"]
    (learned,) = [stage for stage in described.learned.upstream if stage.kind == "FromShadows.fitted"]
    assert {stage.kind for stage in learned.upstream} == {"audit_shadow_answers", "audit_shadow"}
    assert len([stage for stage in learned.upstream if stage.kind == "audit_shadow"]) == 2
    behind = plan(Case(rung.attack, Rounding(1), images=ATTACKED), rung.bench)
    assert learned.key not in {
        stage.key for stage in behind.learned.upstream
    }  # learned anew behind a defence


def test_shadows_answer_behind_the_defence_that_is_known(tmp_path) -> None:
    values = known(subject(), tmp_path)
    rounded = values.known(FromShadows(LinearWithinClass(CLASSES)), Rounding(0)).read().values
    assert np.array_equal(rounded[:], np.round(rounded[:]))


# Where it is tried


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: subject(labels=None), "no labels"),
        (lambda: subject(labels=4), "labels of more classes than the model has"),
        (lambda: subject(model(size=65)), "inputs of more than 64 pixels"),
        (lambda: subject(kind="several labels"), "no labels train answers that are several labels"),
        (lambda: subject(kind="embedding"), "no labels train answers that are embedding"),
        (lambda: subject(model(activation="softmax"), kind="probabilities"), ""),
        (lambda: subject(model(activation="sigmoid", units=1), kind="one sigmoid unit", labels=2), ""),
        (lambda: subject(model(activation="sigmoid", units=1), kind="one sigmoid unit", labels=3), "labels of more"),
    ],
)  # fmt: skip
def test_where_no_shadow_can_be_trained_a_few_words_say_why(made, why, tmp_path) -> None:
    found = untried(known(made(), tmp_path))
    assert found.startswith(why)
    assert bool(found) == bool(why)


@keras.saving.register_keras_serializable("tests")
class Stepped(keras.layers.Layer):
    def call(self, values):
        return keras.ops.stop_gradient(values)


@keras.saving.register_keras_serializable("tests")
class Fixed(keras.layers.Layer):
    def build(self, shape) -> None:
        start = keras.initializers.GlorotUniform(seed=5)
        self.kernel = self.add_weight(shape=(shape[-1], CLASSES), initializer=start)

    def call(self, values):
        return values @ self.kernel


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ([keras.layers.Dense(4), Stepped(), keras.layers.Dense(CLASSES, name="answer")], "weights of it have no gradient"),
        ([Fixed(name="answer")], "its code fixes its initial weights"),
        ([keras.layers.Activation("linear", name="answer")], "it has no weights to train"),
    ],
)  # fmt: skip
def test_an_architecture_that_cannot_be_trained_anew_is_none(layers, why, tmp_path) -> None:
    image = keras.Input((16, 16, 1))
    hidden = keras.layers.Flatten()(image)
    for layer in layers:
        hidden = layer(hidden)
    assert untried(known(subject(keras.Model(image, hidden)), tmp_path)) == why


def test_half_precision_is_not_trained(tmp_path) -> None:
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        of = subject(model())
    finally:
        keras.config.set_dtype_policy(policy)
    assert untried(known(of, tmp_path)) == "the model computes in half precision"


def adversaries(
    of: Subject, folder, point: str, *asked: str, queries: tuple[int, ...] = ()
) -> list[tuple[str, str, int]]:
    """Return who attacks a point, whether by shadow models, and with how many answers, each once."""
    found = rungs(bench(of, folder, point), asked, SMALL, queries)
    return list(dict.fromkeys((r.adversary, type(r.bench).__name__, r.answers) for r in found))


def test_who_has_the_public_part_computes_answers_and_trains_what_is_behind_it(tmp_path) -> None:
    of = subject(public="flat")
    asked = ("class", "shadow", "queries", "unlimited")
    own, shadows = ("AuditBench", 0), ("ShadowBench", 0)
    for point in ("maps", "flat"):  # all that there is to know, by the weakest that has it
        assert adversaries(of, tmp_path, point, *asked, queries=(9,)) == [
            (CLASS, *own), (QUERIES, "AuditBench", 9), (SHADOW, *own),
        ]  # fmt: skip
    for point in ("vector", "answer"):
        assert adversaries(of, tmp_path, point, *asked, queries=(9,)) == [
            (CLASS, *own), (SHADOW, *shadows), (QUERIES, "AuditBench", 9), (UNLIMITED, *own),
        ]  # fmt: skip
    first = known(of, tmp_path, point="vector").shadow(0)
    assert first.arrays["000"].shape == (18, 5)  # what is behind "flat" alone was trained
    assert adversaries(subject(), tmp_path, "vector", "shadow") == [(CLASS, *own)]
    assert untried(known(subject(), tmp_path, point="vector")) == "a hidden layer needs `public_backbone`"


def test_maps_behind_the_public_part_have_a_decoder(tmp_path) -> None:
    image = keras.Input((16, 16, 1))
    maps = keras.layers.Conv2D(2, 3, strides=2, name="first")(image)
    maps = keras.layers.Conv2D(2, 3, strides=2, name="second")(maps)
    of = subject(
        keras.Model(image, keras.layers.Dense(3, name="answer")(keras.layers.Flatten()(maps))), public="first"
    )
    at = bench(of, tmp_path, "second")
    attacks = [r for r in rungs(at, (SHADOW,), SMALL) if r.adversary == SHADOW]
    assert [r.attack.inner.of_maps for r in attacks] == [True, True]
    scored = plan(Case(attacks[0].attack, images=ATTACKED), attacks[0].bench).scored
    assert scored.arrays["images"].shape == (COUNT, 16, 16, 1)
