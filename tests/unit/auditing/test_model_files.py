"""Archives and HDF5 files that refer elsewhere or promise too much, and files of other kinds: refused by one line."""

import io
import os
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from model_files import (
    answers,
    archive_of,
    members,
    refusal,
    small_model,
)

from mi_keras.auditing.loading import load_model


def h5_with(path: Path, good: Path, what: str) -> Path:
    """Write an `.h5` file as `good` and add to it what refers elsewhere or promises too much."""
    path.write_bytes(good.read_bytes())
    secret = path.parent / "secret.h5"
    with h5py.File(secret, "w") as other:
        other["numbers"] = np.ones((2, 2), "float32")
    with h5py.File(path, "r+") as file:
        at = file.create_group("deep/down")
        if what == "external link":
            at["link"] = h5py.ExternalLink(str(secret), "numbers")
        elif what == "soft link":
            at["link"] = h5py.SoftLink("/deep")
        elif what == "external dataset":
            at.create_dataset("link", (4,), "uint8", external=[("/etc/passwd", 0, 4)])
        elif what == "virtual dataset":
            layout = h5py.VirtualLayout((2, 2), "float32")
            layout[:] = h5py.VirtualSource(str(secret), "numbers", (2, 2))
            at.create_virtual_dataset("link", layout)
        elif what == "shape":
            at.create_dataset("link", (1 << 40,), "float32", chunks=(1 << 10,), compression="gzip")
        elif what == "chunk":
            at.create_dataset("link", (0,), "float32", maxshape=(None,), chunks=(1 << 28,))
        elif what == "strings":
            at["link"] = ["a", "b"]
        elif what == "type":
            at["link"] = np.dtype("float32")
        elif what == "cycle":
            at["round"] = file["deep"]
    return path


KEPT = {
    "external link": "has a link at '/deep/down/link'",
    "soft link": "has a link at '/deep/down/link'",
    "external dataset": "keeps '/deep/down/link' elsewhere",
    "virtual dataset": "keeps '/deep/down/link' elsewhere",
    "shape": "declares 4,398,046,",
    "chunk": "declares 1,073,741,",
    "strings": "must hold arrays of numbers",
    "type": "keeps '/deep/down/link' elsewhere",
}


@pytest.mark.parametrize("what", KEPT)
def test_weights_that_lie_elsewhere_or_promise_too_much_are_refused_in_both_formats(
    what, good, legacy, tmp_path, monkeypatch
) -> None:
    """CVE-2026-0897 and CVE-2026-1669."""
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("Keras was asked"))
    assert KEPT[what] in refusal(h5_with(tmp_path / "bad.h5", legacy, what)).replace(
        "'/deep//down", "'/deep/down"
    )
    contents = members(good)
    (tmp_path / "weights.h5").write_bytes(contents["model.weights.h5"])
    weights = h5_with(tmp_path / "bad_weights.h5", tmp_path / "weights.h5", what).read_bytes()
    assert KEPT[what] in refusal(archive_of(tmp_path / "bad.keras", contents | {"model.weights.h5": weights}))


def test_a_group_that_holds_itself_ends_the_check(legacy, tmp_path) -> None:
    loaded = load_model(str(h5_with(tmp_path / "cycle.h5", legacy, "cycle")))
    np.testing.assert_array_equal(answers(loaded), answers(load_model(str(legacy))))


def test_a_user_block_is_refused(legacy, tmp_path) -> None:
    path = tmp_path / "block.h5"
    path.write_bytes(b"#!/bin/sh\n".ljust(512, b"\0") + legacy.read_bytes())
    assert "user block" in refusal(path)


def test_archives_that_are_not_what_keras_writes_are_refused(good, tmp_path) -> None:
    contents = members(good)

    def message(changes: dict[str, bytes], without: str = "", compression: int = zipfile.ZIP_STORED) -> str:
        made = {name: content for name, content in (contents | changes).items() if name != without}
        return refusal(archive_of(tmp_path / "bad.keras", made, compression))

    for name in ("../evil", "/tmp/evil", "..\\evil", "assets/vocabulary.txt", "model.weights.npz"):
        assert "nothing else" in message({name: b"x"})
    assert "has config.json, metadata.json" in message({}, without="model.weights.h5")
    assert "declares 67,108,865" in message(
        {"config.json": b" " * (1 << 26) + b"1"}, compression=zipfile.ZIP_DEFLATED
    )
    assert "declares 33,554,432" in message(
        {"model.weights.h5": bytes(1 << 25)}, compression=zipfile.ZIP_DEFLATED
    )
    assert "stored or deflated" in message({}, compression=zipfile.ZIP_LZMA)
    assert "no HDF5 file" in message({"model.weights.h5": b"x"})
    assert "cut or damaged" in message({"model.weights.h5": contents["model.weights.h5"][:2000]})
    assert "not (" in message({"config.json": b"{"})
    assert "not (" in message({"config.json": b"[" * 100_000})
    assert "deep" in message(
        {"config.json": b'{"class_name": "Dense", "config": ' + b"[" * 300 + b"]" * 300 + b"}"}
    )
    assert "configuration of a Keras model" in message({"config.json": b"[]"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the duplicate
        with zipfile.ZipFile(archive_of(tmp_path / "twice.keras", contents), "a") as archive:
            archive.writestr("config.json", "{}")
    assert "once each" in refusal(tmp_path / "twice.keras")
    whole = good.read_bytes()
    (tmp_path / "cut.keras").write_bytes(whole[: len(whole) // 2])
    assert "cut or damaged" in refusal(tmp_path / "cut.keras")
    at = whole.index(b"small")
    (tmp_path / "flipped.keras").write_bytes(whole[:at] + b"smell" + whole[at + 5 :])
    assert "cut or damaged" in refusal(tmp_path / "flipped.keras")


def test_other_files_are_named(tmp_path, legacy) -> None:
    def message(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return refusal(tmp_path / name)

    assert "the Keras model is audited, not its conversion" in message("a.tflite", b"\x1c\0\0\0TFL3")
    assert "ONNX" in message("a", b"\x08\x07\x12\x07pytorch")
    assert "never loaded" in message("a.pt", b"\x80\x02\x8a\n")
    assert "safetensors" in message("a.safetensors", b"\x40\0\0\0\0\0\0\0{}")
    assert "is empty" in message("a.keras", b"")
    assert "is neither" in message("b.keras", b"some text")
    assert "SavedModel" in message("saved_model.pb", b"\x08\x01")
    assert "SavedModel targets are not read yet" in refusal(tmp_path)
    (tmp_path / "folder").mkdir()
    assert "is a folder" in refusal(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe.keras")
    assert "no regular file" in refusal(tmp_path / "pipe.keras")
    for name in (tmp_path / "none.keras", "hf://owner/model", "a\0b.keras"):
        assert "readable" in refusal(name)
    torch = io.BytesIO()
    with zipfile.ZipFile(torch, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    assert "PyTorch" in message("model.pt", torch.getvalue())
    assert "cut or damaged" in message("cut.h5", legacy.read_bytes()[:3000])
    small_model().save_weights(tmp_path / "small.weights.h5")
    assert refusal(tmp_path / "small.weights.h5").endswith(
        "has no model inside: build the model in Python and pass it to mi_keras.audit."
    )
