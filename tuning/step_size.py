"""Which optimizer and step size make X~ look most like thesis Table 3, which does not state them.

Command: python -m tuning.step_size                 (narrow models; about 15 minutes on 2 CPU cores; stops and resumes)
         python -m tuning.step_size --width text    (the text's width, validation images alone; an hour and a half, a third of it with --precision bfloat16)
Result:  docs/gradient_settings.md
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from mi_keras.command import OneLineErrors, guarded
from mi_keras.console import TerminalProgress
from mi_keras.data.sources import DEFAULT_SOURCE, load_source
from mi_keras.data.splits import make_splits
from mi_keras.experiments.store import Stage, Store, open_store
from mi_keras.machine import FLOAT32, PRECISIONS
from mi_keras.progress import Arrays, Run, SilentProgress, Workspace
from mi_keras.quiet import quiet_libraries
from mi_keras.seeds import derive
from mi_keras.settings import LARGEST, ClassifierSettings, GradientSettings, SplitSettings, check_whole

if TYPE_CHECKING:
    from mi_keras.experiments.thesis.bench import ThesisBench

CLASSIFIERS = {
    "narrow": ClassifierSettings(
        channels=(32, 64, 128), epochs=8
    ),  # a quarter of the text's: 16 times as fast
    "text": ClassifierSettings(),
}
VALIDATION, TEST = ("shadow", "shadow_validation"), ("target", "test")  # who answers which images
SETS = {"narrow": (VALIDATION, TEST), "text": (VALIDATION,)}
OBJECTIVES = {"narrow": ("logit_mse", "cross_entropy"), "text": ("logit_mse",)}
RATES = {"adam": (0.003, 0.01, 0.03, 0.1), "gradient_descent": (0.01, 0.03, 0.1)}
STARTS = ("class_average", "class_instance", "random")
# Table 3: SSIM and MSE on the shadow validation set, then on the test set.
PUBLISHED = {
    "class_average": (0.3014, 0.0601, 0.2409, 0.0672),
    "class_instance": (0.2476, 0.0687, 0.1846, 0.0778),
    "random": (0.0536, 0.1032, 0.0417, 0.1136),
}
Way = tuple[str, str, float]  # objective, optimizer, step size


def main(arguments: Sequence[str] | None = None) -> int:
    """Reconstruct the first images of each set with every setting, and print Markdown tables."""
    parser = OneLineErrors(prog="python -m tuning.step_size", description=__doc__)
    parser.add_argument("--images", type=int, default=128, help="images of each set (default: 128)")
    parser.add_argument(
        "--width", choices=CLASSIFIERS, default="narrow", help="of the models (default: narrow)"
    )
    parser.add_argument("--precision", choices=PRECISIONS, default=FLOAT32, help="of M_S (default: float32)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)

    def print_tables() -> None:
        check_whole("images", options.images, 1, LARGEST)
        _print_tables(options.images, options.width, options.precision, options.seed)

    return guarded(print_tables, "Run the same command again to go on.", parser)


def ranking(scores: Mapping[Way, Mapping[str, Sequence[float]]]) -> list[tuple[Way, float, float]]:
    """Return each way to X~ with its mean distance from Table 3 in SSIM and in MSE, smallest sum first.

    Args:
        scores: by way and start SSIM and MSE on the validation set and, where they are to count, on the test set.
    """
    found = []
    for way, by_start in scores.items():
        off = [np.abs(np.subtract(ours, PUBLISHED[start][: len(ours)])) for start, ours in by_start.items()]
        found.append((way, float(np.mean(off, axis=0)[::2].mean()), float(np.mean(off, axis=0)[1::2].mean())))
    return sorted(found, key=lambda each: each[1] + each[2])


def _print_tables(count: int, width: str, precision: str, seed: int) -> None:
    bench, scores = _bench(width, precision, seed), dict[Way, dict[str, Sequence[float]]]()
    columns = ["validation SSIM", "MSE", "test SSIM", "MSE"][: 2 * len(SETS[width])]
    print(f"| start | objective | optimizer | step size | {' | '.join(columns)} |")
    print(f"|---|---|---|--:|{'--:|' * len(columns)}")
    for start in STARTS:
        print(f"| {start} | *thesis, Table 3* | | | {_cells(PUBLISHED[start][: len(columns)])} |")
        for way in _ways(width):
            objective, optimizer, rate = way
            settings = replace(GradientSettings(), start=start, optimizer=optimizer, learning_rate=rate)
            found = _measure(bench, settings, objective, count, SETS[width]).info["scores"]
            scores.setdefault(way, {})[start] = found
            print(f"| {start} | {objective} | {optimizer} | {rate} | {_cells(found)} |", flush=True)
    print("\n| objective | optimizer | step size | mean SSIM distance | mean MSE distance |")
    print("|---|---|--:|--:|--:|")
    for (objective, optimizer, rate), ssim, mse in ranking(scores):
        print(f"| {objective} | {optimizer} | {rate} | {_cells([ssim, mse])} |")


def _ways(width: str) -> Iterator[Way]:
    for objective in OBJECTIVES[width]:
        for optimizer, rates in RATES.items():
            for rate in rates:
                yield objective, optimizer, rate


def _cells(values: Sequence[float]) -> str:
    return " | ".join(f"{value:.4f}" for value in values)


def _bench(width: str, precision: str, seed: int) -> "ThesisBench":
    with quiet_libraries():
        from mi_keras.experiments.thesis.bench import ThesisBench, describe_data
        from mi_keras.models.scope import let_idle_threads_sleep

        let_idle_threads_sleep()
    source, split_seed = load_source(DEFAULT_SOURCE), derive(seed, "data")
    splits = make_splits(source, SplitSettings(), seed=split_seed)
    data = describe_data(splits, SplitSettings(), split_seed)
    return ThesisBench(
        splits, data, CLASSIFIERS[width], _store(precision), SilentProgress(), seed=seed, run=1
    )


def _store(precision: str) -> Store:
    return open_store(precision=precision, progress=TerminalProgress(Console(stderr=True)))


def _measure(
    bench: "ThesisBench",
    settings: GradientSettings,
    objective: str,
    count: int,
    sets: Sequence[tuple[str, str]],
) -> Stage:
    """Return the stage whose info `scores` holds SSIM and MSE on the images of each of the sets."""

    def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
        from mi_keras.attacks.gradient import GradientImage
        from mi_keras.metrics.image import score
        from mi_keras.models.cnn import observe

        attack, scores = GradientImage(settings, objective), []
        for role, subset in sets:
            truth = bench.splits.sets[subset].images[:count]
            observation = observe(bench.load(bench.classifier(role)), truth)
            run = Run(1, {"start": bench.derive("start")}, precision=bench.store.precision)
            found = score(
                attack.derive(observation, bench.holdings(attack.needs, None), run)[0]["images"], truth
            )
            scores += [float(found.ssim.mean()), float(found.mse.mean())]
        return {}, {"scores": scores}

    # M_S first, which every X~ is made with
    models = [bench.classifier(role) for role in dict.fromkeys(role for role, _ in sets)]
    return bench.stage(
        "step_size", compute, upstream=models, settings=settings, objective=objective, count=count, half=True
    )


if __name__ == "__main__":
    raise SystemExit(main())
