"""Dividing, decoding and loading pictures: against Pillow, closed forms, and files that are broken on purpose."""

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, features

from mi_keras.data import faces
from mi_keras.data.face_source import FaceSource
from mi_keras.data.face_sources import open_faces
from mi_keras.data.faces import counts, decode_face, load_faces, split_faces
from mi_keras.errors import InputError
from mi_keras.settings import FaceSettings

REAL = Path(
    os.environ.get("MI_KERAS_FACES_ZIP", Path(__file__).parents[4] / "shared/data/celeba_half_10k.zip")
)


def encoded(picture: Image.Image | NDArray[Any], form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(file, form, **options)
    return file.getvalue()


def noise(seed: int, height: int = 12, width: int = 9) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes whose header declares a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


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


# Decoding


@pytest.mark.parametrize("form", ["PNG", "BMP", "JPEG", "WEBP"])
def test_a_constant_image_stays_constant(form: str) -> None:
    if form == "WEBP" and not features.check("webp"):
        pytest.skip("this Pillow was built without WebP")
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    data = encoded(Image.new("RGB", (37, 91), (200, 200, 200)), form, **options)
    image = decode_face(data, 32)
    assert image.shape == (32, 32, 3)
    assert image.dtype == np.uint8
    assert image.flags.writeable
    np.testing.assert_array_equal(image, 200)


@pytest.mark.parametrize(("width", "height"), [(256, 10), (16, 300), (64, 64), (89, 109)])
def test_a_gradient_stays_monotone_and_no_axis_is_exchanged(width: int, height: int) -> None:
    ramp = np.linspace(0, 255, width).astype(np.uint8)
    picture = np.broadcast_to(ramp[None, :, None], (height, width, 3))
    image = decode_face(encoded(np.ascontiguousarray(picture)), 64).astype(int)
    assert (np.diff(image, axis=1) >= 0).all()
    assert (np.diff(image, axis=0) == 0).all()
    assert image[0, 0, 0] < 12
    assert image[0, -1, 0] > 243


def test_shrinking_by_a_whole_factor_averages_over_the_area() -> None:
    """A chequer of single pixels has one mean everywhere; without antialiasing single pixels would be picked out."""
    chequer = ((np.indices((256, 256)).sum(axis=0) % 2) * 255).astype(np.uint8)
    inner = decode_face(encoded(chequer), 32)[4:-4, 4:-4]
    assert np.abs(inner.astype(int) - 127).max() <= 3


def test_an_image_of_the_right_size_comes_unchanged() -> None:
    np.testing.assert_array_equal(decode_face(encoded(noise(0, 24, 24)), 24), noise(0, 24, 24))


def test_decoding_equals_pillow_on_a_photograph() -> None:
    source = open_faces("photographs")
    ((_, data),) = source.read(["astronaut/01_03"])
    expected = Image.open(io.BytesIO(data)).resize((320, 320), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(decode_face(data, 320), np.asarray(expected))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation: int) -> None:
    upright = noise(4, 16, 16)
    as_stored: dict[
        int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    ] = {  # inverse of the turn asked for
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.swapaxes(0, 1),
        6: lambda x: np.rot90(x, 1),
        7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
        8: lambda x: np.rot90(x, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(as_stored[orientation](upright)), exif=exif)
    np.testing.assert_array_equal(decode_face(data, 16), upright)


def test_grey_palette_and_transparent_images_become_rgb() -> None:
    grey = noise(1, 16, 16)[..., 0]
    as_rgb = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(decode_face(encoded(grey), 16), as_rgb)
    palette = Image.fromarray(grey).convert("P")
    np.testing.assert_array_equal(decode_face(encoded(palette), 16), as_rgb)
    colour = noise(2, 16, 16)
    transparent = np.concatenate([colour, noise(3, 16, 16)[..., :1]], axis=2)
    np.testing.assert_array_equal(decode_face(encoded(transparent), 16), colour)
    two_bytes = grey.astype(np.uint16) * 257  # 0..65535
    np.testing.assert_array_equal(decode_face(encoded(two_bytes), 16), as_rgb)
    two_levels = Image.fromarray(grey).convert("1")
    assert set(np.unique(decode_face(encoded(two_levels), 16))) == {0, 255}
    assert decode_face(encoded(Image.fromarray(colour).convert("CMYK"), "JPEG"), 16).shape == (16, 16, 3)


WHOLE_JPEG = encoded(noise(5, 60, 60), "JPEG")
WHOLE_PNG = encoded(noise(5, 60, 60))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty or unreadable"),
        (b"hello", "no image"),
        (b"\xff\xd8\xff\xe0", "no image"),
        (WHOLE_JPEG[: len(WHOLE_JPEG) // 2], "truncated or damaged"),
        (WHOLE_PNG[: len(WHOLE_PNG) // 2], "truncated or damaged"),
        (WHOLE_PNG[:100] + bytes(50) + WHOLE_PNG[150:], "truncated or damaged"),
        (encoded(noise(0), "GIF"), "no image"),
        (encoded(noise(0), "EPS"), "no image"),  # another program would have to run to decode it
        (bomb(10_000, 5_001), "larger than 50 megapixels"),
        (bomb(65_000, 65_000), "larger than 50 megapixels"),
        (bytes(64 * 1024**2 + 1), "larger than 64 MiB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_image_is_refused_in_a_few_words(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        decode_face(data, 16)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_image_between_the_two_limits_is_refused_too() -> None:
    with pytest.raises(ValueError, match="larger than 50 megapixels"):
        decode_face(bomb(10_000, 12_000), 16)


def test_any_damage_is_a_value_error() -> None:
    generator = np.random.default_rng(0)
    refused = 0
    for data in (WHOLE_JPEG, WHOLE_PNG, encoded(noise(5, 60, 60), "BMP")):
        for _ in range(60):
            changed = bytearray(data[: generator.integers(1, len(data))])
            for place in generator.integers(0, len(changed), 8):
                changed[place] = generator.integers(0, 256)
            try:
                decode_face(bytes(changed), 16)
            except ValueError:
                refused += 1
    assert refused > 90


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
        np.testing.assert_array_equal(image, decode_face(pictures[key], 16))


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
        np.testing.assert_array_equal(image, decode_face(pictures[key], 16))


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


def test_a_memory_map_is_filled(pictures: dict[str, bytes], tmp_path: Path) -> None:
    shape = (4, 16, 16, 3)
    images = np.memmap(tmp_path / "images", np.uint8, "w+", shape=shape)
    load_faces(made(pictures), list(pictures), images)
    images.flush()
    on_disk = np.fromfile(tmp_path / "images", np.uint8).reshape(shape)
    np.testing.assert_array_equal(on_disk[3], decode_face(pictures["3.png"], 16))


def test_an_error_of_the_source_arrives_as_it_was_raised(pictures: dict[str, bytes]) -> None:
    def read(wanted: Any) -> Any:
        yield wanted[0], pictures[wanted[0]]
        raise InputError("`--data` must stay where it is.")

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
