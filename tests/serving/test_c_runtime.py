"""TensorFlow's C API answers as its Python API does: variables, several rows, several outputs, and files of bytes."""

import numpy as np
import pytest
import tensorflow as tf

from mi_keras.cli import main
from mi_keras.serving.c_runtime import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a SavedModel that scales by a variable, and one endpoint that draws PNG files."""
    module, folder = tf.Module(), tmp_path_factory.mktemp("model")
    module.scale = tf.Variable([[0.5, 2.0, 0.25]])
    spec = tf.TensorSpec([None, 3], tf.float32, "vector")

    @tf.function(input_signature=[spec, tf.TensorSpec([None, 1], tf.float32, "shift")])
    def scaled(vector, shift):
        return {"image": vector * module.scale, "sum": tf.reduce_sum(vector, axis=1, keepdims=True) + shift}

    @tf.function(input_signature=[spec])
    def drawn(vector):
        pixels = tf.cast(tf.tile(vector[:, None, :, None], [1, 40, 1, 1]) * 255, tf.uint8)
        return {"png_bytes": tf.io.encode_png(pixels)}

    @tf.function(input_signature=[spec])
    def fails(vector):
        return {"image": tf.debugging.check_numerics(vector / 0, "divided by zero")}

    signatures = {"scaled": scaled, "drawn": drawn, "fails": fails}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


def test_the_same_numbers_and_bytes_come_through_both(folder):
    ours, theirs = load(folder), tf.saved_model.load(str(folder)).signatures
    vectors = np.random.default_rng(1).random((4, 3), np.float32)
    given = {
        "scaled": {"vector": vectors, "shift": np.ones((4, 1), np.float32)},
        "drawn": {"vector": vectors},
    }
    assert set(ours) == set(theirs)
    for name, inputs in given.items():
        expected = theirs[name](**{key: tf.constant(array) for key, array in inputs.items()})
        found = ours[name](**inputs)
        assert set(found) == set(expected)
        for key, array in found.items():
            np.testing.assert_array_equal(array.numpy(), expected[key].numpy())
        described = ours[name].structured_input_signature[1]
        assert {key: spec.shape.as_list() for key, spec in described.items()} == {
            key: spec.shape.as_list() for key, spec in theirs[name].structured_input_signature[1].items()
        }
    assert all(len(png) > 22 for png in ours["drawn"](vector=vectors)["png_bytes"].numpy())  # not kept inline


def test_what_the_graph_refuses_is_an_error_with_its_words(folder):
    signatures = load(folder)
    with pytest.raises(ValueError, match="divided by zero"):
        signatures["fails"](vector=np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match="input has only 1 dims"):
        signatures["drawn"](vector=np.ones(3, np.float32))
    with pytest.raises(ValueError, match="Could not find SavedModel"):
        load(folder / "nowhere")


@pytest.mark.slow
def test_an_export_is_verified_through_the_c_api(export_of, capsys):
    assert main(["verify", str(export_of("o+a+x").folder), "--runtime", "c"]) == 0
    printed = capsys.readouterr().out
    assert "through its C API" in printed
    assert printed.count("as stated") == 4
