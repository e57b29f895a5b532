"""The command `mi-keras invert`: output vectors or feature maps to a server, images back into a folder."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mi_keras.command import OneLineErrors, guarded
from mi_keras.console import TerminalProgress
from mi_keras.errors import InputError
from mi_keras.serving.bulk_inversion import clipped_note, invert
from mi_keras.serving.checks import read_inputs
from mi_keras.serving.client import RETRIES, TIMEOUT, Client
from mi_keras.serving.contract import GRPC_PORT, LARGEST_BATCH, LOOPBACK, REST_PORT, SMALL_BATCHES
from mi_keras.serving.layout import FOLDER
from mi_keras.serving.served_versions import FILE, configured_names


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code (see `command.guarded`)."""
    options = _parser().parse_args(arguments)
    return guarded(lambda: _run(options), "Finished parts are kept; run the same command again to go on.")


def _run(options: argparse.Namespace) -> None:
    arrays = read_inputs(options.input)  # first: it needs no server
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"`--out` must be a folder that can be written; got {options.out} ({error.strerror})."
        ) from None
    model = options.model or _only_model()
    client = Client(
        options.server, model, options.version, options.label, timeout=options.timeout, retries=options.retries,
        rest=options.rest,
    )  # fmt: skip
    with client:
        inverted = invert(
            client, arrays, options.out, endpoint=options.endpoint, batch=options.batch, resume=options.resume,
            overwrite=options.overwrite, progress=TerminalProgress(Console(stderr=True)),
        )  # fmt: skip
    kept = f", {inverted.reused:,} of them from before," if inverted.reused else ""
    print(
        f"{inverted.count:,} images{kept} by {model} version {inverted.version}, endpoint "
        f"{inverted.endpoint}: {options.out}. {clipped_note(inverted.clipped)}"
    )


def _only_model() -> str:
    names = configured_names()
    if len(names) != 1:
        raise InputError(
            f"`--model` must be given: {FOLDER / FILE} names {', '.join(names) or 'none, or is not there'}."
        )
    return names[0]


def _parser() -> argparse.ArgumentParser:
    parser = OneLineErrors(
        prog="mi-keras invert",
        description="Reconstruct images from output vectors or feature maps, by a model on TensorFlow Serving.",
        epilog="Exit code 2: input, model or version that does not fit; 1: no answer from the server, or none that is usable; "
        "130: Ctrl-C. After 1 and 130 the same command goes on where it was.",
    )
    add = parser.add_argument
    add(
        "--input",
        type=Path,
        required=True,
        metavar="NPZ",
        help="inputs of the endpoint: arrays under their names, or a single array",
    )
    add(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="images.npz, PNGs and contact_sheet.png go here",
    )
    add(
        "--server",
        metavar="HOST:PORT",
        help=f"default: {LOOPBACK}:{GRPC_PORT}, with --rest {LOOPBACK}:{REST_PORT}",
    )
    add(
        "--rest",
        action="store_true",
        help="use REST instead of gRPC; needs no extra package, but is slow for large images",
    )
    add("--model", metavar="NAME", help=f"name on the server (default: the only one in {FOLDER / FILE})")
    add("--version", type=int, metavar="N", help="version of the model (default: the newest)")
    add("--label", metavar="LABEL", help="label of a version, such as stable")
    add("--endpoint", metavar="NAME", help="such as invert, invert_from_output or reconstruct (default: the one that "
        "uses most of the input)")  # fmt: skip
    add(
        "--batch",
        type=int,
        metavar="N",
        help=f"inputs per request (default: {LARGEST_BATCH}, for "
        f"{', '.join(f'{name} {rows}' for name, rows in SMALL_BATCHES.items())})",
    )
    add(
        "--timeout",
        type=float,
        default=TIMEOUT,
        metavar="S",
        help=f"seconds per request (default: {TIMEOUT:g})",
    )
    add("--retries", type=int, default=RETRIES, metavar="N", help="further attempts while the server is unavailable "
        f"(default: {RETRIES})")  # fmt: skip
    add("--resume", action=argparse.BooleanOptionalAction, default=True, help="keep parts that an interrupted run "
        "finished (default: yes)")  # fmt: skip
    add("--overwrite", action="store_true", help="replace the images of an earlier run in DIR")
    return parser
