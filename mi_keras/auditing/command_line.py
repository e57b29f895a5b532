"""The command `mi-keras audit`: what can be rebuilt of an image from what a model of your own sends out."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from mi_keras.auditing.options import ADVERSARIES, DEFAULT_ADVERSARIES, DEFAULT_BUDGET, PRESETS, Options
from mi_keras.auditing.verdict import Tolerance, parse_limits
from mi_keras.command import OneLineErrors, console_for_tables, guarded, say_path
from mi_keras.display import displayable
from mi_keras.errors import InputError, interruptible
from mi_keras.files import check_writable
from mi_keras.machine import FLOAT32, PRECISIONS

ENDS = {3: "an upper bound is above a limit", 4: "a verdict is void, or there are too few images to say"}
GO_ON = "What is finished is kept; run the same command again to go on."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code: that of `command.guarded`, or 3 and 4 as `--fail-above` has them."""
    parser = _parser()
    options = parser.parse_args(arguments)
    options.adversaries = _names(options)
    codes = [0]
    return guarded(lambda: codes.append(_run(options, parser)), GO_ON, parser) or codes[-1]


def _run(given: argparse.Namespace, parser: OneLineErrors) -> int:
    limits = parse_limits(given.fail_above, among=given.among) if given.fail_above is not None else {}
    options = _options(given)
    if given.model is not None and given.data is None and not given.list_points:
        raise InputError("`data` must be given with a model: a folder, a .zip or an .npz file; got none.")
    if given.model is None and given.data is not None:
        raise InputError(f"`MODEL` must be given with --data; got --data {given.data} alone.")
    if not given.list_points:
        check_writable("out", given.out)
    if given.imports or ":" in (given.model_input or ""):
        sys.path.insert(0, os.getcwd())  # modules of the user's own, which lie beside the model
    from mi_keras.quiet import quiet_libraries  # here: --help answers at once

    with quiet_libraries():
        from mi_keras.models.scope import check_keras  # it loads TensorFlow
    check_keras()
    if given.list_points:
        return _list_points(given)
    from mi_keras.auditing.audit import audit
    from mi_keras.auditing.report import write
    from mi_keras.auditing.screen import first_screen
    from mi_keras.auditing.verdict import fails
    from mi_keras.console import TerminalProgress, print_line
    from mi_keras.experiments.store import open_store

    console = Console(stderr=True)
    progress = TerminalProgress(console)
    store = open_store(precision=given.precision, progress=progress)
    with interruptible(lambda: store.current or "reading and weighing what is there"):
        if given.model is None:
            from mi_keras.auditing import demo

            shown = demo.demo(store, progress, preset=options.preset, seed=options.seed)
            options = replace(
                options, pixels="0..1", trained_on=shown.trained_on, output="logits", model_input="0..1"
            )
            report = audit(
                shown.model, (shown.images, shown.labels), options, store=store, progress=progress,
                name=demo.NAME, data_name=demo.DATA,
            )  # fmt: skip
        else:
            report = audit(
                given.model, given.data, options, store=store, progress=progress, imports=given.imports
            )
    report = report.worded(parser.in_options)
    page = write(report, given.out)
    if given.json:
        print(json.dumps(report.to_json(), indent=1))
    else:
        first_screen(report, console_for_tables())
        say_path(console_for_tables(), "Page, model card and JSON", page)
        kept = f", {store.size() / 1e6:,.0f} MB; delete it when you are done"
        say_path(
            console_for_tables(), "Finished steps, with what was rebuilt of the images", store.root, kept
        )
    code = fails(report.points, limits, among=options.among)
    if code:
        told = f"--fail-above {given.fail_above}: {ENDS[code]}, exit code {code}."
        print_line(console, told)
    return code


