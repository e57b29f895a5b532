"""The forms of `--data` for the split attack, and the default one: tiles of photographs."""

import io
import socket
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from mi_keras.data.face_sources import DEFAULT_FACES, open_faces
from tests.processes import loaded_by
from tests.unit.data.given import refusal

LEGAL = "`data` must be photographs, folder:PATH, zip:PATH or tfds:NAME; got "

message_of = partial(refusal, open_faces)


@pytest.mark.parametrize("spec", ["", "mnist", "photographs:", "folder", "folder:", "zip:", "tfds:", "/tmp"])
def test_an_unknown_form_lists_the_legal_ones(spec: str) -> None:
    assert message_of(spec) == f"{LEGAL}{spec!r}."


def test_importing_and_opening_need_no_tensorflow() -> None:
    modules = loaded_by(
        "import mi_keras.data.faces, mi_keras.data.face_sources as f; f.open_faces('photographs')"
    )
    assert "mi_keras" in modules
    assert not modules & {"tensorflow", "tensorflow_datasets"}


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
    assert "`data='photographs'` must find astronaut.png in scikit-image, reinstall it; got" in message_of(
        "photographs"
    )
