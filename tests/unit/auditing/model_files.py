"""Files of models for the tests of loading: good ones, and ones that an attacker has made of them."""

import copy
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from mi_keras.auditing.loading import load_model
from mi_keras.errors import InputError

Config = dict[str, Any]


def small_model() -> keras.Model:
    """Return a functional model of a layer `first`, whose configuration has a place for everything, and `last`."""
    image = keras.Input((2, 3), name="image")
    hidden = keras.layers.Dense(2, activation="relu", name="first")(image)
    return keras.Model(image, keras.layers.Dense(1, name="last")(hidden), name="small")


def saved(model: keras.Model, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls .h5 legacy, and lambdas unsafe
        model.save(path)
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(path: Path, contents: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def changed(good: Path, path: Path, change: Callable[[Config], Config | None]) -> Path:
    """Write a `.keras` file as `good`, whose configuration is changed in place or replaced."""
    contents = members(good)
    config = json.loads(contents["config.json"])
    config = change(config) or config
    return archive_of(path, contents | {"config.json": json.dumps(config).encode()})


def changed_h5(good: Path, path: Path, change: Callable[[Config], Config | None]) -> Path:
    """Write an `.h5` file as `good`, whose configuration is changed in place or replaced."""
    path.write_bytes(good.read_bytes())
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(change(config) or config)
    return path


def layer(config: Config, name: str = "first") -> Config:
    return next(entry for entry in config["config"]["layers"] if entry["config"]["name"] == name)


def replaced(**entries: Any) -> Callable[[Config], None]:
    """Return a change that makes the first layer something else."""

    def change(config: Config) -> None:
        found = layer(config)
        found.update({"registered_name": None} | copy.deepcopy(entries))
        found["config"] = (
            {"name": "first"} | found["config"] if isinstance(found["config"], dict) else found["config"]
        )

    return change


def with_argument(**arguments: Any) -> Callable[[Config], None]:
    """Return a change that gives the first layer arguments."""
    return lambda config: layer(config)["config"].update(copy.deepcopy(arguments))


def answers(model: keras.Model) -> Any:
    """Return what a model answers to fixed images of its own shape and type."""
    shape = (2, *model.input_shape[1:])
    images = np.random.default_rng(0).random(shape).astype("float32")
    return np.asarray(keras.ops.cast(model(images, training=False), "float32"))


def refusal(path: Path | str, **settings: Any) -> str:
    """Return the one line with which a file is refused."""
    with pytest.raises(InputError) as caught:
        load_model(str(path), **settings)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("`")
    return str(caught.value)


def function(name: str, module: str | None, registered: str | None = None) -> dict[str, object]:
    return {"class_name": "function", "config": name, "module": module, "registered_name": registered or name}
