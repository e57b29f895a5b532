"""Dividing and loading pictures: against the hash itself, Pillow, and files that are broken on purpose."""

import hashlib
import io
import os
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mi_keras.data import faces
from mi_keras.data.face_division import counts, divide_faces, split_faces
from mi_keras.data.face_source import FaceSource
from mi_keras.data.face_sources import open_faces
from mi_keras.data.faces import load_faces
from mi_keras.errors import InputError
from mi_keras.settings import FaceSettings
from tests.unit.data.given import bomb, encoded, noise, pixels_of

REAL = Path(
    os.environ.get("MI_KERAS_FACES_ZIP", Path(__file__).parents[4] / "shared/data/celeba_half_10k.zip")
)


# The division


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
        InputError, match=r"^`groups=folder` must find a folder for each group; made has 1 in all\.$"
    ):
        divide_faces(made(flat), settings, seed=1)


def test_groups_need_a_division_by_content() -> None:
    with pytest.raises(
        InputError, match=r"^`groups` must be none where `division` is name; use `division` content\.$"
    ):
        FaceSettings(groups="folder")


# Loading


def made(contents: dict[str, bytes]) -> FaceSource:
    return FaceSource("made", tuple(contents), lambda wanted: ((key, contents[key]) for key in wanted), "0")


@pytest.fixture
def pictures() -> dict[str, bytes]:
    return {f"{number}.png": encoded(noise(number)) for number in range(20)}


def test_images_come_in_the_order_of_the_candidates(pictures: dict[str, bytes]) -> None:
    images = np.zeros((5, 16, 16, 3), np.uint8)
    order = [f"{number}.png" for number in (7, 3, 11, 0, 19, 4, 5)]
    loaded = load_faces(made(pictures), order, images)
    assert loaded.used == tuple(order[:5])
    assert loaded.skipped == ()
    for image, key in zip(images, loaded.used, strict=True):
        np.testing.assert_array_equal(image, pixels_of(pictures[key], 16))


@pytest.mark.parametrize("block", [1, 3, 256])
def test_broken_and_repeated_files_are_passed_over_and_listed(
    pictures: dict[str, bytes], block: int, monkeypatch: pytest.MonkeyPatch, recording_progress: Any
) -> None:
    monkeypatch.setattr(faces, "BLOCK_FILES", block)
    pictures["1.png"] = pictures["1.png"][:80]
    pictures["2.png"] = pictures["0.png"]
    pictures["5.png"] = b"no picture"
    pictures["6.png"] = bomb(20_000, 20_000)
    pictures["8.png"] = b""
    images = np.zeros((6, 16, 16, 3), np.uint8)
    progress = recording_progress()
    loaded = load_faces(made(pictures), list(pictures), images, progress=progress, label="training images")
    assert loaded.used == ("0.png", "3.png", "4.png", "7.png", "9.png", "10.png")
    assert loaded.skipped == (
        ("1.png", "truncated or damaged"),
        ("2.png", "same file as another"),
        ("5.png", "no image"),
        ("6.png", "larger than 50 megapixels"),
        ("8.png", "empty or unreadable"),
    )
    assert progress.bars == [("training images", 6, "image", 0)]
    assert sum(progress.amounts) == 6
    for image, key in zip(images, loaded.used, strict=True):
        np.testing.assert_array_equal(image, pixels_of(pictures[key], 16))


def test_only_files_that_are_needed_are_asked_for(pictures: dict[str, bytes]) -> None:
    asked: list[list[str]] = []
    pictures["1.png"] = pictures["2.png"] = b""

    def read(wanted: Any) -> Any:
        asked.append(list(wanted))
        return ((key, pictures[key]) for key in wanted)

    source = FaceSource("made", tuple(pictures), read, "0")
    load_faces(source, list(pictures), np.zeros((4, 16, 16, 3), np.uint8))
    assert asked == [["0.png", "1.png", "2.png", "3.png"], ["4.png", "5.png"]]


def test_an_image_is_in_one_of_two_sets_that_share_what_was_seen(pictures: dict[str, bytes]) -> None:
    pictures["15.png"] = pictures["3.png"]
    seen: set[str] = set()
    training = load_faces(made(pictures), list(pictures)[:10], np.zeros((10, 16, 16, 3), np.uint8), seen=seen)
    held_out = load_faces(made(pictures), list(pictures)[10:], np.zeros((10, 16, 16, 3), np.uint8), seen=seen)
    assert len(training.used) == 10
    assert held_out.skipped == (("15.png", "same file as another"),)
    assert seen == {hashlib.sha256(content).hexdigest() for content in pictures.values()}


