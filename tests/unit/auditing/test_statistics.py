"""The numbers of an attack: closed forms, what is left out and why, and refusals."""

import time
from dataclasses import replace

import numpy as np
import pytest
from audits import audit

from mi_keras.auditing.statistics import Gallery, Scored, measure


def _audit(**settings) -> tuple[Scored, Gallery]:
    return audit(np.random.default_rng(3), **settings)


def test_detail_is_one_less_the_ratio_of_group_means() -> None:
    scored, gallery = _audit()
    numbers = measure(scored, gallery)
    groups = gallery.groups[: len(scored.mse)]
    errors = np.array([scored.mse[groups == g].mean() for g in np.unique(groups)])
    wholes = np.array([scored.class_mse[groups == g].mean() for g in np.unique(groups)])
    assert numbers.detail is not None
    assert numbers.detail.value == pytest.approx(1 - errors.sum() / wholes.sum())
    assert (numbers.detail.n, numbers.detail.groups) == (len(groups), 60)
    gains = [(scored.ssim - scored.class_ssim)[groups == g].mean() for g in np.unique(groups)]
    assert numbers.ssim_gain is not None
    assert numbers.ssim_gain.value == pytest.approx(np.mean(gains))
    assert numbers.missing == {}


def test_the_image_itself_is_found_and_has_all_detail() -> None:
    scored, gallery = _audit(noise=0.0)
    numbers = measure(replace(scored, mse=np.zeros(len(scored.mse))), gallery)
    for number in (numbers.found, numbers.auc, numbers.detail):
        assert number is not None
        assert number.value == 1
        assert number.high == 1


def test_the_order_of_images_and_the_names_of_classes_and_groups_do_not_matter() -> None:
    scored, gallery = _audit()
    images, count = len(scored.mse), len(gallery.classes)
    generator = np.random.default_rng(0)
    first = generator.permutation(images)
    order = np.concatenate([first, images + generator.permutation(count - images)])
    moved = Scored(*(getattr(scored, name)[first] for name in Scored.__dataclass_fields__))
    renamed = Gallery(gallery.embeddings[order], 7 - gallery.classes[order], -3 * gallery.groups[order])
    one, other = measure(scored, gallery), measure(moved, renamed)
    for name in ("found", "auc", "detail", "ssim_gain"):
        ours, theirs = vars(getattr(one, name)), vars(getattr(other, name))
        assert ours == pytest.approx(theirs, rel=1e-9)


def test_fewer_than_a_hundred_images_to_tell_apart_are_too_few() -> None:
    scored, gallery = _audit(classes=60, sizes=(2,))  # 120 attacked of 240 images, 4 a class
    numbers = measure(scored, gallery)
    assert numbers.found is None
    told = int((~np.isnan(numbers.each.found)).sum())
    assert numbers.missing["found"] == f"too few: {told} images in classes of at least 10, fewer than 100"
    assert numbers.left_out == 120 - told
    assert numbers.auc is not None
    assert numbers.auc.n > 100
    assert measure(scored, gallery, among=2).found is not None


def test_numbers_that_cannot_be_had_say_why() -> None:
    scored, gallery = _audit()
    zeros = np.zeros(len(scored.mse))
    numbers = measure(replace(scored, mse=zeros, class_mse=zeros), gallery)
    assert numbers.detail is None
    assert numbers.missing["detail"] == "the class means are the images: no detail to show"
    one_group = measure(scored, replace(gallery, groups=np.zeros(len(gallery.groups), int)))
    assert one_group.ssim_gain is None
    assert one_group.missing["auc"] == "too few: an interval needs images of two groups"


@pytest.mark.parametrize("among", [1, 101])
def test_among_has_a_range(among: int) -> None:
    with pytest.raises(ValueError, match=f"`among` must be between 2 and 100; got {among}"):
        measure(*_audit(), among=among)


def test_values_that_do_not_fit_are_refused() -> None:
    scored, gallery = _audit()
    with pytest.raises(ValueError, match=r"`mse` must be .* finite numbers"):
        replace(scored, mse=scored.mse[1:])
    with pytest.raises(ValueError, match=r"`ssim` must be .* finite numbers"):
        replace(scored, ssim=np.full(len(scored.ssim), np.nan))
    with pytest.raises(ValueError, match="`class_mse` must be >= 0; got -1"):
        replace(scored, class_mse=scored.class_mse * 0 - 1)
    with pytest.raises(ValueError, match="`embeddings` must be"):
        replace(gallery, embeddings=np.full_like(gallery.embeddings, np.inf))
    few = Gallery(gallery.embeddings[:5], gallery.classes[:5], gallery.groups[:5])
    with pytest.raises(ValueError, match="`scored` must be of the first images of `gallery`"):
        measure(scored, few)


def test_fifteen_hundred_images_take_a_fraction_of_a_second() -> None:
    scored, gallery = _audit(attacked=1500, choice=1500, sizes=(1,), classes=10)
    start = time.process_time()
    measure(scored, gallery)
    assert time.process_time() - start < 1.5  # 0.1 to 0.2 s on an idle core
