"""Audits with the adversary that asks nothing: what is said of it, what it costs, how it is asked for, what it gets."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from small_audits import audited, linear, pictures
from small_shadows import CLASSES, SMALL, bench, known, model, subject

from mi_keras.attacks.within_class import LinearWithinClass
from mi_keras.auditing import audit as auditing
from mi_keras.auditing import cost, stronger
from mi_keras.auditing.arguments import _names, parser
from mi_keras.auditing.ladder import CLASS, QUERIES, SHADOW, UNLIMITED, rungs
from mi_keras.auditing.options import Options
from mi_keras.auditing.shadows import ShadowBench, facts, weakness
from mi_keras.auditing.sizes import SIZES
from mi_keras.data.mnist import read_embedded_mnist
from mi_keras.errors import InputError
from mi_keras.models.variables import weights_of

__all__ = ["linear"]


@pytest.mark.parametrize(
    ("tried", "strongest"),
    [
        ((CLASS, SHADOW), SHADOW), ((CLASS, SHADOW, QUERIES), "shadow, queries"), ((CLASS, QUERIES), QUERIES),
        ((CLASS, SHADOW, QUERIES, UNLIMITED), UNLIMITED), ((CLASS, QUERIES, SHADOW), SHADOW),
    ],
)  # fmt: skip
def test_neither_of_shadow_and_queries_is_the_stronger(tried, strongest) -> None:
    attacks = tuple(SimpleNamespace(rung=SimpleNamespace(adversary=each)) for each in (*tried, "pool"))
    assert stronger.Climbed(SimpleNamespace(attacks=attacks), None).adversary == strongest


def test_what_was_not_possible_is_said_and_what_was_tried_is_not(tmp_path) -> None:
    of = subject(public="flat")
    at = {point: bench(of, tmp_path, point) for point in ("maps", "vector", "answer")}
    ends = ["a pool of candidates", "the model's conversion, such as TFLite"]
    nobody = dict.fromkeys(at, "")  # asked for the white box
    assert stronger.not_tried(at, (SHADOW,), SMALL, nobody, ()) == ["white box", *ends]
    plain = {point: bench(subject(), tmp_path, point) for point in ("maps", "vector", "answer")}
    reason = "shadow models at maps and vector: a hidden layer needs `public_backbone`"
    assert stronger.not_tried(plain, (SHADOW,), SMALL, nobody, ())[1:] == [reason, *ends]
    assert stronger.not_tried(plain, (), SMALL, nobody, ())[1:] == ["shadow models", *ends]


def test_how_good_the_shadows_are_is_said(tmp_path) -> None:
    values = known(subject(), tmp_path)
    right = np.mean([values.shadow(number).info["accuracy"] for number in range(2)])
    assert facts(values).startswith(
        "2 shadow models, each trained on 30 of the adversary's 60 images: right on "
    )
    assert f"right on {right:.2f} of the others; the model on " in facts(values)


def test_shadows_that_say_something_else_than_the_model_are_warned_of(tmp_path, monkeypatch) -> None:
    """Untrained ones are; what each says of the images that it has not seen counts, at a hidden layer too."""
    of = subject(public="flat")
    values, hidden = known(of, tmp_path), known(of, tmp_path, point="vector")
    said = of.output.classes_of(of.answers("answer")(of.sides["own"].images))
    shares = []
    for number in range(2):
        shadow = values.surrogates(values.attacks([LinearWithinClass(CLASSES)])[0].needs, None)[number]
        others = values._parts(number)[1]
        classes = np.argmax(shadow(np.asarray(values._given[others]), training=False), axis=1)
        shares.append(np.mean(classes == said[others]))
    assert values.agreement() == hidden.agreement() == pytest.approx(np.mean(shares))
    assert values.agreement() < 0.8
    share = f"{100 * np.mean(shares):.0f} %"
    assert weakness(values).startswith(f"Shadow models say what the model says of {share} of the images")
    monkeypatch.setattr(ShadowBench, "agreement", lambda self: 0.8)
    assert weakness(values) == ""


def test_few_images_are_learned_for_more_epochs(tmp_path) -> None:
    assert [ShadowBench(bench(subject(), tmp_path), 1, 3, steps).epochs for steps in (1, 3, 50)] == [3, 3, 50]


def test_a_budget_leaves_shadow_models_out_after_the_white_box_and_as_one(tmp_path, monkeypatch) -> None:
    at = bench(subject(), tmp_path)
    every = [*rungs(at, (SHADOW, UNLIMITED), SMALL), *stronger.beyond(at, ("white_box",), SIZES["smoke"], 1)]
    monkeypatch.setattr(cost, "_training", lambda _: 5.0)
    monkeypatch.setattr(cost, "_cost", lambda *_: 1.0)
    shadows, left = [rung.label for rung in every if rung.adversary == SHADOW], []
    for seconds in (len(every) + 5, len(every) + 4, len(every) + 3, len(every) - 4, len(every) - 5):
        monkeypatch.setattr(at, "_seed", len(left) + 2)  # another plan
        left.append(cost.choose(every, budget=seconds / 60).left_out)
    white = every[-1].label
    assert left[:3] == [(), (white,), (*shadows[2:], white)]
    assert left[3] == (*shadows, white)  # with the training
    assert left[4] == (*shadows, "network, 1 - SSIM", white)
    monkeypatch.setattr(at, "_seed", 99)
    chosen = cost.choose(every, budget=(len(every) + 5) / 60)
    assert (chosen.left_out, chosen.seconds, chosen.shared) == ((), len(every) + 5, 5)


def test_training_is_timed(tmp_path) -> None:
    one, two = (cost._training(ShadowBench(known(subject(), tmp_path), n, 1, 1)) for n in (1, 1_000))
    assert 0 < one < two


@pytest.mark.parametrize(
    ("words", "expected", "target"),
    [
        (
            ["m.keras", "--adversaries", "class", "shadow", "unlimited"],
            ("class", "shadow", "unlimited"),
            "m.keras",
        ),
        (["--adversaries", "class,shadow", "m.keras"], ("class", "shadow"), "m.keras"),
        (["--adversaries", "class,", "shadow", "--seed", "1"], ("class", "shadow"), None),
        ([], (), None),
    ],
)
def test_adversaries_are_named_with_commas_or_without(words, expected, target) -> None:
    given = parser().parse_args(words)
    assert _names(given) == expected
    assert given.model == target


def test_a_public_part_goes_with_who_makes_use_of_it() -> None:
    with pytest.raises(InputError, match="`public_backbone` must go with the adversary shadow"):
        Options(public_backbone="flat")


def test_a_path_that_is_none_is_refused_in_a_line_before_anything_is_trained(tmp_path) -> None:
    images = pictures()
    with pytest.raises(
        InputError, match=r"^`public_backbone` must be an output \(answer\) or the path of a layer"
    ) as error:
        audited(model(), images, tmp_path, pixels="0..255", adversaries=("shadow",), public_backbone="vectr")
    assert "\n" not in str(error.value)
    assert "(alike: vector" in str(error.value)
    assert not list((tmp_path / "store").glob("stages/*"))


@pytest.mark.slow
def test_who_asks_nothing_gets_more_than_the_class_and_no_more_than_who_has_all_answers(
    tmp_path, monkeypatch, linear
) -> None:
    """A CNN that 3,000 digits trained, 2,000 others, four shadow models of 540 images each."""
    source = read_embedded_mnist()
    images, labels = source.train_images[:5000].reshape(-1, 28, 28, 1), source.train_labels[:5000].astype(int)
    keras.utils.set_random_seed(1)
    cnn = keras.Sequential([keras.Input((28, 28, 1))])
    for filters in (12, 24):
        cnn.add(keras.layers.Conv2D(filters, 5, strides=2, activation="relu"))
    cnn.add(keras.layers.Flatten())
    cnn.add(keras.layers.Dense(48, activation="relu"))
    cnn.add(keras.layers.Dense(10, name="digit"))
    cnn.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    cnn.fit(images[:3000] / 255, labels[:3000], epochs=8, batch_size=32, verbose=0)
    before = weights_of(cnn)
    sizes = replace(SIZES["quick"], shadows=4, shadow_epochs=1, shadow_steps=400)
    monkeypatch.setitem(auditing.SIZES, "quick", sizes)
    report = audited(
        cnn, (images[3000:], labels[3000:]), tmp_path, preset="quick", pixels="0..255", at=("logits", "label"),
        adversaries=("class", "shadow", "unlimited"),
    )  # fmt: skip
    rows = {row.adversary: row for row in report.points[0].attacks}
    of_class, shadow, unlimited = (rows[name] for name in (CLASS, SHADOW, UNLIMITED))
    assert shadow.found.low > of_class.found.high + 0.05
    assert shadow.auc.low > of_class.auc.high + 0.05
    assert shadow.detail.low > 0.02
    for name in ("found", "auc", "detail"):
        assert getattr(shadow, name).low <= getattr(unlimited, name).high
    assert [row.adversary for row in report.points[1].attacks] == [CLASS]
    assert not [text for text in report.not_tried if "shadow" in text]
    for name, array in weights_of(cnn).items():
        np.testing.assert_array_equal(array, before[name])