def test_too_few_candidates_leave_the_rest_alone(pictures: dict[str, bytes]) -> None:
    images = np.full((8, 16, 16, 3), 99, np.uint8)
    loaded = load_faces(made(pictures), ["4.png", "9.png"], images)
    assert loaded.used == ("4.png", "9.png")
    np.testing.assert_array_equal(images[2:], 99)
    assert load_faces(made(pictures), [], images).used == ()


def test_names_of_what_is_skipped_can_be_shown_and_transparency_is_counted(
    pictures: dict[str, bytes],
) -> None:
    see_through = np.concatenate([noise(90), np.zeros((12, 9, 1), np.uint8)], axis=2)
    contents = {
        os.fsdecode(b"\xff.png"): b"",
        "\x1b[2J.png": b"no picture",
        "c.png": encoded(see_through),
        **pictures,
    }
    loaded = load_faces(made(contents), list(contents), np.zeros((4, 16, 16, 3), np.uint8))
    assert loaded.skipped == (("\\xff.png", "empty or unreadable"), ("\\x1b[2J.png", "no image"))
    assert (loaded.used[0], loaded.on_white) == ("c.png", 1)


def test_a_memory_map_is_filled(pictures: dict[str, bytes], tmp_path: Path) -> None:
    shape = (4, 16, 16, 3)
    images = np.memmap(tmp_path / "images", np.uint8, "w+", shape=shape)
    load_faces(made(pictures), list(pictures), images)
    images.flush()
    on_disk = np.fromfile(tmp_path / "images", np.uint8).reshape(shape)
    np.testing.assert_array_equal(on_disk[3], pixels_of(pictures["3.png"], 16))


def test_an_error_of_the_source_arrives_as_it_was_raised(pictures: dict[str, bytes]) -> None:
    def read(wanted: Any) -> Any:
        yield wanted[0], pictures[wanted[0]]
        raise InputError("`data` must stay where it is.")

    source = FaceSource("made", tuple(pictures), read, "0")
    with pytest.raises(InputError, match="must stay where it is"):
        load_faces(source, list(pictures), np.zeros((4, 16, 16, 3), np.uint8))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((4, 16, 16), "uint8"),
        ((4, 16, 18, 3), "uint8"),
        ((4, 16, 16, 1), "uint8"),
        ((4, 16, 16, 3), "float32"),
    ],
)
def test_another_shape_or_type_is_refused(shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(ValueError, match=r"`images` must be \(count, size, size, 3\) uint8; got "):
        load_faces(made({}), [], np.zeros(shape, dtype))


def test_the_photographs_make_two_sets() -> None:
    source = open_faces("photographs")
    settings = FaceSettings(faces=33, size=192)
    training, held_out = split_faces(source.keys, settings, seed=0)
    numbers = counts(settings, len(training), len(held_out))
    assert numbers == (30, 3)
    seen: set[str] = set()
    for candidates, count in zip((training, held_out), numbers, strict=True):
        images = np.zeros((count, 192, 192, 3), np.uint8)
        assert len(load_faces(source, candidates, images, seen=seen).used) == count
        assert images.std(axis=(1, 2, 3)).min() > 0


def test_real_faces_load_from_their_archive() -> None:
    if not REAL.is_file():
        pytest.skip(
            f"the faces are not there: set MI_KERAS_FACES_ZIP, or put {REAL.name} in the folder shared/data beside the "
            "repository"
        )
    source = open_faces(f"zip:{REAL}")
    settings = FaceSettings(faces=88, size=320)
    training, held_out = split_faces(source.keys, settings, seed=0)
    assert 0.08 < len(held_out) / len(source.keys) < 0.102
    assert counts(settings, len(training), len(held_out)) == (80, 8)
    images = np.zeros((80, 320, 320, 3), np.uint8)
    loaded = load_faces(source, training, images)
    assert len(loaded.used) == 80
    ((_, data),) = source.read(loaded.used[17:18])
    with Image.open(io.BytesIO(data)) as picture:
        expected = picture.convert("RGB").resize((320, 320), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(images[17], np.asarray(expected))
    # Aligned faces: the mean image has a face in it, and so is brighter in the middle than at the lower corners.
    mean = images.mean(axis=(0, 3))
    assert mean[140:220, 120:200].mean() > mean[240:, :60].mean()
