"""`--data folder:PATH`: which files are its images, and what it refuses."""

import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mi_keras.data.face_sources import open_faces
from tests.unit.data.given import png, refusal

message_of = partial(refusal, open_faces)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images, and all that is not one of them."""
    root = tmp_path / "pictures"
    (root / "b" / "deep").mkdir(parents=True)
    for shade, name in enumerate(["z.PNG", "a.jpg", "b/c.JpEg", "b/deep/é.png", "b/d.bmp", "b/w.webp"]):
        (root / name).write_bytes(png(shade))
    (root / ".hidden").mkdir()
    for name in ("notes.txt", "jpg", "a.jpg.part", ".hidden/x.png", "._a.jpg"):
        (root / name).write_bytes(b"no picture")
    (root / "folder.png").mkdir()
    return root


def test_a_folder_gives_its_images_at_any_depth(folder: Path) -> None:
    source = open_faces(f"folder:{folder}")
    assert source.name == f"folder:{folder}"
    assert source.note == ""
    assert source.keys == ("a.jpg", "b/c.JpEg", "b/d.bmp", "b/deep/é.png", "b/w.webp", "z.PNG")
    wanted = ["z.PNG", "b/c.JpEg"]
    assert list(source.read(wanted)) == [("z.PNG", png(0)), ("b/c.JpEg", png(2))]


def test_links_out_of_a_folder_are_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "pictures beside"  # begins with the name of the folder
    outside.mkdir()
    (outside / "secret.png").write_bytes(png(9))
    keys = open_faces(f"folder:{folder}").keys
    (folder / "out.png").symlink_to(outside / "secret.png")
    (folder / "up.png").symlink_to("../pictures beside/secret.png")
    (folder / "out").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "broken.png").symlink_to(folder / "nothing.png")
    (folder / "chain.png").symlink_to(folder / "out.png")
    (folder / "within.png").symlink_to("a.jpg")
    assert open_faces(f"folder:{folder}").keys == tuple(sorted([*keys, "within.png"]))
    link = tmp_path / "link"
    link.symlink_to(folder)  # the folder itself may be given by a link
    assert "within.png" in open_faces(f"folder:{link}").keys


def test_the_fingerprint_of_a_folder_follows_names_sizes_and_times(folder: Path, tmp_path: Path) -> None:
    first = open_faces(f"folder:{folder}").fingerprint
    (folder / "notes.txt").write_bytes(b"other notes")
    copy = shutil.copytree(folder, tmp_path / "copy", copy_function=shutil.copy2)
    assert open_faces(f"folder:{copy}").fingerprint == first
    os.utime(folder / "a.jpg", ns=(0, 1))
    later = open_faces(f"folder:{folder}").fingerprint
    (folder / "a.jpg").rename(folder / "a2.jpg")
    assert len({first, later, open_faces(f"folder:{folder}").fingerprint}) == 3


def test_a_file_that_is_gone_comes_empty(folder: Path) -> None:
    source = open_faces(f"folder:{folder}")
    (folder / "a.jpg").unlink()
    assert dict(source.read(["a.jpg", "z.PNG"])) == {"a.jpg": b"", "z.PNG": png(0)}


def test_a_folder_that_breaks_a_rule_says_which(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = message_of(f"folder:{folder}/none")
    assert (
        text
        == f"`data='folder:{folder}/none'` must be an existing folder that can be read; got {folder}/none."
    )
    assert "must be an existing folder that can be read" in message_of(f"folder:{folder}/a.jpg")
    assert "must hold images (.jpg, .jpeg, .png, .bmp or .webp;" in message_of(f"folder:{folder}/folder.png")
    scandir = os.scandir

    def forbidden(path: str) -> Any:
        if path.endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidden)
    assert "must be readable throughout; got [Errno 13] Permission denied" in message_of(f"folder:{folder}")
