"""Class means, axes and maps of the ridge regression, against closed forms and what images were drawn from."""

import numpy as np
import pytest

from mi_keras.attacks.ridge import class_means, principal_axes, ridge_by_class


@pytest.mark.parametrize("between", [0.0, 0.1, 1.0, 10.0, 100.0])
def test_class_means_are_nearer_to_the_truth_than_means_and_than_means_drawn_in_by_one_image(
    between: float,
) -> None:
    draw, errors = np.random.default_rng(0), []
    for _ in range(20):
        true = np.sqrt(between) * draw.standard_normal((10, 20, 1, 1))
        classes = np.concatenate([np.arange(10), draw.integers(0, 10, 60)])
        images = (true[classes] + draw.standard_normal((70, 20, 1, 1))).astype(np.float32)
        plain = np.stack([images[classes == number].mean(axis=0) for number in range(10)])
        sizes = np.bincount(classes)[:, None, None, None]
        by_one = (sizes * plain + images.mean(axis=0)) / (sizes + 1)
        tried = (class_means(images, classes, 10), plain, by_one)
        errors.append([np.mean(np.square(means - true)) for means in tried])
    found, plain_error, by_one_error = np.mean(errors, axis=0)
    assert found <= 1.02 * plain_error
    assert found <= 1.02 * by_one_error


def test_a_class_without_images_has_the_mean_of_all_and_single_images_are_not_their_classes() -> None:
    images = np.random.default_rng(0).random((6, 4, 4, 1)).astype(np.float32)
    whole = images.mean(axis=0)
    np.testing.assert_allclose(
        class_means(images, np.zeros(6, np.int64), 2), np.stack([whole, whole]), atol=1e-6
    )
    alone = class_means(images, np.arange(6), 6)
    np.testing.assert_allclose(alone, (images + whole) / 2, atol=1e-6)


def test_copies_that_stand_together_do_not_choose_learning_by_heart() -> None:
    draw = np.random.default_rng(0)
    inputs = np.repeat(draw.standard_normal((25, 20)), 8, axis=0).astype(np.float32)
    outputs = np.repeat(draw.standard_normal((25, 3)), 8, axis=0).astype(np.float32)  # nothing to be learned
    weights = ridge_by_class(inputs, outputs, np.zeros(200, np.int64), 1, images=200)
    assert np.square(inputs @ weights[0]).mean() < 0.1 * np.square(outputs).mean()


def test_few_large_groups_do_not_choose_learning_by_heart() -> None:
    """Images of a group are alike, so that a held-out part of one group says little; each group is held out once."""
    draw, errors = np.random.default_rng(0), []
    for _ in range(20):
        groups = np.repeat(np.arange(10), 20)
        inputs, outputs = (
            (draw.standard_normal((10, width))[groups] + 0.1 * draw.standard_normal((200, width))).astype(
                np.float32
            )
            for width in (6, 3)
        )  # nothing to be learned: answers and images of a group go together by chance
        fitted = (
            ridge_by_class(inputs, outputs, np.zeros(200, np.int64), 1, images=200, groups=g)[0]
            for g in (groups, None)
        )
        errors.append([np.square(inputs @ weights).mean() for weights in fitted])
    by_group, by_fifth = np.mean(errors, axis=0)
    assert by_group < 0.7 * by_fifth


@pytest.mark.parametrize("units", [20, 300])
def test_rows_along_one_axis_have_one_axis(units: int) -> None:
    """Whatever rounding leaves of the others must not be counted again."""
    random = np.random.default_rng(1)
    direction = random.standard_normal(units).astype(np.float32)
    direction /= np.linalg.norm(direction)
    rows = random.standard_normal((100, 1)).astype(np.float32) * direction
    axes = principal_axes(rows, 50)
    np.testing.assert_allclose(rows @ axes.T @ axes, rows, atol=1e-4)
    assert np.linalg.norm(axes, axis=1).sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("units", [20, 300])
def test_axes_are_those_of_the_singular_value_decomposition(units: int) -> None:
    rows = np.random.default_rng(2).standard_normal((100, units)).astype(np.float32) * np.geomspace(
        10, 0.1, units
    )
    rows = rows.astype(np.float32)
    expected = np.linalg.svd(rows.astype(np.float64), full_matrices=False)[2][:5]
    cosines = np.abs(np.sum(principal_axes(rows, 5) * expected, axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-3)


def test_draws_of_an_image_are_held_out_together() -> None:
    """Noise alone, each image four times: a map that is chosen on draws of images it learned from is not near 0."""
    random = np.random.default_rng(3)
    inputs = np.tile(random.standard_normal((101, 90)), (4, 1)).astype(np.float32)
    rest = np.tile(random.standard_normal((101, 1)), (4, 1)).astype(np.float32)
    classes = np.zeros(404, np.int64)
    together = ridge_by_class(inputs, rest, classes, 1, images=101)
    apart = ridge_by_class(inputs, rest, classes, 1, images=404)
    assert np.linalg.norm(together) < 0.3 * np.linalg.norm(apart)
