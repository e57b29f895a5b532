"""Pools of picture files: what each kind of file gives, what is skipped, and what changes nothing."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

import mi_keras.auditing.picture_files as picture_files
from mi_keras.auditing import pool as pool_module
from mi_keras.auditing.pool import read_pool
from mi_keras.data.face_source import FaceSource
from tests.unit.auditing.pictures import NESTED, facts, folder_of, message_of, zip_of
from tests.unit.data.given import encoded, noise

GREY = noise(1, 12, 12)[..., 0]
COLOUR = noise(2, 12, 12)


def read_one(path: Path, content: bytes, **options: Any) -> Any:
    pool = read_pool(folder_of(path, {"x.png": content}), **options)
    assert pool.pixels == "0..255"
    assert pool.images.dtype == np.uint8
    return pool.images[0]


# What a file gives


def test_grey_palette_and_rgb_give_their_pixels(tmp_path: Path) -> None:
    as_rgb = np.repeat(GREY[..., None], 3, axis=2)
    np.testing.assert_array_equal(read_one(tmp_path, encoded(COLOUR)), COLOUR)
    np.testing.assert_array_equal(read_one(tmp_path, encoded(GREY)), as_rgb)
    np.testing.assert_array_equal(read_one(tmp_path, encoded(GREY), channels=1), GREY[..., None])
    palette = Image.fromarray(GREY).convert("P")
    np.testing.assert_array_equal(read_one(tmp_path, encoded(palette)), as_rgb)
    bitmap = read_one(tmp_path, encoded(Image.fromarray(GREY).convert("1")))
    assert set(np.unique(bitmap)) == {0, 255}


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    alpha = np.zeros((12, 12, 1), np.uint8)
    alpha[:6] = 255
    alpha[6:9] = 51  # a fifth
    shown = read_one(tmp_path, encoded(np.concatenate([COLOUR, alpha], axis=2))).astype(float)
    np.testing.assert_array_equal(shown[:6], COLOUR[:6])
    np.testing.assert_allclose(shown[6:9], COLOUR[6:9] * 0.2 + 255 * 0.8, atol=1)
    np.testing.assert_array_equal(shown[9:], 255)


def test_what_was_transparent_is_counted_and_said(tmp_path: Path) -> None:
    alpha = np.full((12, 12, 1), 9, np.uint8)
    files = {"a.png": encoded(np.concatenate([COLOUR, alpha], axis=2)), "b.png": encoded(COLOUR)}
    assert read_pool(folder_of(tmp_path, files)).notes == (
        "Pictures with transparent parts, which were laid on white: 1.",
    )


def test_a_name_that_is_no_utf8_is_used_and_shown_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source made here, as not every file system keeps such a name."""
    keys = tuple(
        sorted(os.fsdecode(name) for name in (b"a.png", b"caf\xe9/\xff.png", b"caf\xe9/\x1b[31m.png"))
    )
    source = FaceSource(
        "folder:x", keys, lambda wanted: ((key, encoded(noise(len(key), 12, 12))) for key in wanted), "0"
    )
    monkeypatch.setattr(pool_module, "open_folder", lambda path: source)
    pool = read_pool("folder:x", labels="folder")
    assert sorted(pool.names) == ["caf\\xe9/\\x1b[31m.png", "caf\\xe9/\\xff.png"]
    assert pool.class_names == ("caf\\xe9",)
    assert pool.skipped == (("a.png", "no subfolder, which would be its class"),)
    assert all(text.isprintable() for text in (*pool.notes, pool.name))


def test_a_transparent_palette_is_laid_on_white(tmp_path: Path) -> None:
    palette = Image.fromarray((np.arange(144) % 2).astype(np.uint8).reshape(12, 12), "P")
    palette.putpalette([10, 20, 30, 200, 100, 50])
    shown = read_one(tmp_path, encoded(palette, transparency=0)).reshape(-1, 3)
    np.testing.assert_array_equal(shown[0::2], 255)
    np.testing.assert_array_equal(shown[1::2], np.tile([200, 100, 50], (72, 1)))


