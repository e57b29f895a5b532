"""Train a small residual network on labelled images, to have a model to audit.

Command:  python scripts/train_residual.py npz:FILE OUT
Writes OUT.keras, and OUT.npz with all images of the training part (`x`, `y`) and which of them the model was trained on
(`seen`), for `mi-keras audit OUT.keras --data OUT.npz --trained-on seen`.
"""

import argparse

import keras
import numpy as np

from mi_keras.data.preprocess import as_unit
from mi_keras.data.sources import load_source


def build(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Return three times two residual blocks (He et al. 2016), from images in [0, 1] to probabilities."""
    inputs = keras.Input(image_shape, name="image")
    x = keras.layers.Rescaling(2.0, -1.0)(inputs)
    x = _normalised(x, 16, 1, "entry")
    for number, filters in enumerate((16, 32, 64)):
        for block in range(2):
            stride = 2 if number and not block else 1
            name = f"residual_{number + 1}_{block + 1}"
            branch = _normalised(x, filters, stride, f"{name}_first")
            branch = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_second")(
                branch
            )
            branch = keras.layers.BatchNormalization(name=f"{name}_norm")(branch)
            if stride > 1:
                x = keras.layers.Conv2D(filters, 1, strides=stride, use_bias=False, name=f"{name}_skip")(x)
            x = keras.layers.ReLU(name=name)(keras.layers.Add(name=f"{name}_sum")([x, branch]))
    x = keras.layers.GlobalAveragePooling2D(name="pooled")(x)
    return keras.Model(inputs, keras.layers.Dense(classes, "softmax", name="probabilities")(x))


def _normalised(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
    x = keras.layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False, name=f"{name}_conv")(
        x
    )
    return keras.layers.ReLU(name=f"{name}_relu")(keras.layers.BatchNormalization(name=f"{name}_norm")(x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="npz:FILE with x_train, y_train, x_test, y_test; or tfds:NAME")
    parser.add_argument("out", help="path of the files to write, without ending")
    parser.add_argument("--images", type=int, default=6_000, help="how many to train on (default: 6000)")
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()
    keras.utils.set_random_seed(1)
    source = load_source(options.data)
    order = np.random.default_rng(1).permutation(len(source.train_images))
    x, y = source.train_images[order], source.train_labels[order]
    images, labels = as_unit(x[: options.images]), y[: options.images]
    model = build(images.shape[1:], len(source.class_names))
    steps = options.epochs * -(-len(images) // 64)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    mirrored = np.concatenate([images, images[:, :, ::-1]])
    model.fit(mirrored, np.tile(labels, 2), batch_size=128, epochs=options.epochs, verbose=2)
    loss, accuracy = model.evaluate(as_unit(source.test_images), source.test_labels, verbose=0)
    print(f"accuracy on {len(source.test_images)} test images: {accuracy:.3f}, loss {loss:.3f}")
    model.save(f"{options.out}.keras")
    np.savez_compressed(f"{options.out}.npz", x=x, y=y, seen=np.arange(len(x)) < len(images))


if __name__ == "__main__":
    main()
