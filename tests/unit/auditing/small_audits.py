"""Small models whose leaks are known, images to audit them with, and audits of them that take a second."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mi_keras.auditing import ladder
from mi_keras.auditing.audit import audit
from mi_keras.auditing.command_line import main
from mi_keras.auditing.options import Options
from mi_keras.auditing.report import PointReport, Report
from mi_keras.data.mnist import read_embedded_mnist
from mi_keras.experiments.store import Store
from tests.processes import complaints

layers = keras.layers
SIDE, BANDS = 16, 10
WORKED_OUT = {
    "preset": "smoke",
    "model_input": "0..1",
    "budget": 0.0,
}  # nothing is left to measure or to choose


def pictures(
    count: int = 420, *, height: int = SIDE, width: int = SIDE, channels: int = 1, seed: int = 0
) -> Any:
    """Return `(count, height, width, channels)` bytes: squares, four in a row, of random brightness, with some noise."""
    draw = np.random.default_rng(seed)
    squares = np.kron(draw.random((count, 4, 4, channels)), np.ones((1, height // 4, width // 4, 1)))
    return np.round(255 * np.clip(squares + 0.02 * draw.standard_normal(squares.shape), 0, 1)).astype(
        np.uint8
    )


def digits(count: int) -> Any:
    """Return `(count, 28, 28, 1)` bytes."""
    return read_embedded_mnist().train_images[:count].reshape(count, 28, 28, 1)


def in_bands(count: int = 420) -> tuple[Any, Any]:
    """Return pictures of ten degrees of brightness, and the degree of each."""
    bands = np.random.default_rng(1).integers(0, BANDS, count)
    faint = (pictures(count).astype(np.float64) / 255 - 0.5) * 0.08
    faint -= faint.mean(axis=(1, 2, 3), keepdims=True)
    level = ((bands + 0.5) / BANDS)[:, None, None, None]
    return np.round(255 * np.clip(level + faint, 0, 1)).astype(np.uint8), bands


def band_reader() -> keras.Model:
    """Return a model that is right on `in_bands`, if it is given pixels in 0..1."""
    centres = (np.arange(BANDS) + 0.5) / BANDS
    image = keras.Input((SIDE, SIDE, 1), name="image")
    mean = layers.GlobalAveragePooling2D(name="mean")(image)
    model = keras.Model(image, layers.Dense(BANDS, name="bands")(mean))
    model.set_weights([200 * centres[None], -100 * centres**2])  # -100 (mean - centre)^2, less what all have
    return model


def constant(shape: tuple[int, int, int] = (SIDE, SIDE, 1)) -> keras.Model:
    """Return a model whose answers are all equal."""
    image = keras.Input(shape)
    return keras.Model(
        image, layers.Dense(3, kernel_initializer="zeros", name="out")(layers.Flatten()(image))
    )


def class_only(classes: int = 3, seed: int = 1) -> keras.Model:
    """Return a model that answers one-hot: the class of the image and nothing else."""
    image, hidden = _pooled((SIDE, SIDE, 1))
    hidden = layers.Rescaling(1, offset=-0.5)(hidden)
    hidden = layers.Dense(classes, kernel_initializer=keras.initializers.RandomNormal(seed=seed))(hidden)
    return keras.Model(image, layers.Softmax(name="shares")(layers.Rescaling(1e6)(hidden)))


def whole(shape: tuple[int, int, int] = (SIDE, SIDE, 1)) -> keras.Model:
    """Return a model that sends the image, in squares."""
    image, hidden = _pooled(shape)
    return keras.Model(image, layers.Activation("linear", name="squares")(hidden))


def network(
    units: int = 3, shape: tuple[int, int, int] = (SIDE, SIDE, 1), *, activation: str | None = None,
    dtype: str = "float32", scale: float = 1.0, seed: int = 1,
) -> keras.Model:  # fmt: skip
    """Return a model that sends so many mixtures of the squares; its layer `flat` sends them all."""
    image, hidden = _pooled(shape, dtype)
    start = keras.initializers.GlorotUniform(seed=seed)
    last = layers.Dense(units, activation=activation, kernel_initializer=start, name="out")
    return keras.Model(image, last(layers.Rescaling(scale)(hidden)))


def with_map(seed: int = 1) -> keras.Model:
    """Return a model with a layer of maps, `map`."""
    image = keras.Input((SIDE, SIDE, 1))
    start = keras.initializers.GlorotUniform(seed=seed)
    hidden = layers.Conv2D(4, 3, strides=2, padding="same", kernel_initializer=start, name="map")(image)
    return keras.Model(image, layers.Dense(3, kernel_initializer=start, name="out")(layers.Flatten()(hidden)))


def two_maps(seed: int = 1) -> keras.Model:
    """Return a model with two layers of maps, `wide` of 256 numbers and `narrow` of 16."""
    image = keras.Input((SIDE, SIDE, 1))
    start = keras.initializers.GlorotUniform(seed=seed)
    wide = layers.Conv2D(4, 3, strides=2, padding="same", kernel_initializer=start, name="wide")(image)
    narrow = layers.Conv2D(4, 4, strides=4, kernel_initializer=start, name="narrow")(wide)
    return keras.Model(image, layers.Dense(3, kernel_initializer=start, name="out")(layers.Flatten()(narrow)))


@keras.saving.register_keras_serializable("tests")
class Noise(layers.Layer):
    """Adds Gaussian noise at inference too."""

    def __init__(self, deviation: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.deviation, self.generator = deviation, keras.random.SeedGenerator(1)

    def call(self, inputs: Any) -> Any:
        return inputs + self.deviation * keras.random.normal(keras.ops.shape(inputs), seed=self.generator)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "deviation": self.deviation}


def two_outputs() -> keras.Model:
    image = keras.Input((SIDE, SIDE, 1))
    flat = layers.Flatten()(image)
    return keras.Model(
        image, {"kind": layers.Dense(3, name="kind")(flat), "age": layers.Dense(1, name="age")(flat)}
    )


def with_age() -> keras.Model:
    """Return a model that sends mixtures of the squares of its input `image`, behind a layer `mix`, and of its `age`."""
    image, flat = _pooled((SIDE, SIDE, 1))
    age = keras.Input((2,), name="age")
    start = keras.initializers.GlorotUniform(seed=1)
    mixed = layers.Dense(6, kernel_initializer=start, name="mix")(flat)
    joined = layers.Concatenate(name="joined")([mixed, age])
    return keras.Model([age, image], layers.Dense(3, kernel_initializer=start, name="out")(joined))


def any_size() -> keras.Model:
    image = keras.Input((None, None, 3))
    hidden = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, strides=2, activation="relu")(image))
    return keras.Model(image, layers.Dense(3, name="out")(hidden))


def half() -> keras.Model:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return with_map()
    finally:
        keras.config.set_dtype_policy(policy)


def _pooled(shape: tuple[int, int, int], dtype: str = "float32") -> tuple[Any, Any]:
    image = keras.Input(shape, dtype=dtype, name="image")
    hidden = layers.Rescaling(1 / 255)(image) if "int" in dtype else image
    pooled = layers.AveragePooling2D((shape[0] // 4, shape[1] // 4))(hidden)
    return image, layers.Flatten(name="flat")(pooled)


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the attacks on vectors that need no training: a second instead of ten for an audit."""
    monkeypatch.setattr(ladder, "_networks", lambda columns, sizes, images: [])
    monkeypatch.setattr(ladder, "_prototypes", lambda bench, sizes: [])


def audited(model: keras.Model, data: Any, folder: Path, **options: Any) -> Report:
    """Audit with a store in a folder."""
    return audit(model, data, Options(**{**WORKED_OUT, **options}), store=Store(folder / "store"))


def verdicts(report: Report) -> dict[str, str]:
    return {point.name: point.verdict for point in report.points}


def point_of(report: Report, name: str) -> PointReport:
    return next(point for point in report.points if point.name == name)


def as_text(report: Report, name: str) -> str:
    """Return the JSON of one point."""
    return json.dumps(next(point for point in report.to_json()["points"] if point["name"] == name))


def stages(folder: Path) -> dict[Path, int]:
    """Return the finished steps in a store, and when each was written."""
    return {path.parent: path.stat().st_mtime_ns for path in (folder / "store").glob("stages/*/*/meta.json")}


def command(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str]:
    """Run `mi-keras audit` with a store in a folder; return the exit code and what it complained of."""
    monkeypatch.setenv("MI_KERAS_HOME", str(folder / "store"))
    monkeypatch.chdir(folder)
    capsys.readouterr()
    code = main([*arguments, "--preset", "smoke", "--budget", "0"])
    return code, complaints(capsys.readouterr().err)
