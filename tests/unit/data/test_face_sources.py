"""Every form of `--data` for the split attack: what it lists, what it reads, what it refuses."""

import io
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from mi_keras.data import zip_faces
from mi_keras.data.face_sources import DEFAULT_FACES, open_faces
from mi_keras.errors import InputError

REPOSITORY = Path(__file__).parents[3]
LEGAL = "`--data` must be photographs, folder:PATH, zip:PATH or tfds:NAME; got "


def message_of(spec: str, *, offline: bool = True) -> str:
    with pytest.raises(InputError) as caught:
        open_faces(spec, offline=offline)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("`--data")
    return text


def png(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6, 5), (shade, 0, 255 - shade)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("spec", ["", "mnist", "photographs:", "folder", "folder:", "zip:", "tfds:", "/tmp"])
def test_an_unknown_form_lists_the_legal_ones(spec: str) -> None:
    assert message_of(spec) == f"{LEGAL}{spec!r}."


def test_importing_and_opening_need_no_tensorflow() -> None:
    code = (
        "import sys, mi_keras.data.faces, mi_keras.data.face_sources as f; f.open_faces('photographs');"
        "sys.exit('tensorflow' in sys.modules or 'tensorflow_datasets' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


# photographs


def shown_by_scikit_image() -> dict[str, NDArray[np.uint8]]:
    return {
        "astronaut": skimage.data.astronaut(),
        "chelsea": skimage.data.chelsea(),
        "coffee": skimage.data.coffee(),
        "motorcycle_left": skimage.data.stereo_motorcycle()[0],
        "rocket": skimage.data.rocket(),
    }


def test_photographs_are_tiles_of_what_scikit_image_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("no connection may be opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    source = open_faces(DEFAULT_FACES, offline=True)
    photographs = shown_by_scikit_image()
    tiles = {name: (image.shape[0] // 64, image.shape[1] // 64) for name, image in photographs.items()}
    expected = [
        f"{name}/{r:02}_{c:02}"
        for name, (rows, columns) in tiles.items()
        for r in range(rows)
        for c in range(columns)
    ]
    assert list(source.keys) == sorted(expected)
    assert len(source.keys) == 64 + 28 + 54 + 77 + 60
    wanted = list(source.keys[::-7])
    read = list(source.read(wanted))
    assert [key for key, _ in read] == wanted
    for key, content in read:
        name, place = key.split("/")
        row, column = map(int, place.split("_"))
        tile = photographs[name][64 * row : 64 * (row + 1), 64 * column : 64 * (column + 1)]
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content), formats=["PNG"])), tile)


def test_photographs_say_that_they_are_no_faces() -> None:
    source = open_faces("photographs")
    assert source.name == "photographs"
    assert "5 photographs" in source.note
    assert "say nothing about faces" in source.note
    assert source.fingerprint == open_faces("photographs").fingerprint


def test_photographs_that_are_not_installed_are_not_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.resources.files", lambda _: tmp_path)
    assert "`--data photographs` must find astronaut.png in scikit-image, reinstall it; got" in message_of(
        "photographs"
    )


# folder:PATH


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
        == f"`--data folder:{folder}/none` must be an existing folder that can be read; got {folder}/none."
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


# zip:PATH


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
    assert message_of(spec) == f"`--data {spec}` must have no member {what}; got {name!r}."


def test_a_zip_with_a_member_too_large_is_refused(tmp_path: Path) -> None:
    spec = made_zip(tmp_path / "large.zip", {"good.png": png(1), "all.txt": bytes(64 * 1024**2 + 1)})
    assert message_of(spec) == f"`--data {spec}` must have no member larger than 64 MiB; got 'all.txt'."


