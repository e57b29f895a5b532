"""Throughput of the package's own loops at the texts' sizes, on random data, as one JSON object."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from mi_keras.progress import Bar, Run
from mi_keras.quiet import quiet_libraries
from mi_keras.types import Floats, Images, Observation

if TYPE_CHECKING:
    from mi_keras.settings import DecoderSettings, InverterSettings

GROUPS = ("cnn", "inversion", "tcnn", "decoder")
BATCH = 64
DECODER_BATCH = 16  # images of 320 pixels
INVERSION_BATCH = 128
# Multiply-adds times two of one forward pass, from the layer shapes of Figures 25 and 26.
CNN_FLOPS = 2 * (32**2 * 9 * 128 + 16**2 * 9 * 128 * 256 + 8**2 * 9 * 256 * 512 + 8192 * 50 + 50 * 10)
FIRST_CONV_FLOPS = 2 * 32**2 * 9 * 128  # training needs no gradient with respect to the images
BICUBIC_FLOPS = 2 * (
    20**2 * 672 * 112 + 40**2 * 112 * 480 + 80**2 * 480 * 80 + 160**2 * 80 * 16 + 320**2 * 16 * 3
)
TCNN_FLOPS = 2 * 16 * (4**2 * 512 * 256 + 8**2 * 256 * 128 + 16**2 * 128)


class Stopwatch:
    """A progress listener that times every step but the first few (see `progress.Progress`)."""

    warm_up = 3

    def __init__(self) -> None:
        self._ticks: list[tuple[float, float]] = []

    @contextmanager
    def bar(self, label: str, total: float, unit: str, done: float = 0) -> Iterator[Bar]:
        yield self

    def advance(self, amount: float = 1) -> None:
        self._ticks.append((time.perf_counter(), amount))

    def announce(self, text: str) -> None:
        pass

    def expect(self, steps: int, seconds: float) -> None:
        pass

    def rate(self) -> float:
        """Work per second after the warm-up."""
        (start, _), *rest = self._ticks[self.warm_up - 1 :]
        return sum(amount for _, amount in rest) / (rest[-1][0] - start)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; times are wall clock, so nothing else should run."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="--serving measures an exported model instead; see --serving --help."
    )
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each loop (default: 10)")
    parser.add_argument("--only", nargs="*", choices=GROUPS, default=list(GROUPS))
    options = parser.parse_args(arguments)
    if options.steps < 1:
        parser.error(f"`--steps` must be >= 1; got {options.steps}.")
    with quiet_libraries():
        import tensorflow as tf

    gflops = _matmul_gflops(options.steps)
    out: dict[str, float | str] = {
        "tensorflow": tf.__version__,
        "cpus": os.cpu_count() or 1,
        "matmul_gflops": gflops,
    }
    measures: dict[str, tuple[str, Callable[[int], float], float]] = {
        "cnn_train_img_s": ("cnn", _cnn, 3 * CNN_FLOPS - FIRST_CONV_FLOPS),
        "inversion_img_steps_s": ("inversion", _inversion, 2 * CNN_FLOPS),
        "tcnn10_train_img_s": ("tcnn", lambda steps: _tcnn(10, steps), 3 * TCNN_FLOPS + 4 * 16 * 512 * 10),
        "tcnn1024_train_img_s": (
            "tcnn",
            lambda steps: _tcnn(1024, steps),
            3 * TCNN_FLOPS + 4 * 16 * 512 * 1024,
        ),
        "decoder320_train_img_s": ("decoder", _decoder, 3 * BICUBIC_FLOPS),  # convolutions only
    }
    for key, (group, measure, flops) in measures.items():
        if group in options.only:
            out[key] = measure(options.steps)
            print(f"{key}: {out[key]:.2f}", file=sys.stderr, flush=True)
            out[key.replace("img_steps_s", "share").replace("img_s", "share")] = (
                float(out[key]) * flops / 1e9 / gflops
            )
    print(
        json.dumps(
            {key: round(value, 2) if isinstance(value, float) else value for key, value in out.items()}
        )
    )
    return 0


def _cnn(steps: int) -> float:
    from mi_keras.settings import ClassifierSettings
    from mi_keras.training.classifier import train_classifier

    watch = Stopwatch()
    few = _random_set(BATCH)
    training = _random_set(BATCH * (steps + watch.warm_up))
    train_classifier(
        training, few, ClassifierSettings(epochs=1, batch_size=BATCH), classes=10, run=Run(progress=watch)
    )
    return watch.rate()


def _inversion(steps: int) -> float:
    from mi_keras.attacks.gradient import reconstruct
    from mi_keras.models.cnn import build_cnn
    from mi_keras.settings import GradientSettings

    watch = Stopwatch()
    settings = GradientSettings(
        steps=steps + watch.warm_up, batch_size=INVERSION_BATCH, optimizer="gradient_descent", start="random"
    )
    vectors = np.random.default_rng(1).standard_normal((INVERSION_BATCH, 10), np.float32)
    reconstruct(
        build_cnn(), Observation(vectors), None, settings, objective="cross_entropy", run=Run(progress=watch)
    )
    return watch.rate()


def _tcnn(width: int, steps: int) -> float:
    from mi_keras.settings import InverterSettings

    watch = Stopwatch()
    images = _random_set(BATCH * (steps + watch.warm_up))
    vectors = np.random.default_rng(2).standard_normal((len(images), width), np.float32)
    _learn(InverterSettings(epochs=1, batch_size=BATCH), vectors, images, watch)
    return watch.rate()


def _decoder(steps: int) -> float:
    from mi_keras.settings import DecoderSettings

    watch, draw = Stopwatch(), np.random.default_rng(3)
    settings = DecoderSettings("bicubic", epochs=steps + watch.warm_up, batch_size=DECODER_BATCH)
    maps = draw.standard_normal((DECODER_BATCH, 20, 20, 672), np.float32)
    images = draw.integers(256, size=(DECODER_BATCH, 320, 320, 3), dtype=np.uint8)
    _learn(settings, maps, Images.unlabelled(images), watch)
    return watch.rate()


def _learn(
    settings: "InverterSettings | DecoderSettings", answers: Floats, images: Images, watch: "Stopwatch"
) -> None:
    from mi_keras.attacks.access import Holdings
    from mi_keras.attacks.attack import Answers, Evidence
    from mi_keras.attacks.learned import Learned

    known = Evidence(Observation(answers), [answers])
    Learned((Answers(),), settings).fit(known, Holdings(images=images), Run(progress=watch))


def _random_set(count: int) -> Images:
    draw = np.random.default_rng(count)
    images, labels = draw.random((count, 32, 32, 1), np.float32), draw.integers(10, size=count)
    return Images(images, labels, np.arange(count, dtype=np.uint64))


def _matmul_gflops(steps: int, size: int = 2048) -> float:
    import tensorflow as tf

    matrix = tf.random.uniform((size, size))
    for _ in range(3):
        tf.matmul(matrix, matrix).numpy()
    start = time.perf_counter()
    for _ in range(steps):
        tf.matmul(matrix, matrix).numpy()
    return steps * 2 * size**3 / (time.perf_counter() - start) / 1e9
