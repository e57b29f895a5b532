"""`--data zip:PATH`: which members are its images, and archives that lie, lead out or are damaged."""

import struct
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mi_keras.data import zip_faces
from mi_keras.data.face_sources import open_faces
from tests.unit.data.given import png, refusal

message_of = partial(refusal, open_faces)


def made_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> str:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return f"zip:{path}"


def noise(size: int) -> bytes:
    return np.random.default_rng(0).bytes(size)


def test_a_zip_gives_its_images_and_writes_nothing(tmp_path: Path) -> None:
    members = {"img/2.jpg": png(2), "1.PNG": png(1), "img/é.webp": png(3), "./img/4.bmp": png(4)}
    others = {
        "img/": b"",
        "list.txt": b"x",
        "__MACOSX/img/._2.jpg": b"x",
        "img/.DS_Store.png": b"x",
        ".t/5.png": b"x",
    }
    spec = made_zip(tmp_path / "faces.zip", {**members, **others})
    source = open_faces(spec)
    assert source.name == spec
    assert source.keys == tuple(sorted(members))
    wanted = ["img/é.webp", "1.PNG", "img/2.jpg", "./img/4.bmp"]
    assert list(source.read(wanted)) == [(key, members[key]) for key in wanted]
    assert [path.name for path in tmp_path.iterdir()] == ["faces.zip"]


def test_the_fingerprint_of_a_zip_follows_its_images(tmp_path: Path) -> None:
    first = open_faces(made_zip(tmp_path / "a.zip", {"1.png": png(1), "2.png": png(2)})).fingerprint
    same = {"note.txt": b"x", "2.png": png(2), "1.png": png(1)}
    assert open_faces(made_zip(tmp_path / "b.zip", same, zipfile.ZIP_STORED)).fingerprint == first
    assert open_faces(made_zip(tmp_path / "c.zip", {"1.png": png(1), "2.png": png(3)})).fingerprint != first
    assert open_faces(made_zip(tmp_path / "d.zip", {"1.png": png(1), "3.png": png(2)})).fingerprint != first


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("/etc/1.png", "with an absolute path or a drive letter"),
        ("C:/1.png", "with an absolute path or a drive letter"),
        ("a/../../1.png", "with a part .. in its path"),
        ("..", "with a part .. in its path"),
        ("a\\..\\1.png", "with a backslash in its name"),
        ("1.png\0.txt", "with a NUL in its name"),
    ],
)
def test_a_zip_with_a_name_that_leads_out_is_refused(tmp_path: Path, name: str, what: str) -> None:
    placed = name.replace("\0", "@")  # the same length: zipfile does not write a NUL
    path = tmp_path / "bad.zip"
    spec = made_zip(path, {"good.png": png(1), placed: png(2)})
    path.write_bytes(path.read_bytes().replace(placed.encode(), name.encode()))
    assert message_of(spec) == f"`data='{spec}'` must have no member {what}; got {name!r}."


def test_a_zip_with_a_member_too_large_is_refused(tmp_path: Path) -> None:
    spec = made_zip(tmp_path / "large.zip", {"good.png": png(1), "all.txt": bytes(64 * 1024**2 + 1)})
    assert message_of(spec) == f"`data='{spec}'` must have no member larger than 64 MiB; got 'all.txt'."


def test_a_zip_bomb_is_refused_and_a_small_dense_member_is_not(tmp_path: Path) -> None:
    spec = made_zip(tmp_path / "bomb.zip", {"good.png": png(1), "bomb.png": bytes(2 * 1024**2)})
    assert (
        message_of(spec)
        == f"`data='{spec}'` must have no member compressed more than 200 to 1; got 'bomb.png'."
    )
    assert open_faces(made_zip(tmp_path / "dense.zip", {"dense.png": bytes(1024**2)})).keys == ("dense.png",)
    whole = {"noise.png": noise(2 * 1024**2)}
    assert open_faces(made_zip(tmp_path / "whole.zip", whole)).keys == ("noise.png",)


@pytest.mark.parametrize(
    ("offset", "value", "what"),
    [(8, b"\x01\x00", "that is encrypted"), (10, b"\x0c\x00", "compressed by another method than deflate")],
)
def test_a_zip_that_cannot_be_read_safely_is_refused(
    tmp_path: Path, offset: int, value: bytes, what: str
) -> None:
    path = tmp_path / "odd.zip"
    spec = made_zip(path, {"1.png": png(1)})
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\x01\x02") + offset  # flag bits and method, in the central directory
    content[start : start + 2] = value
    path.write_bytes(content)
    assert message_of(spec) == f"`data='{spec}'` must have no member {what}; got '1.png'."


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_two_members_of_one_name_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        for shade, name in enumerate(["a.png", "b.png", "b.png"]):
            archive.writestr(name, png(shade))
    text = message_of(f"zip:{tmp_path}/twice.zip")
    assert text.endswith("must have no two members of one name; got 'b.png' 2 times.")


def test_a_zip_with_too_many_members_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert zip_faces.MOST_MEMBERS == 1_000_000
    monkeypatch.setattr(zip_faces, "MOST_MEMBERS", 2)
    spec = made_zip(tmp_path / "many.zip", {f"{number}.png": png(number) for number in range(3)})
    assert message_of(spec) == f"`data='{spec}'` must have at most 2 members; got 3."


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    spec = made_zip(tmp_path / "whole.zip", {"1.png": noise(5000)})
    whole = (tmp_path / "whole.zip").read_bytes()
    for name, content in {"empty": b"", "text": b"hello", "truncated": whole[:-40]}.items():
        (tmp_path / name).write_bytes(content)
        assert "must be a whole zip archive; zipfile says:" in message_of(f"zip:{tmp_path / name}")
    assert "must be an existing file that can be read" in message_of(f"zip:{tmp_path}")
    assert message_of(f"{spec}.none").endswith(
        f"must be an existing file that can be read; got {spec[4:]}.none."
    )
    assert "must hold images" in message_of(made_zip(tmp_path / "texts.zip", {"1.txt": b""}))
    assert "must hold images" in message_of(made_zip(tmp_path / "nothing.zip", {}))


@pytest.mark.parametrize("declared", [100, 4999, 5001, 60_000])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_header_that_lies_about_the_size_gives_nothing(tmp_path: Path, declared: int, method: int) -> None:
    path = tmp_path / "lying.zip"
    spec = made_zip(path, {"lying.png": noise(5000), "true.png": png(7)}, method)
    content = path.read_bytes()
    first = content.index(b"PK\x01\x02")
    size_in = {content.index(b"PK\x03\x04") + 22, first + 24}  # of the first member, in both of its headers
    changed = bytearray(content)
    for start in size_in:
        assert struct.unpack_from("<I", content, start) == (5000,)
        struct.pack_into("<I", changed, start, declared)
    path.write_bytes(changed)
    read = dict(open_faces(spec).read(["lying.png", "true.png"]))
    assert read == {"lying.png": b"", "true.png": png(7)}


def test_a_member_with_a_flipped_byte_comes_empty(tmp_path: Path) -> None:
    path = tmp_path / "flipped.zip"
    spec = made_zip(path, {"1.png": noise(5000), "2.png": png(2)}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[1000] ^= 0xFF
    path.write_bytes(content)
    assert dict(open_faces(spec).read(["1.png", "2.png"])) == {"1.png": b"", "2.png": png(2)}
