"""Rows of reconstructed pictures: retrieval less what all reconstructions have in common."""

from types import SimpleNamespace

import numpy as np
import pytest

from mi_keras.experiments.split.rows import picture_row, retrieval_columns


def stage(**arrays):
    return SimpleNamespace(arrays=arrays)


def test_what_all_reconstructions_have_in_common_does_not_hide_them():
    """Reconstructions that are their pictures plus one shift are found always; one answer for all is found by chance."""
    draw = np.random.default_rng(0)
    true = draw.standard_normal((120, 30))
    gallery = stage(features=true, pixels=true)
    shifted = true[:40] + 9 * draw.standard_normal(30)
    psnr = np.full(40, 20.0)
    row = picture_row("a", "a", "attack", [stage(psnr=psnr, features=shifted, pixels=shifted)], gallery)
    assert row.mean("retrieval_100") == pytest.approx(1)
    assert "retrieval_1000" not in row.values
    assert retrieval_columns(row.values) == ("feature_distance", "retrieval_100", "pixel_retrieval_100")
    constant = np.repeat(true[:1], 40, axis=0)
    row = picture_row("b", "b", "baseline", [stage(psnr=psnr, features=constant, pixels=constant)], gallery)
    assert row.mean("retrieval_100") == pytest.approx(0.01)
    assert row.images == 40