def test_a_zip_bomb_is_refused_and_a_small_dense_member_is_not(tmp_path: Path) -> None:
    spec = made_zip(tmp_path / "bomb.zip", {"good.png": png(1), "bomb.png": bytes(2 * 1024**2)})
    assert (
        message_of(spec)
        == f"`--data {spec}` must have no member compressed more than 200 to 1; got 'bomb.png'."
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
    assert message_of(spec) == f"`--data {spec}` must have no member {what}; got '1.png'."


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
    assert message_of(spec) == f"`--data {spec}` must have at most 2 members; got 3."


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


# tfds:NAME, with small sets of our own so that no download is needed.


@pytest.fixture(scope="module")
def own_sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NDArray[np.uint8]]:
    """`people` has images and an attribute in two splits, `wide` 16-bit images, `plain` no image."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    root = tmp_path_factory.mktemp("tensorflow_datasets")
    pixels = np.random.default_rng(1).integers(0, 256, (9, 6, 5, 3), dtype=np.uint8)
    features = tfds.features
    store = tfds.dataset_builders.store_as_tfds_dataset
    tfds.disable_progress_bar()

    def records(**columns: NDArray[Any]) -> Any:
        return tf.data.Dataset.from_tensor_slices(columns)

    image = features.Image(shape=(None, None, 3), encoding_format="png")
    people = features.FeaturesDict({"image": image, "young": np.bool_})
    young = np.ones(9, np.bool_)
    parts = {
        "train": records(image=pixels[:6], young=young[:6]),
        "test": records(image=pixels[6:], young=young[6:]),
    }
    store("people", "1.0.0", people, parts, data_dir=root)
    wide = features.FeaturesDict({"image": features.Image(shape=(6, 5, 1), dtype=np.uint16)})
    store("wide", "1.0.0", wide, {"train": records(image=pixels[..., :1].astype(np.uint16))}, data_dir=root)
    plain = features.FeaturesDict({"young": np.bool_})
    store("plain", "1.0.0", plain, {"train": records(young=young)}, data_dir=root)
    return root, pixels


@pytest.fixture
def tfds_home(own_sets: tuple[Path, NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFDS_DATA_DIR", str(own_sets[0]))
    return own_sets[0]


def test_tfds_gives_the_pictures_of_all_splits(
    tfds_home: Path, own_sets: tuple[Path, NDArray[np.uint8]]
) -> None:
    import tensorflow_datasets as tfds

    source = open_faces("tfds:people", offline=True)
    assert source.name == "tfds:people"
    assert len(source.keys) == 9
    assert list(source.keys) == sorted(source.keys)
    expected = {}  # read by the library itself, decoded
    for split in ("train", "test"):
        records = tfds.load(
            "people", split=split, data_dir=tfds_home, read_config=tfds.ReadConfig(add_tfds_id=True)
        )
        for record in records.as_numpy_iterator():
            expected[record["tfds_id"].decode()] = record["image"]
    wanted = [source.keys[place] for place in (8, 0, 4, 7, 1)]
    read = list(source.read(wanted))
    assert [key for key, _ in read] == wanted
    for key, content in read:
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), expected[key])
    assert {image.tobytes() for image in expected.values()} == {image.tobytes() for image in own_sets[1]}
    assert len(dict(source.read(source.keys))) == 9


def test_the_fingerprint_of_a_set_is_its_name_version_and_sizes(tfds_home: Path) -> None:
    first = open_faces("tfds:people", offline=True)
    again = open_faces("tfds:people:1.0.0", offline=True)
    assert first.fingerprint == again.fingerprint
    assert first.keys == again.keys


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_set", "must be a set that TensorFlow Datasets knows or that is prepared in "),
        ("../people", "`--data tfds:NAME` must be NAME, NAME/CONFIG or NAME:1.0.0; got '../people'."),
        ("wide", "must have the feature `image`, of uint8; it has image."),
        ("plain", "must have the feature `image`, of uint8; it has young."),
    ],
)
def test_a_tfds_name_that_breaks_a_rule_says_which(tfds_home: Path, name: str, message: str) -> None:
    assert message in message_of(f"tfds:{name}")


def test_a_set_with_a_truncated_file_is_refused(
    tfds_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tfds_home / "people", tmp_path / "people")
    (shard,) = (tmp_path / "people/1.0.0").glob("*train.tfrecord*")
    shard.write_bytes(shard.read_bytes()[:-10])
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    source = open_faces("tfds:people", offline=True)
    with pytest.raises(InputError, match="must be prepared as undamaged tfrecord files; remove"):
        list(source.read(source.keys))


CELEBA_FILES = (
    "list_eval_partition.txt", "img_align_celeba.zip", "list_attr_celeba.txt", "list_landmarks_align_celeba.txt",
    "identity_CelebA.txt",
)  # fmt: skip


def test_offline_celeba_names_the_files_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow_datasets  # noqa: F401  (not part of the time below)

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    start = time.perf_counter()
    text = message_of("tfds:celeb_a")
    assert time.perf_counter() - start < 5
    assert f"is not prepared in {tmp_path}/celeb_a/2.1.0 and --offline forbids the download" in text
    assert f"in {tmp_path}/downloads/manual and run once without it." in text
    assert all(file in text for file in CELEBA_FILES)
    assert not list(tmp_path.iterdir())


def test_celeba_that_cannot_be_prepared_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Network is unreachable")

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("tensorflow_datasets.core.download.downloader._Downloader.download", unreachable)
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)

    def refusal() -> str:
        text = message_of("tfds:celeb_a", offline=False)
        assert f"`--data tfds:celeb_a` could not be prepared in {tmp_path}/celeb_a/2.1.0: " in text
        assert all(file in text for file in CELEBA_FILES)
        assert text.endswith(
            f" in {manual}, or give the pictures themselves: --data zip:PATH, or folder:PATH once unzipped."
        )
        return text

    assert "Network is unreachable" in refusal()
    for file in CELEBA_FILES:
        (manual / file).write_bytes(b"Quota exceeded")
    assert ": Artifact https://drive.google.com" in refusal()  # what the library says of a wrong checksum
