"""Inputs beside the image that are held at a value, against the model itself, which is given that value."""

from typing import Any

import keras
import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.models.target import observed_at, points

layers = keras.layers
SHAPE = (8, 8, 1)
FIX: dict[str, Any] = {"age": 40, "scan": [0.5, -2.0, 1.0]}


def patients() -> keras.Model:
    """Return a model of an image, an age and three numbers, of which the age is used before and behind a cut."""
    image = keras.Input(SHAPE, name="image")
    age = keras.Input((1,), dtype="int32", name="age")
    scan = keras.Input((3,), name="scan")
    years = layers.Flatten(name="years")(layers.Embedding(100, 4, name="table")(age))
    maps = layers.Conv2D(4, 3, strides=2, activation="relu", name="maps")(image)
    scaled = layers.Multiply(name="scaled")([maps, layers.Reshape((1, 1, 4), name="as_map")(years)])
    backbone_in = keras.Input((3, 3, 4))
    backbone = keras.Model(backbone_in, layers.Flatten(name="flat")(backbone_in), name="backbone")
    together = layers.Concatenate(name="together")(
        [backbone(scaled), years, layers.Dense(2, name="seen")(scan)]
    )
    answer = layers.Dense(5, name="answer")(together)
    return keras.Model({"image": image, "age": age, "scan": scan}, answer)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    return patients()


def _expected(model: keras.Model, images: Any) -> Any:
    count = len(images)
    given = {"image": images, "age": np.full((count, 1), 40), "scan": np.tile(FIX["scan"], (count, 1))}
    return model(given)


def test_every_point_gives_the_answers_of_the_model_with_these_values(model: keras.Model) -> None:
    images = np.random.default_rng(1).random((3, *SHAPE)).astype("float32")
    names = [point.name for point in points(model, FIX)]
    assert names == ["maps", "scaled", "backbone/flat", "together", "answer"]
    for name in names:
        target = observed_at(model, name, FIX)
        sent = target.head(images)
        answers = sent if target.tail is None else target.tail(sent)
        np.testing.assert_allclose(answers, _expected(model, images), atol=1e-5)
        assert [tuple(tensor.shape[1:]) for tensor in target.head.inputs] == [SHAPE]


def test_another_value_is_another_target(model: keras.Model) -> None:
    found = [observed_at(model, "answer", {**FIX, "age": age}).identity for age in (40, [40], 41)]
    assert found[0] == found[1] != found[2]


def test_it_survives_a_file(model: keras.Model, tmp_path: Any) -> None:
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert observed_at(loaded, "maps", FIX).identity == observed_at(model, "maps", FIX).identity


def _two_images() -> keras.Model:
    inputs = [keras.Input(SHAPE, name=name) for name in ("left", "right")]
    return keras.Model(inputs, layers.Add()(inputs))


def _no_image() -> keras.Model:
    inputs = [keras.Input((3,), name=name) for name in ("one", "other")]
    return keras.Model(inputs, layers.Add()(inputs))


def _words() -> keras.Model:
    image, word = keras.Input(SHAPE, name="image"), keras.Input((1,), dtype="string", name="word")
    number = layers.Hashing(10, name="hash")(word)
    return keras.Model([image, word], [layers.Flatten(name="flat")(image), number])


REFUSED: list[tuple[Any, Any, str]] = [
    (patients, None, "`fix={'age': VALUE}` must be given, as the model has inputs other than the image; without a value: age (1,) int32, scan (3,) float32."),
    (patients, {"age": 4}, "`fix={'scan': VALUE}` must be given, as the model has inputs other than the image; without a value: scan (3,) float32."),
    (patients, FIX | {"sex": 1}, "`fix` must name inputs other than the image: age, scan; got 'sex'."),
    (patients, FIX | {"image": 1}, "`fix` must name inputs other than the image: age, scan; got 'image'."),
    (patients, FIX | {"age": 40.5}, "`fix['age']` must be whole numbers in -2147483648..2147483647 (int32); got 40.5."),
    (patients, FIX | {"age": [4, 5]}, "`fix['age']` must have the shape of the input, (1,); got (2,)."),
    (patients, FIX | {"scan": 1.0}, "`fix['scan']` must have the shape of the input, (3,); got ()."),
    (patients, FIX | {"scan": [[1], [1, 2]]}, "`fix['scan']` must be numbers, and the input take numbers (float32); got [[1], [1, 2]]."),
    (patients, FIX | {"scan": "old"}, "`fix['scan']` must be numbers, and the input take numbers (float32); got 'old'."),
    (patients, FIX | {"scan": [1, 2, np.nan]}, "`fix['scan']` must be finite; got [1, 2, nan]."),
    (_two_images, {"left": 0}, "`model` must take one image (height, width, 1 or 3) if it has several inputs; got left (8, 8, 1), right (8, 8, 1)."),
    (_no_image, None, "`model` must take one image (height, width, 1 or 3) if it has several inputs; got one (3,), other (3,)."),
    (_words, {"word": 3}, "`fix['word']` must be numbers, and the input take numbers (string); got 3."),
    (lambda: keras.Sequential([keras.Input(SHAPE), layers.Flatten()]), {"age": 1}, "`fix` must be left out: the model has one input; got age."),
]  # fmt: skip


@pytest.mark.parametrize(("build", "fix", "said"), REFUSED)
def test_what_does_not_hold_an_input_is_refused_in_a_line(build: Any, fix: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        points(build(), fix)
    assert str(caught.value) == said


def test_a_layer_that_the_image_has_no_part_in_is_no_point(model: keras.Model) -> None:
    with pytest.raises(InputError, match="`point` must be a layer that depends on the image; got 'years'"):
        observed_at(model, "years", FIX)
