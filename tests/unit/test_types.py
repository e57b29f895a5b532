"""The values that travel: what they refuse, and that an attack sees nothing in them but what was sent."""

import dataclasses
import re

import numpy as np
import pytest

from mi_keras.types import Images, Observation


def test_images_must_be_consistent() -> None:
    with pytest.raises(
        ValueError, match=r"`images`, `labels` and `ids` must be .*; got \(2, 4, 4, 1\), \(3,\), \(2,\)\."
    ):
        Images(np.zeros((2, 4, 4, 1), np.float32), np.zeros(3, np.int64), np.zeros(2, np.uint64))


def test_an_observation_has_no_field_for_an_image_a_label_or_a_weight() -> None:
    assert [field.name for field in dataclasses.fields(Observation)] == ["values", "point"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Observation(np.zeros((1, 10), np.float32)).label = 3


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("shape", [(10,), (3, 5, 7), (4, 6)])
def test_vectors_and_maps_of_half_and_single_precision_are_observed(dtype: type, shape: tuple) -> None:
    values = np.random.default_rng(1).random((6, *shape)).astype(dtype)
    observation = Observation(values, "C4")
    assert observation.point == "C4"
    assert len(observation) == 6
    assert observation.values is values


@pytest.mark.parametrize("shape", [(10,), (3, 5, 7)])
def test_what_is_mapped_from_the_disk_is_not_read(tmp_path, shape: tuple) -> None:
    np.save(tmp_path / "values.npy", np.full((4, *shape), np.nan, np.float16))
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    assert Observation(mapped, "C4").values is mapped


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_vectors_are_single_precision(dtype: type) -> None:
    values = np.array([[-3, -1.5, -2], [5, 0, 4]], dtype)
    vectors = Observation(values).vectors
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, values.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_predicted_class_is_the_largest_logit_and_of_equal_ones_the_lowest(dtype: type) -> None:
    vectors = np.array([[-3, -1, -2], [5, 0, 4], [0, 2, 2]], dtype)
    predicted = Observation(vectors).predicted_class
    np.testing.assert_array_equal(predicted, [1, 0, 1])
    assert predicted.dtype == np.int64


def test_feature_maps_are_no_vectors_and_predict_no_class() -> None:
    maps = Observation(np.zeros((2, 3, 5, 7), np.float32), "C4")
    for ask in (lambda: maps.vectors, lambda: maps.predicted_class):
        with pytest.raises(ValueError) as caught:
            ask()
        assert str(caught.value) == "`values` must be output vectors (count, classes); got (2, 3, 5, 7)."


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 10)), "must be float16 or float32 (count, ...); got float64 (2, 10)."),
        (np.zeros((2, 10), np.int64), "must be float16 or float32 (count, ...); got int64 (2, 10)."),
        (np.zeros(10, np.float32), "must be float16 or float32 (count, ...); got float32 (10,)."),
        (np.zeros((2, 3, 3, 4)), "must be float16 or float32 (count, ...); got float64 (2, 3, 3, 4)."),
        (np.full((1, 10), np.nan, np.float32), "must be finite; got NaN or infinity."),
        (np.full((1, 10), np.inf, np.float32), "must be finite; got NaN or infinity."),
        (np.full((1, 2, 2, 3), np.inf, np.float16), "must be finite; got NaN or infinity."),
    ],
)
def test_values_that_no_model_sends_are_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'`values` {message}')}$"):
        Observation(values)