def test_the_exif_turn_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = np.ascontiguousarray(np.rot90(noise(3, 8, 12)))
    np.testing.assert_array_equal(read_one(tmp_path, encoded(turned, exif=exif)), noise(3, 8, 12))


@pytest.mark.parametrize(("bits", "note"), [(16, ""), (12, "12 bits at most: 4095 is white")])
def test_deep_greys_fill_the_full_range(tmp_path: Path, bits: int, note: str) -> None:
    bright = GREY.astype(np.uint16) << (bits - 8)
    bright[0, 0] = 2**bits - 1
    dark = bright >> 4  # alone it would be taken for fewer bits, and come out too bright
    files = {"bright.png": encoded(bright), "dark.png": encoded(dark)}
    pool = read_pool(folder_of(tmp_path, files), channels=1)
    of = dict(zip(pool.names, pool.images[..., 0], strict=True))
    np.testing.assert_array_equal(of["bright.png"], bright >> (bits - 8))
    assert of["bright.png"].max() == 255
    np.testing.assert_array_equal(of["dark.png"], dark >> (bits - 8))
    assert [note in text for text in pool.notes] == ([True] if note else [])


def test_what_becomes_grey_or_colour_is_counted_and_said(tmp_path: Path) -> None:
    deep = encoded(GREY.astype(np.uint16) << 8)
    mixed = {
        "a.png": encoded(GREY),
        "b.png": encoded(COLOUR),
        "c.png": encoded(noise(3, 12, 12)),
        "d.png": deep,
    }
    data = folder_of(tmp_path, mixed)
    assert read_pool(data, channels=1).notes == (
        "2 colour images were turned grey (ITU-R 601): the model takes one channel.",
    )
    assert read_pool(data, channels=3).notes == (
        "2 grey images were given three equal channels: the model takes colour.",
    )
    (tmp_path / "d.png").unlink()
    (tmp_path / "a.png").unlink()
    assert read_pool(data, channels=3).notes == ()


