"""The command `mi-keras export`: a trained attack from the store to `OUT/NAME/VERSION`, for TensorFlow Serving."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from mi_keras.arguments import add_arguments, request_of
from mi_keras.command import OneLineErrors, guarded
from mi_keras.errors import InputError
from mi_keras.experiments.home import home
from mi_keras.experiments.presets import MOST_RUNS
from mi_keras.experiments.section import DEFAULT_PRESET, Bench, C, Data, Request, Section, Source
from mi_keras.experiments.split import sec_6_decoders
from mi_keras.experiments.store import open_store
from mi_keras.experiments.thesis import sec_5_2_input_combinations
from mi_keras.machine import FLOAT32, as_change
from mi_keras.progress import SilentProgress
from mi_keras.quiet import quiet_libraries
from mi_keras.serving.export_checks import check_answers, check_same_run
from mi_keras.serving.layout import FOLDER, check_name
from mi_keras.serving.warmup import check_installed
from mi_keras.settings import COMBINATIONS, DECODERS, OBJECTIVES, check_whole

if TYPE_CHECKING:
    from mi_keras.serving.trained import Trained

SECTION = {"thesis": "5.2", "split": "6"}  # those whose models can be exported
OBJECTIVE = OBJECTIVES[0]
Config = sec_5_2_input_combinations.Config | sec_6_decoders.Config


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code (see `command.guarded`)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    return guarded(lambda: _run(options), parser=parser)


def default_name(options: argparse.Namespace) -> str:
    """Return the name that a model gets unless told, such as `thesis-5.2-o-x-quick`."""
    chosen = options.decoder or options.combination.replace("+", "-")
    objective = [options.objective] if options.objective not in (None, OBJECTIVE) else []
    return "-".join([options.work, options.section, chosen, *objective, options.preset])


def _run(options: argparse.Namespace) -> None:
    check_installed()
    _check_choice(options)
    name = check_name(default_name(options) if options.name is None else options.name)
    trained, about = _read(options, request_of(options))
    from mi_keras.serving.archive import write_export

    check = partial(check_answers, trained.signatures)
    folder = write_export(trained, about, options.out, name, options.version, check=check)
    console = Console()
    told = trained.about
    scores = ", ".join(f"{metric} {score['mean']:.4f}" for metric, score in told["scores"].items())
    count = max(score["n"] for score in told["scores"].values())
    console.print(f"{folder}: {told['attack']}, {scores} on {count:,} images", markup=False, soft_wrap=True)
    for number, signature in enumerate(trained.signatures):
        default = " (serving_default)" if number == 0 else ""
        interface = f"{', '.join(signature.inputs)} -> {', '.join(signature.outputs)}"
        console.print(f"  {signature.name}{default}: {interface}", markup=False, soft_wrap=True)
    console.print(
        f"Called in a process of its own and found as stated; again: mi-keras verify {folder}", soft_wrap=True
    )


def _check_choice(options: argparse.Namespace) -> None:
    if options.work not in SECTION:
        raise InputError(f"`--work` must be one of {', '.join(SECTION)} for an export; got {options.work}.")
    if options.section != SECTION[options.work]:
        raise InputError(
            f"`--section` must be {SECTION[options.work]} of work {options.work}; got {options.section}."
        )
    mine, other = ("combination", "decoder") if options.work == "thesis" else ("decoder", "combination")
    legal = {"combination": COMBINATIONS, "decoder": DECODERS}[mine]
    if getattr(options, mine) not in legal:
        raise InputError(f"`--{mine}` must be one of {', '.join(legal)}; got {getattr(options, mine)}.")
    if getattr(options, other):
        raise InputError(f"`--{other}` must go with the other work; got --work {options.work}.")
    if options.objective and "x" not in (options.combination or "").split("+"):
        raise InputError(f"`--objective` must go with a combination that has x; got {options.objective}.")
    check_whole("--run", options.run, 1, MOST_RUNS)


def _open(
    section: Section[Source, C, Data, Bench], options: argparse.Namespace, request: Request
) -> tuple[C, Bench, dict[str, object]]:
    """Return settings and bench of the run, and what the manifest says of the run."""
    asked = section.prepare(request)
    enough = section.configure(replace(request, runs=max(options.run, asked.runs)))
    store = open_store(precision=request.precision)
    with quiet_libraries():
        benches = section.benches(enough, request, store, SilentProgress())
    about = {
        "work": request.work, "section": request.section, "preset": request.preset,
        "changed": [*asked.changed, *as_change(store.precision)], "seed": request.seed, "run": options.run, **asked.about,
    }  # fmt: skip
    return section.configure(request), benches[options.run - 1], about


def _read(options: argparse.Namespace, request: Request) -> "tuple[Trained, dict[str, object]]":
    """Return what the store holds of the run, and what the manifest says of the run."""
    with quiet_libraries():  # TensorFlow is imported here
        from mi_keras.models.scope import check_keras
        from mi_keras.serving.trained import NotTrained

    check_keras()
    try:
        if options.work == "thesis":
            settings, bench, about = _open(sec_5_2_input_combinations.SECTION, options, request)
            _check_name(options, about)
            from mi_keras.serving.inverters import read_inverter

            train = reproduce_command(options, settings)
            return read_inverter(bench, settings, options.combination, options.objective or OBJECTIVE), about
        config, pictures, about = _open(sec_6_decoders.SECTION, options, request)
        _check_name(options, about)
        from mi_keras.serving.decoders import read_decoder

        train = reproduce_command(options, config)
        return read_decoder(pictures, config, options.decoder), about
    except NotTrained as missing:
        raise InputError(
            f"`--run` must be one that is finished; the store {home()} lacks {missing}. First run: {train}"
        ) from None


def _check_name(options: argparse.Namespace, about: dict[str, object]) -> None:
    if options.name is None:
        check_same_run(options.out / default_name(options), about)


def reproduce_command(options: argparse.Namespace, config: Config) -> str:
    """Return the command that trains what was asked for."""
    words = ["python", "scripts/reproduce.py"]
    defaults = {
        "work": "thesis",
        "section": None,
        "preset": DEFAULT_PRESET,
        "seed": 1,
        "data": None,
        "encoder_weights": None,
        "precision": FLOAT32,
    }
    for name, default in defaults.items():
        if (value := getattr(options, name)) != default:
            words += [f"--{name.replace('_', '-')}", str(value)]
    if options.run > config.runs:
        words += ["--runs", str(options.run)]
    assignments = list(options.overrides)
    key = "decoders" if options.decoder else "combinations"
    if options.objective not in (None, OBJECTIVE):
        key = "second_combinations"
    if (wanted := options.decoder or options.combination) not in getattr(config, key):
        assignments.append(f"{key}={','.join([*getattr(config, key), wanted])}")
    return shlex.join([*words, *(word for assignment in assignments for word in ("--set", assignment))])


def _parser() -> OneLineErrors:
    parser = OneLineErrors(
        prog="mi-keras export",
        description="Write a trained attack from the store as a SavedModel for TensorFlow Serving. Nothing is trained.",
    )
    add_arguments(parser, section="5.2 of work thesis, or 6 of work split")
    parser.add_argument(
        "--combination", metavar="PARTS", help=f"thesis: inputs of M_I, one of {', '.join(COMBINATIONS)}"
    )
    parser.add_argument("--objective", choices=OBJECTIVES, help=f"thesis: loss of X~ (default: {OBJECTIVE})")
    parser.add_argument("--decoder", metavar="NAME", help=f"split: one of {', '.join(DECODERS)}")
    parser.add_argument("--run", type=int, default=1, metavar="N", help="which repetition (default: 1)")
    parser.add_argument(
        "--out", type=Path, default=FOLDER, metavar="DIR", help=f"folder of all models (default: {FOLDER})"
    )
    parser.add_argument(
        "--name", help="name of the model (default: such as thesis-5.2-x-quick, for one run and data alone)"
    )
    parser.add_argument(
        "--version", type=int, metavar="N", help="version number of the model (default: the next free one)"
    )
    return parser
