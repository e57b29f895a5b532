"""The small residual network: strides, and that it is observed as the whole answers."""

import numpy as np
import pytest

from mi_keras.models.small_residual import WIDTHS, build_small_residual, split_small_residual


@pytest.mark.parametrize("cut", ["C2"])
def test_a_cut_halves_the_image_so_often_and_its_halves_answer_as_the_whole(cut: str) -> None:
    whole = build_small_residual(64, 7, seed=1)
    split, stage = split_small_residual(whole, cut), int(cut[1:])
    assert split.head.output_shape[1:] == (64 >> stage, 64 >> stage, WIDTHS[stage - 1])
    assert split.stride == 2**stage
    images = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    np.testing.assert_allclose(
        split.answer(split.send(images)), whole(images, training=False), rtol=1e-4, atol=1e-5
    )
    assert split.embed(images).shape == (2, WIDTHS[-1])


def test_another_seed_is_another_network() -> None:
    one, same, other = (build_small_residual(32, 3, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0])
