"""Near-duplicates: copies as other files, exact ones, and chains of them are one group; different images are not."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mi_keras.auditing.division import divide
from mi_keras.auditing.pool import read_pool
from mi_keras.data.face_sources import open_faces
from mi_keras.data.mnist import read_embedded_mnist
from mi_keras.metrics.near_duplicates import NEAR, merge_near_duplicates
from tests.unit.auditing.divisions import alone, check_kept_apart, noise_images, sides
from tests.unit.auditing.pictures import folder_of
from tests.unit.data.given import encoded


def digits() -> list[Any]:
    return list(read_embedded_mnist().train_images[::60][:300, ..., 0])


def photographs() -> list[Any]:
    """Return tiles of 64x64 out of photographs, in colour, without those of hardly any contrast."""
    source = open_faces("photographs")
    tiles = [Image.open(io.BytesIO(content)) for _, content in source.read(source.keys)]
    return [tile for tile in tiles if np.std(tile) > 20][:150]


@pytest.mark.parametrize(("pictures", "channels"), [(digits, 1), (photographs, 3)])
def test_every_image_twice_as_png_and_jpeg_is_counted(tmp_path: Path, pictures: Any, channels: Any) -> None:
    given = pictures()
    files = {f"{number}.png": encoded(picture) for number, picture in enumerate(given)}
    files |= {f"{number}.jpg": encoded(picture, "JPEG") for number, picture in enumerate(given)}
    pool = read_pool(folder_of(tmp_path, files), channels=channels)
    divided = divide(pool.images, pool.groups, seed=1)
    check_kept_apart(divided)
    assert divided.moved == len(given) > 100
    stem = np.array([name.split(".")[0] for name in pool.names])
    for rows in sides(divided.folds[0]).values():
        assert all(np.sum(stem[list(rows)] == one) == 2 for one in stem[list(rows)])
    assert len(np.unique(divided.groups)) == len(given)


def test_exact_copies_are_counted_flat_ones_too() -> None:
    images = noise_images(400)
    images[10] = images[200]
    images[:3] = 7
    images[3] = 9  # flat, but not the same
    divided = divide(images, alone(400), seed=1)
    assert divided.moved == 3
    assert len(set(divided.groups[:3])) == 1
    assert divided.groups[10] == divided.groups[200]
    assert divided.groups[3] != divided.groups[0]


def test_groups_with_a_copy_of_each_other_become_one_through_others_too() -> None:
    images = noise_images(400)
    groups = alone(400) // 10  # 40 groups of 10
    images[0], images[15] = images[395], images[25]  # groups 0 and 39, 1 and 2
    images[28] = images[33]  # and 2 and 3
    divided = divide(images, groups, seed=1)
    assert divided.moved == 10 + 20
    assert len(set(divided.groups[10:40])) == 1
    assert len(np.unique(divided.groups)) == 37
    inside = noise_images(400)
    inside[0] = inside[5]
    assert divide(inside, groups, seed=1).moved == 0  # they were together before


def test_different_digits_are_not_merged() -> None:
    """The threshold as measured: of 24,000 digits 7 pairs are nearer, so that of 3,000 hardly one is."""
    different = read_embedded_mnist().test_images[:3_000]
    assert len(np.unique(merge_near_duplicates(different, alone(3_000)))) >= 2_998
    assert len(np.unique(merge_near_duplicates(different, alone(3_000), near=0.97))) < 2_900
    assert NEAR == 0.995


def test_brightness_and_contrast_make_no_other_image() -> None:
    images = noise_images(6).astype(np.float32) / 255
    both = np.concatenate([images, images * 0.5 + 0.2])
    assert merge_near_duplicates(both, alone(12)).tolist() == [*range(6), *range(6)]
