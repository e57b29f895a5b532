"""Small exports with known weights: `thesis` 1 and 2, `split` 1; `python small_export.py FOLDER` writes them.

To run these tests against a TensorFlow Serving elsewhere, let it serve that folder with its `models.config`, and name
its gRPC and REST addresses in `TF_SERVING_URL=HOST:PORT,HOST:PORT`.
"""

import sys
from pathlib import Path

import numpy as np

from mi_keras.serving.manifest import write_manifest
from mi_keras.serving.served_versions import choose_versions, config_text, find_models
from tests.serving.test_manifest import CONTENT

CLASSES, UNITS, SIDE = 10, 6, 8


def vectors(rows, seed=1):
    return np.random.default_rng(seed).standard_normal((rows, CLASSES), np.float32)


def weights(version):
    """The two matrices of a version of `thesis`: from O and from A^L to pixels."""
    draw = np.random.default_rng(version)
    return (draw.standard_normal((width, SIDE * SIDE)).astype(np.float32) for width in (CLASSES, UNITS))


def expected_image(version, output_vector, activations=None):
    """What `invert` and `invert_from_output` of a version return, in float64."""
    from_output, from_activations = weights(version)
    total = output_vector.astype(np.float64) @ from_output
    if activations is not None:
        total += activations.astype(np.float64) @ from_activations
    return (1 / (1 + np.exp(-total))).reshape(-1, SIDE, SIDE, 1)


def write_all(folder):
    """Write every export and `models.config` with the label `stable` on `thesis` 1."""
    for version in (1, 2):
        _write_thesis(folder / "thesis" / str(version), version)
    _write_split(folder / "split" / "1")
    models, _ = find_models(folder)
    text = config_text(choose_versions(models, "all", ["thesis:stable=1"]), str(folder))
    (folder / "models.config").write_text(text)


def seal(folder):
    """Write the manifest of an export whose other files are there."""
    (folder / "assets.extra").mkdir(exist_ok=True)
    write_manifest(folder, CONTENT | {"name": folder.parent.name, "version": int(folder.name)})


def _write_thesis(folder, version):
    import keras
    import tensorflow as tf

    layers = [keras.layers.Dense(SIDE * SIDE, use_bias=False, name=name) for name in ("o", "a")]
    for layer, matrix in zip(layers, weights(version), strict=True):
        layer.build((None, len(matrix)))
        layer.set_weights([matrix])

    def invert(output_vector, activations):
        total = layers[0](output_vector) + layers[1](activations)
        return {"image": tf.reshape(tf.sigmoid(total), (-1, SIDE, SIDE, 1))}

    def invert_from_output(output_vector):
        return {"image": tf.reshape(tf.sigmoid(layers[0](output_vector)), (-1, SIDE, SIDE, 1))}

    def invert_png(output_vector, activations):
        pixels = tf.cast(tf.round(255 * invert(output_vector, activations)["image"]), tf.uint8)
        return {"png_bytes": tf.io.encode_png(pixels)}

    vector = keras.InputSpec(shape=(None, CLASSES), dtype="float32", name="output_vector")
    units = keras.InputSpec(shape=(None, UNITS), dtype="float32", name="activations")
    endpoints = ((invert, [vector, units]), (invert_from_output, [vector]), (invert_png, [vector, units]))
    _write(folder, layers, endpoints)


def _write_split(folder):
    import keras
    import tensorflow as tf

    up = keras.layers.UpSampling2D(16)
    up.build((None, 20, 20, 3))

    def reconstruct(feature_maps):
        return {"image": tf.clip_by_value(up(feature_maps[..., :3]), 0.0, 1.0)}

    def features(image):
        return {"feature_maps": tf.pad(image[:, ::16, ::16], ((0, 0), (0, 0), (0, 0), (0, 1)))}

    maps = keras.InputSpec(shape=(None, 20, 20, 4), dtype="float32", name="feature_maps")
    image = keras.InputSpec(shape=(None, 320, 320, 3), dtype="float32", name="image")
    _write(folder, [up], ((reconstruct, [maps]), (features, [image])))


def _write(folder, layers, endpoints):
    import keras

    archive = keras.export.ExportArchive()
    for layer in layers:
        archive.track(layer)
    for function, specs in endpoints:
        archive.add_endpoint(function.__name__, function, specs)
    archive.write_out(str(folder), verbose=False)
    seal(folder)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]).resolve())
