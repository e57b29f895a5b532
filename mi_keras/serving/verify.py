"""The command `mi-keras verify`: checks an export's files, then calls it in a process that has TensorFlow only."""

import argparse
import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mi_keras.command import STOPPED, OneLineErrors, console_for_tables, guarded
from mi_keras.display import line_of
from mi_keras.errors import DamagedFile, InputError
from mi_keras.machine import machine
from mi_keras.serving.contract import LONGEST_TIMEOUT
from mi_keras.serving.layout import find_version
from mi_keras.serving.manifest import check_files, read_manifest

TIMEOUT = 600.0  # seconds
RUNTIMES = ("python", "c")
REPLAY = Path(__file__).with_name("replay.py")
COLUMNS = ("endpoint", "inputs", "outputs", "rows", "distance", "allowed", "SSIM", "result")


@dataclass(frozen=True)
class Verification:
    """What calling an export has shown.

    Attributes:
        manifest: of the export.
        endpoints: an entry for each endpoint, and for `serving_default`, as `replay` writes them.
        warmup: number of warm-up records replayed, and problems.
        tensorflow: version that the export was called with.
        machine: what it was called on (see `mi_keras.machine`).
    """

    manifest: Mapping[str, Any]
    endpoints: Sequence[Mapping[str, Any]]
    warmup: Mapping[str, Any]
    tensorflow: str
    machine: Mapping[str, str]

    @property
    def problems(self) -> list[str]:
        """Everything that is not as the manifest says, in words."""
        found = [f"{entry['name']}: {problem}" for entry in self.endpoints for problem in entry["problems"]]
        return [*found, *(f"warm-up: {problem}" for problem in self.warmup["problems"])]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code: 1 where answers differ, else see `command.guarded`."""
    options = _parser().parse_args(arguments)
    problems: list[str] = []
    code = guarded(lambda: problems.extend(_run(options)))
    return code or (STOPPED if problems else 0)


def verify(path: Path, *, timeout: float = TIMEOUT, runtime: str = RUNTIMES[0]) -> Verification:
    """Check an export: files against the manifest first, and only if all match, every endpoint by calling it.

    Args:
        path: folder of a version, or of a model, whose highest version is meant then.
        timeout: seconds for the calls.
        runtime: "python" or "c", the API of TensorFlow that loads and calls it.

    Raises:
        InputError: there is no export, or its files are not those of its manifest; nothing of it was executed.
        OSError: the process that called it failed or took too long.
    """
    folder = find_version(path)
    try:
        manifest = read_manifest(folder)
        check_files(folder, manifest)
    except DamagedFile as damage:
        raise InputError(
            f"`export` must be as `mi-keras export` wrote it; {folder}: {line_of(str(damage))}. It was not loaded."
        ) from None
    return replay(folder, manifest, timeout=timeout, runtime=runtime)


def replay(
    folder: Path, manifest: Mapping[str, Any], *, timeout: float = TIMEOUT, runtime: str = RUNTIMES[0]
) -> Verification:
    """Call every endpoint of an export in a new process, on the CPU, for which the tolerances are.

    Raises:
        OSError: the process failed or took too long.
    """
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryDirectory() as temporary:
        answer = Path(temporary, "answer.json")
        command = [sys.executable, "-I", str(REPLAY), str(folder.resolve()), str(answer), runtime]
        try:
            ended = subprocess.run(
                command, cwd=temporary, env=environment, capture_output=True, text=True, errors="replace", timeout=timeout
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise TimeoutError(
                errno.ETIMEDOUT, f"the endpoints took more than {timeout:g} seconds (--timeout)", str(folder)
            ) from None
        if ended.returncode or not answer.exists():
            said = line_of((ended.stderr.strip().splitlines() or ["no message"])[-1])
            reason = f"the process that called it ended with code {ended.returncode} ({said})"
            raise ChildProcessError(errno.ECHILD, reason, str(folder))
        report = json.loads(answer.read_text(encoding="utf-8"))
        return Verification(manifest, **report, machine=machine())  # what is set here is set there


def _run(options: argparse.Namespace) -> list[str]:
    if not 0 < options.timeout <= LONGEST_TIMEOUT:
        raise InputError(
            f"`--timeout` must be above 0 and at most {LONGEST_TIMEOUT} seconds; got {options.timeout}."
        )
    verification = verify(options.export, timeout=options.timeout, runtime=options.runtime)
    manifest, console = verification.manifest, console_for_tables()
    title = (
        f"{manifest['name']} version {manifest['version']}: {len(manifest['files'])} files as in the manifest"
    )
    console.print(Text(line_of(title)), soft_wrap=True)
    console.print(_table(verification))
    api = "" if options.runtime == RUNTIMES[0] else ", through its C API"
    console.print(
        f"Warm-up: {verification.warmup['records']} records replayed. TensorFlow {verification.tensorflow} alone{api}, "
        "without Keras and mi_keras.",
        soft_wrap=True,
    )
    for words, where in (("Called on", verification.machine), ("Written on", manifest.get("machine", {}))):
        told = ", ".join(f"{name} {value}" for name, value in where.items()) or "not stated"
        console.print(Text(line_of(f"{words}: {told}.")), soft_wrap=True)
    console.print(
        "Distance: the largest of any value to the Python path's answer; where the graph searches, its mean and the SSIM are held "
        "to bounds as well. SSIM: of the export's own samples, not the score of the run.",
        soft_wrap=True,
    )
    problems = verification.problems
    for problem in problems:
        console.print(Text(f"wrong: {line_of(problem)}"), soft_wrap=True)
    if problems and verification.machine != manifest.get("machine", verification.machine):
        console.print(
            "It was written on another machine, or with other threads or kernels: sums of floats differ."
        )
    console.print("Verified." if not problems else f"Not verified: {len(problems)} differences.")
    return problems


def _table(verification: Verification) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in COLUMNS:
        right = column in ("rows", "distance", "allowed", "SSIM")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    described = verification.manifest["endpoints"]
    for entry in verification.endpoints:
        endpoint = described.get(entry["name"], described[verification.manifest["default_endpoint"]])
        largest, similarity = entry["largest"], entry["scores"].get("ssim")
        cells = [
            entry["name"], ", ".join(endpoint["inputs"]), ", ".join(endpoint["outputs"]), str(entry["rows"]),
            "-" if largest is None else f"{largest:.1e}", f"{endpoint['tolerance']['largest']:.1e}",
            "-" if similarity is None else f"{similarity:.4f}", "wrong" if entry["problems"] else "as stated",
        ]  # fmt: skip
        table.add_row(*(Text(line_of(cell)) for cell in cells))
    return table


def _parser() -> argparse.ArgumentParser:
    parser = OneLineErrors(
        prog="mi-keras verify",
        description="Check an exported model: compare every file with the manifest, then EXECUTE its graph in a process "
        "of its own that imports TensorFlow only, with the samples of the manifest and the warm-up records.",
        epilog="The manifest is sealed by a hash, not signed: verify only exports whose origin you trust. To look at "
        "one without executing anything: mi-keras models. Exit code 2: files are not as exported; 1: answers differ.",
    )
    parser.add_argument(
        "export",
        type=Path,
        help="folder NAME or NAME/VERSION of an exported model (default: its highest version)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=TIMEOUT,
        metavar="SECONDS",
        help=f"seconds for all calls together (default: {TIMEOUT:g})",
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default=RUNTIMES[0],
        help=f"TensorFlow API that runs the graph (default: {RUNTIMES[0]})",
    )
    return parser
