"""What `invert` keeps in memory, and which endpoint it takes for arrays that name none."""

import tracemalloc

import numpy as np
import pytest

from mi_keras.errors import InputError
from mi_keras.serving.bulk_inversion import invert
from mi_keras.serving.checks import checked_inputs, choose_endpoint
from mi_keras.serving.contract import Endpoint, ServedModel, TensorInfo

SIDE, MEGABYTE = 512, 2**20  # an image of float32 is a megabyte
VECTOR, UNITS, PICTURE = (TensorInfo("float32", (None, *shape)) for shape in ((10,), (50,), (32, 32, 1)))


class Artist:
    """A client whose model paints every image in the shade that came."""

    server = "127.0.0.1:8500"

    def describe(self):
        image = TensorInfo("float32", (None, SIDE, SIDE, 1))
        endpoint = Endpoint({"shade": TensorInfo("float32", (None, 1))}, {"image": image})
        return ServedModel("artist", 1, {"paint": endpoint})

    def predict(self, endpoint, arrays):
        return {"image": np.ones((1, SIDE, SIDE, 1), np.float32) * arrays["shade"].reshape(-1, 1, 1, 1)}


def test_neither_new_images_nor_old_ones_are_all_in_memory(tmp_path):
    np.savez(tmp_path / "images.npz", images=np.zeros((65, SIDE, SIDE, 1), np.float32))
    (tmp_path / "000064.png").touch()
    shades = np.linspace(0, 1, 64, dtype=np.float32).reshape(-1, 1)
    tracemalloc.start()
    try:
        inverted = invert(Artist(), {"shade": shades}, tmp_path, batch=4, overwrite=True)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (
        most < 56 * MEGABYTE
    )  # NumPy writes an archive in blocks of 16, each there twice; all images are 64
    assert not (tmp_path / "000064.png").exists()
    assert not (tmp_path / "parts").exists()
    images = inverted.images()
    assert images.shape == (inverted.count, SIDE, SIDE, 1)
    np.testing.assert_array_equal(images[:, 0, 0, 0], shades[:, 0])


def test_images_are_replaced_only_by_the_call_that_was_cut_off_or_when_told(tmp_path):
    class Cut(Artist):
        def predict(self, endpoint, arrays):
            if arrays["shade"][0, 0] > 0.5:
                raise KeyboardInterrupt
            return super().predict(endpoint, arrays)

    shades = {"shade": np.array([[0.2], [0.8]], np.float32)}
    (tmp_path / "000000.png").write_bytes(b"the user's")
    (tmp_path / "parts").mkdir()  # of something else
    refused = (
        f"^`--out` must be a folder without images, unless --overwrite is given; got {tmp_path}/000000.png"
    )
    with pytest.raises(InputError, match=refused):
        invert(Artist(), shades, tmp_path, batch=1)
    assert (tmp_path / "000000.png").read_bytes() == b"the user's"
    with pytest.raises(KeyboardInterrupt):
        invert(Cut(), shades, tmp_path, batch=1, overwrite=True)
    assert invert(Artist(), shades, tmp_path, batch=1).reused == 1
    with pytest.raises(InputError, match=refused.replace("000000.png", "images.npz")):
        invert(Artist(), shades, tmp_path, batch=1)


class Named(Artist):
    """An artist at another address: another question."""

    server = "127.0.0.1:8501"


def test_two_calls_do_not_write_into_one_folder_at_the_same_time(tmp_path):
    shades = {"shade": np.array([[0.2], [0.8]], np.float32)}
    refused = []

    class Meanwhile(Artist):
        def predict(self, endpoint, arrays):
            with pytest.raises(
                InputError, match="`--out` must be a folder that no other process writes to now"
            ):
                invert(Named(), shades, tmp_path, batch=1, overwrite=True)
            refused.append(1)
            return super().predict(endpoint, arrays)

    assert invert(Meanwhile(), shades, tmp_path, batch=1).count == 2
    assert len(refused) == 2
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_images_of_different_sizes_are_not_believed(tmp_path):
    class Moody(Artist):
        def describe(self):
            endpoint = Endpoint(
                {"shade": TensorInfo("float32", (None, 1))}, {"image": TensorInfo("float32", None)}
            )
            return ServedModel("moody", 1, {"paint": endpoint})

        def predict(self, endpoint, arrays):
            side = int(arrays["shade"][0, 0])
            return {"image": np.zeros((1, side, side, 1), np.float32)}

    with pytest.raises(OSError, match="the answer must be images; got different sizes in different requests"):
        invert(Moody(), {"shade": np.array([[8], [9]])}, tmp_path, batch=1)


