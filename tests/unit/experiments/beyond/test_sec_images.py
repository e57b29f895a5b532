"""The section `images`: two sources, several classifiers, and an adversary who has no image of the attacked source."""

from dataclasses import replace

import numpy as np
import pytest

from mi_keras.attacks.bank import BankInverter
from mi_keras.attacks.baselines import ClassAverage
from mi_keras.attacks.learned import Learned
from mi_keras.attacks.transfer import Transfer
from mi_keras.data.preprocess import preprocess
from mi_keras.data.sources import load_source
from mi_keras.errors import InputError
from mi_keras.experiments.beyond import images_work, sec_images
from mi_keras.experiments.beyond.bench import ALL, HALF, BeyondBench
from mi_keras.experiments.beyond.images_work import IMAGES
from mi_keras.experiments.beyond.rows import AVERAGE, Entry, measured
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.store import Store
from mi_keras.models.architectures import ResidualSettings
from mi_keras.models.cnn import observe
from mi_keras.progress import SilentProgress
from mi_keras.results import Row
from mi_keras.settings import ClassifierSettings, InverterSettings, SplitSettings

SMALL = InverterSettings((4, 4, 4), epochs=1, batch_size=8, dropout=(0.0, 0.0, 0.0))
CLASSIFIER = {"epochs": 1, "batch_size": 8}


def write_npz(path, *, seed, channels=3, classes=3, size=32):
    """A source of the shape of CIFAR-10's, of few images: 12 and 9 of each class."""
    draw = np.random.default_rng(seed)
    arrays = {}
    for part, count in (("train", 12 * classes), ("test", 9 * classes)):
        arrays[f"x_{part}"] = draw.integers(0, 256, (count, size, size, channels), np.uint8)
        arrays[f"y_{part}"] = np.arange(count, dtype=np.int64)[:, None] % classes
    np.savez(path, **arrays)
    return f"npz:{path}"


def config_of(**changed):
    return replace(
        sec_images.PAPER, runs=2, bank=2, data=SplitSettings(12, 9, "stratified"), network=SMALL, inverter=SMALL,
        classifier=ClassifierSettings((3, 4, 5), **CLASSIFIER), residual=ResidualSettings((3, 4, 5), blocks=1, **CLASSIFIER),
        classifiers=("cnn", "residual"), elsewhere=("cnn",), **changed,
    )  # fmt: skip


@pytest.fixture
def colour(tmp_path):
    """The targets on images in colour, and the second adversary's images."""
    config = config_of(other=write_npz(tmp_path / "other.npz", seed=2))
    source = load_source(write_npz(tmp_path / "attacked.npz", seed=1))
    data = IMAGES.prepare(source, config, seed=1)
    return data, IMAGES.benches(data, config, Store(tmp_path / "store"), SilentProgress(), seed=1)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("classifiers", (), "`classifiers` must name at least one"),
        ("classifiers", ("vgg",), "`classifiers` must be among cnn, residual, efficientnet; got 'vgg'"),
        ("elsewhere", ("cnn", "cnn"), "`elsewhere` must name each once"),
        ("efficientnet_runs", 0, "`efficientnet_runs` must be between 1 and 1000; got 0"),
        ("efficientnet_bank", 1, "`efficientnet_bank` must be between 2 and 100; got 1"),
        ("combinations", ("a",), "`combinations` must be among o, x; got 'a'"),
    ],
)
def test_what_cannot_be_meant_is_refused(key, value, message):
    with pytest.raises(InputError, match=message):
        replace(sec_images.PAPER, **{key: value})


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ({"channels": 1}, r"`other` must have images of 3 channels in 3 classes, as `data` has; npz:.*other.npz has 1 and 3\."),
        ({"classes": 4}, r"`other` must have images of 3 channels in 3 classes, as `data` has; npz:.*other.npz has 3 and 4\."),
        ({"seed": 1}, r"`other` must share no image with `data`; 63 of npz:.*other.npz are in both\."),
    ],
)  # fmt: skip
def test_a_second_source_that_does_not_fit_the_first_is_refused_before_anything_is_trained(
    tmp_path, made, message
):
    other = write_npz(tmp_path / "other.npz", **({"seed": 2} | made))
    source = load_source(write_npz(tmp_path / "attacked.npz", seed=1))
    with pytest.raises(InputError, match=message):
        IMAGES.prepare(source, config_of(other=other), seed=1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cifar10", r"^`other` must be mnist, tfds:NAME or npz:FILE; got 'cifar10'\.$"),
        ("npz:nowhere.npz", r"^`other='npz:nowhere.npz'` must be an existing file that can be read"),
    ],
)
def test_a_second_source_that_is_not_there_is_said_so_under_its_own_name(tmp_path, spec, message):
    source = load_source(write_npz(tmp_path / "attacked.npz", seed=1))
    with pytest.raises(InputError, match=message):
        IMAGES.prepare(source, config_of(other=spec), seed=1)


def test_who_wants_no_download_gets_none_of_the_second_source_either(tmp_path, monkeypatch):
    asked = []

    def load(spec, *, offline):
        asked.append((spec, offline))
        raise InputError(f"`data={spec}` is not here.")

    source = load_source(write_npz(tmp_path / "attacked.npz", seed=1))
    monkeypatch.setattr(images_work, "load_source", load)
    for work, offline in ((IMAGES, False), (IMAGES.kept_offline(), True)):
        with pytest.raises(InputError, match=r"^`other=tfds:cifar10` is not here\.$"):
            work.prepare(source, config_of(other="tfds:cifar10"), seed=1)
        assert asked.pop() == ("tfds:cifar10", offline)


