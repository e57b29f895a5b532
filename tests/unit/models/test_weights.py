"""Weights files: damaged, of another model, and such that refer to other files."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.models.mobilenet import build_split_mobilenet
from mi_keras.models.weights import read_weights


def _message(**settings: object) -> str:
    with pytest.raises(InputError) as caught:
        build_split_mobilenet(**{"input_shape": (32, 64, 3), "minimalistic": True} | settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _read_message(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _vars(file: h5py.File, layer: str) -> h5py.Group:
    return next(g["vars"] for g in file["layers"].values() if g["vars"].attrs["name"] == layer)


def test_a_missing_layer_is_named(damaged: Path) -> None:
    with h5py.File(damaged, "r+") as file:
        del _vars(file, "expanded_conv_3_expand")["0"]
    assert _message(weights=damaged) == (
        f"`weights` must hold every layer; {damaged} lacks layer 'expanded_conv_3_expand'."
    )


def test_a_layer_of_another_shape_is_named(damaged: Path) -> None:
    with h5py.File(damaged, "r+") as file:
        group = _vars(file, "conv_bn")
        del group["2"]
        group["2"] = np.zeros(17, np.float32)
    text = _message(weights=damaged)
    assert text.startswith(
        "`weights` must fit the model, also in whether it is minimalistic (`minimalistic`); layer 'conv_bn' needs shapes "
        "[(16,), (16,), (16,), (16,)], "
    )
    assert f"{damaged} has [(16,), (16,), (17,), (16,)]" in text


def test_the_weights_of_another_model_are_refused(damaged: Path) -> None:
    assert "layer 'logits' needs shapes" in _message(weights=damaged, classes=10)
    assert "layer 'expanded_conv_3_depthwise' needs shapes [(5, 5" in _message(
        weights=damaged, minimalistic=False
    )
    with h5py.File(damaged, "r+") as file:
        file["layers/more/vars/0"] = np.zeros(3, np.float32)
        file["layers/more/vars"].attrs["name"] = "more"
    assert _message(weights=damaged) == (
        f"`weights` must be of this model; {damaged} has layer 'more', which it lacks."
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array([1.0, np.nan], np.float32), "`weights` must be finite; layer conv of"),
        (np.array([1, 2]), "`weights` must hold floats; layer conv of"),
    ],
)
def test_numbers_that_are_no_weights_are_refused(damaged: Path, value: np.ndarray, text: str) -> None:
    with h5py.File(damaged, "r+") as file:
        del _vars(file, "conv")["0"]
        _vars(file, "conv")["0"] = value
    assert text in _read_message(damaged)


def test_a_file_that_refers_to_another_file_is_refused(
    damaged: Path, weights_file: Path, tmp_path: Path
) -> None:
    """HDF5 can name another file as the place of a dataset: a weights file could carry any file of the reader away."""
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(432 * 4))
    with h5py.File(damaged, "r+") as file:
        group = _vars(file, "conv")
        del group["0"]
        group.create_dataset("0", (3, 3, 3, 16), np.float32, external=[(str(secret), 0, 432 * 4)])
    assert "`weights` must hold plain arrays only; layer conv of" in _read_message(damaged)
    with h5py.File(damaged, "r+") as file:
        group = _vars(file, "conv")
        del group["0"]
        group["0"] = h5py.ExternalLink(str(weights_file), "/layers/conv2d/vars/0")
    assert "`weights` must hold plain arrays only; layer conv of" in _read_message(damaged)


def test_files_that_are_no_weights_are_refused(weights_file: Path, tmp_path: Path) -> None:
    expected = "`weights` must be random, imagenet or a readable HDF5 file; got "
    assert _read_message(tmp_path / "none.h5").startswith(expected)
    (tmp_path / "text.h5").write_text("no")
    assert _read_message(tmp_path / "text.h5").startswith(expected)
    (tmp_path / "cut.h5").write_bytes(weights_file.read_bytes()[:-100_000])
    assert _read_message(tmp_path / "cut.h5").startswith(expected)
    h5py.File(tmp_path / "empty.h5", "w").close()
    assert _read_message(tmp_path / "empty.h5") == (
        f"`weights` must be a file that `save_weights` of Keras wrote; {tmp_path / 'empty.h5'} holds no layer."
    )
