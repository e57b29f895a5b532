"""Weights files: damaged, of another model, and such that refer to other files."""

import os
import warnings
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from split_refusals import message_of

from mi_keras.errors import InputError
from mi_keras.models.weights import copy_weights, read_weights


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
    assert message_of(weights=damaged) == (
        f"`weights` must hold every layer; {damaged} lacks layer 'expanded_conv_3_expand'."
    )


def test_a_layer_of_another_shape_is_named(damaged: Path) -> None:
    with h5py.File(damaged, "r+") as file:
        group = _vars(file, "conv_bn")
        del group["2"]
        group["2"] = np.zeros(17, np.float32)
    text = message_of(weights=damaged)
    assert text.startswith(
        "`weights` must fit the model, also in whether it is minimalistic (`minimalistic`); layer 'conv_bn' needs shapes "
        "[(16,), (16,), (16,), (16,)], "
    )
    assert f"{damaged} has [(16,), (16,), (17,), (16,)]" in text


def test_the_weights_of_another_model_are_refused(damaged: Path) -> None:
    assert "layer 'logits' needs shapes" in message_of(weights=damaged, classes=10)
    assert "layer 'expanded_conv_3_depthwise' needs shapes [(5, 5" in message_of(
        weights=damaged, minimalistic=False
    )
    with h5py.File(damaged, "r+") as file:
        file["layers/more/vars/0"] = np.zeros(3, np.float32)
        file["layers/more/vars"].attrs["name"] = "more"
    assert message_of(weights=damaged) == (
        f"`weights` must be of this model; {damaged} has layer 'more', which it lacks."
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array([1.0, np.nan], np.float32), "`weights` must be finite in float32; layer conv of"),
        (np.array([1.0, 1e300]), "`weights` must be finite in float32; layer conv of"),
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
    assert f"`weights` must hold its own arrays; {damaged} keeps " in _read_message(damaged)
    with h5py.File(damaged, "r+") as file:
        group = _vars(file, "conv")
        del group["0"]
        group["0"] = h5py.ExternalLink(str(weights_file), "/layers/conv2d/vars/0")
    assert f"`weights` must hold its own arrays; {damaged} has a link at " in _read_message(damaged)


def test_a_file_that_promises_more_than_it_holds_is_refused_before_it_is_read(damaged: Path) -> None:
    with h5py.File(damaged, "r+") as file:
        group = _vars(file, "conv")
        del group["0"]
        group.create_dataset("0", (1 << 40,), "float32", chunks=(1 << 10,), compression="gzip")
    assert "`weights` must hold as many numbers as it declares; " in _read_message(damaged)


def _small(prefix: str = "") -> keras.Model:
    """A model of a convolution, its normalisation and a last layer, with weights of its own, frozen as an attacked one."""
    image = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(2, 3, name=f"{prefix}conv")(image)
    maps = keras.layers.BatchNormalization(name=f"{prefix}norm")(maps)
    model = keras.Model(image, keras.layers.Dense(4, name=f"{prefix}last")(keras.layers.Flatten()(maps)))
    model.set_weights(
        [np.random.default_rng(len(prefix)).normal(size=w.shape).astype(np.float32) for w in model.weights]
    )
    model.trainable = False
    return model


@pytest.mark.parametrize(
    "name", ["model.weights.h5", "model.keras", "model.h5", "of_its_time.h5", "keras2.h5"]
)
def test_every_file_that_keras_writes_of_a_model_is_read(tmp_path: Path, name: str) -> None:
    """Of Keras 2, as those that Keras downloads: layers in order, under the names that they had then."""
    model, path = _small(), tmp_path / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls .h5 legacy
        if name == "model.weights.h5":
            model.save_weights(path)
        else:
            model.save(path if name.startswith("model") else tmp_path / "model.h5")
    if not path.exists():
        with h5py.File(tmp_path / "model.h5") as whole, h5py.File(path, "w") as file:
            source = whole["model_weights"]
            names = [os.fsdecode(layer) for layer in source.attrs["layer_names"]]
            shown = {layer: f"Old/{layer}/BatchNorm" if name == "keras2.h5" else layer for layer in names}
            for layer in names:
                source.copy(layer, file, shown[layer])
            file.attrs["layer_names0"] = [shown[layer] for layer in names[:2]]
            file.attrs["layer_names1"] = [shown[layer] for layer in names[2:]]
    other = _small()
    other.set_weights([np.zeros_like(w) for w in other.get_weights()])
    copy_weights(other, read_weights(path), name)
    for own, loaded in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(loaded, own)


def test_no_file_is_left_open(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    _small().save(path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_weights(path)
    assert not [warning for warning in caught if warning.category is ResourceWarning]


def test_a_file_of_keras_2_of_another_model_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["layer_names"] = ["a"]
        file.create_group("a").attrs["weight_names"] = ["a/kernel"]
        file["a"]["a/kernel"] = np.zeros((2, 2), np.float32)
    with pytest.raises(InputError, match=r"^`weights` must hold every layer; other lacks layer 'conv'\.$"):
        copy_weights(_small(), read_weights(tmp_path / "other.h5"), "other")
    with h5py.File(tmp_path / "other.h5", "r+") as file:
        del file["a"]["a/kernel"]
    assert "other.h5 (" in _read_message(tmp_path / "other.h5")


def test_files_that_are_no_weights_are_refused(weights_file: Path, tmp_path: Path) -> None:
    expected = "`weights` must be random, imagenet or a readable HDF5 file; got "
    assert _read_message(tmp_path / "none.h5").startswith(expected)
    (tmp_path / "text.h5").write_text("no")
    assert _read_message(tmp_path / "text.h5").startswith(expected)
    assert _read_message(tmp_path).startswith(expected)
    assert "File name too long" in _read_message(tmp_path / ("x" * 300))
    (tmp_path / "cut.h5").write_bytes(weights_file.read_bytes()[:-100_000])
    assert _read_message(tmp_path / "cut.h5").startswith(
        f"`weights` must be a whole file; {tmp_path}/cut.h5 is cut or damaged"
    )
    h5py.File(tmp_path / "empty.h5", "w").close()
    assert _read_message(tmp_path / "empty.h5") == (
        f"`weights` must be a file of weights that Keras wrote; {tmp_path / 'empty.h5'} holds no layer: "
        "write one by `model.save_weights('model.weights.h5')`."
    )
