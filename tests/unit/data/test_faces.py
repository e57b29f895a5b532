"""Loading pictures: against the hash itself, Pillow, and files that are broken on purpose."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mi_keras.data import faces
from mi_keras.data.face_division import counts, split_faces
from mi_keras.data.face_source import FaceSource
from mi_keras.data.face_sources import open_faces
from mi_keras.data.faces import load_faces
from mi_keras.errors import InputError
from mi_keras.settings import FaceSettings
from tests.unit.data.given import bomb, encoded, made, noise, pixels_of

REAL = Path(
    os.environ.get("MI_KERAS_FACES_ZIP", Path(__file__).parents[4] / "shared/data/celeba_half_10k.zip")
)


# Loading


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
