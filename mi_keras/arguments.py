"""Command-line arguments that choose an experiment, and the request made from them."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from mi_keras.errors import InputError
from mi_keras.experiments.registry import WORKS
from mi_keras.experiments.resources import Resources
from mi_keras.experiments.section import DEFAULT_PRESET, PRESETS, Request
from mi_keras.machine import FLOAT32, PRECISIONS


def add_arguments(parser: argparse.ArgumentParser, *, section: str) -> None:
    """Add what names an experiment: work, section (with a help text), encoder, and how it is run."""
    parser.add_argument("--section", help=section)
    parser.add_argument(
        "--work",
        default="thesis",
        choices=WORKS,
        help="which work: thesis or split, two published ones, or beyond, stronger attacks (default: thesis)",
    )
    parser.add_argument(
        "--encoder-weights",
        metavar="WEIGHTS",
        help="split: weights of MobileNetV3: imagenet (downloaded, default), random, or a FILE that Keras wrote",
    )
    add_settings(
        parser,
        data="thesis and beyond: mnist (embedded, default), tfds:NAME or npz:FILE; split: photographs (those of scikit-image, default), "
        "folder:PATH, zip:PATH or tfds:NAME",
    )


def add_settings(parser: argparse.ArgumentParser, *, data: str) -> None:
    """Add how an experiment is run: preset, seed, data (with a help text) and settings."""
    add = parser.add_argument
    add(
        "--preset",
        default=DEFAULT_PRESET,
        choices=tuple(PRESETS),
        help=f"size of the run (default: {DEFAULT_PRESET})",
    )
    add("--seed", type=int, default=1, help="root of all random choices (default: 1)")
    add("--data", metavar="SOURCE", help=data)
    changes = "change a setting, for example gradient.steps=100"
    add("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help=changes)
    add(
        "--precision",
        default=FLOAT32,
        choices=PRECISIONS,
        help="number format of products in the adversary's networks; bfloat16 is faster where the processor supports it (default: float32)",
    )
    add("--offline", action="store_true", help="never download data or weights")


def add_processes(parser: argparse.ArgumentParser) -> None:
    """Add how many processes of this machine compute, and with how many threads."""
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that compute; results are the same for any number (default: 2, with preset smoke 1)",
    )
    add_threads(parser)


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add with how many threads each process computes."""
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="of each process in an operation; another number rounds sums otherwise (default: one per core, with --ray 1)",
    )


def add_machines(parser: argparse.ArgumentParser) -> None:
    """Add the GPUs and the cluster that stages of sections can be computed on."""
    parser.add_argument(
        "--devices",
        type=int,
        default=1,
        metavar="N",
        help="GPUs that train one model together, as one would to float rounding (default: 1)",
    )
    add_cluster(parser)


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add the cluster that stages can be computed on."""
    add = parser.add_argument
    where = "compute on a Ray cluster: auto ($RAY_ADDRESS, or this machine), or the HOST:PORT of one that this machine is part of"
    add("--ray", metavar="ADDRESS", help=where)
    add("--gpus-per-stage", type=float, default=0, metavar="N", help="with --ray (default: 0)")
    add("--memory-per-stage", type=float, metavar="GB", help="with --ray (default: not counted)")


def add_results(parser: argparse.ArgumentParser) -> None:
    """Add where results go."""
    results = Path("results")
    help_text = f"folder of the results (default: {results})"
    parser.add_argument("--out", type=Path, default=results, metavar="DIR", help=help_text)


def resources_of(options: argparse.Namespace, **more: Any) -> Resources:
    """Return what stages are computed with, from arguments of `add_processes` or `add_threads`, and of `add_cluster`.

    Args:
        more: fields that stand in place of arguments, which need not be there.

    Raises:
        InputError: they are out of range, or do not go together.
    """
    named = [each.name for each in fields(Resources) if each.name not in more]
    return Resources(**{name: getattr(options, name) for name in named}, **more)


def request_of(options: argparse.Namespace, **more: Any) -> Request:
    """Return the request that parsed arguments make; `more` are fields of it that `add_arguments` has no argument for.

    Raises:
        InputError: no section is named, or an argument belongs to the other work.
    """
    if options.section is None:
        raise InputError("`--section` must be given; see --list.")
    if options.encoder_weights and options.work != "split":
        raise InputError(f"`--encoder-weights` must go with --work split; got --work {options.work}.")
    return Request(
        section=options.section, work=options.work, preset=options.preset, overrides=options.overrides, seed=options.seed, precision=options.precision,
        data=options.data, offline=options.offline, encoder_weights=options.encoder_weights, **more,
    )  # fmt: skip
