"""The command `mi-keras models`: what is exported, from the manifests alone. No model is loaded, nor TensorFlow."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mi_keras.command import OneLineErrors, console_for_tables, guarded
from mi_keras.display import line_of
from mi_keras.serving.exports import exports_in
from mi_keras.serving.layout import FOLDER

COLUMNS = ("model", "version", "attack", "endpoints", "scores", "run", "files")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code (see `command.guarded`)."""
    options = _parser().parse_args(arguments)
    return guarded(lambda: _run(options.folder))


def _run(folder: Path) -> None:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, overflow="fold", no_wrap=column == "model")  # a name is to be copied
    for exported in exports_in(folder):
        told = ["-"] * 4 if exported.manifest is None else _told(exported.manifest)
        cells = (exported.name, str(exported.number), *told, exported.fault or "whole")
        table.add_row(*(Text(line_of(cell)) for cell in cells))
    console = console_for_tables()
    if table.row_count:
        console.print(table)
    else:
        console.print(Text(f"No exported models in {folder}."), soft_wrap=True)


def _told(manifest: Mapping[str, Any]) -> list[str]:
    """Return what a manifest says of attack, endpoints, scores and run."""
    baseline = manifest["baseline"]
    scores = [
        f"{metric.replace('_', '-').upper()} {score['mean']:.4f} ({baseline[metric]['mean']:.4f})"
        for metric, score in manifest["scores"].items()
    ]
    counts = {score["n"] for score in manifest["scores"].values()}
    changed = [f"changed: {', '.join(map(str, manifest['changed']))}"] if manifest["changed"] else []
    run = [manifest["work"], manifest["section"], manifest["preset"], manifest["data"],
           f"seed {manifest['seed']}", f"run {manifest['run']}", *changed]  # fmt: skip
    return [
        manifest["attack"],
        ", ".join(manifest["endpoints"]),
        f"{', '.join(scores)}; n = {', '.join(f'{count:,}' for count in counts)}; in brackets: {baseline.get('name')}",
        " ".join(run),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = OneLineErrors(
        prog="mi-keras models",
        description="List exported models from their manifests, and compare their files with these. Nothing of a model "
        "is loaded or executed.",
    )
    parser.add_argument(
        "folder", type=Path, nargs="?", default=FOLDER, help=f"folder of exported models (default: {FOLDER})"
    )
    return parser
