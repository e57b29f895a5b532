"""The division of an audit's images: by contents and group, whole or in folds, with members apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mi_keras.auditing.division import FOLDS, Shares, divide
from mi_keras.auditing.pixels import to_unit
from mi_keras.auditing.pool import read_pool
from tests.unit.auditing.divisions import SIDES, alone, check_kept_apart, noise_images, shown, sides
from tests.unit.auditing.pictures import folder_of, message_of, zip_of
from tests.unit.data.given import encoded

# Shares, groups, contents


@pytest.mark.parametrize(
    ("count", "attacked", "choice"), [(400, 133, 50), (900, 300, 112), (5_000, 1_500, 500)]
)
def test_the_documented_shares(count: int, attacked: int, choice: int) -> None:
    divided = divide(noise_images(count), alone(count), seed=1)
    (division,) = divided.folds
    assert [len(getattr(division, side)) for side in SIDES] == [
        count - attacked - choice,
        choice,
        attacked,
        0,
    ]
    assert (divided.moved, divided.left_out, divided.warning) == (0, 0, "")
    check_kept_apart(divided)


def test_a_group_is_on_one_side() -> None:
    groups = np.random.default_rng(2).integers(0, 60, 600) * 3 + 5  # numbers with gaps
    divided = divide(noise_images(600), groups, seed=1)
    check_kept_apart(divided)
    (division,) = divided.folds
    where = {row: side for side, rows in sides(division).items() for row in rows}
    assert len(where) == 600
    for group in np.unique(groups):
        assert len({where[row] for row in np.flatnonzero(groups == group)}) == 1
    assert 150 < len(division.attacked) <= 200
    assert 40 < len(division.choice) <= 75


def test_small_groups_do_not_all_go_to_who_comes_first() -> None:
    """Sides of few large groups and of many small ones would be of other patients, and an adversary know hardly any."""
    shares = []
    for seed in range(20):
        sizes = np.exp(1.3 * np.random.default_rng(seed).standard_normal(40))
        groups = np.repeat(np.arange(40), np.ceil(600 * sizes / sizes.sum()).astype(int))
        (division,) = divide(noise_images(len(groups), seed), groups, seed=seed).folds
        shares.append([len(np.unique(groups[rows])) / 40 for rows in (division.attacked, division.own)])
    attacked, own = np.mean(shares, axis=0)
    assert abs(attacked - 1 / 3) < 0.08
    assert abs(own - (1 - 1 / 3 - 1 / 8)) < 0.1


def test_contents_decide_and_neither_order_nor_numbers_of_groups() -> None:
    images = noise_images(500)
    groups = np.random.default_rng(2).integers(0, 50, 500)
    order = np.random.default_rng(3).permutation(500)
    first, again, other = (
        divide(images, groups, seed=1),
        divide(images[order], 70 - groups[order], seed=1),
        divide(images, groups, seed=2),
    )
    assert shown(images, first.folds[0]) == shown(images[order], again.folds[0])
    assert shown(images, first.folds[0]) != shown(images, other.folds[0])


def test_bytes_and_numbers_in_0_to_1_are_divided_alike() -> None:
    images = noise_images(450)
    assert sides(divide(images, alone(450), seed=1).folds[0]) == sides(
        divide(to_unit(images, "0..255"), alone(450), seed=1).folds[0]
    )


def test_a_zip_a_folder_and_other_names_are_divided_alike(tmp_path: Path) -> None:
    files = {
        f"{number % 30}/{number}.png": encoded(image[..., 0])
        for number, image in enumerate(noise_images(420))
    }
    other = {
        f"p{number % 30 * 7 % 30}/x{420 - number}.png": content
        for number, content in reversed(list(enumerate(files.values())))
    }
    found = []
    for data in (
        folder_of(tmp_path / "a", files),
        folder_of(tmp_path / "b", other),
        zip_of(tmp_path / "c.zip", files),
    ):
        pool = read_pool(data, groups="folder", channels=1)
        divided = divide(pool.images, pool.groups, seed=1)
        check_kept_apart(divided)
        found.append((pool.fingerprint, *(getattr(divided.folds[0], side).tolist() for side in SIDES)))
    assert found[0] == found[1] == found[2]


# Few images


@pytest.mark.parametrize("count", [100, 399])
def test_few_images_are_attacked_in_four_folds(count: int) -> None:
    groups = alone(count) // 3
    divided = divide(noise_images(count), groups, seed=1)
    check_kept_apart(divided)
    assert len(divided.folds) == FOLDS
    assert f"Only {count} images" in divided.warning
    attacked = np.concatenate([fold.attacked for fold in divided.folds])
    assert sorted(attacked) == list(range(count))
    for fold in divided.folds:
        assert abs(len(fold.attacked) - count / FOLDS) <= 3
        assert 0 < len(fold.choice) <= round(count / 8)
        assert len(fold.own) + len(fold.choice) + len(fold.attacked) == count


def test_too_few_images_or_groups_are_refused() -> None:
    assert "`data` must hold at least 100 images; got 99" in message_of(
        divide, noise_images(99), alone(99), seed=1
    )
    for count in (120, 600):
        text = message_of(divide, noise_images(count), alone(count) // (count // 3), seed=1)
        assert f"got 3 groups, the largest with {count // 3} of {count} images" in text
    same = np.repeat(noise_images(1), 500, axis=0)
    assert "got 1 groups, the largest with 500 of 500" in message_of(divide, same, alone(500), seed=1)


# What the target has seen


def test_members_are_a_side_of_their_own() -> None:
    images, groups = noise_images(1_000), alone(1_000) // 2
    seen = np.zeros(1_000, np.bool_)
    seen[:301] = True  # of the group 150 one image is seen, the other is not
    images[999] = images[0]  # a copy of a seen image is no stranger, and its group neither
    divided = divide(images, groups, seed=1, trained_on=seen)
    check_kept_apart(divided)
    (division,) = divided.folds
    assert set(division.members) == set(range(301))
    others = set(division.own) | set(division.choice) | set(division.attacked)
    assert others == set(range(302, 998))
    assert divided.left_out == 3  # 301, 998 and 999
    assert divided.moved == 2


def test_members_are_as_many_as_are_attacked_at_most() -> None:
    seen = np.arange(2_000) < 1_200
    shares = Shares(most_attacked=150)
    divided = divide(noise_images(2_000), alone(2_000), seed=1, trained_on=seen, shares=shares)
    (division,) = divided.folds
    assert [len(getattr(division, side)) for side in SIDES] == [550, 100, 150, 150]
    assert divided.left_out == 1_050


def test_members_are_the_same_in_every_fold() -> None:
    seen = np.arange(400) < 100
    divided = divide(noise_images(400), alone(400), seed=1, trained_on=seen)
    assert len(divided.folds) == FOLDS
    assert "Only 300 images that the target has not seen" in divided.warning
    assert {tuple(sorted(fold.members)) for fold in divided.folds} == {tuple(range(100))}


def test_a_target_that_has_seen_nearly_all_is_refused() -> None:
    text = message_of(divide, noise_images(500), alone(500), seed=1, trained_on=np.arange(500) < 450)
    assert "`trained_on` must leave at least 100 images" in text
    assert "got 50 of 500" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attacked": 0.0}, "`shares` must be above 0 and leave the adversary some; got 0 attacked and 0.125 choice"),
        ({"attacked": 0.5, "choice": 0.5}, "leave the adversary some; got 0.5 attacked and 0.5 choice"),
        ({"most_choice": 0}, "`shares` must allow at least one image; got 1500 and 0"),
    ],
)  # fmt: skip
def test_shares_that_leave_nothing_are_refused(options: dict[str, Any], said: str) -> None:
    assert said in message_of(lambda: Shares(**options))


def test_lengths_must_fit() -> None:
    assert "must be one for each of 200 images; got 100 and None" in message_of(
        divide, noise_images(200), alone(100), seed=1
    )
