#!/usr/bin/env python3
"""What stopping a gradient reconstruction early would save, and how far from the end it would leave it: docs/gradient_settings.md.

python scripts/measure_stopping.py                                                        shadow models of preset quick
python scripts/measure_stopping.py --channels 128,256,512 --epochs 4 --runs 1 --images 64    of the text's width

Every image is followed to the last step, and each rule is asked afterwards where it would have stopped; losses are per image, so
that its path does not depend on the others. Then X~ behind rounding is started from X~ of the same images without it.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mi_keras.machine import prepare_libraries

prepare_libraries()  # before what follows loads TensorFlow
# ruff: noqa: E402
from mi_keras.attacks.gradient import GradientImage, _make_step, start_images
from mi_keras.data.sources import DEFAULT_SOURCE, load_source
from mi_keras.data.splits import make_splits
from mi_keras.defenses import Rounding
from mi_keras.experiments.store import open_store
from mi_keras.experiments.thesis.bench import ThesisBench, describe_data
from mi_keras.experiments.thesis.sizes import QUICK
from mi_keras.metrics.image import score
from mi_keras.models.cnn import observe
from mi_keras.models.target import differentiable
from mi_keras.progress import Run, SilentProgress
from mi_keras.seeds import derive
from mi_keras.settings import ClassifierSettings, GradientSettings

EVERY, WINDOW = 5, 20  # steps between two looks, and that a rule looks back
SHARES = (0.05, 0.02, 0.01, 0.001)  # by which the loss falls in a window
MOVES = (0.02, 0.01, 0.005, 0.002)  # mean change of a pixel in a window
NEAR = 0.01, 0.001  # of SSIM and MSE: what the end is, for who knows it
Values = NDArray[np.float32]


class Path(NamedTuple):
    """What images were at every look, first the start: `(looks, count)`; `images`: `(looks, count, height, width, 1)`."""

    images: Values
    losses: Values
    ssim: Values
    mse: Values


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--channels", default="32,64,128", help="of target and shadow model (default: those of quick)")
    add("--epochs", type=int, default=12, help="of their training (default: 12, as quick has it)")
    add("--runs", type=int, default=2, help="pairs of models (default: 2)")
    add("--images", type=int, default=256, help="of the test set, in each run (default: 256)")
    add("--steps", default="60,400", help="with commas (default: 60,400)")
    add("--seed", type=int, default=1)
    options = parser.parse_args()
    channels = tuple(int(each) for each in options.channels.split(","))
    models = ClassifierSettings(channels=channels, epochs=options.epochs)
    lengths = [int(each) for each in options.steps.split(",")]
    benches = [bench_of(models, options.seed, run) for run in range(1, options.runs + 1)]
    attacked = [(bench, *answered(bench, options.images)) for bench in benches]
    paths = [follow(bench, truth, vectors, max(lengths)) for bench, truth, vectors in attacked]
    path = Path(*(np.concatenate(values, axis=1) for values in zip(*paths, strict=True)))
    for steps in lengths:
        print(f"\n{steps} steps, {path.ssim.shape[1]} images, SSIM {path.ssim[steps // EVERY].mean():.4f}\n")
        print("| stopped | steps saved | SSIM, mean change | largest | MSE, mean change | largest |")
        print("|---|--:|--:|--:|--:|--:|")
        for name, stops in rules(path, steps // EVERY):
            print(f"| {name} | {told(path, stops, steps // EVERY)} |")
    for decimals in (1, 0):
        warm(attacked, path, min(lengths), decimals)
    return 0


def bench_of(models: ClassifierSettings, seed: int, run: int) -> ThesisBench:
    split_seed = derive(seed, "data")
    splits = make_splits(load_source(DEFAULT_SOURCE), QUICK["data"], seed=split_seed)
    data = describe_data(splits, QUICK["data"], split_seed)
    return ThesisBench(splits, data, models, open_store(), SilentProgress(), seed=seed, run=run)


def answered(bench: ThesisBench, count: int) -> tuple[Values, Values]:
    """Return attacked images and what the target answers to them."""
    truth = bench.splits.sets[bench.attacked].images[:count]
    return truth, observe(bench.load(bench.classifier("target")), truth).vectors


def follow(
    bench: ThesisBench, truth: Values, vectors: Values, steps: int, starts: Values | None = None
) -> Path:
    """Reconstruct images from the class average, or from `starts`, and look at them all along."""
    settings = GradientSettings(learning_rate=0.03)  # of quick
    if starts is None:
        averages = start_images(settings.start, bench.holdings(GradientImage(settings).needs, None), Run(1))
        assert averages is not None
        starts = averages[vectors.argmax(axis=1)]
    shadow = bench.load(bench.classifier("shadow"))
    advance = _make_step(differentiable(shadow, "logits"), "logit_mse", settings)
    images, looks, losses = starts, [starts], []
    first = second = np.zeros_like(images)
    for step in range(1, steps + 1):
        images, first, second, _ = advance(images, first, second, np.float32(step), vectors)
        if step % EVERY == 0:
            looks.append(images.numpy())
    for seen in looks:
        losses.append(loss(shadow, seen, vectors, settings))
    scores = [score(seen, truth) for seen in looks]
    return Path(
        np.stack(looks),
        np.stack(losses),
        np.stack([s.ssim for s in scores]),
        np.stack([s.mse for s in scores]),
    )


def loss(shadow: object, images: Values, vectors: Values, settings: GradientSettings) -> Values:
    """Return L_total of each image (see `attacks.gradient.reconstruct`)."""
    distance = np.mean((observe(shadow, images).vectors - vectors) ** 2, axis=1)  # type: ignore[arg-type]
    variation = sum(np.abs(np.diff(images, axis=axis)).sum(axis=(1, 2, 3)) for axis in (1, 2))
    return distance + settings.l2_weight * (images**2).sum(axis=(1, 2, 3)) + settings.tv_weight * variation


def rules(path: Path, last: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield each rule and the look at which it would have stopped each image, `(count,)`."""
    looks, back = np.arange(last + 1)[:, None], WINDOW // EVERY
    for share in SHARES:
        lowest = np.minimum.accumulate(path.losses[: last + 1])
        still = lowest[back:] > (1 - share) * lowest[:-back]
        yield f"loss falls by less than {share:.1%}", first_of(still, back, last)
    for move in MOVES:
        moved = np.abs(path.images[back : last + 1] - path.images[: last + 1 - back]).mean(axis=(2, 3, 4))
        yield f"pixels move by less than {move}", first_of(moved < move, back, last)
    for part in (0.25, 0.5, 0.75):
        yield f"after {part:.0%} of the steps", np.full(path.ssim.shape[1], round(part * last))
    off = np.abs(path.ssim[: last + 1] - path.ssim[last]) > NEAR[0]
    off |= np.abs(path.mse[: last + 1] - path.mse[last]) > NEAR[1]
    yield f"by who knows the end: within {NEAR[0]} and {NEAR[1]}", np.where(off, looks, -1).max(axis=0) + 1


