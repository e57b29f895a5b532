"""Command line of the searches: weights of the gradient reconstruction (thesis 5.1), settings of M_I and of a decoder.

Command: python -m tuning.search --preset quick [--space inverter | decoder] [--workers 2]
Result:  OUT/search/SPACE/PRESET holds result.json, arrays.npz, tables and Figure 8, as a section's folder does.
Cost:    `--space gradient` at `quick` 6 minutes, at `paper` an estimated 4 hours on 2 CPU cores; it stops and resumes.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from rich.console import Console

from mi_keras.command import OneLineErrors, guarded
from mi_keras.experiments import runner
from mi_keras.experiments.presets import sized
from mi_keras.experiments.registry import DEFAULT_PRESET
from mi_keras.experiments.split import sizes as split_sizes
from mi_keras.experiments.thesis import search_table, sec_5_1_gradient
from mi_keras.experiments.thesis.sizes import QUICK, SMOKE
from mi_keras.results import ExperimentResult, Row, Table
from mi_keras.settings import (
    ActivationSettings,
    ClassifierSettings,
    DecoderSettings,
    EncoderSettings,
    FaceSettings,
    GradientSettings,
    InverterSettings,
    SplitSettings,
)
from tuning.decoder_search import DecoderSearchSettings, decoder_search_stage
from tuning.gradient_search import SearchSettings, search_stage
from tuning.inverter_search import InverterSearchSettings, inverter_search_stage
from tuning.trials import PATIENCE, check_workers

if TYPE_CHECKING:
    from mi_keras.experiments.split.stages import Pipeline as SplitPipeline
    from mi_keras.experiments.store import Stage
    from mi_keras.experiments.thesis.stages import Pipeline


@dataclass(frozen=True)
class GradientConfig:
    """Settings of `--space gradient`: those of section 5.1 that its search depends on."""

    runs: ClassVar[int] = 1
    data: SplitSettings = SplitSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    gradient: GradientSettings = GradientSettings()
    search: SearchSettings = SearchSettings()


@dataclass(frozen=True)
class InverterConfig:
    """Settings of `--space inverter`."""

    runs: ClassVar[int] = 1
    data: SplitSettings = SplitSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    activation: ActivationSettings = ActivationSettings()
    gradient: GradientSettings = GradientSettings()
    inverter: InverterSettings = InverterSettings()
    search: InverterSearchSettings = InverterSearchSettings()


@dataclass(frozen=True)
class DecoderConfig:
    """Settings of `--space decoder`."""

    runs: ClassVar[int] = 1
    faces: FaceSettings = FaceSettings()
    encoder: EncoderSettings = EncoderSettings()
    decoder: DecoderSettings = split_sizes.COMPACT
    search: DecoderSearchSettings = DecoderSearchSettings()


GRADIENT_PRESETS = {
    name: GradientConfig(config.data, config.classifier, config.gradient, config.search)
    for name, config in sec_5_1_gradient.PRESETS.items()
}
_STEPS = ("data", "classifier", "activation", "gradient", "inverter")
INVERTER_PRESETS = {
    "smoke": InverterConfig(**sized(SMOKE, *_STEPS), search=InverterSearchSettings(trials=2)),
    "quick": InverterConfig(**sized(QUICK, *_STEPS), search=InverterSearchSettings(trials=8)),
    "paper": InverterConfig(),
}

DECODER_PRESETS = {
    "smoke": DecoderConfig(
        split_sizes.SMOKE["faces"], decoder=split_sizes.SMOKE["compact"], search=DecoderSearchSettings(2, 40)
    ),
    "quick": DecoderConfig(
        split_sizes.QUICK["faces"], decoder=replace(split_sizes.COMPACT, epochs=3), search=DecoderSearchSettings(8, 1500)
    ),
    "paper": DecoderConfig(),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Search and print every trial; return the exit code (see `cli.guarded`)."""
    options = _parser().parse_args(arguments)
    return guarded(lambda: _search(options), "Finished trials are kept; run the same command again to go on.")


def _search(options: argparse.Namespace) -> None:
    from mi_keras.reports.files import read_report, write_reports  # here: --help answers at once
    from mi_keras.reports.tables import print_result

    check_workers(options.workers, options.patience)
    search = SPACES[options.space](workers=options.workers, patience=options.patience)
    request = runner.Request(
        section=options.space, work=search.work, preset=options.preset, overrides=options.set, seed=options.seed,
        data=options.data, out=options.out, offline=options.offline,
    )  # fmt: skip
    (folder,) = runner.run_experiments([search], request, Console(stderr=True))
    report = read_report(folder)
    write_reports(folder, report)
    console = Console()
    print_result(report.result, console)
    console.print(f"\nPage, table, figure and arrays: {folder}", soft_wrap=True)


