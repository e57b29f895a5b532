"""Images that nobody could tell apart: blank scans, and equal images in several groups, are left out of what is picked and said."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audits import audit
from small_audits import audited, linear, pictures, point_of, verdicts, whole

from mi_keras.auditing.ranks import find_distinct
from mi_keras.auditing.statistics import Gallery, measure
from mi_keras.metrics.near_duplicates import NEAR, merge_near_duplicates
from mi_keras.metrics.retrieval import image_embedding

__all__ = ["linear"]


def with_blanks(count: int, blank: int) -> Any:
    """Return pictures of which the last are of one colour each, no two of the same."""
    images = pictures(count)
    images[-blank:] = np.linspace(1, 254, blank).astype(np.uint8)[:, None, None, None]
    return images


def test_what_has_no_direction_or_an_equal_in_another_group_is_not_distinct() -> None:
    truths = np.random.default_rng(0).standard_normal((12, 5))
    truths[3] = 0  # of one colour
    truths[5] = 2 * truths[4]  # equal but for contrast, in two groups
    truths[7] = truths[6]  # equal, in one group
    truths[9] = truths[8]  # equal, in two classes
    truths[11] = truths[10] + 1e-3  # nearly equal
    groups = np.array([0, 1, 2, 3, 4, 5, 6, 6, 8, 9, 10, 11])
    classes = np.array([0] * 9 + [1] * 3)
    distinct = find_distinct(truths, classes, groups)
    assert np.flatnonzero(~distinct).tolist() == [3, 4, 5]


def test_images_that_are_not_distinct_are_left_out_and_stay_among_the_others() -> None:
    scored, gallery = audit(np.random.default_rng(3), noise=0.0, classes=2)
    images = len(scored.mse)
    truths = gallery.embeddings.copy()
    truths[:images:10] = 0
    blank = Gallery(truths, gallery.classes, gallery.groups)
    numbers = measure(replace(scored, embeddings=truths[:images]), blank)
    assert numbers.found is not None
    assert numbers.auc is not None
    assert (numbers.found.value, numbers.auc.value) == (1, 1)  # all others are found
    assert numbers.left_out == len(range(0, images, 10))
    assert np.isnan(numbers.each.auc[::10]).all()
    assert numbers.detail == measure(scored, gallery).detail  # of pixels, not of what is picked
    left = Gallery(np.zeros_like(truths), gallery.classes, gallery.groups)
    assert (
        "0 images that can be told apart, in classes of at least 10" in measure(scored, left).missing["found"]
    )


def test_blank_scans_void_nothing_and_are_named(tmp_path: Path, linear: None) -> None:
    """One in twelve is blank: once the control by the image itself failed from one in ninety on."""
    images = with_blanks(480, 40)
    report = audited(whole(), images, tmp_path, output_kind="embedding")
    assert verdicts(report) == {"answers": "LEAKS"}
    assert [control.ok for control in report.controls if control.name == "identity"] == [True]
    (said,) = (text for text in report.warnings if "of one colour" in text)
    found = point_of(report, "answers").found
    assert found is not None
    left = report.data.sides["attacked"] - found.n
    assert 5 < left < 30
    assert said.startswith(
        f"{left} of {report.data.sides['attacked']} attacked images are of one colour, or equal"
    )
    assert "Take blank images out" in said


@pytest.mark.parametrize("channels", [1, 3])
def test_after_near_duplicates_are_merged_only_blank_images_are_not_distinct(channels: int) -> None:
    """Copies, brighter or darker, of more or less contrast, are one group already: see `near_duplicates`."""
    images = pictures(60, channels=channels)
    copies = np.round(images[:20] * 0.8 + 20).astype(np.uint8)
    blank = np.linspace(1, 254, 6).astype(np.uint8)[:, None, None, None] * np.ones(
        (1, *images.shape[1:]), np.uint8
    )
    pool = np.concatenate([images, copies, blank])
    groups = merge_near_duplicates(pool, np.arange(len(pool)), near=NEAR)
    embeddings = image_embedding(pool / 255)
    alike = ~find_distinct(embeddings, np.zeros(len(pool), int), np.arange(len(pool)))
    assert alike[80:].all()
    assert np.flatnonzero(~find_distinct(embeddings, np.zeros(len(pool), int), groups)).tolist() == [
        *range(80, 86)
    ]
