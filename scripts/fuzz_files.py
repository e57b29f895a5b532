"""Broken and hostile files for `fuzz_inputs`: good ones with bytes changed, headers that lie, bombs, links and odd names."""

import io
import json
import os
import struct
import warnings
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Draw = np.random.Generator
DOCS = Path(__file__).resolve().parents[1] / "docs"
NAMES = [
    "<script>alert(1)</script>.png", "a\x1b[31mred.png", "two\nlines.png", "\u202egnp.png", "$\\frac{1}{$.png", "[/b][red].png",
    "caf\udce9.png", "`x`|y.png", "é.png", "e\u0301.png", "-rf.png", "x" * 180 + ".png", "%s{0}.png", "&amp;<b>.png", " .png",
]  # fmt: skip
EXTREMES = [0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]


def pick(draw: Draw, choices: Any) -> Any:
    return choices[int(draw.integers(len(choices)))]


def damaged(draw: Draw, content: bytes) -> tuple[str, bytes]:
    """Return a file's content with something done to it, and what."""
    data, way = (
        bytearray(content),
        pick(draw, ["flip", "flip", "cut", "zeros", "number", "twice", "insert", "shuffle"]),
    )
    at = int(draw.integers(max(1, len(data))))
    length = int(draw.integers(1, 64))
    if way == "flip":
        for place in draw.integers(0, len(data), int(draw.integers(1, 9))):
            data[place] ^= int(draw.integers(1, 256))
    elif way == "cut":
        del data[at:]
    elif way == "zeros":
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif way == "number":  # a size in a header that lies
        data[at : at + 4] = struct.pack("<I", pick(draw, EXTREMES))[: len(data[at : at + 4])]
    elif way == "twice":
        data[at:at] = data[at : at + 512]
    elif way == "insert":
        data[at:at] = draw.bytes(length)
    else:
        data[at : at + length] = draw.bytes(len(data[at : at + length]))
    return f"{way} at {at}", bytes(data)


def _bytes_of(save: Any, **arrays: Any) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def good_arrays() -> dict[str, NDArray[Any]]:
    draw = np.random.default_rng(0)
    images = {
        f"x_{part}": draw.integers(0, 256, (n, 12, 12), dtype=np.uint8)
        for part, n in (("train", 120), ("test", 60))
    }
    return images | {"y_train": np.arange(120) % 3, "y_test": np.arange(60) % 3}


def array(draw: Draw) -> tuple[str, NDArray[Any]]:
    """Return an array that some rule breaks on, more often than not."""
    shape = pick(draw, [(), (4,), (4, 784), (4, 784, 1), (4, 1, 784), (4, 16, 16), (4, 16, 16, 1), (4, 16, 16, 2), (4, 3, 16, 16), (0, 16, 16, 1), (4, 0, 16, 1), (4, 2, 2, 2, 2)])  # fmt: skip
    kind = pick(draw, ["f4", "f8", "u1", "i8", "c8", "U3", "?", "f2", "u2", "S2", "M8[s]"])
    value = pick(draw, ["nan", "inf", "-1", "0.5", "300", "1e38"])
    if kind[0] in "fc":
        with np.errstate(all="ignore"):
            made = np.full(shape, float(value), np.dtype("f8")).astype(kind)
    else:
        made = np.zeros(shape, kind)
    return f"{kind} {shape} of {value}", made


def npz(draw: Draw, folder: Path) -> tuple[str, str]:
    """Write a broken npz; return what is wrong, and its path."""
    path, arrays = folder / "images.npz", good_arrays()
    way = pick(draw, ["bytes", "bytes", "array", "array", "pickle", "bomb", "header", "key", "none"])
    save: Any = np.savez_compressed if draw.random() < 0.5 else np.savez
    what = way
    if way == "array":
        what, changed = array(draw)
        arrays[pick(draw, list(arrays))] = changed
    elif way == "pickle":
        arrays["x_train"] = np.array([{"a": 1}, None], object)
    elif way == "key":
        arrays[pick(draw, NAMES).encode("utf-8", "replace").decode()] = np.zeros(3)
        del arrays[pick(draw, ["x_train", "y_test"])]
    elif way == "none":
        arrays = {}
    content = _bytes_of(save, **arrays)
    if way == "bytes":
        what, content = damaged(draw, content)
    path.write_bytes(content)
    if way in ("bomb", "header"):
        _npz_member(path, 2600 * 1024**2 if way == "bomb" else 0)
    return f"npz, {what}", str(path)


def _npz_member(path: Path, zeros: int) -> None:
    """Write an npz whose `x_train` promises 10^11 images, or holds gigabytes of zeros in a few megabytes."""
    count = zeros // 144 if zeros else 10**11
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (count, 12, 12)}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in good_arrays().items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                if name != "x_train":
                    np.lib.format.write_array(member, values)
                    continue
                member.write(header.getvalue())
                for _ in range(zeros >> 24):
                    member.write(bytes(1 << 24))


@cache
def _picture(number: int, form: str) -> bytes:
    draw = np.random.default_rng(number)
    picture = Image.fromarray(draw.integers(0, 256, (24, 20, 3), dtype=np.uint8))
    if form == "RGBA":
        picture.putalpha(number % 256)
    file = io.BytesIO()
    picture.save(file, "PNG" if form == "RGBA" else form)
    return file.getvalue()


def _png_of(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes whose header declares a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(9999)))
        + chunk(b"IEND", b"")
    )


