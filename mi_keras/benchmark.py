"""Throughput of the package's own loops at the published sizes, on random data, as one JSON object."""

import argparse
import functools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from mi_keras.machine import FLOAT32, PRECISIONS, usable_precision
from mi_keras.progress import Bar, Run
from mi_keras.quiet import quiet_libraries
from mi_keras.types import Floats, Images, Observation

if TYPE_CHECKING:
    from mi_keras.settings import DecoderSettings, InverterSettings

GROUPS = ("cnn", "inversion", "tcnn", "decoder")
WARM_UP = 3  # steps
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}  # the second: seconds of all threads together
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
    """A progress listener that times every step but the first few, which warm up (see `progress.Progress`)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ticks: list[tuple[float, float]] = []

    @contextmanager
    def bar(self, label: str, total: float, unit: str, done: float = 0) -> Iterator[Bar]:
        yield self

    def advance(self, amount: float = 1) -> None:
        self._ticks.append((self._clock(), amount))

    def announce(self, text: str) -> None:
        pass

    def expect(self, steps: int, seconds: float) -> None:
        pass

    def computing(self, words: str) -> None:
        pass

    def finished(self, words: str, seconds: float, left: tuple[int, float] | None = None) -> None:
        pass

    def rate(self) -> float:
        """Work per second after the warm-up."""
        (start, _), *rest = self._ticks[WARM_UP - 1 :]
        return sum(amount for _, amount in rest) / (rest[-1][0] - start)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; nothing else should run."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="--serving measures an exported model instead; see --serving --help."
    )
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each loop (default: 10)")
    parser.add_argument("--only", nargs="*", choices=GROUPS, default=list(GROUPS))
    parser.add_argument(
        "--precision", default=FLOAT32, choices=PRECISIONS, help="as for scripts/reproduce.py"
    )
    parser.add_argument(
        "--clock",
        default="wall",
        choices=CLOCKS,
        help="cpu counts the seconds of all threads (default: wall)",
    )
    options = parser.parse_args(arguments)
    if options.steps < 1:
        parser.error(f"`--steps` must be >= 1; got {options.steps}.")
    with quiet_libraries():
        import tensorflow as tf

        from mi_keras.models.scope import let_idle_threads_sleep

        let_idle_threads_sleep()
    clock, precision = CLOCKS[options.clock], usable_precision(options.precision)
    gflops = _matmul_gflops(options.steps, clock)
    out: dict[str, float | str] = {
        "tensorflow": tf.__version__,
        "cpus": os.cpu_count() or 1,
        "precision": precision,
        "matmul_gflops": gflops,
    }
    measures: dict[str, tuple[str, Callable[[int, Run], None], float]] = {
        "cnn_train_img_s": ("cnn", _cnn, 3 * CNN_FLOPS - FIRST_CONV_FLOPS),
        "inversion_img_steps_s": ("inversion", _inversion, 2 * CNN_FLOPS),
        "tcnn10_train_img_s": ("tcnn", functools.partial(_tcnn, 10), 3 * TCNN_FLOPS + 4 * 16 * 512 * 10),
        "tcnn1024_train_img_s": (
            "tcnn",
            functools.partial(_tcnn, 1024),
            3 * TCNN_FLOPS + 4 * 16 * 512 * 1024,
        ),
        "decoder320_train_img_s": ("decoder", _decoder, 3 * BICUBIC_FLOPS),  # convolutions only
    }
    for key, (group, measure, flops) in measures.items():
        if group in options.only:
            watch = Stopwatch(clock)
            measure(options.steps, Run(progress=watch, precision=precision))
            out[key] = watch.rate()
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


def _cnn(steps: int, run: Run) -> None:
    from mi_keras.settings import ClassifierSettings
    from mi_keras.training.classifier import train_classifier

    few, training = _random_set(BATCH), _random_set(BATCH * (steps + WARM_UP))
    train_classifier(training, few, ClassifierSettings(epochs=1, batch_size=BATCH), classes=10, run=run)


def _inversion(steps: int, run: Run) -> None:
    from mi_keras.attacks.gradient import reconstruct
    from mi_keras.models.cnn import build_cnn
    from mi_keras.settings import GradientSettings

    settings = GradientSettings(
        steps=steps + WARM_UP, batch_size=INVERSION_BATCH, optimizer="gradient_descent", start="random"
    )
    vectors = np.random.default_rng(1).standard_normal((INVERSION_BATCH, 10), np.float32)
    reconstruct(build_cnn(), Observation(vectors), None, settings, objective="cross_entropy", run=run)


def _tcnn(width: int, steps: int, run: Run) -> None:
    from mi_keras.settings import InverterSettings

    images = _random_set(BATCH * (steps + WARM_UP))
    vectors = np.random.default_rng(2).standard_normal((len(images), width), np.float32)
    _learn(InverterSettings(epochs=1, batch_size=BATCH), vectors, images, run)


def _decoder(steps: int, run: Run) -> None:
    from mi_keras.settings import DecoderSettings

    draw = np.random.default_rng(3)
    settings = DecoderSettings("bicubic", epochs=steps + WARM_UP, batch_size=DECODER_BATCH)
    maps = draw.standard_normal((DECODER_BATCH, 20, 20, 672), np.float32)
    images = draw.integers(256, size=(DECODER_BATCH, 320, 320, 3), dtype=np.uint8)
    _learn(settings, maps, Images.unlabelled(images), run)


def _learn(settings: "InverterSettings | DecoderSettings", answers: Floats, images: Images, run: Run) -> None:
    from mi_keras.attacks.access import Holdings
    from mi_keras.attacks.attack import Answers, Evidence
    from mi_keras.attacks.learned import Learned

    known = Evidence(Observation(answers), [answers])
    Learned((Answers(),), settings).fit(known, Holdings(images=images), run)


def _random_set(count: int) -> Images:
    draw = np.random.default_rng(count)
    images, labels = draw.random((count, 32, 32, 1), np.float32), draw.integers(10, size=count)
    return Images(images, labels, np.arange(count, dtype=np.uint64))


def _matmul_gflops(steps: int, clock: Callable[[], float], size: int = 2048) -> float:
    import tensorflow as tf

    matrix = tf.random.uniform((size, size))
    for _ in range(3):
        tf.matmul(matrix, matrix).numpy()
    start = clock()
    for _ in range(steps):
        tf.matmul(matrix, matrix).numpy()
    return steps * 2 * size**3 / (clock() - start) / 1e9