def _list_points(given: argparse.Namespace) -> int:
    from mi_keras.auditing.loading import load_model
    from mi_keras.models.held import not_held
    from mi_keras.models.target import points

    if given.model is None:
        raise InputError("`MODEL` must be given with --list-points; got none.")
    model, fix = load_model(given.model, imports=given.imports), _fix(given.fix)
    missing = not_held(model, fix)
    for point in points(model, {**fix, **missing}):
        size = " x ".join("?" if n is None else str(n) for n in point.shape)
        print(f"{displayable(point.name)}  {size}{'  (output)' if point.is_output else ''}")
    if missing:
        values = {name: ",".join(["VALUE"] * value.size) for name, value in missing.items()}
        fixes = [f"--fix {shlex.quote(f'{name}={value}')}" for name, value in values.items()]
        command = " ".join(["mi-keras audit", shlex.quote(given.model), "--data SOURCE", *fixes])
        print(displayable(f"An audit holds the inputs beside the image: {command}"), file=sys.stderr)
    return 0


def _options(given: argparse.Namespace) -> Options:
    return Options(
        at=tuple(given.at), adversaries=given.adversaries, preset=given.preset, seed=given.seed,
        pixels=given.pixels, model_input=given.model_input, output=given.output, output_kind=given.output_kind,
        labels=given.labels, groups=given.groups, size=_size(given.size), trained_on=given.trained_on,
        class_names=tuple(given.class_names.split(",")) if given.class_names else None,
        class_of=given.class_of, attack_size=given.attack_size, among=given.among, budget=given.budget,
        defend=tuple(given.defend), sends=given.sends,
        queries=_counts(given.queries), fix=_fix(given.fix), public_backbone=given.public_backbone,
        attacker_seeds=given.attacker_seeds,
        tolerance=Tolerance.parse(given.tolerance) if given.tolerance is not None else None,
    )  # fmt: skip


def _fix(texts: Sequence[str]) -> dict[str, float | list[float]]:
    found: dict[str, float | list[float]] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            numbers = [float(part) for part in value.split(",")]
        except ValueError:
            numbers = []
        if not name or not numbers or name in found:
            raise InputError(
                f"`fix` must be NAME=NUMBER, or NAME=NUMBER,NUMBER,... for a vector, once for each name; got {text!r}."
            )
        found[name] = numbers if len(numbers) > 1 else numbers[0]
    return found


def _names(given: argparse.Namespace) -> tuple[str, ...]:
    """Return the adversaries, with commas or without; a last word that is none is the MODEL, if that is missing."""
    words = list(given.adversaries or ())
    if len(words) > 1 and given.model is None and words[-1] not in ADVERSARIES:
        given.model = words.pop()
    return tuple(name for word in words for name in word.strip(",").split(","))


def _counts(text: str | None) -> tuple[int, ...]:
    parts = text.split(",") if text else []
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"`queries` must be whole numbers with commas, such as 10,100,1000; got {text!r}.")
    return tuple(int(part) for part in parts)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise InputError(f"`size` must be H,W, whole numbers >= 1; got {text!r}.")
    return int(parts[0]), int(parts[1])


