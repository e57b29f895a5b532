"""Command line of the searches: weights of the gradient reconstruction (thesis 5.1), settings of M_I and of a decoder.

Command: mi-keras search --preset quick [--space inverter | decoder] [--workers 2]
Result:  OUT/search/SPACE/PRESET holds result.json, arrays.npz, tables and Figure 8, as a section's folder does.
Cost:    `--space gradient` at `quick` 6 minutes, at `paper` an estimated 4 hours on 2 CPU cores; it stops and resumes.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from mi_keras.arguments import add_cluster, add_results, add_settings, add_threads, resources_of
from mi_keras.command import OneLineErrors, guarded, say_path
from mi_keras.errors import InputError
from mi_keras.experiments import runner
from mi_keras.experiments.presets import check_runs, sized
from mi_keras.experiments.section import Experiment, Request, Section
from mi_keras.experiments.split import sizes as split_sizes
from mi_keras.experiments.split.work import SPLIT
from mi_keras.experiments.thesis import search_table, sec_5_1_gradient
from mi_keras.experiments.thesis.sizes import QUICK, SMOKE, Inverted, Reconstructed
from mi_keras.experiments.thesis.work import THESIS
from mi_keras.results import ExperimentResult, Row, Table
from mi_keras.settings import DecoderSettings, EncoderSettings, FaceSettings
from mi_keras.tuning.decoder_search import DecoderSearchSettings, decoder_search_stage
from mi_keras.tuning.gradient_search import SearchSettings, search_stage
from mi_keras.tuning.inverter_search import InverterSearchSettings, inverter_search_stage
from mi_keras.tuning.trials import PATIENCE, check_workers

if TYPE_CHECKING:
    from mi_keras.experiments.split.bench import SplitBench
    from mi_keras.experiments.store import Stage
    from mi_keras.experiments.thesis.bench import ThesisBench


@dataclass(frozen=True)
class GradientConfig(Reconstructed):
    """Settings of `--space gradient`: those of section 5.1 that its search depends on."""

    runs: int = 1
    search: SearchSettings = SearchSettings()


@dataclass(frozen=True)
class InverterConfig(Inverted):
    """Settings of `--space inverter`; the inputs of M_I are `search.combination`."""

    runs: int = 1
    search: InverterSearchSettings = InverterSearchSettings()


@dataclass(frozen=True)
class DecoderConfig:
    """Settings of `--space decoder`."""

    runs: int = 1
    faces: FaceSettings = FaceSettings()
    encoder: EncoderSettings = EncoderSettings()
    decoder: DecoderSettings = split_sizes.COMPACT
    search: DecoderSearchSettings = DecoderSearchSettings()

    def __post_init__(self) -> None:
        check_runs(self.runs)


GRADIENT_PRESETS = {
    name: GradientConfig(data=c.data, classifier=c.classifier, gradient=c.gradient, search=c.search)
    for name, c in sec_5_1_gradient.PRESETS.items()
}
INVERTER_PRESETS = {
    "smoke": InverterConfig(**sized(SMOKE, InverterConfig), search=InverterSearchSettings(trials=2)),
    "quick": InverterConfig(**sized(QUICK, InverterConfig), search=InverterSearchSettings(trials=8)),
    "paper": InverterConfig(),
}
DECODER_PRESETS = {
    "smoke": DecoderConfig(
        faces=split_sizes.SMOKE["faces"], decoder=split_sizes.SMOKE["compact"], search=DecoderSearchSettings(2, 40)
    ),
    "quick": DecoderConfig(
        faces=split_sizes.QUICK["faces"], decoder=replace(split_sizes.COMPACT, epochs=3),
        search=DecoderSearchSettings(8, 1500),
    ),
    "paper": DecoderConfig(),
}  # fmt: skip


@dataclass(frozen=True)
class Workers:
    """How a search is shared out: its result does not depend on it.

    Attributes:
        workers: processes that share the trials, 0 for this one.
        patience: seconds in which one of them has to finish a trial.
    """

    workers: int = 0
    patience: float = PATIENCE

    def __post_init__(self) -> None:
        check_workers(self.workers, self.patience)


def main(arguments: Sequence[str] | None = None) -> int:
    """Search and print every trial; return the exit code (see `command.guarded`)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    go_on = "Finished trials are kept; run the same command again to go on."
    return guarded(lambda: _search(options), go_on, parser)


