"""What is on the two sides of a division of pictures: no copy, no person on both, and what is said where it is not so."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mi_keras.experiments.split.bench import HELD_OUT, TRAINING
from mi_keras.experiments.split.rows import picture_notes
from mi_keras.metrics.near_duplicates import near_any
from mi_keras.settings import FaceSettings


@pytest.fixture
def with_copies(pictures, tmp_path):
    """The pictures a folder each, half of them a second time as JPEG in a folder of its own with another picture."""
    root = tmp_path / "people"
    for number, path in enumerate(sorted(pictures.glob("[0-9]*.png"))):
        own, other = root / f"{number:02d}", root / f"again {number:02d}"
        own.mkdir(parents=True)
        shutil.copy(path, own)
        if number % 2:
            other.mkdir()
            Image.open(path).save(other / "copy.jpg", quality=95)
            draw = np.random.default_rng(1000 + number).integers(256, size=(4, 4, 3), dtype=np.uint8)
            Image.fromarray(draw).resize((64, 80), Image.BICUBIC).save(other / "more.png")
    return root


@pytest.mark.parametrize("groups", ["none", "folder"])
def test_a_copy_in_another_format_is_not_on_both_sides(tmp_path, config, with_copies, make_bench, groups):
    settings = replace(config, faces=FaceSettings(80, 192, 1, "content", groups))
    bench = make_bench(tmp_path / "store", config=settings, folder=with_copies)
    info = bench.images().info
    assert info["left"] > 2
    assert info[TRAINING] + info["left"] == bench.faces.sides[TRAINING][1]
    assert not near_any(bench.pictures(TRAINING), bench.pictures(HELD_OUT)).any()
    assert len(np.unique(bench.pictures(TRAINING), axis=0)) == info[TRAINING]
    notes = picture_notes(settings, bench)
    assert any(note.startswith(f"{info['left']} training images left: they, or others") for note in notes)
    assert ("The pictures of a folder are on one side." in notes) == (groups == "folder")


def groups_that_leave(faces):
    """Return the training groups that hold the bytes of a held-out file, and the contents of all other training files."""
    keys = faces.sides[TRAINING][0]
    contents = dict(faces.source.read([*keys, *faces.sides[HELD_OUT][0]]))
    shown = {contents[key] for key in faces.sides[HELD_OUT][0]}
    gone = {faces.group_of[key] for key in keys if contents[key] in shown}
    return gone, {contents[key] for key in keys if faces.group_of[key] not in gone}


def test_an_equal_file_makes_its_group_leave_as_one_in_another_format_does(
    tmp_path, config, pictures, make_bench
):
    """Each picture twice as the same bytes: beside another picture, in a folder of its own."""
    root = tmp_path / "people"
    for number, path in enumerate(sorted(pictures.glob("[0-9]*.png"))):
        own, other = root / f"{number:02d}", root / f"again {number:02d}"
        own.mkdir(parents=True)
        other.mkdir()
        shutil.copy(path, own)
        shutil.copy(path, other)
        draw = np.random.default_rng(2000 + number).integers(256, size=(4, 4, 3), dtype=np.uint8)
        Image.fromarray(draw).resize((64, 80), Image.BICUBIC).save(other / "more.png")
    settings = replace(config, faces=FaceSettings(130, 192, 1, "content", "folder"))  # all of them
    bench = make_bench(tmp_path / "store", config=settings, folder=root)
    gone, stay = groups_that_leave(bench.faces)
    info = bench.images().info
    assert len(gone) > 2
    assert info[TRAINING] == len(stay)
    assert info["left"] > len(gone)  # others of these groups too


def test_every_group_that_holds_the_file_leaves(tmp_path, config, pictures, make_bench):
    """Each picture three times as the same bytes: all folders on the training side that hold a held-out one leave."""
    root = tmp_path / "people"
    for number, path in enumerate(sorted(pictures.glob("[0-9]*.png"))):
        for copy in range(3):
            folder = root / f"{number:02d} {copy}"
            folder.mkdir(parents=True)
            shutil.copy(path, folder)
            draw = np.random.default_rng(3000 + 3 * number + copy).integers(
                256, size=(4, 4, 3), dtype=np.uint8
            )
            Image.fromarray(draw).resize((64, 80), Image.BICUBIC).save(folder / "more.png")
    settings = replace(config, faces=FaceSettings(400, 192, 1, "content", "folder"))
    bench = make_bench(tmp_path / "store", config=settings, folder=root)
    _, stay = groups_that_leave(bench.faces)
    info = bench.images().info
    assert info[TRAINING] == len(stay)


def test_by_name_copies_are_counted_and_stay(tmp_path, config, with_copies, make_bench):
    settings = replace(config, faces=FaceSettings(80, 192, 1))
    bench = make_bench(tmp_path / "store", config=settings, folder=with_copies)
    again = int(near_any(bench.pictures(TRAINING), bench.pictures(HELD_OUT)).sum())
    assert again > 2
    (told,) = [note for note in picture_notes(settings, bench) if note.startswith("Divided by file name")]
    assert (
        f"; {again} training images show a held-out one again, as another file: faces.division=content"
        in told
    )
    assert any("one person may be on both sides" in note for note in picture_notes(settings, bench))
