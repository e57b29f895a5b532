"""What the class alone gives away: the better of its mean and its prototype, for each number."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import structural_similarity
from small_audits import constant, digits

from mi_keras.attacks.access import Holdings
from mi_keras.attacks.baselines import ClassPrototype
from mi_keras.auditing import ladder
from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.contract import inspect
from mi_keras.auditing.envelope import climb
from mi_keras.auditing.options import Options
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.sizes import SIZES
from mi_keras.auditing.subject import ATTACKED, OWN, Subject
from mi_keras.auditing.views import View
from mi_keras.experiments.case import Case, plan
from mi_keras.experiments.store import Store
from mi_keras.progress import Run, SilentProgress
from mi_keras.settings import PrototypeSettings
from mi_keras.types import Images

SHORT = ClassPrototype(PrototypeSettings(steps=30, batch_size=16))
SHAPE = (28, 28, 1)


@pytest.fixture(scope="module")
def subject() -> Subject:
    options = Options(model_input="0..1", preset="smoke", class_of="all")
    return inspect(constant(SHAPE), "small", digits(420), options).subjects[0]


def bench(subject: Subject, folder: Path) -> AuditBench:
    return AuditBench(subject, Sent("out", View("label")), Store(folder), SilentProgress(), seed=1, fold=1)


def test_for_ssim_the_prototype_is_the_constant_to_beat(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "_networks", lambda *_: [])
    rungs = ladder.rungs(bench(subject, tmp_path), ("class",), replace(SIZES["smoke"], prototype_steps=40))
    assert [rung.label for rung in rungs] == ["class mean", "class prototype"]
    envelope = climb([rungs], among=10)
    assert envelope.chosen == {"found": 0, "detail": 0, "ssim_gain": 1}
    mean, prototype = (each.scored.ssim for each in envelope.attacks)
    assert prototype.mean() > mean.mean() + 0.02
    np.testing.assert_array_equal(envelope.scored.class_ssim, prototype)  # what attacks must be above
    assert envelope.numbers.ssim_gain is not None
    assert envelope.numbers.ssim_gain.value == 0
    of_mean = envelope.attacks[0].numbers.ssim_gain
    assert of_mean is not None
    assert of_mean.value < -0.02
    drawn = plan(Case(rungs[1].attack, images=ATTACKED), rungs[1].bench).learned.arrays["images"][0]
    truth = subject.sides[ATTACKED].truth.images[:5] / np.float32(255)
    ours = [
        structural_similarity(
            image[..., 0],
            drawn[..., 0],
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )[1][5:-5, 5:-5].mean()
        for image in truth
    ]
    np.testing.assert_allclose(prototype[:5], ours, atol=1e-4)


def test_a_prototype_is_of_the_model_that_tells_the_classes(subject: Subject, tmp_path: Path) -> None:
    of = bench(subject, tmp_path)
    learned = plan(Case(SHORT), of).learned
    assert of.raw("out", OWN).key in {stage.key for stage in learned.upstream}


def test_prototypes_that_would_not_fit_into_memory_are_not_tried(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ladder._prototypes(bench(subject, tmp_path), SIZES["quick"])
    monkeypatch.setattr(ladder, "MOST_NUMBERS", 4 * 28 * 28 - 1)
    assert not ladder._prototypes(bench(subject, tmp_path), SIZES["quick"])


def test_a_class_without_images_has_the_mean_of_all() -> None:
    draw = np.random.default_rng(0)
    own = Images(
        draw.random((24, 16, 16, 1)).astype(np.float32),
        2 * (np.arange(24) % 2),
        np.arange(24, dtype=np.uint64),
    )
    fitted = SHORT.fit(None, Holdings(images=own, image_shape=(16, 16, 1), classes=4), Run(1))[0]["images"]
    together = SHORT.fit(
        None,
        Holdings(images=replace(own, labels=own.labels // 2), image_shape=(16, 16, 1), classes=2),
        Run(1),
    )[0]["images"]
    np.testing.assert_allclose(fitted[[0, 2]], together, atol=1e-6)
    np.testing.assert_allclose(fitted[[1, 3]], np.stack([own.images.mean(axis=0)] * 2), atol=1e-6)


def test_a_patient_of_many_images_is_not_the_prototype() -> None:
    one, other = np.random.default_rng(1).random((2, 16, 16, 1)).astype(np.float32)
    pixels = np.stack([one] * 60 + [other] * 6)
    ids, labels = np.arange(66, dtype=np.uint64), np.zeros(66, np.int64)
    drawn = []
    for groups in (None, np.array([0] * 60 + [1, 2, 3, 4, 5, 6])):
        held = Holdings(images=Images(pixels, labels, ids, groups), image_shape=(16, 16, 1), classes=1)
        drawn.append(SHORT.fit(None, held, Run(1))[0]["images"][0])
    by_image, by_group = ([np.square(image - of).mean() for of in (one, other)] for image in drawn)
    assert by_image[0] < by_image[1]
    assert by_group[1] < by_group[0]
