"""Which optimizer and step size make X~ look most like thesis Table 3, which does not state them.

Command: python -m tuning.step_size          (about 15 minutes on 2 CPU cores; stops and resumes)
Result:  docs/gradient_settings.md
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mi_keras.command import guarded
from mi_keras.data.sources import DEFAULT_SOURCE, load_source
from mi_keras.data.splits import make_splits
from mi_keras.experiments.store import Stage, Store, home
from mi_keras.progress import Arrays, Run, SilentProgress, Workspace
from mi_keras.quiet import quiet_libraries
from mi_keras.seeds import derive
from mi_keras.settings import ClassifierSettings, GradientSettings, SplitSettings

if TYPE_CHECKING:
    from mi_keras.experiments.thesis.bench import ThesisBench

CLASSIFIER = ClassifierSettings(
    channels=(32, 64, 128), epochs=8
)  # a quarter of the text's width: 16 times as fast
RATES = {"adam": (0.003, 0.01, 0.03, 0.1), "gradient_descent": (0.01, 0.03, 0.1)}
STARTS = ("class_average", "class_instance", "random")
# Table 3: SSIM and MSE on the shadow validation set, then on the test set.
PUBLISHED = {
    "class_average": (0.3014, 0.0601, 0.2409, 0.0672),
    "class_instance": (0.2476, 0.0687, 0.1846, 0.0778),
    "random": (0.0536, 0.1032, 0.0417, 0.1136),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Reconstruct the first images of both sets with every setting and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m tuning.step_size", description=__doc__)
    parser.add_argument("--images", type=int, default=128, help="images of each set (default: 128)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    return guarded(lambda: _print_table(options.images, options.seed), "Run the same command again to go on.")


def _print_table(count: int, seed: int) -> None:
    with quiet_libraries():
        from mi_keras.experiments.thesis.bench import ThesisBench, describe_data

    source, split_seed = load_source(DEFAULT_SOURCE), derive(seed, "data")
    splits = make_splits(source, SplitSettings(), seed=split_seed)
    data = describe_data(splits, SplitSettings(), split_seed)
    store = Store(home())
    bench = ThesisBench(splits, data, CLASSIFIER, store, SilentProgress(), seed=seed, run=1)
    print("| start | objective | optimizer | step size | validation SSIM | MSE | test SSIM | MSE |")
    print("|---|---|---|--:|--:|--:|--:|--:|")
    for start in STARTS:
        print(
            f"| {start} | *thesis, Table 3* | | | {' | '.join(f'{value:.4f}' for value in PUBLISHED[start])} |"
        )
        for objective in ("logit_mse", "cross_entropy"):
            for optimizer, rates in RATES.items():
                for rate in rates:
                    settings = replace(
                        GradientSettings(), start=start, optimizer=optimizer, learning_rate=rate
                    )
                    scores = _measure(bench, settings, objective, count).info["scores"]
                    cells = " | ".join(f"{value:.4f}" for value in scores)
                    print(f"| {start} | {objective} | {optimizer} | {rate} | {cells} |", flush=True)


def _measure(bench: "ThesisBench", settings: GradientSettings, objective: str, count: int) -> Stage:
    """Return the stage whose info `scores` holds SSIM and MSE on the validation images, then on the test images."""
    shadow, target = bench.classifier("shadow"), bench.classifier("target")

    def compute(_: Workspace) -> tuple[Arrays, Mapping[str, Any]]:
        from mi_keras.attacks.gradient import GradientImage
        from mi_keras.metrics.image import score
        from mi_keras.models.cnn import observe

        attack, scores = GradientImage(settings, objective), []
        for attacked, subset in ((shadow, "shadow_validation"), (target, "test")):
            truth = bench.splits.sets[subset].images[:count]
            observation = observe(bench.load(attacked), truth)
            run = Run(1, {"start": bench.derive("start")})
            found = score(
                attack.derive(observation, bench.holdings(attack.needs, None), run)[0]["images"], truth
            )
            scores += [float(found.ssim.mean()), float(found.mse.mean())]
        return {}, {"scores": scores}

    return bench.stage(
        "step_size", compute, upstream=[shadow, target], settings=settings, objective=objective, count=count
    )


if __name__ == "__main__":
    raise SystemExit(main())