def _gradient(config: GradientConfig, pipelines: Sequence["Pipeline"], **workers: Any) -> ExperimentResult:
    search = search_stage(pipelines[0], config.classifier, config.gradient, config.search, **workers)
    measured = f"{config.search.images} shadow training images a trial, answered by M_S"
    tables = [search_table.trial_table(search)]
    claims = search_table.weight_claims(search)
    return ExperimentResult(
        tables,
        claims,
        measured,
        _arrays(search),
        [search_table.FIGURE_8],
        [search_table.best_line(search)],
    )


def _inverter(config: InverterConfig, pipelines: Sequence["Pipeline"], **workers: Any) -> ExperimentResult:
    search = inverter_search_stage(
        pipelines[0], config.classifier, config.activation, config.gradient, config.inverter, config.search, **workers
    )  # fmt: skip
    images = len(pipelines[0].splits.shadow_validation)
    measured = (
        f"{images:,} shadow validation images, answered by M_S; input of M_I: {config.search.combination}"
    )
    best = f"Best settings: {_in_words(search.info['best'])}, mean SSIM {search.info['best_ssim']:.4f}."
    title = "Random search of the settings of M_I"
    return ExperimentResult(
        [_trial_table(search, "inverter_search", title)], [], measured, _arrays(search), (), [best]
    )


def _decoder(config: DecoderConfig, pipelines: Sequence["SplitPipeline"], **workers: Any) -> ExperimentResult:
    search = decoder_search_stage(pipelines[0], config.decoder, config.search, **workers)
    measured = f"at most {config.search.images:,} training images a trial, of which a tenth is validated on"
    best = f"Best settings: {_in_words(search.info['best'])}, mean SSIM {search.info['best_ssim']:.4f}."
    title = "Random search of the training of a decoder"
    return ExperimentResult(
        [_trial_table(search, "decoder_search", title)], [], measured, _arrays(search), (), [best]
    )


def _trial_table(search: "Stage", file: str, title: str) -> Table:
    names, rows = list(search.info["best"]), []
    for trial in search.info["trials"]:
        scores = {name: np.array([trial[name]]) for name in ("ssim", "mse") if trial[name] is not None}
        note = ", ".join(filter(None, [_in_words({name: trial[name] for name in names}), trial["problem"]]))
        rows.append(Row(f"trial {trial['number']}", f"trial {trial['number']}", "trial", scores, note=note))
    failed = f"{len(rows)} trials, {search.info['failed']} of them failed."
    return Table(file, title, "trial", ("ssim", "mse"), rows, "ssim", [failed])


def _in_words(values: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in values.items())


def _arrays(search: "Stage") -> dict[str, Any]:
    return {f"search.{name}": values for name, values in search.arrays.items()}


@dataclass(frozen=True)
class _Search:
    """A search in the shape of a section, which the runner can run and write."""

    number: str
    title: str
    folder: str
    presets: dict[str, Any]
    run: Callable[..., ExperimentResult]
    work: str = "thesis"

    def load(self) -> Any:
        return SimpleNamespace(PRESETS=self.presets, run=self.run)


def _gradient_search(**workers: Any) -> _Search:
    title = "Random search of the two weights"
    return _Search("5.1", title, "search/gradient", GRADIENT_PRESETS, partial(_gradient, **workers))


def _inverter_search(**workers: Any) -> _Search:
    title = "Random search of the settings of M_I (not in the text)"
    return _Search("5.2", title, "search/inverter", INVERTER_PRESETS, partial(_inverter, **workers))


def _decoder_search(**workers: Any) -> _Search:
    title = "Random search of the training of a decoder (not in the text)"
    return _Search("6", title, "search/decoder", DECODER_PRESETS, partial(_decoder, **workers), work="split")


SPACES = {"gradient": _gradient_search, "inverter": _inverter_search, "decoder": _decoder_search}


def _parser() -> argparse.ArgumentParser:
    parser = OneLineErrors(
        prog="python -m tuning.search", description="Search settings at random on the adversary's own images."
    )  # fmt: skip
    add = parser.add_argument
    add("--space", default="gradient", choices=tuple(SPACES), help="what to search (default: gradient)")
    add("--preset", default=DEFAULT_PRESET, choices=tuple(GRADIENT_PRESETS), help="size (default: quick)")
    add("--workers", type=int, default=0, metavar="N", help="processes that share the trials (default: 0)")
    wait = "end the workers where no trial finishes in this time (default: %(default)g)"
    add("--patience", type=float, default=PATIENCE, metavar="SECONDS", help=wait)
    add("--seed", type=int, default=1, help="root of all random choices (default: 1)")
    add(
        "--data",
        metavar="SOURCE",
        help="as of scripts/reproduce.py (default: mnist; photographs for decoder)",
    )
    changes = "change a setting, for example search.images=100"
    add("--set", action="append", default=[], metavar="KEY=VALUE", help=changes)
    add(
        "--out",
        type=Path,
        default=Path("results"),
        metavar="DIR",
        help="folder of results (default: results)",
    )
    add("--offline", action="store_true", help="never download data")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