def thesis(**inputs):
    """A model whose endpoints have these inputs and return images; the first is the default."""
    returns = {"image": PICTURE}
    endpoints = {name: Endpoint(each, returns) for name, each in inputs.items()}
    return ServedModel("thesis", 1, endpoints | {"serving_default": next(iter(endpoints.values()))})


FROM_X = thesis(invert={"gradient_reconstruction": PICTURE}, invert_from_output={"output_vector": VECTOR})
FROM_O_A = thesis(
    invert={"output_vector": VECTOR, "activations": UNITS},
    invert_from_output={"output_vector": VECTOR},
    none={},
)


@pytest.mark.parametrize(
    ("served", "arrays", "endpoint"),
    [
        (FROM_X, {"arr_0": (3, 10)}, "invert_from_output"),
        (FROM_X, {"arr_0": (3, 32, 32, 1)}, "serving_default"),
        (FROM_X, {"output_vector": (3, 10)}, "invert_from_output"),
        (FROM_X, {"gradient_reconstruction": (3, 32, 32, 1)}, "invert"),
        (FROM_O_A, {"arr_0": (3, 10)}, "invert_from_output"),
        (FROM_O_A, {"output_vector": (3, 10), "activations": (3, 50)}, "invert"),
        (FROM_O_A, {"output_vector": (3, 10), "other": (3, 50)}, "invert_from_output"),
    ],
)
def test_the_endpoint_is_the_one_that_the_arrays_fit(served, arrays, endpoint):
    assert choose_endpoint(served, {name: np.empty(shape) for name, shape in arrays.items()}) == endpoint


@pytest.mark.parametrize(
    ("arrays", "came"),
    [({"arr_0": (3, 7)}, r"one array \(3, 7\) without a name"), ({"logits": (3, 10), "more": (3, 10)}, "logits, more")],
)  # fmt: skip
def test_what_fits_none_is_told_what_there_is(arrays, came):
    message = (
        r"`--input` must hold the inputs of an endpoint \(invert: output_vector float32 \(rows, 10\), activations float32 "
        r"\(rows, 50\); invert_from_output: output_vector float32 \(rows, 10\); serving_default: .*\); got "
    )
    with pytest.raises(InputError, match=message + came):
        choose_endpoint(FROM_O_A, {name: np.empty(shape) for name, shape in arrays.items()})


HEAD = Endpoint({"image": PICTURE}, {"feature_maps": PICTURE})
TO_O = Endpoint({"output_vector": VECTOR}, {"image": PICTURE})
TO_X = Endpoint({"gradient_reconstruction": PICTURE}, {"image": PICTURE})
OF_OTHERS = Endpoint({"image": PICTURE}, {"class": VECTOR})


def rows(function):
    """Three output vectors behind a function of logits."""
    return function(np.random.default_rng(1).standard_normal((3, 10)))


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("endpoint", "array", "refused"), [
    (HEAD, np.full((1, 32, 32, 1), 255), "pixels in [0, 1]; got values from 255 to 255."),
    (HEAD, np.full((1, 32, 32, 1), -0.1), "pixels in [0, 1]; got values from -0.1 to -0.1."),
    (HEAD, np.ones((1, 32, 32, 1)), ""),
    (TO_X, np.full((1, 32, 32, 1), 255), "pixels in [0, 1]; got values from 255 to 255."),
    (OF_OTHERS, np.full((1, 32, 32, 1), 255), ""),
    (TO_O, rows(softmax), "logits; got probabilities: every row has the sum 1."),
    (TO_O, rows(lambda logits: np.round(softmax(logits), 4)), "logits; got probabilities: every row has the sum 1."),
    (TO_O, rows(lambda logits: np.log(softmax(logits))), "logits; got log-probabilities: the exponentials of every row have the sum 1."),
    (TO_O, rows(np.asarray), ""), (TO_O, rows(np.abs), ""), (TO_O, np.vstack([rows(softmax), rows(np.asarray)]), ""),
])  # fmt: skip
def test_an_input_of_another_kind_is_refused(endpoint, array, refused):
    """Its shape is right, and the answer would mean nothing."""
    name = next(iter(endpoint.inputs))
    if not refused:
        assert checked_inputs("it", endpoint, {name: array})[name].shape == array.shape
        return
    with pytest.raises(InputError) as caught:
        checked_inputs("it", endpoint, {name: array})
    assert str(caught.value) == f"`{name}` of endpoint it must be {refused}"
