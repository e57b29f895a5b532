"""Trains models on one and on two devices of the CPU, in a process of its own, and prints how far their variables are apart."""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

from mi_keras.attacks.networks import network_of
from mi_keras.errors import InputError
from mi_keras.models import layers
from mi_keras.models.cnn import build_cnn
from mi_keras.models.decoders import build_decoder
from mi_keras.models.tcnn import build_tcnn
from mi_keras.progress import MemoryWorkspace, Run
from mi_keras.settings import DecoderSettings, InverterSettings
from mi_keras.training.devices import can_be_shared, mirrored
from mi_keras.training.loop import Examples, FitSettings, FitterPool
from tests.unit.training.fits import cross_entropy

BATCHES = FitSettings(2, 8, 1e-3)  # of 8, 8 and 5 images: rows are dealt unevenly, too


class StopsAfterOne(MemoryWorkspace):
    def save(self, name, arrays):
        super().save(name, arrays)
        raise KeyboardInterrupt


def problems():
    draw = np.random.default_rng(0)
    normal = lambda *shape: draw.standard_normal((21, *shape), np.float32)  # noqa: E731
    images = lambda *shape: draw.random((21, *shape), np.float32)  # noqa: E731
    tcnn, decoder = network_of(InverterSettings()), network_of(DecoderSettings("bicubic"))
    return {
        "cnn": (lambda: build_cnn((8, 8, 1), 3, channels=(3, 4, 5)), cross_entropy, Examples(images(8, 8, 1), draw.integers(0, 3, 21))),
        "tcnn": (lambda: build_tcnn(10, channels=(8, 6, 4), input_noise=0.3), tcnn.loss, Examples(normal(10), images(32, 32, 1))),
        "decoder": (lambda: build_decoder("bicubic", (4, 4, 6), (32, 32, 3), seed=1), decoder.loss, Examples(normal(4, 4, 6), images(32, 32, 3))),
    }  # fmt: skip


def fitted(name, devices, workspace=None, pool=None):
    make, loss, examples = problems()[name]
    model = make()
    run = Run(1, workspace=workspace, devices=devices)
    pool = pool or FitterPool(size=1)
    validation = examples if name == "cnn" else None  # a classifier has some
    return model, pool.fit(model, name, examples, BATCHES, loss=loss, run=run, validation=validation)


def apart(first, second):
    return {
        one.path: float(np.abs(one.numpy().astype(np.float64) - other.numpy()).max())
        for one, other in zip(first.variables, second.variables, strict=True)
    }


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])
    found = {"replicas": mirrored(2).num_replicas_in_sync}
    pool = FitterPool(size=1)  # a step is traced once for `two` and what is interrupted
    one, two = fitted(sys.argv[1], 1), fitted(sys.argv[1], 2, pool=pool)
    found |= {"variables": apart(one[0], two[0]), "losses": [one[1]["loss"], two[1]["loss"]]}
    if sys.argv[1] == "cnn":
        found |= further(one, two, pool)
    print(json.dumps(found))


def further(one, two, pool):
    found = {}
    kept = StopsAfterOne()
    try:
        fitted("cnn", 2, kept, pool)
    except KeyboardInterrupt:
        resumed = fitted("cnn", 2, kept, pool)
        found["resumed"] = {"apart": apart(two[0], resumed[0]), "same": two[1] == resumed[1]}
    synchronised, layers.several = layers.several, lambda: None
    found["own_statistics"] = apart(one[0], fitted("cnn", 2)[0])
    layers.several = synchronised
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5)])
    found["shared"] = [can_be_shared(plain), *(can_be_shared(make()) for make, *_ in problems().values())]
    try:
        mirrored(3)
    except InputError as error:
        found["refused"] = str(error)
    return found


if __name__ == "__main__":
    main()
