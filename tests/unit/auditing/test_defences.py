"""Defences in an audit of a model whose leak is known: images of few dimensions, and logits that tell them all."""

import importlib
from dataclasses import replace
from typing import NamedTuple

import keras
import numpy as np
import pytest

from mi_keras.auditing import ladder, point_report
from mi_keras.auditing.audit import audit
from mi_keras.auditing.defences import cheapest
from mi_keras.auditing.options import Options
from mi_keras.auditing.report import Control, Report
from mi_keras.errors import InputError
from mi_keras.experiments.store import Store
from tests.unit.auditing import reports

module = importlib.import_module("mi_keras.auditing.audit")
CLASSES, DIMENSIONS, COUNT = 4, 3, 500
OPTIONS = Options(
    preset="smoke", budget=0, pixels="0..1", model_input="0..1", at=("logits", "probabilities", "maps")
)
DEFENCES = (
    "rounding=2",
    "label",
    "temperature=5",
    "noise=0.05",
    "noise=50",
    "bits=8",
    "kept=1",
    "noise=0.05",
)


def images_of(count):
    """Return images of four classes, each the mean of its class and a mixture of three patterns."""
    random = np.random.default_rng(1)
    patterns = random.standard_normal((DIMENSIONS, 16, 16, 1))
    means = random.uniform(0.35, 0.65, (CLASSES, 16, 16, 1))
    of = np.arange(count) % CLASSES
    mixed = np.tensordot(0.05 * random.standard_normal((count, DIMENSIONS)), patterns, 1)
    return np.clip(means[of] + mixed, 0, 1).astype(np.float32), of


