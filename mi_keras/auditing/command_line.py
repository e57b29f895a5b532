"""The command `mi-keras audit`: what can be rebuilt of an image from what a model of your own sends out."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console

from mi_keras.arguments import resources_of
from mi_keras.auditing.arguments import fix_of, options_of, parsed, parser
from mi_keras.auditing.options import Options
from mi_keras.auditing.verdict import parse_limits
from mi_keras.command import OneLineErrors, console_for_tables, guarded, say_path
from mi_keras.display import displayable
from mi_keras.errors import InputError, interruptible
from mi_keras.experiments.store import Store, open_store
from mi_keras.experiments.team import Team
from mi_keras.experiments.workers import team_of
from mi_keras.files import bytes_below, check_writable
from mi_keras.machine import use_threads
from mi_keras.progress import Progress

if TYPE_CHECKING:
    from mi_keras.auditing.work import Work

ENDS = {3: "an upper bound is above a limit", 4: "a verdict is void, or there are too few images to say"}
# The demonstration sets these itself
OF_A_MODEL = (
    "pixels", "model_input", "output", "output_kind", "class_names", "trained_on", "labels", "groups", "size", "fix",
)  # fmt: skip
GO_ON = "What is finished is kept; run the same command again to go on."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code: that of `command.guarded`, or 3 and 4 as `--fail-above` has them."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    made = parser()
    given = parsed(made, arguments)
    codes = [0]
    return guarded(lambda: codes.append(_run(given, arguments, made)), GO_ON, made) or codes[-1]


def follow(job: Mapping[str, Any], team: Team, progress: Progress) -> None:
    """Compute what an audit computes beside the process that runs it (see `workers`); `job`: the arguments of the command,
    and on another machine what `work.work_of` brings."""
    given = parsed(parser(), job["arguments"])
    _prepare(given)
    from mi_keras.models.scope import own_models

    store = open_store(precision=given.precision, progress=progress, team=team)
    work, _ = _described(given, options_of(given), store, job)
    with own_models():
        work.begin()
        work.end(list)  # the other process says what is published


def _run(given: argparse.Namespace, arguments: Sequence[str], made: OneLineErrors) -> int:
    limits = parse_limits(given.fail_above, among=given.among) if given.fail_above is not None else {}
    options = options_of(given)
    resources = resources_of(given)
    if resources.ray and given.list_points:
        raise InputError("`ray` must be left out with `list_points`, which computes nothing.")
    if given.model is not None and given.data is None and not given.list_points:
        raise InputError("`data` must be given with a model: a folder, a .zip or an .npz file; got none.")
    if given.model is None and given.data is not None:
        raise InputError(f"`MODEL` must be given with --data; got --data {given.data} alone.")
    if given.model is None:
        _check_demonstration(given, options)
    if not given.list_points:
        check_writable("out", given.out)
    _prepare(given)
    if given.list_points:
        return _list_points(given)
    from mi_keras.auditing.audit import report_of
    from mi_keras.auditing.report import DOCUMENT, write
    from mi_keras.auditing.screen import first_screen
    from mi_keras.auditing.verdict import exceeded, fails
    from mi_keras.console import TerminalProgress, print_line

    console = Console(stderr=True)
    progress = TerminalProgress(console)
    with team_of(
        f"{__name__}:follow", {"arguments": list(arguments)}, resources, resources.processes(given.preset), progress
    ) as team:  # fmt: skip
        store = open_store(precision=given.precision, progress=progress, team=team)
        with interruptible(lambda: store.current or "reading and weighing what is there"):
            work, data_name = _described(given, options, store)
            if (given.out / DOCUMENT).exists():
                print_line(console, f"The audit in {given.out} is replaced when this one is done.")
            report = report_of(work, data_name)
    report = report.worded(made.in_options)
    page = write(report, given.out)
    if given.json:
        print(json.dumps(report.to_json(), indent=1))
    else:
        first_screen(report, console_for_tables())
        say_path(console_for_tables(), "Page, model card and JSON", page)
        kept = f", {bytes_below(store.root) / 1e6:,.0f} MB with those of all runs that use it; delete it when you need none of them"
        say_path(
            console_for_tables(), "Finished steps, with what was rebuilt of the images", store.root, kept
        )
    code = fails(report.points, limits, among=options.among)
    if code:
        for point in report.points:
            for above in exceeded(point, limits, among=options.among):
                print_line(console, f"{point.name}: {above}.")
        print_line(console, f"--fail-above {given.fail_above}: {ENDS[code]}, exit code {code}.")
    return code


def _check_demonstration(given: argparse.Namespace, options: Options) -> None:
    """Refuse what describes a model or images of the user's own where there are none.

    Raises:
        InputError: such an option is given.
    """
    default = Options()
    asked = [(name, getattr(options, name), getattr(default, name)) for name in OF_A_MODEL]
    for name, value, unset in (*asked, ("imports", given.imports, [])):
        if value != unset:
            raise InputError(f"`{name}` must go with a model of your own (MODEL); got {value!r}.")


def _prepare(given: argparse.Namespace) -> None:
    """Load TensorFlow, with so many threads, and let modules of the user's own be found."""
    use_threads(resources_of(given).threads_of_each)
    own = given.imports or ":" in (given.model_input or "")
    if own and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # they lie beside the model
    from mi_keras.quiet import quiet_libraries  # here: --help answers at once

    with quiet_libraries():
        from mi_keras.models.scope import check_keras, let_idle_threads_sleep  # it loads TensorFlow

        let_idle_threads_sleep()
    check_keras()


def _described(
    given: argparse.Namespace, options: Options, store: Store, brought: Mapping[str, Any] | None = None
) -> "tuple[Work, str | None]":
    """Describe the audit that arguments ask for, with the name of its data where the source has none."""
    from mi_keras.auditing.work import DATA, MODEL, work_of

    progress, brought = store.progress, brought or {}
    if given.model is not None:
        work = work_of(
            given.model, brought.get(DATA, given.data), options, store=store, progress=progress,
            imports=given.imports, content=brought.get(MODEL),
        )  # fmt: skip
        return work, None
    from mi_keras.auditing import demo

    shown = demo.demo(store, progress, preset=options.preset, seed=options.seed)
    options = replace(
        options, pixels="0..1", trained_on=shown.trained_on, output="logits", model_input="0..1"
    )
    data = shown.images, shown.labels
    return work_of(shown.model, data, options, store=store, progress=progress, name=demo.NAME), demo.DATA


def _list_points(given: argparse.Namespace) -> int:
    from mi_keras.auditing.loading import load_model
    from mi_keras.models.held import not_held
    from mi_keras.models.target import points

    if given.model is None:
        raise InputError("`MODEL` must be given with --list-points; got none.")
    model, fix = load_model(given.model, imports=given.imports), fix_of(given.fix)
    missing = not_held(model, fix)
    for point in points(model, {**fix, **missing}):
        size = " x ".join("?" if n is None else str(n) for n in point.shape)
        print(f"{displayable(point.name)}  {size}{'  (output)' if point.is_output else ''}")
    if missing:
        values = {name: ",".join(["VALUE"] * value.size) for name, value in missing.items()}
        fixes = [f"--fix {shlex.quote(f'{name}={value}')}" for name, value in values.items()]
        command = " ".join(["mi-keras audit", shlex.quote(given.model), "--data SOURCE", *fixes])
        print(
            displayable(f"An audit needs constant values for the inputs other than the image: {command}"),
            file=sys.stderr,
        )
    return 0