def test_each_classifier_has_targets_of_its_own_and_the_expensive_one_fewer():
    config = replace(sec_images.PAPER, runs=4, efficientnet_runs=2, efficientnet_bank=3)
    assert [(config.banked(name).runs, config.banked(name).bank) for name in config.classifiers] == [
        (4, 10), (4, 10), (2, 3),
    ]  # fmt: skip
    assert replace(config, runs=1).banked("efficientnet").runs == 1


def test_models_of_the_thesis_cnn_are_those_of_other_sections_and_no_others(colour):
    data, (cnn, residual) = colour
    bench = cnn.near[0]
    described = {
        "fingerprint": data.attacked.fingerprint,
        "splits": vars(config_of().data),
        "seed": bench._identity["data"]["seed"],
    }
    plain = BeyondBench(
        data.attacked, described, config_of().classifier, bench.store, SilentProgress(), bank=2, seed=1, run=1
    )  # fmt: skip
    for role in ("target", "shadow", "bank/1"):
        assert bench.model(role).key == plain.model(role).key != residual.near[0].model(role).key
    assert residual.near[0].model("target").identity["architecture"] == "residual network"


def test_the_second_adversary_meets_the_same_targets_with_models_and_images_of_its_own(colour):
    data, (cnn, residual) = colour
    assert not residual.far
    own, others = (
        preprocess(load_source(data.other.source_name).train_images),
        data.attacked.shadow_train.images,
    )
    for near, far in zip(cnn.near, cnn.far, strict=True):
        assert far.model("target").key == near.model("target").key
        assert far.output_vector("target", "test").key == near.output_vector("target", "test").key
        np.testing.assert_array_equal(far.truth("test"), near.truth("test"))
        images = far.own_images().images
        assert {image.tobytes() for image in images} <= {image.tobytes() for image in own}
        assert not {image.tobytes() for image in images} & {image.tobytes() for image in others}
        answered = [bench.answering().known(ClassAverage(), None).stages[0] for bench in (near, far)]
        assert answered[0].upstream[0].key == answered[1].upstream[0].key == near.model("target").key
        assert answered[0].key != answered[1].key
        for role in ("shadow", "bank/1", "bank/2"):
            assert far.model(role).key != near.model(role).key
    first, second = cnn.far
    assert first.model("bank/1").key == second.model("bank/1").key
    inverter = Learned(settings=SMALL, name="o")
    assert plan(Case(inverter), first).learned.key == plan(Case(inverter), second).learned.key
    for who in (HALF, ALL):
        player = first.other(player=who)
        np.testing.assert_array_equal(player.truth(player.attacked), data.other.shadow_validation.images)
        assert player.model("target").key not in {
            first.model("target").key,
            cnn.near[0].other(player=who).model("target").key,
        }


@pytest.mark.slow  # trains three models and a network
def test_images_in_colour_go_through_training_answers_and_attacks_of_another_network(colour):
    _, (_, residual) = colour
    bench = residual.near[1]
    stage = bench.model("target")
    answers = observe(bench.load(stage), bench.truth("test")).vectors
    np.testing.assert_allclose(
        bench.output_vector("target", "test").arrays["output_vector"], answers, atol=1e-6
    )
    mapped = BankInverter(2, "mapped", 0.1, settings=SMALL, copies=1)
    entries = {
        "whole": Entry("whole", Case(Transfer(mapped, 2, alignment="matching")), players=()),
        AVERAGE: Entry("average", Case(ClassAverage()), "baseline", players=()),
    }
    rows, plans = measured([bench], entries)
    images = plans["whole"][0].scored.arrays["images"]
    assert images.shape == bench.truth("test").shape == (9, 32, 32, 3)
    assert rows[AVERAGE].values["detail"] == pytest.approx(0)
    assert np.ptp(images.astype(np.float32), axis=3).max() > 0  # channels differ


def test_detail_is_relative_to_the_average_that_is_given(colour):
    _, (cnn, _) = colour
    entry = Entry("average", Case(ClassAverage()), "baseline", players=())
    near, plans = measured(cnn.near[:1], {AVERAGE: entry})
    far, _ = measured(cnn.far[:1], {"theirs": entry}, plans[AVERAGE])
    share = 1 - far["theirs"].values["mse"] / near[AVERAGE].values["mse"]
    assert far["theirs"].values["detail"] == pytest.approx(share, abs=1e-6)
    assert share != 0


def row(name, ssim, found=0.1):
    spread = np.array([-0.001, 0.001])
    return Row(name, name, "attack", {"ssim": ssim + spread, "found_10": found + spread / 10})


def test_claims_hold_each_adversary_to_the_class_and_to_the_one_below(colour):
    _, (cnn, _) = colour
    rows = {
        each.name: each
        for each in (
            row("cnn:o", 0.35), row("cnn:whole", 0.45, 0.3), row("cnn:own_answers", 0.5), row("cnn:class_prototype", 0.4),
            row("cnn:whole:other", 0.2), row("cnn:own_answers:other", 0.1, 0.15),
        )
    }  # fmt: skip
    verdicts = {claim.text: claim.holds for claim in sec_images._claims(rows, [cnn])}
    assert verdicts == {
        "CNN: without a query more is shown than the class": True,
        "CNN: without a query the strongest attack carries further than the thesis's M_I(O)": True,
        "CNN: all answers show more than none": True,
        "CNN: with images of another source and no query, less is shown than the class": True,
        "CNN: with images of another source, all answers show more than none": False,
        "CNN: with images of another source, all answers find more images than the class": True,
    }
    said = {
        name: sec_images._said(name, rows["cnn:whole"]).label
        for name in ("residual:whole", "cnn:whole:other")
    }
    assert said == {
        "residual:whole": "residual network, cnn:whole", "cnn:whole:other": "CNN, cnn:whole, other images",
    }  # fmt: skip
