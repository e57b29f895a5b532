"""The command `mi-keras serve-config`: writes `models.config` of TensorFlow Serving from the exported models."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from mi_keras.command import OneLineErrors, guarded
from mi_keras.errors import InputError
from mi_keras.files import write_text
from mi_keras.serving.layout import FOLDER
from mi_keras.serving.served_versions import (
    BASE_PATH,
    FILE,
    asked_versions,
    choose_versions,
    config_text,
    find_models,
)
from mi_keras.whole import replace_file


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code (see `command.guarded`)."""
    options = _parser().parse_args(arguments)
    return guarded(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    models, skipped = find_models(options.folder)
    for name, reason in skipped.items():
        print(f"{name}: skipped, {reason}")
    for model in models:
        for version, reason in model.broken.items():
            print(f"{model.name} version {version}: skipped, {reason}")
    if not models:
        raise InputError(
            f"`--folder` must hold an exported model; got {options.folder}. {FILE} is as it was."
        )
    chosen = choose_versions(models, options.keep, options.label)
    text = config_text(chosen, options.base_path)
    path = replace_file(options.folder / FILE, lambda temporary: write_text(temporary, text))
    for served in chosen:
        for number in sorted(asked_versions(options.keep) - set(served.versions)):
            print(f"{served.name} version {number}: not there")
        labels = "".join(f", {label} = {version}" for label, version in sorted(served.labels.items()))
        print(f"{served.name}: {served.policy}, version {', '.join(map(str, served.versions))}{labels}")
    print(f"Written: {path}")


def _parser() -> argparse.ArgumentParser:
    parser = OneLineErrors(
        prog="mi-keras serve-config",
        description=f"Write {FILE} of TensorFlow Serving from the exported models.",
    )
    add = parser.add_argument
    add(
        "--folder", type=Path, default=FOLDER, metavar="DIR", help=f"where the models are (default: {FOLDER})"
    )
    add(
        "--keep",
        default="latest",
        metavar="WHICH",
        help="versions to serve: latest (default), all, or numbers such as 1,3",
    )
    add("--label", action="append", default=[], metavar="NAME:LABEL[=VERSION]", help="give a version a label, as "
        "thesis:stable=3; without a number it is the newest that is served")  # fmt: skip
    add(
        "--base-path",
        default=BASE_PATH,
        metavar="PATH",
        help=f"where the server sees the models (default: {BASE_PATH})",
    )
    return parser