def test_files_of_several_sizes_need_a_size(tmp_path: Path) -> None:
    data = folder_of(tmp_path, {"a.png": encoded(noise(1, 12, 10)), "b.png": encoded(noise(2, 20, 30))})
    text = message_of(read_pool, data)
    assert "`size=(H, W)` must be given for images of several sizes" in text
    assert "12x10 and 20x30" in text
    pool = read_pool(data, size=(8, 16))
    assert pool.images.shape == (2, 8, 16, 3)
    expected = Image.fromarray(noise(1, 12, 10)).resize((16, 8), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(pool.images[pool.names.index("a.png")], expected)


# What cannot be used


def test_what_cannot_be_used_is_listed_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encoded(noise(2, 60, 60), "JPEG")
    files = {
        "good.jpg": whole, "cut.jpg": whole[:-200], "empty.png": b"", "text.png": b"hello",
        "scan.tif": encoded(COLOUR, "TIFF"), "notes.txt": b"notes", ".hidden.png": b"", "odd.png": encoded(GREY),
    }  # fmt: skip
    real = ImageOps.exif_transpose

    def stumble(picture: Image.Image) -> Image.Image:
        if picture.mode == "L":
            raise AssertionError("a decoder's own fault\nwith a second line")
        return real(picture)

    monkeypatch.setattr(ImageOps, "exif_transpose", stumble)
    expected = {
        "cut.jpg": "truncated or damaged", "empty.png": "empty or unreadable", "text.png": "no image",
        "scan.tif": picture_files.NO_PICTURE, "notes.txt": picture_files.NO_PICTURE,
        "odd.png": "truncated or damaged",
    }  # fmt: skip
    for data in (folder_of(tmp_path / "folder", files), zip_of(tmp_path / "files.zip", files)):
        pool = read_pool(data)
        assert pool.names == ("good.jpg",)
        assert dict(pool.skipped) == expected


def test_a_link_out_of_the_folder_is_listed(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "folder", {"a.png": encoded(COLOUR)})
    (tmp_path / "secret.png").write_bytes(encoded(GREY))
    (tmp_path / "folder" / "link.png").symlink_to(tmp_path / "secret.png")
    pool = read_pool(data)
    assert pool.names == ("a.png",)
    assert [name for name, _ in pool.skipped] == ["link.png"]


def test_no_usable_picture_is_refused_with_a_reason(tmp_path: Path) -> None:
    text = message_of(read_pool, folder_of(tmp_path, {"a.png": b"hello", "b.png": b""}))
    assert "must hold pictures that can be used; got none; the first of 2 files: a.png, no image" in text
    (tmp_path / "bare").mkdir()
    assert "got none." in message_of(read_pool, f"folder:{tmp_path / 'bare'}")


# What changes nothing


def test_names_order_and_packing_change_nothing(tmp_path: Path) -> None:
    options: dict[str, Any] = {"labels": "folder", "groups": "folder"}
    of_folder = read_pool(folder_of(tmp_path / "a", NESTED), **options)
    wanted = facts(of_folder)
    names = {"ann": "zoe", "bob": "ada", "cy": "moe"}
    renamed = {}
    for number, (name, content) in enumerate(reversed(NESTED.items())):
        kind, person, _ = name.split("/")
        renamed[f"{kind}/{names[person]}/{number:03}.png"] = content
    shuffled = read_pool(folder_of(tmp_path / "b", renamed), **options)
    assert facts(shuffled) == wanted
    assert shuffled.names != of_folder.names
    assert facts(read_pool(zip_of(tmp_path / "c.zip", NESTED), **options)) == wanted
    inside = {f"dataset/{name}": content for name, content in renamed.items()}
    packed = read_pool(zip_of(tmp_path / "d.zip", inside), **options)
    assert facts(packed) == wanted
    assert any("dataset, which holds all others" in note for note in packed.notes)


def test_the_fingerprint_follows_images_classes_groups_and_range(tmp_path: Path) -> None:
    data = folder_of(tmp_path / "a", NESTED)
    changed = {**NESTED, "ill/ann/0.png": encoded(noise(99, 8, 8))}
    moved = {name: content for name, content in NESTED.items() if name != "ill/ann/0.png"}
    moved["ill/bob/9.png"] = NESTED["ill/ann/0.png"]
    of_moved = folder_of(tmp_path / "c", moved)
    prints = [
        read_pool(data).fingerprint,
        read_pool(data, labels="folder").fingerprint,
        read_pool(data, labels="folder", groups="folder").fingerprint,
        read_pool(of_moved, labels="folder", groups="folder").fingerprint,
        read_pool(folder_of(tmp_path / "b", changed)).fingerprint,
    ]
    assert len(set(prints)) == len(prints)
    assert read_pool(of_moved).fingerprint == prints[0]


def test_a_plain_path_is_taken_by_its_kind(tmp_path: Path) -> None:
    folder_of(tmp_path / "a", NESTED)
    zip_of(tmp_path / "b.ZIP", NESTED)
    wanted = read_pool(f"folder:{tmp_path / 'a'}").fingerprint
    for path in (tmp_path / "a", str(tmp_path / "a"), tmp_path / "b.ZIP"):
        assert read_pool(path).fingerprint == wanted
    np.savez(tmp_path / "c.npz", x=np.stack([noise(seed) for seed in range(3)]))
    assert len(read_pool(tmp_path / "c.npz")) == 3


@pytest.mark.parametrize("data", ["nothing", "tfds:mnist", "npz:", "folder:", 7, [1, 2]])
def test_other_data_is_refused(data: Any) -> None:
    assert "data` must be " in message_of(read_pool, data)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": "class"}, "`labels` must be none or folder; got 'class'"),
        ({"groups": "name"}, "`groups` must be none or folder; got 'name'"),
        ({"size": (0, 8)}, "`size` must be height and width, at least 1 each; got (0, 8)"),
        ({"channels": 2}, "`channels` must be 1, 3 or None; got 2"),
        ({"trained_on": "x_train"}, "`trained_on` must go with an npz file or arrays; got 'x_train' with folder"),
        ({"pixels": "0..1"}, "`pixels='0..1'` must fit the data"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    assert said in message_of(read_pool, folder_of(tmp_path, NESTED), **options)