def pictures(draw: Draw, folder: Path) -> tuple[str, str]:
    """Write pictures, some broken, below a folder or into an archive; return what is wrong, and the source."""
    contents = {
        f"p{n % 6}/{n}.png": _picture(n, pick(draw, ["PNG", "JPEG", "BMP", "WEBP", "RGBA"]))
        for n in range(80)
    }
    for n in range(8):
        _, data = damaged(draw, _picture(n, pick(draw, ["PNG", "JPEG", "BMP", "WEBP"])))
        contents[f"bad/{n}.png"] = data
    contents["bad/wide.png"] = _png_of(pick(draw, [10**5, 2**31 - 1, 4]), pick(draw, [10**5, 1, 0]))
    contents["bad/deep.png"] = _deep(draw)
    for name in draw.permutation(len(NAMES))[:4]:
        contents[f"odd/{NAMES[name]}"] = _picture(int(name), "PNG")
    if draw.random() < 0.5:
        return "folder", _folder(draw, folder / "pictures", contents)
    return _archive(draw, folder / "pictures.zip", contents)


def _deep(draw: Draw) -> bytes:
    file = io.BytesIO()
    Image.fromarray(draw.integers(0, pick(draw, [2, 4096, 65535]), (9, 9)).astype(np.uint16)).save(
        file, "PNG"
    )
    return file.getvalue()


def _folder(draw: Draw, root: Path, contents: dict[str, bytes]) -> str:
    for name, data in contents.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(path, "wb") as file:
                file.write(data)
        except OSError:
            continue  # a name that this file system does not take
    for name, target in (
        ("out.png", "/etc/passwd"),
        ("loop.png", "loop.png"),
        ("up", ".."),
        ("none.png", "nowhere.png"),
    ):
        os.symlink(target, root / name)
    os.mkfifo(root / "pipe.png")
    return f"folder:{root}"


def _archive(draw: Draw, path: Path, contents: dict[str, bytes]) -> tuple[str, str]:
    way = pick(draw, ["plain", "bytes", "bytes", "bomb", "up", "absolute", "link", "twice"])
    extra = {
        "bomb": ("bomb.png", bytes(1 << 28)),
        "up": ("../up.png", b"x"),
        "absolute": ("/tmp/x.png", b"x"),
    }.get(way)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of the duplicate
        for name, data in contents.items():
            archive.writestr(name.encode("utf-8", "replace").decode(), data)
        if way == "link":
            info = zipfile.ZipInfo("link.png")
            info.external_attr = 0o120777 << 16
            archive.writestr(info, "/etc/passwd")
        if way == "twice":
            archive.writestr("p0/0.png", b"x")
        if extra:
            archive.writestr(*extra)
    if way == "bytes":
        way, data = damaged(draw, path.read_bytes())
        path.write_bytes(data)
    return f"zip, {way}", f"zip:{path}"


@cache
def _models() -> dict[str, bytes]:
    """A model as every kind of file that Keras writes."""
    import tempfile

    import keras

    image = keras.Input((8, 8, 1), name="image")
    maps = keras.layers.BatchNormalization(name="norm")(
        keras.layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    )
    model = keras.Model(
        image, keras.layers.Dense(3, name="last")(keras.layers.Flatten(name="flat")(maps)), name="small"
    )
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("m.keras", "m.h5"):
            model.save(f"{folder}/{name}")
        model.save_weights(f"{folder}/m.weights.h5")
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def model(draw: Draw, folder: Path) -> tuple[str, Path]:
    """Write a broken model file; return what is wrong, and its path."""
    name = pick(draw, sorted(_models()))
    way, content = damaged(draw, _models()[name])
    if name == "m.keras" and draw.random() < 0.5:
        way, content = _keras_archive(draw, content=_models()[name])
    (path := folder / name).write_bytes(content)
    return f"{name}, {way}", path


def _keras_archive(draw: Draw, content: bytes) -> tuple[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = pick(draw, sorted(members))
    way, members[name] = damaged(draw, members[name])
    if draw.random() < 0.3:
        way, members[name] = "bomb", bytes(1 << 27)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return f"{name} within, {way}", out.getvalue()


def result(draw: Draw, folder: Path) -> tuple[str, Path]:
    """Write a broken result folder, or a broken report of an audit; return what is wrong, and its path."""
    if draw.random() < 0.3:
        source = pick(draw, sorted((DOCS / "measured" / "audits").glob("*.json")))
        way, text = _json(draw, source.read_text())
        (path := folder / "audit.json").write_bytes(text)
        return f"{source.name}, {way}", path
    source = pick(draw, sorted((DOCS / "measured").glob("*.json")))
    document = json.loads(source.read_text()) | {"arrays_sha256": None}
    way, text = _json(draw, json.dumps(document))
    (folder / "result.json").write_bytes(text)
    arrays = _bytes_of(
        np.savez, **{"targets": np.zeros((3, 8, 8, 1), np.float32), "labels": np.zeros(3, int)}
    )
    (folder / "arrays.npz").write_bytes(damaged(draw, arrays)[1] if draw.random() < 0.5 else arrays)
    return f"{source.name}, {way}", folder


def _json(draw: Draw, text: str) -> tuple[str, bytes]:
    if draw.random() < 0.4:
        return damaged(draw, text.encode())
    document = json.loads(text)
    at: Any = document
    path = []
    while isinstance(at, dict | list) and at and (draw.random() < 0.8 or not path):
        key = pick(draw, list(at) if isinstance(at, dict) else range(len(at)))
        path.append(key)
        parent, at = at, at[key]
    parent[path[-1]] = pick(draw, [None, -1, 1e999, "x", [], {}, True, 10**400, [[1]], {"a": {}}, NAMES[1]])
    return f"{'.'.join(map(str, path))} changed", json.dumps(document).encode()
