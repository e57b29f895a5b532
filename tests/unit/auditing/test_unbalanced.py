"""Many images of few patients: whoever knows the class alone shows nothing, and no control fails for it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_audits import audited, class_only, linear, verdicts

from mi_keras.attacks.ridge import class_means
from mi_keras.auditing.intervals import group_average
from mi_keras.types import Images

__all__ = ["linear"]
CLASSES = 3


def patients(groups: int, seed: int, style: float = 0.5) -> tuple[Any, Any]:
    """Return images of groups of 1 to some hundred images each, 480 at least, and the groups.

    Args:
        style: share of the variance that images of a group have in common.
    """
    draw = np.random.default_rng(seed)
    sizes = np.exp(1.3 * draw.standard_normal(groups))
    sizes = np.maximum(1, np.round(480 * sizes / sizes.sum())).astype(int)
    of = np.repeat(np.arange(groups), sizes)
    shared, own = (draw.standard_normal((count, 4, 4, 1)) for count in (groups, len(of)))
    levels = 0.5 + 0.18 * (np.sqrt(style) * shared[of] + np.sqrt(1 - style) * own)
    squares = np.kron(levels, np.ones((1, 4, 4, 1)))
    squares += 0.01 * draw.standard_normal(squares.shape)
    return np.round(255 * np.clip(squares, 0, 1)).astype(np.uint8), of


def test_a_class_mean_over_groups_is_the_best_constant_for_a_score_over_groups() -> None:
    draw = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), draw.integers(1, 40, 30))
    classes = np.arange(len(groups)) % CLASSES
    images = (10 * classes[:, None, None, None] + draw.random((len(groups), 2, 2, 1))).astype(np.float32)
    means = class_means(images, classes, CLASSES, groups)
    weights = Images.unlabelled(images).weights
    assert weights is None
    weights = 1 / np.bincount(groups)[groups]
    for number in range(CLASSES):  # classes are far apart, so that nothing is drawn in
        of = classes == number
        np.testing.assert_allclose(
            means[number], np.average(images[of], axis=0, weights=weights[of]), atol=1e-3
        )
    best = group_average(np.square(images - means[classes]).sum((1, 2, 3)), groups)
    for moved in (means + 0.05, means - 0.05, class_means(images, classes, CLASSES)):
        assert best < group_average(np.square(images - moved[classes]).sum((1, 2, 3)), groups)


def test_groups_of_one_image_are_no_groups() -> None:
    draw = np.random.default_rng(0)
    images, classes = draw.random((60, 4, 4, 1)).astype(np.float32), draw.integers(0, 4, 60)
    expected = class_means(images, classes, 4)
    np.testing.assert_allclose(class_means(images, classes, 4, np.arange(60)), expected, atol=1e-7)
    assert Images(images, classes, np.arange(60, dtype=np.uint64), np.arange(60)).weights == pytest.approx(1)


@pytest.mark.parametrize("style", [0.3, 0.8])
def test_no_constant_of_a_class_shows_detail_on_average(style: float) -> None:
    """Those of an adversary that weighs images, that draws nothing in, and that knows the mean of all alone."""
    shown = []
    for seed in range(150):
        draw = np.random.default_rng(seed)
        sizes = np.maximum(1, np.round(np.exp(2 + 1.3 * draw.standard_normal(60)))).astype(int)
        groups = np.repeat(np.arange(60), sizes)
        shared, own = (draw.standard_normal((count, 8, 1, 1)) for count in (60, len(groups)))
        images = (np.sqrt(style) * shared[groups] + np.sqrt(1 - style) * own).astype(np.float32)
        classes = np.argmax(images[:, :CLASSES, 0, 0], axis=1)  # as a model tells them
        theirs = groups < 40
        weights = (1 / sizes)[groups]

        def constants(weights: Any, images=images, classes=classes, theirs=theirs) -> Any:
            of = [theirs & (classes == number) for number in range(CLASSES)]
            return np.stack([np.average(images[rows], axis=0, weights=weights[rows]) for rows in of])

        def error(means: Any, images=images, classes=classes, theirs=theirs, groups=groups) -> float:
            errors = np.square(images - means[classes]).sum((1, 2, 3))
            return group_average(errors[~theirs], groups[~theirs])

        best = error(class_means(images[theirs], classes[theirs], CLASSES, groups[theirs]))
        grand = np.average(images[theirs], axis=0, weights=weights[theirs])
        tried = (constants(np.ones(len(groups))), constants(weights), np.stack([grand] * CLASSES))
        shown.append([1 - error(means) / best for means in tried])
    average, noise = np.mean(shown, axis=0), np.std(shown, axis=0) / np.sqrt(len(shown))
    assert (average <= 2 * noise).all(), (average, noise)
    assert average[0] < -0.01  # the mean over images is a worse constant


def _check(seed: int, folder: Path) -> None:
    images, groups = patients(40, seed)
    data = (images, np.zeros(len(groups), np.int64), groups)
    told = class_only(CLASSES, seed=2)
    report = audited(told, data, folder, seed=seed, output_kind="logits", at=("logits", "label"))
    assert report.data.groups == 40
    assert [control.text for control in report.controls if control.ok is False] == []
    assert not {"LEAKS", "VOID"} & {*verdicts(report).values()}
    for point in report.points:
        assert point.detail is not None
        assert point.detail.low <= 0


def test_unequal_groups_are_no_leak(tmp_path: Path, linear: None) -> None:
    _check(1, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 10))
def test_no_seed_of_unequal_groups_is_a_leak(seed: int, tmp_path: Path) -> None:
    _check(seed, tmp_path)