def first_of(true: NDArray[np.bool_], back: int, last: int) -> NDArray[np.int64]:
    return np.where(true.any(axis=0), true.argmax(axis=0) + back, last)


def told(path: Path, stops: NDArray[np.int64], last: int) -> str:
    """Return cells: share of the steps saved, mean and largest change of SSIM and MSE against the end."""
    columns, cells = np.arange(len(stops)), [f"{1 - stops.mean() / last:.0%}"]
    for values in (path.ssim, path.mse):
        change = values[stops, columns] - values[last]
        cells += [f"{change.mean():+.4f}", f"{np.abs(change).max():.4f}"]
    return " | ".join(cells)


def warm(
    attacked: list[tuple[ThesisBench, Values, Values]], undefended: Path, steps: int, decimals: int
) -> None:
    """Print how far X~ behind rounding is from itself where it starts from X~ without rounding."""
    print(
        f"\nRounded to {decimals} decimals, {steps} steps from the class average against fewer from X~ without rounding\n"
    )
    at, cold, warmed = 0, [], []
    for bench, truth, vectors in attacked:
        rounded = Rounding(decimals=decimals).apply(vectors, {}, seed=1)
        before = undefended.images[steps // EVERY][at : at + len(truth)]
        at += len(truth)
        cold.append(follow(bench, truth, rounded, steps))
        warmed.append(follow(bench, truth, rounded, steps, before))
    for part in (0.0, 0.25, 0.5, 1.0):
        look = round(part * steps / EVERY)
        cells = []
        for name in ("ssim", "mse"):
            ends = np.concatenate([getattr(path, name)[steps // EVERY] for path in cold])
            change = np.concatenate([getattr(path, name)[look] for path in warmed]) - ends
            cells += [f"{change.mean():+.4f}", f"{np.abs(change).max():.4f}"]
        print(f"| {look * EVERY} steps from X~ | {' | '.join(cells)} |")


if __name__ == "__main__":
    sys.exit(main())