def _parser() -> OneLineErrors:
    parser = OneLineErrors(
        prog="mi-keras audit", description="Find out what can be rebuilt of an image from what a Keras model sends out.",
        epilog="Without MODEL: a demonstration on embedded digits. Finished steps are kept in $MI_KERAS_HOME (default: "
        ".mi_keras). Exit codes with --fail-above: 3 where an upper bound is above the limit, 4 where nothing can be said.",
    )  # fmt: skip
    add = parser.add_argument
    add("model", nargs="?", metavar="MODEL", help="a .keras or .h5 file; no code of it is run")
    add(
        "--data",
        metavar="SOURCE",
        help="images: a folder, a .zip or an .npz file, or folder:, zip:, npz:PATH, or mnist",
    )
    add("--at", action="append", default=[], metavar="POINT",
        help="what leaves: a layer's path, an output, or a view such as logits, probabilities, rounded=3, top=3, label, also "
        "as OUTPUT:VIEW; several times (default: the views of the output)")  # fmt: skip
    add(
        "--list-points", action="store_true", help="list where the model can be observed, and do nothing else"
    )
    add(
        "--adversaries",
        nargs="+",
        metavar="A",
        help=f"of {', '.join(ADVERSARIES)} (default: {' '.join(DEFAULT_ADVERSARIES)}, and at layers white_box on few images)",
    )
    add(
        "--public-backbone",
        default="",
        metavar="PATH",
        help='a layer up to which the model is public with its weights, for the adversary "shadow"',
    )
    add(
        "--queries",
        metavar="N,N",
        help='answers that the adversary "queries" has, several for a curve (default: 1000; smoke: 100)',
    )
    add(
        "--preset",
        default="quick",
        choices=PRESETS,
        help="how hard the attacks try; smoke only tests that all runs (default: quick)",
    )
    add("--seed", type=int, default=1, help="root of all random choices (default: 1)")
    add("--attacker-seeds", type=int, default=1, metavar="N",
        help="train the published attacks with N - 1 other seeds too, and show how far they spread (default: 1)")  # fmt: skip
    add("--precision", default=FLOAT32, choices=PRECISIONS,
        help="of products in the attackers' networks; bfloat16 is faster where the processor has it (default: float32)")  # fmt: skip
    add("--pixels", metavar="RANGE", help="what the data holds: 0..1, 0..255 or -1..1; files are 0..255")
    add(
        "--model-input",
        metavar="RANGE",
        help="what the model expects: 0..1, 0..255, -1..1, caffe, torch or MODULE:FUNCTION; found by accuracy where there are labels",
    )
    add("--labels", default="none", metavar="none|folder", help="folder: a subfolder is a class")
    add(
        "--class-names",
        metavar="A,B",
        help="names of the classes, as subfolders or labels have them, in the order of the model's outputs (default: by name)",
    )
    add(
        "--groups",
        default="none",
        metavar="none|folder",
        help="folder: a subfolder is a person, who is never on both sides",
    )
    add("--trained-on", metavar="KEY", help="key of the npz with the images that the model was trained on")
    add("--size", metavar="H,W", help="size of images for a model of variable size")
    add(
        "--attack-size",
        type=int,
        default=96,
        metavar="N",
        help="largest side of what is reconstructed (default: 96)",
    )
    add("--fix", action="append", default=[], metavar="NAME=VALUE",
        help="hold an input beside the image at a number, or at numbers with commas for a vector; once for each")  # fmt: skip
    add("--output", metavar="NAME", help="of several outputs, the one that tells the class")
    add(
        "--output-kind",
        metavar="KIND",
        help="what answers are, where their values do not say it, such as embedding",
    )
    add(
        "--class-of",
        default="prediction",
        metavar="prediction|all",
        help="all: images are told from all others, not from those of their class",
    )
    add(
        "--budget",
        type=float,
        default=DEFAULT_BUDGET,
        metavar="MINUTES",
        help="for the attacks at each point; 0: no limit (default: %(default)g)",
    )
    add("--among", type=int, default=10, metavar="N", help="images to tell apart (default: 10)")
    add(
        "--tolerance",
        metavar="found=X,detail=Y",
        help="what you tolerate above the baselines (default: found=0.20,detail=0.05, ours)",
    )
    add(
        "--fail-above",
        metavar="found=X",
        help="exit with 3 where the upper bound of a named number is above baseline + X",
    )
    add("--defend", action="append", default=[], metavar="SPEC",
        help="try a defence: of outputs rounding=D, top=K, temperature=T, noise=S (of the logits' spread) or label; of layers "
        "bits=B, kept=M or kept=SHARE (maps) or noise=S (of each map's spread); several times")  # fmt: skip
    add("--sends", type=int, default=1, metavar="K",
        help="sends of an image that an adversary averages where a defence is noise (default: 1)")  # fmt: skip
    add(
        "--import",
        action="append",
        default=[],
        dest="imports",
        metavar="MODULE",
        help="import a module with custom classes of the model",
    )
    add(
        "--out",
        type=Path,
        default=Path("audit"),
        metavar="DIR",
        help="folder of page, card and JSON (default: audit)",
    )
    add("--offline", action="store_true", help="never download; an audit never does")
    add("--json", action="store_true", help="print the JSON document instead of the first screen")
    return parser
