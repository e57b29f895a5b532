"""Adversaries with weights, a pool or few answers, in an audit: what counts, what is only shown, what is said."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from mi_keras.attacks.within_class import LinearWithinClass
from mi_keras.auditing import audit as auditing
from mi_keras.auditing import cost, point_report, stronger
from mi_keras.auditing.behind import Behind
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.contract import inspect
from mi_keras.auditing.ladder import CLASS, POOL, UNLIMITED, WHITE_BOX, rungs
from mi_keras.auditing.options import Options
from mi_keras.auditing.report import Control
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.sizes import SIZES
from mi_keras.auditing.stronger import Climbed
from mi_keras.auditing.subject import ATTACKED, OWN
from mi_keras.auditing.verdict import Judgement, Verdict
from mi_keras.auditing.views import View
from mi_keras.data.preprocess import as_unit
from mi_keras.defenses.answers import Rounding, Truncation
from mi_keras.defenses.maps import NoisyMaps
from mi_keras.errors import InputError
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.store import Store
from mi_keras.progress import SilentProgress

IMAGES, SIZE = 520, 16


def blurred() -> np.ndarray:
    """Return images whose rows are all alike, so that a few numbers hold them: smooth in one direction, in 0.1..0.9."""
    draw = np.random.default_rng(1).standard_normal((IMAGES, 3, 3, 1)).astype(np.float32)
    return 0.5 + 0.4 * np.tanh(np.repeat(np.repeat(draw, 6, 1), 6, 2)[:, :SIZE, :SIZE])


def model(says: float) -> keras.Model:
    """Return one with a layer "vector" that sends the nine means through a kink that no linear map undoes, or nothing."""
    keras.utils.set_random_seed(2)
    image = keras.Input((SIZE, SIZE, 1))
    means = keras.layers.Flatten()(keras.layers.AveragePooling2D(6, padding="same")(image))
    inner = keras.layers.LeakyReLU(0.05)(
        keras.layers.Dense(9, kernel_initializer="orthogonal", name="turned")(means)
    )
    vector = keras.layers.Dense(9, kernel_initializer="orthogonal", name="vector")(inner)
    made = keras.Model(image, keras.layers.Dense(2, name="answer")(vector))
    turned = made.get_layer("turned")
    turned.set_weights([says * turned.get_weights()[0], -0.5 * says * turned.get_weights()[0].sum(axis=0)])
    return made


def audited(monkeypatch, tmp_path, made, **options):
    """Return the report of an audit in which linear maps alone learn, and no control is run."""

    def linear(*arguments):
        return [rung for rung in rungs(*arguments) if isinstance(rung.attack, LinearWithinClass)]

    monkeypatch.setattr(stronger, "rungs", linear)
    monkeypatch.setattr(auditing.controls, "shuffled", lambda *_: Control("shuffled", True, "ok", ""))
    monkeypatch.setattr(auditing.controls, "planned", lambda *_: [])
    monkeypatch.setattr(auditing.controls, "components", lambda *_: Control("components", True, "ok", ""))
    monkeypatch.setattr(stronger, "HELD_OUT", 16)
    monkeypatch.setattr(point_report, "permutation_p", lambda *_, **__: 1.0)
    given = Options(preset="smoke", model_input="0..1", pixels="0..1", class_of="all", budget=0, **options)
    return auditing.audit(made, blurred(), given, store=Store(tmp_path))


@pytest.mark.slow
def test_a_layer_can_be_below_tolerance_once_the_white_box_was_tried(monkeypatch, tmp_path) -> None:
    silent = model(0.0)
    (capped,) = audited(monkeypatch, tmp_path, silent, at=("vector",)).points
    assert (capped.verdict, capped.reason) == ("INCONCLUSIVE", "not tried: white box")
    report = audited(monkeypatch, tmp_path, silent, at=("vector",), adversaries=("white_box", "pool"))
    (point,) = report.points
    assert (point.verdict, point.adversary) == ("BELOW TOLERANCE", WHITE_BOX)
    assert [row.adversary for row in point.attacks] == [CLASS, UNLIMITED, WHITE_BOX, POOL]
    assert not [text for text in report.not_tried if "white box" in text or "pool" in text]


@pytest.mark.slow
def test_who_has_the_weights_finds_more_and_a_pool_is_shown_alone(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(SIZES, "smoke", replace(SIZES["smoke"], steps=40, white_box=110))
    report = audited(
        monkeypatch,
        tmp_path,
        model(1.0),
        at=("vector",),
        adversaries=("queries", "white_box", "pool"),
        queries=(20, 120),
    )
    (point,) = report.points
    rows = {row.adversary: row for row in point.attacks}
    assert rows[WHITE_BOX].attack == "white box on 110 images, from linear map"
    assert rows[WHITE_BOX].detail.value > rows[UNLIMITED].detail.value + 0.02
    assert "detail" in rows[WHITE_BOX].chosen_for
    assert point.detail == rows[WHITE_BOX].detail
    assert point.detail.n == 110
    assert rows[POOL].detail.value == pytest.approx(
        1, abs=1e-3
    )  # what is drawn is kept as bytes, what is scored is not
    assert rows[POOL].chosen_for == ()
    (curve,) = report.curves
    assert [each.answers for each in curve.points][:2] == [20, 120]
    assert curve.points[0].detail.value < curve.points[1].detail.value <= curve.points[2].detail.value
    assert report.to_json()["curves"][0]["points"][2]["answers"] == curve.points[2].answers > 120


def steps_at_layers(monkeypatch, *, steps: int) -> None:
    """Have the smallest preset do by default what the others do."""
    monkeypatch.setitem(SIZES, "smoke", replace(SIZES["smoke"], steps=steps, at_layers=110, white_box=0))


def test_layers_are_stepped_from_by_default_and_outputs_are_not(monkeypatch, tmp_path) -> None:
    steps_at_layers(monkeypatch, steps=1)
    report = audited(monkeypatch, tmp_path, model(0.0), at=("vector", "logits", "label"))
    assert [point.adversary for point in report.points] == [WHITE_BOX, UNLIMITED, CLASS]
    assert [point.verdict for point in report.points] == ["BELOW TOLERANCE"] * 3
    assert report.not_tried[:2] == ("white box at logits", "shadow models")
    assert report.settings.adversaries == ("class", "unlimited", "white_box")
    assert report.points[0].attacks[-1].attack == "white box on 110 images, from linear map"


@pytest.mark.slow
def test_a_layer_behind_defences_is_judged_by_who_steps_through_them(monkeypatch, tmp_path) -> None:
    """Eight bits hide nothing of nine numbers, noise of fifty times their spread all."""
    steps_at_layers(monkeypatch, steps=40)
    report = audited(monkeypatch, tmp_path, model(1.0), at=("vector",), defend=("bits=8", "noise=50"))
    assert [row.verdict for row in report.defences] == ["LEAKS", "LEAKS", "BELOW TOLERANCE"]
    assert not [text for text in report.not_tried if "white box" in text]
    plain, bits, _ = report.defences
    assert bits.detail.value == pytest.approx(plain.detail.value, abs=0.03)
    assert bits.detail.n == plain.detail.n == 110


@pytest.mark.slow
def test_rounding_to_three_decimals_takes_nothing_from_the_white_box_and_strong_noise_all(tmp_path) -> None:
    bench, sizes = _bench(tmp_path), replace(SIZES["smoke"], steps=40, white_box=110)
    linear = plan(Case(LinearWithinClass(1)), bench).scored.arrays["mse"][:110].mean()
    errors = {}
    for defense in (None, Behind(Rounding(3)), Behind(NoisyMaps(50.0))):
        (rung,) = stronger.beyond(bench, ("white_box",), sizes, 1, defense)
        described = plan(Case(rung.attack, defense), rung.bench)
        errors[type(defense.inner) if defense else None] = described.scored.arrays["mse"].mean()
        assert described.learned.info["weight"] > 0 or isinstance(defense, Behind)
    assert errors[None] < 0.8 * linear
    assert errors[Rounding] == pytest.approx(errors[None], rel=0.03)
    own = as_unit(bench.truth_bytes(OWN))
    of_mean = np.square(bench.truth(ATTACKED)[:110] - own.mean(axis=0)).mean()
    assert errors[NoisyMaps] > 0.97 * of_mean


def test_why_the_white_box_was_not_tried_is_known(tmp_path) -> None:
    bench, nobody = _bench(tmp_path), Climbed(None, None)
    assert stronger.missed(nobody, bench, ("class",), ()) == ""
    assert stronger.missed(Climbed(None, object()), bench, ("class", "white_box"), ()) is None
    label = bench.at(Sent("answer", View("label")))
    assert stronger.missed(nobody, label, ("white_box",), ()) is None
    dropped = ("white box on 120 images, from linear map",)
    assert stronger.missed(nobody, bench, ("white_box",), dropped) == "left out, as the budget has it"
    hidden = Behind(Truncation(2), "logits")
    assert (
        stronger.missed(nobody, bench, ("white_box",), (), hidden)
        == "truncation to the largest 2 has no gradients"
    )
    assert stronger.beyond(bench, ("white_box",), SIZES["smoke"], 1, hidden) == []
    assert stronger.missed(nobody, bench, ("white_box",), (), Behind(Rounding(1))) == ""


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ({"logits": "", "vector": ""}, ["white box"]),
        ({"logits": "", "label": None}, ["white box"]),
        ({"logits": "", "rounded": "", "vector": None}, ["white box at logits and rounded"]),
        ({"logits": None, "vector": "the model answers at random"}, ["white box at vector: the model answers at random"]),
        ({"vector": None}, []),
        ({"label": None}, []),
    ],
)  # fmt: skip
def test_points_without_the_white_box_are_named_where_others_have_it(why, said) -> None:
    form = {
        name: SimpleNamespace(sent=SimpleNamespace(view=View("label" if name == "label" else "raw")))
        for name in why
    }
    behind = ["white box behind a defence at vector: it has no gradients"]
    others = ["shadow models", "a pool of candidates", "the model's conversion, such as TFLite"]
    sizes = SIZES["smoke"]
    assert stronger.not_tried(form, ("class",), sizes, why, behind) == [*said, *behind, *others]


def test_why_the_white_box_was_not_possible_is_said(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(stronger, "obstacle", lambda *_: "the model takes in whole numbers")
    report = audited(monkeypatch, tmp_path, model(0.0), at=("vector",), adversaries=("white_box",))
    assert report.not_tried[0] == "white box at vector: the model takes in whole numbers"
    assert report.points[0].reason == "not tried: white box"


def _climbed(*, chosen: bool, all_images: int = 300) -> Climbed:
    weak, white = (
        SimpleNamespace(rung=SimpleNamespace(adversary=UNLIMITED)),
        SimpleNamespace(rung=SimpleNamespace(adversary=WHITE_BOX)),
    )
    scored = [SimpleNamespace(mse=np.zeros(n)) for n in (all_images, 200)]
    whole = SimpleNamespace(scored=scored[0], attacks=(weak,), chosen={"found": 0, "detail": 0})
    place = {"found": 0, "detail": 1 if chosen else 0}
    return Climbed(whole, SimpleNamespace(scored=scored[1], attacks=(weak, white), chosen=place))


@pytest.mark.parametrize(
    ("chosen", "whole", "part", "published"),
    [
        (True, "BELOW TOLERANCE", "LEAKS", "part"), (True, "BELOW TOLERANCE", "INCONCLUSIVE", "part"),
        (True, "LEAKS", "LEAKS", "part"), (True, "LEAKS", "INCONCLUSIVE", "whole"),
        (True, "INCONCLUSIVE", "BELOW TOLERANCE", "whole"), (False, "BELOW TOLERANCE", "LEAKS", "whole"),
    ],
)  # fmt: skip
def test_fewer_images_make_no_verdict_milder(chosen, whole, part, published) -> None:
    climbed = _climbed(chosen=chosen)
    verdicts = {id(climbed.whole): whole, id(climbed.part): part}
    envelope, judgement = climbed.published(lambda found: Judgement(Verdict(verdicts[id(found)]), "", {}))
    assert envelope is getattr(climbed, published)
    assert judgement.verdict == {"whole": whole, "part": part}[published]
    asks_for_more = "white box on 200 images: more where it is asked for" in judgement.reason
    assert asks_for_more == (published == "part" and part == "INCONCLUSIVE")


def test_on_the_same_images_the_envelope_with_the_white_box_counts() -> None:
    climbed = _climbed(chosen=False, all_images=200)
    envelope, _ = climbed.published(lambda _: Judgement(Verdict.BELOW, "", {}))
    assert envelope is climbed.part


def _bench(tmp_path) -> AuditBench:
    options = Options(preset="smoke", model_input="0..1", pixels="0..1", class_of="all", at=("vector",))
    (subject,) = inspect(model(1.0), "small", blurred(), options).subjects
    sent = Sent("vector", View("raw"), with_class=False)
    return AuditBench(subject, sent, Store(tmp_path), SilentProgress(), seed=1, fold=1)


def test_the_white_box_goes_on_from_an_attack_behind_the_same_defence(tmp_path) -> None:
    bench, defense = _bench(tmp_path), Rounding(1)
    (rung,) = stronger.beyond(bench, ("white_box",), SIZES["smoke"], 1)
    described = plan(Case(rung.attack, defense), rung.bench)
    starts = [plan(Case(rung.attack.first, behind), bench).learned for behind in (defense, None)]
    upstream = {stage.key for stage in described.learned.upstream}
    assert [start.key in upstream for start in starts] == [True, False]


def test_a_pool_is_answered_as_the_adversary_sees_answers(tmp_path) -> None:
    bench = _bench(tmp_path)
    answers = bench.answer(bench.truth(ATTACKED), None, seed=1).values[:]
    np.testing.assert_allclose(
        answers, bench.asked("target", ATTACKED, None).read().values[:], atol=5e-3
    )  # bytes


def test_a_small_budget_leaves_the_white_box_out_first(tmp_path, monkeypatch) -> None:
    bench, sizes = _bench(tmp_path), SIZES["smoke"]
    every = [*rungs(bench, ("unlimited",), sizes), *stronger.beyond(bench, ("white_box",), sizes, 1)]
    assert cost._cost(every[-1], {}) > 0
    monkeypatch.setattr(cost, "_cost", lambda *_: 1.0)
    chosen = cost.choose(every, budget=(len(every) + 1) / 60)  # two are checked, too
    assert chosen.left_out == ("white box on 120 images, from linear map",)


@pytest.mark.parametrize(
    "given",
    [{"queries": (1,), "adversaries": ("queries",)}, {"queries": (10,)}, {"adversaries": ("nobody",)}],
)
def test_options_that_are_none_are_refused(given) -> None:
    with pytest.raises(InputError, match=f"`{next(iter(given))}` must"):
        Options(**given)


def test_nobody_is_named_by_default() -> None:
    assert Options().adversaries == ()
