"""A small model with labelled images, as it is audited by who asks nothing."""

import keras
import numpy as np

from mi_keras.auditing.bench import AuditBench
from mi_keras.auditing.ladder import shadow_bench
from mi_keras.auditing.model_input import CONVERSIONS
from mi_keras.auditing.sent import Sent
from mi_keras.auditing.shadows import ShadowBench
from mi_keras.auditing.sizes import Sizes
from mi_keras.auditing.subject import ATTACKED, OWN, Side, Subject, truth_of
from mi_keras.auditing.views import Output, View
from mi_keras.experiments.store import Store
from mi_keras.progress import SilentProgress

COUNT, CLASSES = 60, 3
SMALL = Sizes(epochs=1, channels=(4, 4, 4), shadows=2, shadow_epochs=1, shadow_steps=1)


def model(seed: int = 1, size: int = 16, activation: str | None = None, units: int = CLASSES) -> keras.Model:
    """Return one with a layer of maps and one of vectors before its answer."""
    start = {"kernel_initializer": keras.initializers.GlorotUniform(seed)}
    image = keras.Input((size, size, 1))
    flat = keras.layers.Flatten(name="flat")(
        keras.layers.Conv2D(2, 5, strides=4, name="maps", **start)(image)
    )
    vector = keras.layers.Dense(5, activation="relu", name="vector", **start)(flat)
    return keras.Model(
        image, keras.layers.Dense(units, activation=activation, name="answer", **start)(vector)
    )


def subject(
    of: keras.Model | None = None, *, kind: str = "logits", public: str = "", labels: int | None = CLASSES
) -> Subject:
    of = of or model()
    size, width = of.inputs[0].shape[1], of.output.shape[-1]
    pixels = np.random.default_rng(2).integers(256, size=(COUNT, size, size, 1), dtype=np.uint8)
    truth = truth_of(pixels, np.arange(COUNT, dtype=np.uint64), (16, 16))
    side = Side(pixels, truth, np.arange(COUNT), None if labels is None else np.arange(COUNT) % labels)
    return Subject(
        of, "m", "answer", Output(kind, width), CONVERSIONS["0..1"], {OWN: side, ATTACKED: side}, {"data": 1}, public=public
    )  # fmt: skip


def bench(of: Subject, folder, point: str = "answer", view: str = "logits") -> AuditBench:
    sent = Sent(point, View(view), with_class=point == "answer")
    return AuditBench(of, sent, Store(folder), SilentProgress(), seed=1, fold=1)


def known(of: Subject, folder, **where) -> ShadowBench:
    return shadow_bench(bench(of, folder, **where), SMALL)