def _search(options: argparse.Namespace) -> None:
    from mi_keras.reports.files import read_report, write_reports  # here: --help answers at once
    from mi_keras.reports.tables import print_result

    workers = Workers(options.workers, options.patience)
    resources = resources_of(options, workers=options.workers or None)
    if resources.ray is not None and options.patience != PATIENCE:
        raise InputError(f"`patience` must be left out with `ray`; got {options.patience:g}.")
    search = SPACES[options.space](workers) if resources.ray is None else found_by_name(options.space)
    request = Request(
        section=options.space, work=search.work, preset=options.preset, overrides=options.overrides, seed=options.seed,
        data=options.data, out=options.out, offline=options.offline, precision=options.precision, resources=resources,
    )  # fmt: skip
    (folder,) = runner.run_experiments([search], request, Console(stderr=True))
    report = read_report(folder)
    write_reports(folder, report)
    console = Console()
    print_result(report.result, console)
    say_path(console, "\nPage, table, figure and arrays", folder)


def gradient_search(workers: Workers) -> Experiment:
    """Return the search of the two regularisation weights of X~ (thesis 5.1)."""

    def measure(config: GradientConfig, benches: Sequence["ThesisBench"]) -> ExperimentResult:
        search = search_stage(benches[0], config.gradient, config.search, **vars(workers))
        search.store.compute([search])
        measured = f"{config.search.images} shadow training images a trial, answered by M_S"
        tables, claims = [search_table.trial_table(search)], search_table.weight_claims(search)
        figures, notes = [search_table.FIGURE_8], [search_table.best_line(search)]
        return ExperimentResult(tables, claims, measured, _arrays(search), figures, notes)

    title = "Random search of the two weights"
    section = Section(THESIS, GRADIENT_PRESETS, measure)
    return Experiment("thesis", "5.1", title, code=section, subfolder="search/gradient")


def inverter_search(workers: Workers) -> Experiment:
    """Return the search of how M_I is built and trained."""

    def measure(config: InverterConfig, benches: Sequence["ThesisBench"]) -> ExperimentResult:
        search = inverter_search_stage(benches[0], config, config.search, **vars(workers))
        search.store.compute([search])
        images = len(benches[0].splits.shadow_validation)
        measured = (
            f"{images:,} shadow validation images, answered by M_S; input of M_I: {config.search.combination}"
        )
        return _result(search, "inverter_search", "Random search of the settings of M_I", measured)

    title = "Random search of the settings of M_I (not in the text)"
    section = Section(THESIS, INVERTER_PRESETS, measure)
    return Experiment("thesis", "5.2", title, code=section, subfolder="search/inverter")


def decoder_search(workers: Workers) -> Experiment:
    """Return the search of how a decoder is trained."""

    def measure(config: DecoderConfig, benches: Sequence["SplitBench"]) -> ExperimentResult:
        search = decoder_search_stage(benches[0], config.decoder, config.search, **vars(workers))
        search.store.compute([search])
        measured = (
            f"at most {config.search.images:,} training images a trial, of which a tenth is validated on"
        )
        return _result(search, "decoder_search", "Random search of the training of a decoder", measured)

    title = "Random search of the training of a decoder (not in the text)"
    section = Section(SPLIT, DECODER_PRESETS, measure)
    return Experiment("split", "6", title, code=section, subfolder="search/decoder")


SPACES = {"gradient": gradient_search, "inverter": inverter_search, "decoder": decoder_search}
# What other machines import
GRADIENT = gradient_search(Workers()).load()
INVERTER = inverter_search(Workers()).load()
DECODER = decoder_search(Workers()).load()


def found_by_name(space: str) -> Experiment:
    """Return the search of a space as other machines find it, where trials are shared out as stages (see `trial_stages`)."""
    return replace(SPACES[space](Workers()), module=f"mi_keras.tuning.search:{space.upper()}", code=None)


def _result(search: "Stage", file: str, title: str, measured: str) -> ExperimentResult:
    best = f"Best settings: {_in_words(search.info['best'])}, mean SSIM {search.info['best_ssim']:.4f}."
    return ExperimentResult([_trial_table(search, file, title)], [], measured, _arrays(search), (), [best])


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


def _arrays(search: "Stage") -> dict[str, NDArray[Any]]:
    return {f"search.{name}": values for name, values in search.arrays.items()}


def _parser() -> OneLineErrors:
    parser = OneLineErrors(
        prog="mi-keras search", description="Search settings at random on the adversary's own images."
    )  # fmt: skip
    add = parser.add_argument
    add("--space", default="gradient", choices=tuple(SPACES), help="what to search (default: gradient)")
    add(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="processes beside this one that run the trials; 0 runs them in this one (default: 0)",
    )
    wait = "end the search if no trial finishes within this time (default: %(default)g)"
    add("--patience", type=float, default=PATIENCE, metavar="SECONDS", help=wait)
    add_threads(parser)
    add_cluster(parser)
    add_settings(parser, data="as of scripts/reproduce.py (default: mnist; photographs for decoder)")
    add_results(parser)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