class World(NamedTuple):
    """A model and its images, with the audit without defences, with them, and with noise of which many sends are seen."""

    model: keras.Model
    images: np.ndarray
    labels: np.ndarray
    plain: Report
    defended: Report
    averaged: Report


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Attacks are linear ones: what leaks here is a linear function of the answers.

    The first four logits tell the class and no more; the others are low, so that probabilities tell the class alone once
    they are rounded, but tell all there is to know of an image within its class.
    """
    images, labels = images_of(COUNT)
    keras.utils.set_random_seed(1)
    inputs = keras.Input((16, 16, 1))
    maps = keras.layers.Conv2D(4, 4, strides=4, name="maps")(inputs)
    flat = keras.layers.Flatten()(maps)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES + DIMENSIONS + 3, name="logits")(flat))
    hidden = keras.Model(inputs, flat)
    answers = np.asarray(hidden(images))
    wanted = np.concatenate([20 * np.eye(CLASSES)[labels], np.zeros((COUNT, DIMENSIONS + 3))], axis=1)
    solved = np.linalg.lstsq(np.c_[answers, np.ones(COUNT)], wanted, rcond=None)[0]
    solved[:-1, CLASSES:] = np.random.default_rng(2).standard_normal((answers.shape[1], DIMENSIONS + 3))
    solved[-1, CLASSES:] = -40
    model.get_layer("logits").set_weights([solved[:-1], solved[-1]])
    store = Store(tmp_path_factory.mktemp("store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ladder, "_networks", lambda *_: [])
        patch.setattr(
            ladder, "decoder", lambda sizes, images: ladder.LinearWithinClass(images=images, maps=True)
        )
        # What takes long and says nothing of defences
        patch.setattr(point_report, "permutation_p", lambda *_, **__: 1.0)
        patch.setattr(ladder, "_prototypes", lambda *_: [])
        patch.setattr(module.controls, "planned", lambda *_: [])
        patch.setattr(
            module.controls, "components", lambda *_: Control("components", None, "components skipped", "")
        )
        plain = audit(model, (images, labels), OPTIONS, store=store)
        defended = audit(model, (images, labels), replace(OPTIONS, defend=DEFENCES), store=store)
        averaged = audit(
            model,
            (images, labels),
            replace(OPTIONS, at=("logits",), defend=("noise=1",), sends=400),
            store=store,
        )
    return World(model, images, labels, plain, defended, averaged)


def rows_of(report, point):
    return {row.words: row for row in report.defences if row.point == point}


def test_a_defence_changes_no_verdict_on_what_is_sent_without_it(world):
    assert world.defended.points == world.plain.points
    assert world.defended.controls == world.plain.controls
    assert world.plain.defences == ()


def test_each_defence_is_tried_once_at_every_point_that_it_is_for(world):
    noise = ("noise, 0.05 of the logits' spread", "noise, 50 of the logits' spread")
    tried = ["none", "rounding to 2 decimals", "label alone", "temperature 5", *noise]
    assert list(rows_of(world.defended, "logits")) == list(rows_of(world.defended, "probabilities")) == tried
    noise = ("noise, 0.05 of each map's spread", "noise, 50 of each map's spread")
    assert list(rows_of(world.defended, "maps")) == ["none", *noise, "8 bits a value", "1 of 4 maps"]


def test_verdicts_are_those_of_what_is_known_to_leak(world):
    """Temperature scales what is read, rounded logits of this size lose nothing, rounded probabilities all but the class."""
    at_logits, shown = rows_of(world.defended, "logits"), rows_of(world.defended, "probabilities")
    leaks, below = "LEAKS", "BELOW TOLERANCE"
    assert [row.verdict for row in at_logits.values()] == [leaks, leaks, below, leaks, leaks, below]
    assert [row.verdict for row in shown.values()] == [leaks, below, below, leaks, leaks, below]
    for name in ("none", "temperature 5"):
        assert at_logits[name].found.value > 0.99
        assert shown[name].found.value > 0.99
    # The white box was not tried: a layer cannot be below the tolerance
    maps = rows_of(world.defended, "maps")["noise, 50 of each map's spread"]
    assert (maps.verdict, maps.reason) == ("INCONCLUSIVE", "not tried: white box behind the defence")


def test_the_price_is_paid_by_the_honest_user(world):
    """The labels are what the model says, so that right answers and kept classes are one number."""
    for report in (world.defended, world.averaged):
        for row in report.defences:
            assert row.accuracy == row.agreement, row.words
    rows = rows_of(world.defended, "logits")
    assert all(
        rows[name].agreement == 1
        for name in ("none", "rounding to 2 decimals", "label alone", "temperature 5")
    )
    assert (
        rows["noise, 50 of the logits' spread"].agreement < 0.25
    )  # one of ten logits is the largest by chance
    # 400 sends are averaged by the adversary, not by the user
    (noisy,) = [row for row in world.averaged.defences if row.words != "none"]
    assert 0.9 < noisy.agreement < 1
    assert rows["label alone"].calibration is None
    assert rows["none"].calibration < 0.01 < rows["temperature 5"].calibration
    assert (rows["none"].bytes, rows["label alone"].bytes) == (40, 2)
    maps = rows_of(world.defended, "maps")
    assert maps["8 bits a value"].agreement > 0.99
    assert [row.bytes for row in maps.values()] == [128, 128, 128, 64, 32]  # 4 x 4 positions of 4 maps
    assert maps["1 of 4 maps"].agreement < 0.6


def test_many_sends_of_strong_noise_are_one_of_weak_noise(world):
    """Noise of 1 averaged over 400 sends is noise of 0.05."""
    (averaged,) = [row for row in world.averaged.defences if row.words != "none"]
    weak = rows_of(world.defended, "logits")["noise, 0.05 of the logits' spread"]
    assert averaged.words == "noise, 1 of the logits' spread, 400 sends averaged"
    assert averaged.bayes.value == pytest.approx(weak.bayes.value, abs=0.02)
    assert averaged.fano == pytest.approx(weak.fano)
    assert averaged.found.value == pytest.approx(weak.found.value, abs=0.06)


def test_no_attack_is_better_than_the_best_possible_one(world):
    noisy = [row for row in world.defended.defences if row.words.startswith("noise")]
    assert len(noisy) == 6
    for row in noisy:
        assert row.found.low <= row.bayes.high, row
        assert row.bayes.low <= row.fano, row
    weak = rows_of(world.defended, "probabilities")["noise, 0.05 of the logits' spread"]
    assert (
        weak.found.value > 0.7 * weak.bayes.value
    )  # a linear attack is near to it where images are a linear function
    assert all(row.bayes is None for row in world.defended.defences if not row.words.startswith("noise"))


def test_what_probabilities_lose_of_logits_is_not_counted_as_known(world):
    """One of ten dimensions of the logits is the same for all classes: the best attack cannot use it."""
    at_logits, shown = (rows_of(world.defended, name) for name in ("logits", "probabilities"))
    name = "noise, 0.05 of the logits' spread"
    assert shown[name].bayes.value <= at_logits[name].bayes.value
    assert shown[name].fano < at_logits[name].fano


@pytest.mark.parametrize(
    ("at", "spec", "told"),
    [
        (
            ("logits",),
            "bits=3",
            r"rounding=0..7, top=1..10, temperature=T, noise=S, label at the output \(logits\); got 'bits=3'",
        ),
        (
            ("maps",),
            "rounding=1",
            "bits=1..8, kept=M or kept=SHARE, noise=S at maps, which has 4 maps; got 'rounding=1'",
        ),
        (("maps",), "kept=5", "which has 4 maps; got 'kept=5'"),
        (("logits",), "top=11", "top=1..10"),
        (("label",), "noise=1", "nothing, as all outputs are rounded, cut or a label already; got 'noise=1'"),
    ],
)
def test_a_defence_for_nothing_that_is_audited_is_refused_before_anything_is_trained(
    world, at, spec, told, tmp_path
):
    options, store = replace(OPTIONS, at=at, defend=(spec,)), Store(tmp_path / "empty")
    with pytest.raises(InputError, match=f"`defend` must be for what is audited: .*{told}"):
        audit(world.model, (world.images, world.labels), options, store=store)
    assert not [path for path in (tmp_path / "empty").rglob("*") if path.is_file()]


def row(words, agreement, size, verdict="BELOW TOLERANCE", at="logits"):
    return reports.defence(words, agreement, None, None, verdict, None, None, at=at, size=size)


def test_the_cheapest_keeps_most_classes_then_sends_least():
    points = (
        reports.point(),
        reports.layer("a/b", "LEAKS", 0.9, 0.7),
        reports.point("label", "BELOW TOLERANCE"),
    )
    rows = [
        row("none", 1.0, 1, "LEAKS"), row("few", 0.9, 1), row("many", 0.99, 40), row("less", 0.99, 20), row("all", 1.0, 9, "LEAKS"),
        row("bits", 0.99, 9, "INCONCLUSIVE", "a/b"), row("label", 1.0, 1, at="label"),
    ]  # fmt: skip
    assert cheapest(points, rows) == (
        "Below the tolerance in place of logits: label. Cheapest defence that sufficed (most classes kept, then fewest "
        "bytes): at logits less; at a/b no tried defence sufficed."
    )
    assert cheapest(points, []) == "Below the tolerance in place of logits: label."
    assert cheapest(points[:2], []) == "Nothing that was looked at is below the tolerance."
    assert cheapest(points[2:], rows) == ""


def test_a_failed_control_voids_defences_too(world, monkeypatch, tmp_path):
    failed = Control("shuffled", False, "shuffled FAILED", "")
    monkeypatch.setattr(module.controls, "shuffled", lambda *_: failed)
    monkeypatch.setattr(ladder, "_networks", lambda *_: [])
    monkeypatch.setattr(ladder, "_prototypes", lambda *_: [])
    options = replace(OPTIONS, at=("logits",), defend=("label",))
    report = audit(world.model, (world.images, world.labels), options, store=Store(tmp_path))
    assert [row.verdict for row in report.defences] == ["VOID", "VOID"]
    assert "sufficed" not in report.cheapest


def test_noise_is_bounded_where_images_are_attacked_in_folds_too(world, monkeypatch, tmp_path):
    """Of 300 images each is attacked in one of four folds; weak noise hides none of them from who has the pool."""
    monkeypatch.setattr(ladder, "_networks", lambda *_: [])
    monkeypatch.setattr(ladder, "_prototypes", lambda *_: [])
    monkeypatch.setattr(point_report, "permutation_p", lambda *_, **__: 1.0)
    monkeypatch.setattr(module.controls, "planned", lambda *_: [])
    monkeypatch.setattr(module.controls, "components", lambda *_: Control("components", None, "skipped", ""))
    options = replace(OPTIONS, at=("logits",), defend=("noise=0.001",))
    report = audit(world.model, (world.images[:300], world.labels[:300]), options, store=Store(tmp_path))
    assert report.data.folds == 4
    none, noisy = report.defences
    assert noisy.bayes.value > 0.98
    assert noisy.fano == 1
    assert (none.found, none.detail, none.auc) == tuple(
        getattr(report.points[0], n) for n in ("found", "detail", "auc")
    )
