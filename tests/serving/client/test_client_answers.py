"""What may come back from a server: tensors, pictures and words that do not agree with themselves."""

import io

import numpy as np
import pytest
from PIL import Image

from mi_keras.errors import InputError
from mi_keras.serving.contract import ModelSpec, ServerError, Unavailable, failure
from mi_keras.serving.parts import to_part
from mi_keras.serving.transport_grpc import decode, encode
from mi_keras.serving.transport_grpc import tensor_pb2 as messages

FLOAT, INT32, STRING = 1, 3, 7  # of TensorFlow's types.proto


def tensor(shape, dtype=FLOAT, **values):
    dims = [{"size": size} for size in shape]
    return messages.TensorProto(dtype=dtype, tensor_shape={"dim": dims}, **values)


def png(pixels, kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def test_float_tensors_are_read_from_bytes_and_from_lists():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(decode(encode(array)), array)
    np.testing.assert_array_equal(decode(tensor((2, 3), float_val=array.ravel())), array)


def test_bytes_are_read_as_they_are():
    content = [b"\x00\xff", b""]
    assert list(decode(tensor((2,), STRING, string_val=content))) == content


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (tensor((2, 3), float_val=[1, 2]), r"2 values for shape \(2, 3\)"),
        (tensor((10**9, 10**9), float_val=[1]), "1 values for shape"),  # memory for all of it is never taken
        (tensor((-1, -1), float_val=[1]), "1 values for shape"),
        (tensor((1,), tensor_content=b"abc"), "3 bytes are no float32 values"),
        (tensor((1,), INT32, int_val=[1]), "type DT_INT32"),
        (tensor((3,), STRING, string_val=[b"a"]), r"1 values for shape \(3,\)"),
    ],
    ids=["few", "huge", "negative", "bytes", "type", "strings"],
)
def test_tensors_that_contradict_themselves_are_refused(broken, message):
    with pytest.raises(ValueError, match=message):
        decode(broken)


def test_values_outside_the_range_are_clipped_and_counted():
    images = np.array([-0.5, 0, 0.5, 1, 1.5, 2], np.float32).reshape(1, 2, 3, 1)
    part = to_part({"image": images})
    assert part.clipped == 3
    np.testing.assert_array_equal(part.images.ravel(), [0, 0, 0.5, 1, 1, 1])


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)], ids=["grey", "colour"])
def test_pictures_become_images(shape):
    pixels = np.random.default_rng(1).integers(256, size=shape, dtype=np.uint8)
    part = to_part({"png_bytes": np.array([png(pixels), png(pixels)], object)})
    np.testing.assert_array_equal(part.images, np.stack([pixels.reshape(4, 5, -1)] * 2) / np.float32(255))


NOISE = png(np.random.default_rng(2).integers(256, size=(99, 99), dtype=np.uint8))


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"image": np.zeros((1, 4, 4, 2), np.float32)}, r"shape \(1, 4, 4, 2\)"),
        ({"image": np.zeros((1, 0, 4, 1), np.float32)}, "shape"),
        ({"image": np.zeros((4, 4), np.float32)}, "shape"),
        ({"image": np.zeros((1, 1, 5000, 1), np.float32)}, "1 x 5000 pixels"),
        ({"png_bytes": np.array([b"\x89PNG no more"], object)}, "no whole PNG"),
        ({"png_bytes": np.array([NOISE[: len(NOISE) // 2]], object)}, "no whole PNG"),
        ({"png_bytes": np.array([png(np.zeros((9, 9), np.uint8), "BMP")], object)}, "no whole PNG"),
        ({"png_bytes": np.array([png(np.zeros((1, 5000), np.uint8))], object)}, r"L \(5000, 1\)"),
        ({"png_bytes": np.array([png(np.zeros((9, 9, 4), np.uint8))], object)}, "RGBA"),
        ({"png_bytes": np.array([png(np.zeros((n, 9), np.uint8)) for n in (8, 9)], object)}, "same shape"),
    ],
    ids=range(10),
)
def test_what_is_no_image_is_refused(outputs, message):
    with pytest.raises(ValueError, match=message):
        to_part(outputs)


def test_foreign_words_stay_on_one_line_of_sensible_length():
    said = str(failure("here:1", ModelSpec("a"), "UNKNOWN", "  not\n\x1b[2J found.\t", 1))
    assert "(not \\x1b[2J found)" in said
    assert len(str(failure("here:1", ModelSpec("a"), "UNKNOWN", "word " * 1000, 1))) < 360


@pytest.mark.parametrize(
    ("status", "said", "kind", "words"),
    [
        ("RESOURCE_EXHAUSTED", "CLIENT: Sent message larger than max (9 vs. 8)", InputError, "`batch` must be smaller: "),
        ("RESOURCE_EXHAUSTED", "out of memory", ServerError, "the server failed with RESOURCE_EXHAUSTED (out of memory)"),
        ("INVALID_ARGUMENT", "Matrix size-incompatible", InputError, "`input` must be what thesis label a accepts; here:1 "),
        ("FAILED_PRECONDITION", "no such key", InputError, "`input` must be what"),
        ("UNAVAILABLE", "Socket closed", Unavailable, "no answer from the server (Socket closed)"),
        ("CANCELLED", "CANCELLED", Unavailable, "no answer from the server (CANCELLED)"),
        ("HTTP 502", "bad gateway", ServerError, "the server failed with HTTP 502 (bad gateway)"),
    ],
)  # fmt: skip
def test_each_status_has_its_kind_of_error(status, said, kind, words):
    error = failure("here:1", ModelSpec("thesis", label="a"), status, said, timeout=1)
    assert type(error) is kind
    assert words in str(error)
