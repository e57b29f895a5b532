"""Which pictures are on which side: against the hash itself, under other names, and in groups."""

import hashlib
import unicodedata
from dataclasses import replace

import pytest

from mi_keras.data.face_division import counts, divide_faces, split_faces
from mi_keras.errors import InputError
from mi_keras.settings import FaceSettings
from tests.unit.data.given import encoded, made, noise

NAMES = [f"img_align_celeba/{number:06}.jpg" for number in range(11_000)]


def test_one_in_eleven_is_held_out_and_nothing_is_lost() -> None:
    training, held_out = split_faces(NAMES, FaceSettings(), seed=0)
    assert not set(training) & set(held_out)
    assert sorted([*training, *held_out]) == NAMES
    # Binomial: 1,000 expected, standard deviation sqrt(11,000 * 1/11 * 10/11) = 30.
    assert 880 < len(held_out) < 1120


def test_the_side_of_a_name_is_what_the_hash_says() -> None:
    training, held_out = split_faces(NAMES, FaceSettings(train_share=4), seed=3)

    def head(name: str) -> int:
        return int(hashlib.sha256(f"3/{name}".encode()).hexdigest()[:16], 16)

    assert list(held_out) == sorted((name for name in NAMES if head(name) % 5 == 0), key=head)
    assert list(training) == sorted((name for name in NAMES if head(name) % 5), key=head)


def test_a_name_keeps_its_side_and_order_whichever_other_names_there_are() -> None:
    whole = split_faces(NAMES, FaceSettings(), seed=1)
    some = set(NAMES[::3])
    part = split_faces(sorted(some, reverse=True), FaceSettings(), seed=1)
    for of_whole, of_part in zip(whole, part, strict=True):
        assert [name for name in of_whole if name in some] == list(of_part)


def test_another_seed_divides_otherwise() -> None:
    first, second = (split_faces(NAMES, FaceSettings(), seed=seed)[1] for seed in (0, 1))
    shared = len(set(first) & set(second))
    assert shared < 200  # one in eleven of 1,000 by chance
    assert split_faces(["bad\udcff.png"], FaceSettings(), seed=0) != split_faces([], FaceSettings(), seed=0)


@pytest.mark.parametrize(
    ("asked", "share", "available", "expected"),
    [
        (3300, 10, (50_000, 5000), (3000, 300)),
        (40_000, 10, (184_181, 18_418), (36_364, 3636)),
        (40_000, 10, (257, 26), (257, 26)),
        (110, 10, (500, 6), (100, 6)),
        (20, 1, (10, 10), (10, 10)),
        (22, 10, (500, 500), (20, 2)),
    ],
)
def test_counts(asked: int, share: int, available: tuple[int, int], expected: tuple[int, int]) -> None:
    assert counts(FaceSettings(faces=asked, train_share=share), *available) == expected


@pytest.mark.parametrize(
    ("asked", "share", "available", "got"),
    [(100, 10, (7, 50), "7 and 9"), (100, 10, (50, 1), "50 and 1"), (20, 100, (500, 5), "20 and 0")],
)
def test_too_few_images_are_refused(asked: int, share: int, available: tuple[int, int], got: str) -> None:
    with pytest.raises(InputError) as caught:
        counts(FaceSettings(faces=asked, train_share=share), *available)
    assert str(caught.value) == (
        "`faces`, `train_share` and the source must leave at least 8 training and 2 held-out images; "
        f"got {got}: `faces` is {asked}, `train_share` {share}, and the source has {sum(available)} images."
    )


SMALL = FaceSettings(faces=20, train_share=3, division="content")


def in_folders(people: int = 12, of_each: int = 3) -> dict[str, bytes]:
    """Pictures of several persons, a folder each, with a letter that can be composed and decomposed."""
    return {
        f"Zoë {person}/{number}.png": encoded(noise(10 * person + number))
        for person in range(people)
        for number in range(of_each)
    }


def sides_by_content(contents: dict[str, bytes], settings: FaceSettings) -> list[list[bytes]]:
    divided = divide_faces(made(contents), settings, seed=1)
    assert sorted((*divided.training, *divided.held_out)) == sorted(contents)
    return [[contents[key] for key in side] for side in (divided.training, divided.held_out)]


@pytest.mark.parametrize("groups", ["none", "folder"])
def test_by_content_the_division_is_the_same_under_any_names(groups: str) -> None:
    settings, contents = replace(SMALL, groups=groups), in_folders()
    expected = sides_by_content(contents, settings)
    assert all(expected)
    packed = {f"faces/{unicodedata.normalize('NFD', key)}": data for key, data in reversed(contents.items())}
    assert set(packed) != {f"faces/{key}" for key in contents}
    assert sides_by_content(packed, settings) == expected
    renamed = {key.replace("Zoë ", "p").replace(".png", ".jpg"): data for key, data in contents.items()}
    assert sides_by_content(renamed, settings) == expected
    prints = {divide_faces(made(each), settings, seed=1).fingerprint for each in (contents, packed, renamed)}
    assert len(prints) == 1
    by_name = [
        set(divide_faces(made(each), replace(SMALL, division="name"), seed=1).held_out)
        for each in (contents, renamed)
    ]
    assert {contents[key] for key in by_name[0]} != {renamed[key] for key in by_name[1]}


def test_a_folder_is_on_one_side_and_so_are_folders_that_hold_the_same() -> None:
    settings, contents = replace(SMALL, groups="folder"), in_folders()
    contents |= {
        key.replace("Zoë 5/", "copy of Zoë/"): data
        for key, data in contents.items()
        if key.startswith("Zoë 5/")
    }
    divided = divide_faces(made(contents), settings, seed=1)
    folders = [{key.split("/")[0] for key in side} for side in (divided.training, divided.held_out)]
    assert not folders[0] & folders[1]
    assert len({divided.group_of[key] for key in contents if key.startswith(("Zoë 5/", "copy"))}) == 1
    without = divide_faces(made(contents), SMALL, seed=1)
    assert {key.split("/")[0] for key in without.training} & {key.split("/")[0] for key in without.held_out}
    flat = {key.replace("/", "_"): data for key, data in contents.items()}
    with pytest.raises(
        InputError, match=r"^`groups='folder'` must find a folder for each group; made has 1 in all\.$"
    ):
        divide_faces(made(flat), settings, seed=1)


@pytest.mark.parametrize("groups", ["none", "folder"])
def test_a_copy_within_a_group_does_not_change_the_division(groups: str) -> None:
    settings, contents = replace(SMALL, groups=groups), in_folders()
    copies = {f"{key[:-4]} copy.png": data for key, data in contents.items() if key.endswith("/0.png")}
    plain, copied = (divide_faces(made(each), settings, seed=1) for each in (contents, contents | copies))
    assert copied.fingerprint == plain.fingerprint
    assert [key for key in copied.held_out if key in contents] == list(plain.held_out)


def test_groups_need_a_division_by_content() -> None:
    with pytest.raises(
        InputError, match=r"^`groups` must be none where `division` is name; use `division` content\.$"
    ):
        FaceSettings(groups="folder")
