"""Who is exposed most, on audits in which it is known."""

from dataclasses import replace

import numpy as np
import pytest
from audits import audit

from mi_keras.auditing.exposure import (
    EXCHANGES,
    by_exposure,
    compare_members,
    exposed_by_chance,
    most_exposed,
    worst_class,
)
from mi_keras.auditing.statistics import Gallery, Scored, measure

# The highest tenth of shares that are uniform in 0..1 is found as often as the mean of u^9 over 0.9..1
UNIFORM = (1 - 0.9**10) / (10 * 0.1)


def test_the_most_exposed_are_those_that_were_reconstructed() -> None:
    scored, gallery = audit(np.random.default_rng(2), noise=np.inf, always=0.1, classes=2)
    images = len(scored.mse)
    exact = np.isclose(scored.embeddings, gallery.embeddings[:images]).all(axis=1)
    mse = np.where(exact, 0.0, scored.mse)
    numbers = measure(
        Scored(scored.embeddings, mse, *(getattr(scored, n) for n in ("class_mse", "ssim", "class_ssim"))),
        gallery,
    )
    order = by_exposure(numbers)
    assert sorted(order.tolist()) == list(range(images))
    assert exact[order[: exact.sum()]].all()
    exposed = most_exposed(numbers, part=exact.sum() / images)
    assert (exposed.found, exposed.auc, exposed.detail) == (1, 1, 1)
    assert len(most_exposed(numbers).positions) == round(images / 10)
    everyone = most_exposed(numbers, part=1.0)
    assert numbers.auc is not None
    assert numbers.detail is not None
    assert (everyone.auc, everyone.detail) == pytest.approx((numbers.auc.value, numbers.detail.value))
    with pytest.raises(ValueError, match="`part` must be above 0 and at most 1; got 0"):
        most_exposed(numbers, part=0)


@pytest.mark.parametrize("sizes", [(1,), (1, 2)])
@pytest.mark.parametrize(
    ("noise", "shown"), [(np.inf, UNIFORM), (0.3, 1.0)]
)  # nothing leaks, nearly all does
def test_what_chance_alone_would_expose_is_that_of_the_largest_of_uniform_shares(
    sizes: tuple[int, ...], noise: float, shown: float
) -> None:
    errors, orders = np.random.default_rng(8).uniform(0.5, 1.5, 2_000), []

    def exchanged(order: np.ndarray) -> np.ndarray:
        orders.append(order)
        return errors[order]

    found = []
    for seed in range(5):
        drawn = audit(
            np.random.default_rng(seed), attacked=200, choice=40, sizes=sizes, noise=noise, classes=3
        )
        gallery, own = drawn[1], np.arange(len(drawn[0].mse))
        scored = replace(drawn[0], class_mse=np.ones(len(own)))
        chance = exposed_by_chance(scored, gallery, exchanged, seed=seed)
        found.append((chance.found, chance.auc, chance.detail, most_exposed(measure(scored, gallery)).found))
        for order in orders[-EXCHANGES:]:
            assert (gallery.classes[order] == gallery.classes[own]).all()
            assert (gallery.groups[order] != gallery.groups[own]).all()
    assert np.mean(found, axis=0) == pytest.approx((UNIFORM, 0.95, 0.0, shown), abs=0.03)


def test_an_image_alone_in_its_class_is_exchanged_with_any() -> None:
    truths = np.random.default_rng(0).standard_normal((30, 4))
    scored = Scored(truths, *np.ones((4, 30)))
    gallery = Gallery(truths, np.where(np.arange(30) < 1, 1, 0), np.arange(30))
    orders: list[np.ndarray] = []
    exposed_by_chance(scored, gallery, lambda order: orders.append(order) or np.ones(30), seed=1)
    assert all((order != np.arange(30)).all() for order in orders)


def test_equal_auc_is_ordered_by_detail_and_images_alone_come_last() -> None:
    truths = np.random.default_rng(0).standard_normal((30, 4))
    mse = np.linspace(0.9, 0.1, 30)
    classes = np.where(np.arange(30) < 3, np.arange(30), 5)  # three images alone in their class
    scored = Scored(truths, mse, np.ones(30), mse, mse)
    numbers = measure(scored, Gallery(truths, classes, np.arange(30)))
    np.testing.assert_array_equal(by_exposure(numbers), [*range(29, 2, -1), 2, 1, 0])


def test_the_worst_class_is_the_one_that_is_told_apart() -> None:
    scored, gallery = audit(np.random.default_rng(5), attacked=50, choice=40, noise=np.inf, classes=4)
    images = len(scored.mse)
    mine = gallery.classes[:images] == 2
    queries = np.where(mine[:, None], gallery.embeddings[:images], scored.embeddings)
    scored = Scored(queries, scored.mse, scored.class_mse, scored.ssim, scored.class_ssim)
    worst = worst_class(scored, gallery)
    assert worst is not None
    assert (worst.label, worst.number) == (2, "found")
    assert (worst.estimate.value, worst.estimate.n) == (1, mine.sum())
    groups = len(np.unique(gallery.groups[:images][mine]))
    assert worst.estimate.low == pytest.approx((0.025 / 4) ** (1 / groups))  # the largest of four
    by_pairs = worst_class(scored, gallery, among=100)
    assert by_pairs is not None
    assert (by_pairs.label, by_pairs.number) == (2, "auc")


def test_classes_of_fewer_than_ten_images_are_not_looked_at_alone() -> None:
    scored, gallery = audit(np.random.default_rng(5), attacked=9, choice=20, sizes=(1,), classes=1)
    assert worst_class(scored, gallery) is None
    scored, gallery = audit(np.random.default_rng(5), attacked=10, choice=20, sizes=(1,), classes=1)
    assert worst_class(scored, gallery) is not None


def test_members_that_show_more_are_told_from_others() -> None:
    generator = np.random.default_rng(3)
    members, others = (
        measure(*audit(generator, noise=noise, detail=r2)) for noise, r2 in ((0.7, 0.6), (2.5, 0.1))
    )
    apart = compare_members(members, others)
    assert list(apart) == ["found", "auc", "detail", "ssim_gain"]
    for name in ("found", "auc", "detail"):
        assert apart[name].value == pytest.approx(getattr(members, name).value - getattr(others, name).value)
        assert apart[name].low > 0
    few = measure(*audit(generator, attacked=30, sizes=(1,)))
    assert list(compare_members(members, few)) == ["auc", "detail", "ssim_gain"]
